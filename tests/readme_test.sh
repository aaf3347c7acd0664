#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# readme_test.sh - the program in README.md compiles, runs and says what it should,
# and the files that README.md points at are there.
set -u
if grep -q '^#define WEIRI_SANITIZE' config.h; then
	echo "a stranger's program is not built with a sanitizer"
	exit 77
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
passed=0

check()
{
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "broken: $1"
		printf '  expected: %s\n  found: %s\n' "$3" "$2"
	fi
}

sed -n '/^```c$/,/^```$/p' "$srcdir/README.md" | sed '1d;$d' >"$work/program.c"
sh ./libtool --quiet --tag=CC --mode=link $CC -std=c11 -Wall -Wextra -pedantic \
	${CFLAGS-} -I"$srcdir/include" -o "$work/program" "$work/program.c" libweir.la -pthread \
	>"$work/errors" 2>&1
check "the program compiles" "$?$(cat "$work/errors")" 0
check "the program runs" "$("$work/program")" 'orders.eu: 42 apples
orders.eu: 7 pears'
check "it has about 25 lines" "$(($(wc -l <"$work/program.c") <= 27))" 1

for path in include/weir/broker.h include/weir/publisher.h include/weir/subscription.h \
	include/weir/acknowledge.h include/weir/pacer.h include/weir/sim.h examples/logfan.c \
	examples/workqueue.c examples/planted-bug.c doc/design.md doc/models bench/weir-bench.c CHANGELOG.md LICENSE; do
	[ -e "$srcdir/$path" ]
	check "$path is there" "$?" 0
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
