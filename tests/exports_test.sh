#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# exports_test.sh - three lists are one: the functions declared WEIR_API in the
# public headers, the symbols of lib/weir.map, and what the shared library exports.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
passed=0

# same WHAT ACTUAL EXPECTED: says what one list has and the other has not.
same()
{
	if cmp -s "$2" "$3"; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	echo "$1"
	comm -13 "$2" "$3" | sed 's/^/  missing: /'
	comm -23 "$2" "$3" | sed 's/^/  too many: /'
}

# The name after WEIR_API is the first one of ours with a parenthesis behind it.
# Comments are taken out first, then each declaration is joined to one line.
cat "$srcdir"/include/weir/*.h | awk '
	/^[ \t]*#/ { continued = /\\$/; next }
	continued { continued = /\\$/; next }
	{ text = text $0 "\n" }
	END {
		while ((begin = index(text, "/*")) > 0) {
			rest = substr(text, begin + 2)
			text = substr(text, 1, begin - 1) " " substr(rest, index(rest, "*/") + 2)
		}
		gsub(/[ \t\n]+/, " ", text)
		count = split(text, declaration, ";")
		for (i = 1; i <= count; i++) {
			if (declaration[i] !~ /(^|[^A-Z_])WEIR_API /)
				continue
			sub(/.*WEIR_API /, "", declaration[i])
			if (match(declaration[i], /weir_[a-z0-9_]+ ?\(/))
				print substr(declaration[i], RSTART, RLENGTH - 1)
		}
	}' | tr -d ' ' | LC_ALL=C sort -u >"$work/declared"

sed -n 's/^[ 	]*\(weir_[a-z0-9_]*\);.*/\1/p' "$srcdir/lib/weir.map" >"$work/mapped_as_written"
LC_ALL=C sort -u "$work/mapped_as_written" >"$work/mapped"

same "lib/weir.map against the headers:" "$work/mapped" "$work/declared"
same "lib/weir.map against its order, which is the alphabet's:" \
	"$work/mapped_as_written" "$work/mapped"

library=.libs/libweir.so
if [ -f "$library" ]; then
	$NM -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
		LC_ALL=C sort -u >"$work/exported"
	same "the shared library against lib/weir.map:" "$work/exported" "$work/mapped"
else
	echo "no shared library was built: what it exports was not looked at"
fi

[ -s "$work/declared" ] || {
	echo "the headers declare nothing"
	failed=$((failed + 1))
}
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
