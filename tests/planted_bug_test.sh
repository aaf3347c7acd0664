#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# planted_bug_test.sh - the order bug of examples/planted-bug is found by priorities
# with a change point within 5,000 seeds, by nothing else, and repeats by its string.
# The seed and the hash are the same on every machine, so they stand here.
set -u
passed=0
failed=0

# verdict WHAT EXPECTED ACTUAL
verdict()
{
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'failed: %s\nexpected:\n%s\nactual:\n%s\n' "$1" "$2" "$3"
	fi
}

replay=weir1:pct:seed=5:changes=1:steps=403
verdict "it is found by priorities only" "order: sold 1 times, in 403 events
random: sold once with each of 5000 seeds
pct: sold twice with seed 5 of 5000
  planted-bug --replay $replay" "$(examples/planted-bug)"

verdict "its string repeats it" "event 101: Fast sees that the seat is free
event 402: Slow sees that the seat is free
event 403: Slow sells it
event 404: Fast sells it
sold 2 times; trace hash e4a1a7f1ac743e6f" "$(examples/planted-bug --replay $replay)"

examples/planted-bug --replay weir1:pct >/dev/null 2>&1
verdict "a string that is none is refused" 2 $?

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
