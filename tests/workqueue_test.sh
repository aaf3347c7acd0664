#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# workqueue_test.sh - examples/workqueue, from outside: its manifest against other
# programs, every policy with failures and a crash, hard inputs, files that change
# meanwhile, signals, and what it says of mistakes.
set -u
workqueue=$PWD/examples/workqueue
[ -x "$workqueue" ] || {
	echo "examples/workqueue was not built: there is no zlib"
	exit 77
}
. "$srcdir/tests/outside.sh"

# run WORD...: workqueue with these words; sets $status, fills out and err.
run()
{
	timeout 300 "$workqueue" "$@" >out 2>err
	status=$?
}

# shown PATTERN: the program that runs has said that.
shown()
{
	grep -q -e "$1" err
}

# cell WORKER COLUMN: of a worker's row, counted after its number (taken is 1).
cell()
{
	awk -v number="$1" -v column="$2" '
		$1 == "worker" { inside = 1; next }
		/^$/ { inside = 0 }
		inside && $1 == number { print $(column + 1) }
	' out
}

# right WHAT STATUS: that status, and verified.
right()
{
	equal "$1: status" "$status" "$2"
	has "$1" out '^verified: '
}

# ---- The command line ----

run --help
equal "--help: status" "$status" 0
has "--help" out '^Usage: workqueue '
run --version
equal "--version: status" "$status" 0
has "--version" out '^workqueue of weir [0-9]'

# refused PATTERN WORD...
refused()
{
	pattern=$1
	shift
	run "$@"
	equal "$*: status" "$status" 2
	equal "$*: output" "$(wc -c <out)" 0
	has "$*" err "^workqueue: .*$pattern"
}

mkdir empty
refused "a PATH is missing"
refused "unrecognized option '--bogus'" --bogus empty
refused "requires an argument" --workers
refused "workers: '0' is not a number from 1 to 256" -w 0 empty
refused "workers: '257' is not a number" --workers=257 empty
refused "capacity: '1048577' is not a number from 1" -c 1048577 empty
refused "attempts: '-1' is not a number from 1" --attempts=-1 empty
refused "attempts: '' is not a number from 1" --attempts= empty
refused "level: '10' is not a number from 1 to 9" --level=10 empty
refused "step: '1x' is not a number from 1" --step=1x empty
refused "crash: '0' is not a number from 1" --crash=0 empty
refused "seed: '18446744073709551617' is not" -S 18446744073709551617 empty
refused "fail-rate: '1.5' is not a number from 0 to 1" --fail-rate=1.5 empty
refused "fail-rate: 'nan' is not a number" -f nan empty
refused "fail-rate: '.' is not a number" -f . empty
refused "timeout: '0' is not a number from 1e-06" --timeout=0 empty
refused "policy: 'fair' is none of key, shared" --policy=fair empty
refused "a single worker has nobody" --crash --workers=1 empty
refused "with --policy=key only" --step=4 --policy=shared empty

# ---- The manifest, against others ----

# generate DIRECTORY: files of many sizes, and names of many kinds.
generate()
{
	mkdir -p "$1/a/b/c" "$1/d e" "$1/empty"
	: >"$1/a/nothing"
	printf 'x' >"$1/a/one"
	awk 'BEGIN { for (i = 0; i < 15000; i++) print "a line of text, number", i * i }' \
		>"$1/a/b/text"
	awk 'BEGIN { srand(3); for (i = 0; i < 8000; i++) print rand(), rand() }' \
		>"$1/a/b/c/numbers"
	head -c 262144 /dev/zero >"$1/d e/zeros"
	head -c 262145 /dev/zero >"$1/d e/zeros and one"
	printf 'newline\n' >"$1/d e/new
line"
	printf 'backslash\n' >"$1/d e/back\\slash"
	printf 'odd\n' >"$1/-$(printf '\001\033[31m\177\374')"
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		head -c $((i * 3001)) "$1/a/b/c/numbers" >"$1/some.$i"
	done
}

generate tree
files=$(find tree -type f -print0 | tr -dc '\0' | wc -c)

