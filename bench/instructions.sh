#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# instructions.sh PROGRAM TABLE - how many instructions a message takes in each case of
# the table, counted by valgrind, and whether that is at most what the table allows.
# Counts, not times: they are the same on every machine with the same compiler.
#
#   bench/instructions.sh build/bench/instructions bench/instructions.txt
set -u
program=$1
table=$2
few=20480
many=40960
passed=0
failed=0

# count CASE MESSAGES: the instructions of the whole run.
count()
{
	valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null \
		"$program" "$1" "$2" 2>&1 |
		sed -n 's/.*I *refs: *//p' | tr -d ,
}

printf '%-14s %8s %8s\n' case now allowed
while read -r name allowed _; do
	case $name in '' | '#'*) continue ;; esac
	less=$(count "$name" $few)
	more=$(count "$name" $many)
	if [ -z "$less" ] || [ -z "$more" ]; then
		echo "$name: could not be counted"
		failed=$((failed + 1))
		continue
	fi
	now=$(((more - less) / (many - few)))
	verdict=
	if [ "$now" -gt "$allowed" ]; then
		verdict=' too many'
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
		[ $((now * 10)) -lt $((allowed * 9)) ] && verdict=' (the table could be tighter)'
	fi
	printf '%-14s %8d %8d%s\n' "$name" "$now" "$allowed" "$verdict"
done <"$table"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
