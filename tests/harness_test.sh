#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# harness_test.sh - both drivers call a failing case failed, and its cause by name;
# and what tools/selftest counts is what ran.
set -u
root=$(cd "$srcdir" && pwd)
. "$root/tools/common.sh"
failures=0
checks=0

# expect WHAT PATTERN FILE: one line of the file matches.
expect()
{
	checks=$((checks + 1))
	grep -q -e "$2" "$3" && return
	failures=$((failures + 1))
	echo "$1: no line matches '$2' in:"
	cat "$3"
}

# equal WHAT ACTUAL EXPECTED
equal()
{
	checks=$((checks + 1))
	[ "$2" = "$3" ] && return
	failures=$((failures + 1))
	echo "$1: '$2', expected '$3'"
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

WEIR_TEST_TIMEOUT=1 WEIR_SEED=7 WEIR_STRESS=1 tests/canary_plain >"$work/plain" 2>&1
equal "plain: exit status" $? 1
expect "plain: passes" '^ok 1 - canary: passes ' "$work/plain"
expect "plain: check" 'canary.c:[0-9]*: CHECK(1 + 1 == 3) failed' "$work/plain"
expect "plain: signs" 'CHECK_EQ(-1, .*): -1, expected 18446744073709551615, failed' "$work/plain"
expect "plain: strings" 'CHECK_STR_EQ(.*): "weir", expected "(NULL)", failed' "$work/plain"
expect "plain: NaN" '^not ok 5 - canary: fails_nearness_to_nan' "$work/plain"
expect "plain: thread" 'CHECK_EQ(.*): 42, expected 43, failed' "$work/plain"
expect "plain: skip" '^ok 8 - canary: skips # SKIP' "$work/plain"
expect "plain: hang" '^# hung: not over after 1 seconds' "$work/plain"
expect "plain: replay" '^# .*replay: WEIR_SEED=7 .*canary_plain fails_a_check$' "$work/plain"
expect "plain: crash" '^# crashed: Aborted' "$work/plain"
expect "plain: replay of a crash" '^# replay: WEIR_SEED=7 .*canary_plain crashes$' "$work/plain"
expect "plain: last line" '^1 passed, 7 failed$' "$work/plain"
equal "plain: counted" "$(count_log "$work/plain" FAIL)" "1 7"

tests/canary_plain passes >"$work/one" 2>&1
equal "plain, one case: exit status" $? 0
equal "plain, one case: counted" "$(count_log "$work/one" PASS)" "1 0"

tests/canary_plain skips >"$work/skip" 2>&1
equal "plain, all skipped: exit status" $? 77

tests/canary_plain no_such_case >"$work/none" 2>&1
equal "plain, no case: exit status" $? 1

WEIR_SEED=0 tests/canary_plain fails_a >"$work/drawn" 2>&1
seeds=$(sed -n 's/.*WEIR_SEED=\([0-9]*\).*/\1/p' "$work/drawn" | sort -u)
equal "plain, drawn seed: one for all cases" "$(echo "$seeds" | wc -l)" 1
expect "plain, drawn seed: not 0" 'WEIR_SEED=[1-9]' "$work/drawn"

if [ -x tests/canary_criterion ]; then
	tests/canary_criterion >"$work/criterion" 2>&1
	equal "Criterion: exit status" $? 1
	expect "Criterion: check" 'canary.c:[0-9]*: CHECK(1 + 1 == 3) failed' "$work/criterion"
	expect "Criterion: thread" 'CHECK_EQ(.*): 42, expected 43, failed' "$work/criterion"
	expect "Criterion: replay" 'replay: WEIR_SEED=1 .*/canary_criterion --filter canary/fails_a_check' "$work/criterion"
	equal "Criterion: counted" "$(count_log "$work/criterion" FAIL)" "1 6"
fi

echo crash >"$work/crash"
equal "a program that only fails: counted" "$(count_log "$work/crash" FAIL)" "0 1"
equal "a program that only passes: counted" "$(count_log "$work/crash" PASS)" "1 0"
equal "a skipped program: counted" "$(count_log "$work/crash" SKIP)" "0 0"

echo "$((checks - failures)) passed, $failures failed"
[ "$failures" -eq 0 ]
