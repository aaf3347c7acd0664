# SPDX-License-Identifier: BSD-2-Clause
# outside.sh - for tests that look at a program from outside: read by them, it makes a
# directory for what they write, goes there, and gives them words to check with. What a
# program has printed last is in the files `out` and `err` there.
work=$(mktemp -d) || exit 1
cd "$work" || exit 1
running=
trap 'test -z "$running" || kill -KILL $running; chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
passed=0
failed=0
status=0
LC_ALL=C
export LC_ALL

# verdict STATUS WHAT
verdict()
{
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $2"
		[ ! -s out ] || sed 's/^/  out: /' out | head -n 40
		[ ! -s err ] || sed 's/^/  err: /' err | head -n 40
	fi
}

# equal WHAT ACTUAL EXPECTED
equal()
{
	[ "$2" = "$3" ]
	verdict $? "$1: '$2', expected '$3'"
}

# has WHAT FILE PATTERN: a line of the file matches.
has()
{
	grep -q -e "$3" "$2"
	verdict $? "$1: no line of $2 matches '$3'"
}

# start PROGRAM WORD...: in the background, as $running. What the last one said is gone
# before anybody waits for this one to say it.
start()
{
	: >out
	: >err
	"$@" >out 2>err &
	running=$!
}

# finish: waits for what was started; sets $status.
finish()
{
	wait "$running"
	status=$?
	running=
}

# await TRIES WHAT COMMAND...: until it succeeds; not for ever.
await()
{
	tries=$1
	what=$2
	shift 2
	until "$@"; do
		tries=$((tries - 1))
		if [ "$tries" -lt 0 ]; then
			verdict 1 "$what: waited in vain for: $*"
			return
		fi
		sleep 0.02
	done
}
