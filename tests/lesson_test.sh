#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# lesson_test.sh - examples/lesson, from outside: the transcripts byte for byte, its
# tables and pictures, the same runs by threads, and what it says of mistakes.
set -u
lesson=$PWD/examples/lesson
case $srcdir in
/*) tests=$srcdir/tests ;;
*) tests=$PWD/$srcdir/tests ;;
esac
. "$srcdir/tests/outside.sh"

# between WHAT ACTUAL LOW HIGH
between()
{
	[ -n "$2" ] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]
	verdict $? "$1: '$2', expected $3 to $4"
}

# run WORD...: lesson with these words; sets $status, fills out and err.
run()
{
	timeout 60 "$lesson" "$@" >out 2>err
	status=$?
}

# count NAME: the number in the statistics of the run.
count()
{
	sed -n "s/^$1: \\([0-9]*\\)\$/\\1/p" out
}

# ---- The transcripts ----

# transcript NAME FILE WORD...
transcript()
{
	name=$1
	file=$tests/lesson/$2
	shift 2
	run "$name" "$@"
	equal "$name $*: status" "$status" 0
	cmp -s out "$file"
	verdict $? "$name $*: $(diff "$file" out | head -n 5)"
	[ ! -s err ]
	verdict $? "$name $*: something on standard error"
}

transcript simple simple.txt
transcript simple simple.txt --seed 7 --until=20 --interval 1.0 --service 1
transcript backpressure backpressure.txt
transcript backpressure backpressure.txt --until 30 --interval 0.5 --service 2 --capacity 5 --multiplier 2
transcript priority priority-192837.txt
transcript ack ack-192837.txt
transcript ack ack-192837.txt --seed 192837 --until=25 --interval 3 --service 1
transcript ack ack-dead-letter.txt --attempts 2 --dead-letter
transcript priority priority-192837.txt --seed 000192837 --until 20 --interval .3 --service 15e-1 --capacity 5

policies="round-robin weighted least-loaded shared key single-active"
for policy in $policies; do
	transcript group "group-$policy.txt" --policy "$policy"
done
transcript group group.txt
transcript group group.txt --seed 192837 --until 120 --interval .7 --service 1 --capacity 1024

# Without the topic the same happens, but that a message is dropped.
run ack --attempts 2
equal "attempts: status" "$status" 0
sed -e '/DeadLetters/d' -e 's/^Dead letters:/Messages dropped:/' \
	"$tests/lesson/ack-dead-letter.txt" >expected
cmp -s expected out
verdict $? "attempts: $(diff expected out | head -n 5)"
run ack --dead-letter --until 60
equal "dead-letter: attempts by default" "$(grep -c 'attempt [1-5] of 5)$' out)" "$(count 'Messages received')"
run ack --attempts 1 --until 100
equal "one attempt: redelivered" "$(count 'Messages redelivered')" 0

run simple --select
equal "select: received of all" "$(count 'Messages published') $(count 'Messages delivered')" "25 47"
equal "select: Analytics" "$(count 'Analytics received')" 21
grep -c '^\[.*Analytics received' out >lines
equal "select: Analytics, by its lines" "$(cat lines)" 21

# ---- Tables ----

run backpressure --sweep
equal "sweep: status" "$status" 0
equal "sweep: rows" "$(wc -l <out)" 9
sed 1d out >table
while read -r interval capacity published delivered dropped received _; do
	run backpressure --interval "${interval%s}" --capacity "$capacity"
	equal "sweep: $interval $capacity" "$published $delivered $dropped $received" \
		"$(count 'Messages published') $(count 'Messages delivered') $(
			count 'Messages dropped') $(count 'Messages received')"
done <table
awk '{ print $1, $2 }' table | tr '\n' ' ' >what
equal "sweep: its rows" "$(cat what)" \
	"0.5s 1 0.5s 2 0.5s 5 0.5s 50 2.0s 1 2.0s 2 2.0s 5 2.0s 50 "

run priority --drops
equal "drops: status" "$status" 0
awk '$1 ~ /^[0-9]$/ { print $1, $2, $3 }' out >table
awk '
	/EventGen/ { published[$5]++ }
	/Processor/ { received[$5]++ }
	END {
		for (level = 0; level < 10; level++)
			print level, published[level] + 0, received[level] + 0
	}
' "$tests/lesson/priority-192837.txt" >expected
cmp -s table expected
verdict $? "drops: published and received of each priority: $(diff expected table)"
equal "drops: all" "$(awk '$1 == "all" { print $2 - $3 - $4 - $5 }' out)" 0
equal "drops: waiting" "$(awk '$1 == "all" { print $4 }' out)" 5
equal "drops: the fraction of priority 7" "$(awk '$1 == "7" { print $6 }' out)" 100.0

# ---- Groups: what the policies promise, by the lines ----

sed -n 's/^\[[0-9.]*\] \([A-Z][a-z]*[-12]*\) received Job \([0-9]*\) .*/\2 \1/p' \
	"$tests/lesson/group-round-robin.txt" | sort -n >got