# The manifest of the tree by Python's zlib, level 6.
by_python()
{
	python3 -c '
import os, sys, zlib
lines = []
for directory, _, names in os.walk(b"tree"):
    for name in names:
        path = os.path.join(directory, name)
        data = open(path, "rb").read()
        squeeze = zlib.compressobj(6, zlib.DEFLATED, 31)
        size = len(squeeze.compress(data)) + len(squeeze.flush())
        text = b"".join(
            b"\\%03o" % byte if byte < 32 or byte in (127, 92) else bytes([byte]) for byte in path)
        lines.append((path, b"%08x %d %d %s\n" % (zlib.crc32(data), len(data), size, text)))
sys.stdout.buffer.write(b"".join(line for _, line in sorted(lines)))
'
}

# The checksums and sizes of the files by gzip, which has them at its end.
by_gzip()
{
	find tree -type f -exec sh -c '
		gzip -c "$1" | tail -c 8 | od -A n -t u4 --endian=little' sh {} \; |
		awk '{ printf "%08x %d\n", $1, $2 }' | sort
}

run --manifest=manifest tree
right "a tree" 0
equal "a tree: standard error" "$(cat err)" ""
has "a tree" out "^$files files, "
has "a tree" out "^verified: $files of $files files "
equal "a tree: lines of the manifest" "$(wc -l <manifest)" "$files"
if command -v python3 >/dev/null && python3 -c 'import zlib'; then
	by_python >expected
	cmp -s manifest expected
	verdict $? "a tree: the manifest is not Python's: $(diff manifest expected | head -n 5)"
fi
if command -v gzip >/dev/null; then
	awk '{ print $1, $2 }' manifest | sort >found
	by_gzip >expected
	cmp -s found expected
	verdict $? "a tree: checksums and sizes are not gzip's"
fi
has "a name with a newline" manifest ' tree/d e/new\\012line$'
has "a name with a backslash" manifest ' tree/d e/back\\134slash$'

# same WHAT WORD...: with these words the tree's manifest is the same.
same()
{
	what=$1
	shift
	run --verify --manifest=manifest.2 "$@" tree
	right "$what" 0
	cmp -s manifest manifest.2
	verdict $? "$what: the manifest is another"
}

same "steps of 1 KiB" --step=1 --workers=3
equal "steps of 1 KiB: of all workers" \
	$(($(cell 1 2) + $(cell 2 2) + $(cell 3 2))) \
	"$(awk '{ sum += $2 ? int(($2 - 1) / 1024) + 1 : 1 } END { print sum }' manifest)"
same "capacity 1" --step=16 --capacity=1
has "capacity 1" out ' steps, at most 1 queued; the walk waited '
same "one worker" --workers=1
same "16 workers" --workers=16 --capacity=3

run --no-verify --level=1 --manifest=level.1 tree
run --no-verify --level=9 --manifest=level.9 tree
equal "--no-verify: verified" "$(grep -c verified out)" 0
awk 'NR == FNR { size[NR] = $3; sum += $3; next } { rest += $3 } END { exit !(rest < sum) }' \
	level.1 level.9
verdict $? "level 9 is no smaller than level 1"

cp manifest tree/MANIFEST
run --manifest=tree/MANIFEST tree
right "a manifest within the tree" 0
cmp -s manifest tree/MANIFEST
verdict $? "a manifest within the tree is not passed over"
rm tree/MANIFEST

# ---- Every policy, with failures and a crash ----

for policy in key shared round-robin weighted least-loaded single-active; do
	same "$policy" --policy=$policy --workers=4
	# Who is first is nobody's promise: with some policies the first worker may find
	# nothing to do.
	tries=0
	until
		same "$policy, with failures and a crash" --policy=$policy --workers=3 \
			--crash=1 --fail-rate=0.2 --attempts=60
		grep -q ' crashed$' out || [ "$tries" -ge 50 ]
	do
		tries=$((tries + 1))
	done
	has "$policy, with failures and a crash" out '^     1 .* crashed$'
	has "$policy, with failures and a crash" out '^group by .*: [1-9][0-9]* redelivered'
done

run --policy=weighted --workers=3 --verify --capacity=4 tree
first=$(cell 1 1)
third=$(cell 3 1)
[ "$third" -ge $((3 * first - 3)) ] && [ "$third" -le $((3 * first + 3)) ]
verdict $? "weighted: $first and $third steps are not as 1 to 3"

