#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# logfan_test.sh - examples/logfan, from outside: its tables and its archive against
# awk and zcat, hard inputs, following files, and what it says of mistakes.
set -u
logfan=$PWD/examples/logfan
[ -x "$logfan" ] || {
	echo "examples/logfan was not built: there is no zlib"
	exit 77
}
case $srcdir in
/*) sample=$srcdir/examples/data/dpkg-log.txt ;;
*) sample=$PWD/$srcdir/examples/data/dpkg-log.txt ;;
esac
. "$srcdir/tests/outside.sh"

# run WORD...: logfan with these words; sets $status, fills out and err.
run()
{
	timeout 300 "$logfan" "$@" >out 2>err
	status=$?
}

# cell NAME COLUMN: of a subscriber's row, counted after its name (received is 1).
cell()
{
	awk -v name="$1" -v column="$2" '
		$1 == "subscriber" { inside = 1; next }
		/^$/ { inside = 0 }
		inside && $1 == name { print $(column + 1 + ($2 == "(archive)")) }
	' out
}

# The topics of the table and how many lines each subscriber got, as "TOPIC N...".
topics_of_out()
{
	awk '
		$1 == "topic" { inside = 1; next }
		/^$/ || / more of / { inside = 0 }
		inside { $1 = $1; gsub(/ -/, " 0"); print }
	' out | sort
}

# The rows of the table for the default subscribers, by awk, of a log without lines
# that have no time: TOPIC LINES INSTALL UPGRADE STATUS ALL.
topics_by_awk()
{
	awk '
		{ lines[substr($1, 1, 7) "." $3]++ }
		END {
			for (topic in lines) {
				n = lines[topic]
				print topic, n, topic ~ /\.install$/ ? n : 0,
					topic ~ /\.upgrade$/ ? n : 0,
					topic ~ /\.status$/ ? n : 0, n
			}
		}
	' "$1" | sort
}

# gap_of SECONDS: as the table has it.
gap_of()
{
	awk -v s="$1" 'BEGIN {
		printf "%dd %02d:%02d:%02d", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60
	}'
}

# gap_in_out NAME
gap_in_out()
{
	echo "$(cell "$1" 8) $(cell "$1" 9)"
}

# generate LINES: a log over three months, with the largest gaps of all lines and of
# the install lines, in seconds, in the file `gaps`.
generate()
{
	awk -v lines="$1" '
		function next_random() {
			random = (random * 1103 + 12345) % 1048576
			return random
		}
		function stamp(time,   day, month) {
			day = int(time / 86400)
			month = 1
			while (day >= days[month])
				day -= days[month++]
			return sprintf("2026-%02d-%02d %02d:%02d:%02d", month, day + 1,
				time / 3600 % 24, time / 60 % 60, time % 60)
		}
		BEGIN {
			split("31 28 31 30 31 30", days, " ")
			split("install upgrade status status status configure trigproc remove",
				action, " ")
			random = 7
			time = 0
			last_install = -1
			for (i = 1; i <= lines; i++) {
				step = int(next_random() / 1048576 * 2 * 80 * 86400 / lines)
				if (i == int(lines / 3))
					step += 200000 + next_random() % 1000
				time += step
				word = action[1 + int(next_random() / 1048576 * 8)]
				print stamp(time), word, "package" i ":amd64", next_random()
				if (i > 1 && step > gap)
					gap = step
				if (word != "install")
					continue
				if (last_install >= 0 && time - last_install > gap_install)
					gap_install = time - last_install
				last_install = time
			}
			print gap, gap_install >"gaps"
		}
	'
}

# ---- The command line ----

run --help
equal "--help: status" "$status" 0
has "--help" out '^Usage: logfan '
run --version
equal "--version: status" "$status" 0
has "--version" out '^logfan of weir [0-9]'

# refused PATTERN WORD...
refused()
{
	pattern=$1
	shift
	run "$@" </dev/null
	equal "$*: status" "$status" 2
	equal "$*: output" "$(wc -c <out)" 0
	has "$*" err "^logfan: .*$pattern"
}

echo '2026-01-01 00:00:00 install a' >small
refused "unrecognized option '--bogus'" --bogus
refused "requires an argument" --capacity
refused "'0' is not a number from 1" --capacity=0 small
refused "'1048577' is not a number from 1" -c 1048577 small
refused "'-1' is not a number from 1" --capacity=-1 small
refused "'1x' is not a number from 1" -c 1x small
refused "'18446744073709551617' is not" -c 18446744073709551617 small
refused "'drop' is none of" --overflow=drop small
refused "'none' is neither" --topics=none small
refused "'0' is neither" --topics=0 small
refused "'a..b' is no filter" --subscribe=a..b small
refused "'>.a' is no filter" -s '>.a' small
refused "'' is no filter" -s '' small
refused "'small' is an input as well" --archive=small small
refused "cannot be read back" --verify --archive=/dev/null small
equal "an input named as archive is left alone" "$(cat small)" '2026-01-01 00:00:00 install a'

# ---- Tables and archive, against awk and zcat ----

# compare WHAT LOG: a run of LOG with --topics=all --archive=archive.gz lost nothing.
compare()
{
	equal "$1: status" "$status" 0
	has "$1" out '^verified: '
	equal "$1: all lines" "$(cell '>' 1)" "$(wc -l <"$2")"
	equal "$1: install lines" "$(cell '*.install' 1)" "$(awk '$3 == "install"' "$2" | wc -l)"
	for name in '>' '*.install' '*.upgrade' '*.status'; do
		equal "$1: dropped of $name" "$(cell "$name" 2)" 0
	done
	topics_of_out >found
	topics_by_awk "$2" >expected
	cmp -s found expected
	verdict $? "$1: the table of topics is not awk's"
	zcat archive.gz | cmp -s - "$2"
	verdict $? "$1: the archive is not the log"
}

generate 200000 >log
read -r gap gap_install <gaps
run --verify --topics=all --archive=archive.gz log
compare "200000 lines" log
equal "200000 lines: standard error" "$(cat err)" ""
equal "200000 lines: gap" "$(gap_in_out '>')" "$(gap_of "$gap")"
equal "200000 lines: gap of install" "$(gap_in_out '*.install')" "$(gap_of "$gap_install")"

run --verify --topics=all --archive=archive.gz "$sample"
compare "the sample" "$sample"

generate 5000 >short
run --verify --capacity=1 --topics=all --archive=archive.gz --progress short
compare "capacity 1" short
equal "capacity 1: high water" "$(cell '>' 3)" 1
has "progress" err '^logfan: 100 %, 5000 lines, .* 0 queued, 0 dropped$'

run --verify --capacity=3 --topics=all --archive=archive.gz - <short
compare "standard input" short
run --verify --topics=all --archive=archive.gz <short
compare "no file" short

cat short "$sample" >both
run --verify --topics=all --archive=archive.gz short "$sample"
compare "two files" both

run --topics=2 short
equal "--topics=2: rows" "$(topics_of_out | wc -l)" 2
has "--topics=2" out 'more of [0-9]* topics'

run --verify --topics=all -s '2026-01.>' -s '*.*' -s 2026-02.status -s none short
equal "filters: status" "$status" 0
equal "filters: month" "$(cell '2026-01.>' 1)" "$(grep -c '^2026-01' short)"
equal "filters: any two tokens" "$(cell '*.*' 1)" 5000
equal "filters: a topic" "$(cell 2026-02.status 1)" "$(grep -c '^2026-02.* status ' short)"
equal "filters: nothing" "$(cell none 1)" 0

# ---- What is lost by dropping, to the line ----

# dropping POLICY CAPACITY: 200000 lines into queues that are too short.
dropping()
{
	run --verify --overflow="$1" --capacity="$2" --topics=all --archive=archive.gz log
	equal "$1 $2: status" "$status" 0
	has "$1 $2" out '^verified: '
	for name in '>' '*.install' '*.upgrade' '*.status'; do
		matched=$(awk -v name="$name" 'name == ">" || "*." $3 == name' log | wc -l)
		equal "$1 $2: received and dropped of $name" \
			$(($(cell "$name" 1) + $(cell "$name" 2))) "$matched"
	done
	zcat archive.gz >kept
	equal "$1 $2: lines in the archive" "$(wc -l <kept)" "$(cell '>' 1)"
	# The table's topic, and what the archiver got of it; only those it got any of.
	topics_of_out | awk '$NF > 0 { print $1, $NF }' >found
	topics_by_awk kept | awk '{ print $1, $NF }' >expected
	cmp -s found expected
	verdict $? "$1 $2: the counts are not those of the archive"
	# Each line of the log is unique: what is kept is a part of it, in its order.
	awk 'NR == FNR { kept[NR] = $0; next } $0 == kept[next_one + 1] { next_one++ }
		END { print next_one + 0 }' kept log >in_order
	equal "$1 $2: kept lines found in order" "$(cat in_order)" "$(wc -l <kept)"
}

dropping drop-newest 1
[ "$(cell '>' 2)" -gt 0 ]
verdict $? "drop-newest 1: nothing was lost, so nothing was tried"
equal "drop-newest 1: high water" "$(cell '>' 3)" 1
dropping drop-newest 64
dropping drop-oldest 2

# ---- Hard inputs ----

# lossless WHAT LINES FILE...: all is archived, and so many lines are counted.
lossless()
{
	what=$1
	lines=$2
	shift 2
	run --verify --topics=all --archive=archive.gz "$@"
	equal "$what: status" "$status" 0
	has "$what" out '^verified: '
	equal "$what: lines" "$(cell '>' 1)" "$lines"
	cat "$@" >expected
	zcat archive.gz | cmp -s - expected
	verdict $? "$what: the archive is not the input"
}

# lines_of TOPIC
lines_of()
{
	topics_of_out | awk -v topic="$1" '$1 == topic { print $2 }'
}

: >empty
lossless "an empty file" 0 empty

printf '2026-01-01 00:00:00 install a\n2026-01-01 00:00:09 install b' >unended
lossless "no final newline" 2 unended
equal "no final newline: gap" "$(gap_in_out '>')" "0d 00:00:09"
lossless "no final newline, between files" 5 unended small unended

printf '\n' >newline
lossless "one newline" 1 newline
equal "one newline: its topic" "$(lines_of other.blank)" 1

printf 'a\0b\n\0\n2026-01-01 00:00:00 install \0\001\n\0' >zeros
lossless "NUL bytes" 4 zeros
equal "NUL bytes: binary" "$(lines_of other.binary)" 3
equal "NUL bytes: dated" "$(lines_of 2026-01.install)" 1

cp "$logfan" binary
printf 'x' >>binary
lossless "a binary file" "$(($(tr -dc '\n' <binary | wc -c) + 1))" binary

head -c 1048575 /dev/zero | tr '\0' 'x' >long
echo >>long
for i in 1 2 3 4 5 6 7 8; do cat long; done >longs
printf '2026-01-01 00:00:00 status ' >dated
cat dated long >>longs
lossless "lines of 1 MiB" 9 longs
equal "lines of 1 MiB: dated" "$(lines_of 2026-01.status)" 1
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat longs; done >many
lossless "100 MiB of them" 108 many
rm -f many

# 4 MiB are one line, with the newline one more piece; nothing is lost.
head -c 4194304 /dev/zero >huge
lossless "4 MiB without a newline" 1 huge
echo >>huge
lossless "4 MiB and a newline" 2 huge
cat huge longs >>huge.2
lossless "pieces and lines" 11 huge.2
rm -f huge huge.2 longs

cat >odd <<'LOG'
2026-01-02 03:04:05 in.st*ll> x
2026-01-02 03:04:06 [WARN]: x
2026-01-02 03:04:07
2026-01-02 03:04:08 ... dots
2026-01-02 03:04:09 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
2026-01-02 03:04:09 	 tabbed
2026-02-30 00:00:00 install none
2026-13-01 00:00:00 install none
2026-01-01 24:00:00 install none
2026-01-01 00:00:00install none
2023-02-29 00:00:00 install none
2024-02-29 23:59:60 install leap
plain text
LOG
printf '2026-01-02 03:04:10 \303\274ber x\r\n' >>odd
printf '  \t \n' >>odd
lossless "odd lines" 15 odd
topics_of_out | awk '{ print $1, $2 }' >found
cat >expected <<'TOPICS'
2024-02.install 1
2026-01.WARN 1
2026-01.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1
2026-01.ber 1
2026-01.in-st-ll 1
2026-01.none 2
2026-01.tabbed 1
other.blank 1
other.text 6
TOPICS
cmp -s found expected
verdict $? "odd lines: their topics: $(diff found expected)"

printf '2026-01-01 00:00:10 a\nno time\n2026-01-01 00:00:20 a\n2026-01-01 00:00:05 a\n' >back
lossless "time that goes back" 4 back
equal "time that goes back: gap" "$(gap_in_out '>')" "0d 00:00:10"

awk 'BEGIN { for (i = 1; i <= 3000; i++) print "2026-01-01 00:00:00 action" i, i }' >crowd
lossless "3000 topics" 3000 crowd
equal "3000 topics: of their own" "$(topics_of_out | wc -l)" 1001
equal "3000 topics: the others" "$(lines_of other.crowd)" 2000

lossless "the same file twice" 10000 short short

mkfifo pipe
cat short >pipe &
run --verify --topics=all --archive=archive.gz pipe
compare "a named pipe" short

# ---- What cannot be read or written ----

# passed_over WHAT PATTERN FILE: complained of, and the others are read.
passed_over()
{
	run --verify --topics=all small "$3" short
	equal "$1: status" "$status" 1
	has "$1" err "^logfan: $2"
	has "$1" out '^verified: '
	equal "$1: the others' lines" "$(cell '>' 1)" 5001
}

passed_over "a missing file" 'no/such: No such file' no/such
passed_over "a directory" '.*: Is a directory' "$work"
if [ -r /proc/self/mem ]; then
	passed_over "an error in reading" '/proc/self/mem: Input/output error' /proc/self/mem
fi

cp small secret
chmod 000 secret
if [ "$(id -u)" -ne 0 ]; then
	passed_over "an unreadable file" 'secret: Permission denied' secret
elif command -v setpriv >/dev/null && chmod 755 "$work" &&
	setpriv --reuid=65534 --clear-groups test -x "$logfan" -a ! -r secret; then
	setpriv --reuid=65534 --clear-groups "$logfan" --verify small secret >out 2>err
	equal "an unreadable file: status" $? 1
	has "an unreadable file" err '^logfan: secret: Permission denied'
	equal "an unreadable file: the others' lines" "$(cell '>' 1)" 1
fi
rm -f secret

run - small <&-
equal "a closed standard input: status" "$status" 1
has "a closed standard input" err '^logfan: standard input: Bad file descriptor'
equal "a closed standard input: the others' lines" "$(cell '>' 1)" 1

run --archive=no/such/archive small
equal "no directory for the archive: status" "$status" 1
has "no directory for the archive" err '^logfan: no/such/archive: cannot be opened: No such'
if [ -c /dev/full ]; then
	run --archive=/dev/full short
	equal "no space for the archive: status" "$status" 1
	has "no space for the archive" err '^logfan: /dev/full: cannot be written: No space'
	equal "no space for the archive: lines" "$(cell '>' 1)" 5000
	timeout 60 "$logfan" small >/dev/full 2>err
	equal "no space for the output: status" $? 1
	has "no space for the output" err '^logfan: standard output: No space'
fi

run --archive=archive.gz small
run --archive=archive.gz empty
equal "an archive is written over" "$(zcat archive.gz | wc -c)" 0

# ---- A difference is found ----

# Between the report and the verification the program waits for who reads the
# report, if that is more than a pipe holds. So here is the time to change things.
wide=$(awk 'BEGIN { for (i = 0; i < 120; i++) printf "w."; print "w" }')
mkfifo report

# changed WHAT COMMAND...: what is complained of when that is done meanwhile.
changed()
{
	what=$1
	shift
	cp crowd input
	timeout 300 "$logfan" --verify --topics=all --archive=archive.gz \
		-s "a.$wide" -s "b.$wide" input >report 2>err &
	running=$!
	{
		read -r first
		echo "$first"
		"$@"
		cat
	} <report >out
	wait "$running"
	equal "$what: status" $? 1
	running=
	has "$what" out '^NOT verified'
}

drop_a_line()
{
	sed -i 1d input
}

change_a_byte()
{
	printf 'X' | dd of=input bs=1 seek=40 conv=notrunc 2>/dev/null
}

damage_archive()
{
	printf 'YYYYYYYY' | dd of=archive.gz bs=1 seek=400 conv=notrunc 2>/dev/null
}

replace_archive()
{
	{
		cat crowd
		echo one more
	} | gzip >archive.2
	cat archive.2 >archive.gz
}

changed "a line less" drop_a_line
has "a line less" err 'verify: all: lines published: 3000, expected 2999$'
changed "a byte changed" change_a_byte
has "a byte changed" err 'verify: >: the archive differs from its line 2 on'
changed "an archive damaged" damage_archive
has "an archive damaged" err 'verify: >: the archive '
changed "an archive with a line more" replace_archive
has "an archive with a line more" err 'verify: >: the archive has more than the lines'

# ---- Following ----

# shown PATTERN: the program that runs has shown that progress.
shown()
{
	grep -q -e "$1" err
}

echo '2026-01-01 00:00:00 install a' >grow
start "$logfan" --follow --verify --progress --topics=all --archive=archive.gz grow late
await 1500 "follow: what is there" shown ', 2 delivered, '
has "follow: what is not there" err '^logfan: late: No such file or directory; waiting for it$'
# A line counts when it is whole.
printf '2026-01-01 00:00:07 install' >>grow
echo '2026-01-02 00:00:00 status x' >late
await 1500 "follow: a file that appears" shown ', 4 delivered, '
echo ' b' >>grow
await 1500 "follow: a line in two parts" shown ', 6 delivered, '
mv grow grow.1
printf '2026-01-01 00:00:08 install written after the renaming' >>grow.1
echo '2026-01-03 00:00:00 upgrade y' >grow
await 1500 "follow: a file renamed" shown ', 10 delivered, '
echo 'short' >late
await 1500 "follow: a file made shorter" shown ', 11 delivered, '
has "follow: said so" err '^logfan: late: has become shorter'
printf 'the last one' >>grow
kill -s INT "$running"
finish
equal "follow: status after SIGINT" "$status" 0
has "follow" out '^verified: '
equal "follow: lines" "$(cell '>' 1)" 7
equal "follow: install lines" "$(cell '*.install' 1)" 3
equal "follow: topics" "$(topics_of_out | awk '{ print $1, $2 }' | tr '\n' ' ')" \
	"2026-01.install 3 2026-01.status 1 2026-01.upgrade 1 other.text 2 "
equal "follow: archive" "$(zcat archive.gz | wc -l)" 5

start "$logfan" --follow --progress short never
await 1500 "follow: SIGTERM: what is there" shown '5000 lines, '
kill -s TERM "$running"
finish
equal "follow: status after SIGTERM, with a file that never came" "$status" 1
equal "follow: SIGTERM: lines" "$(cell '>' 1)" 5000

start "$logfan" --follow --verify --overflow=drop-newest --capacity=1 --progress log
await 1500 "follow: drop-newest" shown ' 200000 lines, '
kill -s INT "$running"
finish
equal "follow: drop-newest: status" "$status" 0
has "follow: drop-newest" out '^verified: '
equal "follow: drop-newest: received and dropped" $(($(cell '>' 1) + $(cell '>' 2))) 200000

run --follow --verify - <pipe &
running=$!
cat short >pipe
wait "$running"
running=
equal "follow: a standard input that ends: lines" "$(cell '>' 1)" 5000

# ---- A signal before the end ----

# Both ends are held open, so that the pipe never ends.
exec 3<>pipe
cat small >&3
start "$logfan" --verify --progress pipe
await 1500 "SIGINT: what is there" shown ' 1 lines, '
kill -s INT "$running"
finish
equal "SIGINT before the end: status" "$status" 130
equal "SIGINT before the end: lines" "$(cell '>' 1)" 1
has "SIGINT before the end" out '^verified: '
exec 3<&-

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