awk '$2 != ($1 % 3 == 1 ? "Fast-1" : $1 % 3 == 2 ? "Fast-2" : "Slow")' got >wrong
equal "round-robin: jobs that were not in turn" "$(wc -l <wrong) of $(wc -l <got)" "0 of 122"
awk '
	$2 == "Source" { key[$5] = $7 }
	/^\[.* received Job/ {
		got++
		k = key[$5]
		if (k in worker && worker[k] != $2 || $5 + 0 <= latest[k] + 0)
			wrong++
		worker[k] = $2
		latest[k] = $5
	}
	END { print wrong + 0, "of", got }
' "$tests/lesson/group-key.txt" >out
equal "key: jobs of a key with another worker or out of order" "$(cat out)" "0 of 98"
grep -c '(latency' "$tests/lesson/group-single-active.txt" >out
equal "single-active: jobs that Fast-1 received of all" "$(cat out)" \
	"$(grep -c '^\[.*Fast-1 received' "$tests/lesson/group-single-active.txt")"
for policy in $policies; do
	for words in "" "--capacity 5 --seed 1" "--service 3 --seed 2 --until 50"; do
		# shellcheck disable=SC2086 # words
		run group --policy "$policy" $words
		equal "$policy $words: published" "$(count 'Messages published')" \
			"$(($(count 'Messages received') + $(count 'Messages waiting') + $(
				count 'Messages dropped')))"
		equal "$policy $words: lines" "$(grep -c '^\[.*received' out)" \
			"$(count 'Messages received')"
	done
done
run group --seed 31 --until 1000 --chart "it's.svg"
equal "group: rows" "$(wc -l <out)" 7
# latency POLICY FIELD: in tenths of a second.
latency()
{
	awk -v policy="$1" -v field="$2" '$1 == policy { print int(10 * $field) }' out
}
between "group: round-robin suffers" "$(latency round-robin 10)" 1000 10000
between "group: least-loaded does not" "$(latency least-loaded 10)" 0 200
between "group: least-loaded does not, in the mean" "$(latency least-loaded 8)" 0 10
between "group: shared does not" "$(latency shared 10)" 0 20
between "group: weighted does not" "$(latency weighted 10)" 0 20

# ---- Pictures ----

has "chart: a picture" "it's.svg" '</svg>'
run group --chart group.svg
cmp -s group.svg "$tests/../doc/group.svg"
verdict $? "chart: the picture in doc/"
run group --policy shared --chart one.svg
equal "chart: status" "$status" 0
cmp -s out "$tests/lesson/group-shared.txt"
verdict $? "chart: the transcript"
run group --chart no/such/directory.svg
equal "chart: status where it cannot be written" "$status" 1
has "chart: where it cannot be written" err "^lesson: --chart: 'no/such/directory.svg': No such"
if [ -c /dev/full ]; then
	ln -s /dev/full full.svg
	run group --chart full.svg
	equal "chart: status without space" "$status" 1
fi

if command -v gnuplot >/dev/null 2>&1; then
	run backpressure --plot "it's.svg"
	equal "plot: status" "$status" 0
	cmp -s out "$tests/lesson/backpressure.txt"
	verdict $? "plot: the transcript"
	has "plot: a picture" "it's.svg" '</svg>'
	run backpressure --sweep --plot sweep.png
	equal "plot: status of a sweep" "$status" 0
	equal "plot: a PNG" "$(head -c 4 sweep.png | tr -dc A-Z)" PNG
	run backpressure --plot no/such/directory.svg
	equal "plot: status where it cannot be written" "$status" 1
	has "plot: where it cannot be written" err "^lesson: --plot: gnuplot could not make 'no/such"
else
	echo "there is no gnuplot: no picture was tried"
fi
mkdir nothing
PATH=$PWD/nothing "$lesson" backpressure --plot x.svg >out 2>err
equal "plot: status without gnuplot" $? 1
has "plot: without gnuplot" err '^lesson: --plot: gnuplot is needed'

# ---- In real time ----

# Within wide bounds: the machine may be busy.
run simple --realtime 50
equal "realtime: status" "$status" 0
between "realtime: published" "$(count 'Messages published')" 3 25
between "realtime: delivered" "$(count 'Messages delivered')" 4 47
between "realtime: Inventory" "$(count 'Inventory received')" 2 11
between "realtime: Email" "$(count 'Email received')" 1 7
between "realtime: Analytics" "$(count 'Analytics received')" 1 14
run --realtime=50 simple --select
equal "realtime: status with select" "$status" 0
between "realtime: Analytics with select" "$(count 'Analytics received')" 2 21

run backpressure --realtime 50
equal "realtime: status of backpressure" "$status" 0
between "realtime: backpressure: published" "$(count 'Messages published')" 3 61
between "realtime: backpressure: received" "$(count 'Messages received')" 1 16
equal "realtime: backpressure: delivered and dropped" \
	"$(($(count 'Messages delivered') + $(count 'Messages dropped')))" \
	"$(count 'Messages published')"
