#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# lesson_model_test.sh - examples/lesson against a model of the rules of its runs, in
# Python: first the model by the transcripts, then both with options drawn at random.
set -u
names="simple backpressure priority ack"
count=60
seed=${WEIR_SEED:-1}
model=$srcdir/tests/lesson_model.py
passed=0
failed=0

command -v python3 >/dev/null 2>&1 &&
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 6))' || {
	echo "there is no Python 3"
	exit 77
}

for name in $names; do
	for transcript in "$srcdir"/tests/lesson/"$name".txt "$srcdir"/tests/lesson/"$name"-[0-9]*.txt; do
		[ -f "$transcript" ] || continue
		if python3 "$model" "$name" | cmp - "$transcript"; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			echo "failed: the model does not print $transcript"
		fi
	done
done

# Each run that differs is told.
# shellcheck disable=SC2086 # a word for each name
if python3 "$model" compare examples/lesson "$seed" "$count" $names; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "failed: $count runs of each of $names, with WEIR_SEED=$seed"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
