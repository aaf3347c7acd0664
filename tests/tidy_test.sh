#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tidy_test.sh - rules of style that a machine can hold: each prints the lines that
# break it.
set -u
cd "$srcdir" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# rule WHAT: the lines of the file `broken` break it.
rule()
{
	if [ ! -s "$work/broken" ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	echo "broken: $1"
	sed 's/^/  /' "$work/broken"
}

find .ci bench doc examples include lib tests tools -type f \
	\( -name '*.[ch]' -o -name '*.cpp' -o -name '*.sh' -o -name '*.py' -o -name '*.md' \
	-o -name '*.map' -o -path '.ci/run' -o -path 'tools/*' \) 2>/dev/null |
	LC_ALL=C sort >"$work/files"
ls configure.ac Makefile.am weir.pc.in README.md CHANGELOG.md >>"$work/files"
grep '\.[ch]$' "$work/files" >"$work/sources"

# In these two words, the letters stand apart so that this file does not hold them.
unfinished='TO''DO|FIX''ME|X''XX'

while read -r file; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' || echo "$file"
done <"$work/files" >"$work/broken"
rule "every file says its licence in its first lines"

xargs grep -nE "$unfinished" <"$work/files" >"$work/broken"
rule "nothing is left to do later"

xargs grep -nE '[ 	]+$' <"$work/files" >"$work/broken"
rule "no line ends in blanks"

xargs grep -nP '^ +\t|^ {8}' <"$work/sources" >"$work/broken"
rule "C is indented by tabs"

xargs awk '{
	line = $0
	column = 0
	for (i = 1; i <= length(line); i++)
		column = substr(line, i, 1) == "\t" ? column + 8 - column % 8 : column + 1
	if (column > 100)
		print FILENAME ":" FNR ": " column " columns"
}' <"$work/sources" >"$work/broken"
rule "C has 100 columns at most"

xargs awk '
	FNR == 1 { text = 0 }
	FNR == 2 && !/^\/\*/ { print FILENAME " does not open with a comment on what it is" }
' <"$work/sources" >"$work/broken"
rule "a file says what it is for"

# The floors of lib, from the ground up: each may include itself and those before it.
xargs awk '
	BEGIN {
		count = split("base queue clock flow delivery core observe", name, " ")
		for (i = 1; i <= count; i++)
			floor[name[i]] = i
	}
	FNR == 1 {
		split(FILENAME, part, "/")
		own = part[1] == "lib" ? floor[part[2]] : 0
		if (part[1] == "lib" && !own)
			print FILENAME ": " part[2] " is no floor of lib"
	}
	own && /^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, quoted, "\"")
		if (split(quoted[2], part, "/") == 1)
			next
		if (!(part[1] in floor) || floor[part[1]] > own)
			print FILENAME ":" FNR ": " $0
	}
' <"$work/sources" >"$work/broken"
rule "a floor of lib includes none above it"

# The library never prints, stops its host or asserts; traps are in base/debug.h.
grep '^lib/' "$work/sources" | grep -v '^lib/base/debug\.h$' | xargs awk '
	{
		code = $0
		gsub(/"([^"\\]|\\.)*"/, "\"\"", code)
		gsub(/\/\*.*\*\//, "", code)
		if (code ~ /^[ \t]*(\/?\*|\/\/)/)
			next
		if (code ~ /(^|[^a-zA-Z0-9_])(printf|fprintf|vprintf|vfprintf|dprintf|puts|fputs|perror|abort|exit|_exit|_Exit|quick_exit|assert|__builtin_trap|__builtin_unreachable|getenv)[ \t]*\(/)
			print FILENAME ":" FNR ": " $0
	}' >"$work/broken"
rule "lib never prints, stops its host, asserts or reads the environment"

grep '^lib/' "$work/sources" | xargs grep -nE \
	'(^|[^a-z_])(atomic_[a-z_]+ *\(|__atomic_|__sync_|memory_order_)' |
	grep -v '^lib/base/atomics\.h:' >"$work/broken"
rule "atomics in lib go through base/atomics.h"

# A file that the makefile does not name is in no release and in no test.
while read -r file; do
	case $file in
	tests/*_test.c) word=${file%_test.c} ;;
	*) word=${file%.c} ;;
	esac
	grep -qE "(^|[ 	=])($file|$word)([ 	]|\$)" Makefile.am || echo "$file"
done <"$work/sources" >"$work/broken"
rule "Makefile.am names every source"

find tests -name '*_test.sh' | while read -r file; do
	grep -q "$file" Makefile.am || echo "$file"
done >"$work/broken"
rule "Makefile.am names every script of tests"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