run --policy=single-active --workers=3 --verify tree
equal "single-active: of the active one" "$(cell 1 1)" "$files"

same "crash in the middle of files" --step=1 --workers=2 --crash=20
has "crash in the middle of files" out '^     1 .* crashed$'
equal "crash in the middle of files: taken" "$(cell 1 1)" 20
equal "crash in the middle of files: done" "$(cell 1 2)" 19

# A time that is too short for a file, which another worker then has in hand as well:
# of all who are done with it one wins.
mkdir pieces
split -b 60000 tree/a/b/text pieces/text.
split -b 60000 tree/a/b/c/numbers pieces/numbers.
run --no-verify --level=9 --manifest=manifest.pieces pieces
for policy in key shared round-robin weighted least-loaded single-active; do
	tries=0
	until
		run --verify --level=9 --manifest=manifest.2 --policy=$policy --workers=4 \
			--timeout=0.0003 --attempts=1000 pieces
		grep -q ' redelivered, [1-9]' out || [ "$status" -ne 0 ] || [ "$tries" -ge 50 ]
	do
		tries=$((tries + 1))
	done
	right "$policy, too late" 0
	has "$policy, too late" out '^group by .*, [1-9][0-9]* timed out, '
	cmp -s manifest.pieces manifest.2
	verdict $? "$policy, too late: the manifest is another"
done

# ---- What fails for good ----

run --verify --fail-rate=1 --attempts=3 tree
right "everything fails" 1
equal "everything fails: files" "$(grep -c ': a failure that was asked for (after 3 att' err)" \
	"$files"
has "everything fails" out "^$files files failed"

# The same files, whoever works on them, and however many.
run --verify --fail-rate=0.5 --attempts=3 --seed=7 --step=8 --workers=1 --manifest=one tree
right "one of two attempts fails" 1
cp err err.1
[ -s one ] && [ -s err ]
verdict $? "one of two attempts fails: files failed, and others did not"
run --verify --fail-rate=0.5 --attempts=3 --seed=7 --step=8 --workers=5 --manifest=five tree
right "one of two attempts fails, five workers" 1
cmp -s err err.1
verdict $? "other workers, other failures"
cmp -s one five
verdict $? "other workers, another manifest"
run --verify --fail-rate=0.5 --attempts=3 --seed=8 --step=8 tree
right "one of two attempts fails, another seed" 1
cmp -s err err.1
equal "another seed, the same failures" $? 1

run --verify no/such tree
equal "a missing directory: status" "$status" 1
has "a missing directory" err '^workqueue: no/such: No such file or directory$'
has "a missing directory" out "^verified: $files of $files "

run --verify --manifest=no/such/manifest tree
equal "no directory for the manifest: status" "$status" 1
has "no directory for the manifest" err '^workqueue: no/such/manifest: cannot be written: No such'
if [ -c /dev/full ]; then
	run --manifest=/dev/full tree
	equal "no space for the manifest: status" "$status" 1
	has "no space for the manifest" err '^workqueue: /dev/full: cannot be written: No space'
	timeout 60 "$workqueue" tree >/dev/full 2>err
	equal "no space for the output: status" $? 1
	has "no space for the output" err '^workqueue: standard output: No space'
fi

# unreadable COMMAND...: the program, by a user who may not read all.
unreadable()
{
	mkdir secrets secrets/directory
	echo open >secrets/open
	echo secret >secrets/file
	echo secret >secrets/directory/file
	chmod 000 secrets/file secrets/directory
	"$@" --verify secrets >out 2>err
	status=$?
	right "no permission" 1
	has "no permission" err '^workqueue: secrets/file: Permission denied (after 1 attempt)$'
	has "no permission" err '^workqueue: secrets/directory: Permission denied$'
	has "no permission" out '^1 file, '
	has "no permission" out '^1 file failed'
	chmod 755 secrets/directory
}

if [ "$(id -u)" -ne 0 ]; then
	unreadable "$workqueue"