has "realtime: backpressure: an interval" out '^Final interval: [0-9.]*s$'
run priority --realtime 50
equal "realtime: status of priority" "$status" 0
between "realtime: priority: published" "$(count 'Messages published')" 3 67
between "realtime: priority: received" "$(count 'Messages received')" 1 14
equal "realtime: priority: received of all levels" \
	"$(sed -n 's/^  Priority [0-9]: //p' out | awk '{ sum += $1 } END { print sum }')" \
	"$(count 'Messages received')"
run priority --realtime 50 --drops
equal "realtime: status of drops" "$status" 0
equal "realtime: drops: all" "$(awk '$1 == "all" { print $2 - $3 - $4 - $5 }' out)" 0

for policy in $policies; do
	run group --policy "$policy" --realtime 400
	equal "realtime: status of group, $policy" "$status" 0
	between "realtime: group, $policy: received" "$(count 'Messages received')" 10 240
	equal "realtime: group, $policy: published" "$(count 'Messages published')" \
		"$(($(count 'Messages received') + $(count 'Messages waiting')))"
done

# ---- Mistakes ----

# refused PATTERN WORD...: with status 2, a reason, and nothing on standard output.
refused()
{
	pattern=$1
	shift
	run "$@"
	equal "$*: status" "$status" 2
	has "$*" err "^lesson: $pattern"
	[ ! -s out ]
	verdict $? "$*: something on standard output"
}

refused 'which run? There are simple'
refused "there is no run 'nothing', but simple" nothing
refused "one run at a time, not 'simple'" simple simple
refused 'unrecognized option' simple --nothing
refused 'option .*requires an argument' simple --until
for word in nan -1 inf 1e999 0x10 '' ' 1' +1 1s -0 1,5 1e; do
	refused "--until: '$word' is not a number from 0 on" simple "--until=$word"
	refused "--service: '$word' is not a number from 0 on" simple "--service=$word"
	refused "--interval: '$word' is not a number greater than 0" simple "--interval=$word"
	refused "--realtime: '$word' is not a number from 0.001 to 1e+06" simple "--realtime=$word"
	refused "--seed: '$word' is not a whole number from 0 on" priority "--seed=$word"
done
refused "--interval: '0' is not a number greater than 0" simple --interval 0
refused "--interval: '1e-999' is not" simple --interval 1e-999
refused "--interval: 1e-17 is nothing beside --until 20" simple --interval 1e-17
refused "--realtime: '0' is not a number from" simple --realtime 0
refused "--realtime: '1e7' is not a number from" simple --realtime 1e7
refused "--realtime: '-1' is not a number from" simple --realtime -1
refused "--realtime: 'nan' is not a number from" --realtime nan simple
refused "--seed: '1.0' is not" simple --seed 1.0
refused "--capacity: '0' is not a whole number from 1 to 1048576" priority --capacity 0
for word in 1048577 99999999999999999999 -1 1.0 nan '' 5x; do
	refused "--capacity: '$word' is not a whole number from 1 to" priority "--capacity=$word"
done
for word in 0.9 0 nan -2 inf x; do
	refused "--multiplier: '$word' is not a number from 1 on" backpressure "--multiplier=$word"
done
for word in 0 1000001 -1 1.0 ''; do
	refused "--attempts: '$word' is not a whole number from 1 to 1000000" ack "--attempts=$word"
done
refused "--attempts: 'simple' has no use for it" simple --attempts 2
refused "--dead-letter: 'priority' has no use for it" priority --dead-letter
refused "--multiplier: 'priority' has no use for it" priority --multiplier 2
refused "--select: 'priority' has no use for it" priority --select
refused "--sweep: 'priority' has no use for it" priority --sweep
refused "--drops: 'backpressure' has no use for it" backpressure --drops
refused "--plot: 'simple' has no use for it" simple --plot x.svg
refused "--plot: 'x.pdf' does not end in .svg or .png" backpressure --plot x.pdf
refused "--plot: 'd/.svg' does not end in" backpressure --plot d/.svg
refused "--policy: there is no 'fair', but round-robin" group --policy fair
refused "--policy: there is no ''" group --policy=
refused "--policy: 'simple' has no use for it" simple --policy shared
refused "--chart: 'x.png' does not end in .svg" group --chart x.png
refused "--chart: '.svg' does not end in" group --chart .svg
refused "--chart: 'backpressure' has no use for it" backpressure --chart x.svg
refused "--plot: 'group' has no use for it" group --plot x.svg
refused "--sweep has capacities and intervals of its own" backpressure --sweep --capacity 5
refused "--capacity: 'simple' has no use for it" simple --capacity 5
refused "--multiplier: 'simple' has no use for it" simple --multiplier 2

# ---- What it tells about itself ----

run --list
equal "--list: status" "$status" 0
for name in simple backpressure priority ack group; do
	has "--list" out "^$name  *[a-z]"
done
run --help
equal "--help: status" "$status" 0
has "--help" out '^Usage: lesson'
if [ -c /dev/full ]; then
	timeout 60 "$lesson" simple >/dev/full 2>err
	equal "no space for the output: status" $? 1
	has "no space for the output" err '^lesson: standard output: No space'
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
