#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# headers_test.sh - each public header compiles alone, as C99 and as C++11, without
# a warning; and weir.h includes them all.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# verdict STATUS WHAT
verdict()
{
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $2"
	fi
}

strict='-Wall -Wextra -pedantic -pedantic-errors -Wundef -Werror -fsyntax-only'
for header in "$srcdir"/include/weir/*.h; do
	name=weir/${header##*/}
	# Twice: a header must stand being included again.
	printf '#include <%s>\n#include <%s>\nextern int an_empty_file_is_no_c;\n' \
		"$name" "$name" >"$work/alone.c"
	# shellcheck disable=SC2086 # several words, on purpose
	$CC -std=c99 $strict -Wstrict-prototypes -I"$srcdir/include" "$work/alone.c"
	verdict $? "$name as C99"
	if [ -n "$CXX" ]; then
		# shellcheck disable=SC2086
		$CXX -x c++ -std=c++11 $strict -I"$srcdir/include" "$work/alone.c"
		verdict $? "$name as C++11"
	fi
	[ "$name" = weir/weir.h ] || grep -q "^#include <$name>" "$srcdir/include/weir/weir.h"
	verdict $? "$name is included by weir/weir.h"
done
[ -n "$CXX" ] || echo "no C++ compiler: C++ was not tried"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