elif command -v setpriv >/dev/null && chmod 755 "$work" &&
	setpriv --reuid=65534 --clear-groups test -x "$workqueue"; then
	unreadable setpriv --reuid=65534 --clear-groups "$workqueue"
fi

# ---- Hard inputs ----

run empty
right "an empty directory" 0
has "an empty directory" out '^0 files, '

run --verify tree/a/b/text
right "a file" 0
has "a file" out '^1 file, '

ln -s tree link
run --verify link
right "a link" 0
has "a link" out "^$files files, "

mkdir loops
ln -s . loops/self
ln -s ../loops loops/parent
ln -s nowhere loops/dangling
ln -s ../tree/a/one loops/file
ln -s loop loops/loop
mkfifo loops/pipe
echo x >loops/real
run --verify loops
right "links and pipes" 0
has "links and pipes" out '^1 file, '
has "links and pipes" out '^6 passed over '
run loops/loop
equal "a link to itself: status" "$status" 1
has "a link to itself" err '^workqueue: loops/loop: Too many levels'

run --verify tree tree/a
right "files found twice" 0

# Deeper than a path can say.
name=ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
(
	i=0
	while [ "$i" -lt 60 ] && mkdir -p "$name" && cd "$name" 2>/dev/null; do
		echo "$i" >file
		i=$((i + 1))
	done
)
run --verify "$name"
equal "a deep tree: status" "$status" 1
has "a deep tree" err '^workqueue: .*: File name too long$'
has "a deep tree" out '^verified: '

mkdir many
(cd many && awk 'BEGIN { for (i = 0; i < 3000; i++) print i >("f" i % 500 "." i) }' 2>/dev/null)
many=$(find many -type f | wc -l)
run --verify --workers=4 --capacity=2 many
right "many files" 0
has "many files" out "^$many files, "

(
	ulimit -n 16
	run --verify --workers=4 tree
	right "few open files" 0
	[ "$failed" -eq 0 ]
)
verdict $? "few open files"

# ---- Files that change meanwhile ----

# One worker has one file in hand for seconds, and what comes after it changes.
echo first >first
echo vanish >vanish
echo change >change
echo turn >turn
truncate -s 400M big
start "$workqueue" --verify --workers=1 --policy=shared --level=1 --progress first big vanish change turn
await 3000 "files that change: begun" shown ', 3 queued, 1 in hand'
rm vanish turn
mkfifo turn
echo more >>change
# What was done already: of the same size and time, but another.
touch -r first time
echo FIRST >first
touch -r time first
finish
equal "files that change: status" "$status" 1
has "a file vanishes" err '^workqueue: vanish: No such file or directory (after 1 attempt)$'
has "a file changes" err '^workqueue: change: it was changed meanwhile (after 1 attempt)$'
has "a file turns into a pipe" err '^workqueue: turn: it was changed meanwhile'
has "a difference is found" err '^workqueue: verify: first: checksum: [0-9]*, expected [0-9]*$'
has "a difference is found" out '^NOT verified'
has "files that change" out '^2 files, 419.4 MB'
has "files that change" out '^3 files failed'

# ---- Signals ----

truncate -s 20G huge
start "$workqueue" --step=64 --level=1 --workers=2 --progress --manifest=manifest.2 tree huge
await 3000 "SIGINT: begun" shown ' MB/s, 64 queued'
kill -s INT "$running"
finish
equal "SIGINT: status" "$status" 130
has "SIGINT" err '^workqueue: ending when what is queued is done'
has "SIGINT" out "^$files files, "
has "SIGINT" out '^1 file not finished$'
equal "SIGINT: what does not add up" "$(grep -c -e verif out err | tr '\n' ' ')" "out:0 err:0 "
cmp -s level.1 manifest.2
verdict $? "SIGINT: the manifest has something else than the files done"

# By one step that takes minutes: the second signal does not wait for it.
start "$workqueue" --policy=shared --workers=1 --progress huge
await 3000 "SIGTERM twice: begun" shown '1 in hand'
kill -s TERM "$running"
await 3000 "SIGTERM twice: the first" shown '^workqueue: ending when'
kill -s TERM "$running"
finish
equal "SIGTERM twice: status" "$status" 143
equal "SIGTERM twice: output" "$(wc -c <out)" 0

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
