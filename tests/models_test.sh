#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# models_test.sh - spin searches the models of doc/models through: what they say
# holds, and each of their mistakes, put in by a macro, is found.
set -u
command -v spin >/dev/null 2>&1 || { echo "SKIP: spin is not there"; exit 77; }
models=$(cd "$srcdir/doc/models" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# search WORD MODEL [FLAG...]: WORD is `holds`, or `fails` if an error must be found.
search()
{
	word=$1
	model=$2
	shift 2
	rm -rf "$work/pan" && mkdir "$work/pan" && cp "$models"/*.pml "$work/pan" || exit 1
	optimize=-O0
	[ "$word" = holds ] && optimize=-O2
	(cd "$work/pan" && spin -a "$@" "$model.pml" &&
		${CC:-cc} $optimize -w -DSAFETY -DMEMLIM=3000 -o pan pan.c &&
		./pan -m100000) >"$work/log" 2>&1
	found=$(sed -n 's/.*, errors: \([0-9]*\)$/\1/p' "$work/log")
	incomplete=$(grep -cE 'max search depth too small|out of memory|pan: reached' "$work/log")
	case $word:$found:$incomplete in
	holds:0:0 | fails:1:*)
		passed=$((passed + 1))
		;;
	*)
		failed=$((failed + 1))
		echo "failed: $model $* was to say: $word"
		tail -n 25 "$work/log" | sed 's/^/  /'
		;;
	esac
}

search holds ring
search holds ring -DCAPACITY=1 -DPLACES=1
search holds ring -DCAPACITY=3 -DPLACES=4 -DFIRST=1
search fails ring -DSEQUENCE_FIRST
search fails ring -DHEAD_FIRST
search fails ring -DUNSIGNED_USED
search fails ring -DCANCEL_BLINDLY
search fails ring -DHIGH_WATER_PEAK -DFIRST=1

search holds park
search fails park -DNO_FENCE_IN_PUBLISH
search fails park -DNO_FENCE_IN_ARM
search fails park -DNO_HEAVY_FENCE
search fails park -DLOOK_BEFORE_PUSH
search fails park -DLOOK_BEFORE_ARM
search fails park -DSLEEP_UNSEEN
search fails park -DSILENT_VOID
search fails park -DWAKE_BEFORE_STATE

search holds receive
search holds receive -DTWO_RECEIVERS -DENTER_BY_EXCHANGE
search fails receive -DTWO_RECEIVERS
search fails receive -DNO_HEAVY_FENCE
search fails receive -DLOOK_THEN_ENTER
search fails receive -DTOUCH_AFTER
search fails receive -DNO_PIN

search holds window
search holds window -DMESSAGES=3
search fails window -DNO_SECOND_LOOK
search fails window -DLOOK_FIRST
search fails window -DNO_TELL
search fails window -DNOT_IF_FULL
search fails window -DNO_FENCE_IN_ARM

search holds room
search holds room -DIMPATIENT=0
search holds room -DCLOSE
search fails room -DNO_HEAVY_FENCE
search fails room -DNO_LOOK
search fails room -DNO_PASS_ON -DIMPATIENT=0
search fails room -DCLEAR_UNLOCKED
search fails room -DCLOSE -DNO_TELL
search fails room -DCLOSE -DNO_PINS

search holds reclaim
search holds reclaim -DASYMMETRIC
search fails reclaim -DBEGIN_BY_STORE
search fails reclaim -DONE_ROUND
search fails reclaim -DASYMMETRIC -DONE_ROUND
search fails reclaim -DNO_WRITER_FENCE
search fails reclaim -DEARLY_LOADS
search fails reclaim -DASYMMETRIC -DEARLY_LOADS

search holds share
search fails share -DNO_HEAVY_FENCE
search fails share -DNO_WAIT
search fails share -DLOOK_FIRST
search fails share -DLOOK_ONCE
search fails share -DSHARED_FIRST

search holds watermark
search fails watermark -DNO_FENCE_AFTER_HOOK
search fails watermark -DNO_FENCE_AFTER_TAKE
search fails watermark -DNO_SECOND_LOOK

# Larger ones, a quarter of a minute and up to 2 GB each.
case ${WEIR_STRESS:-1} in
[2-9]* | 1?*)
	search holds ring -DCAPACITY=3 -DPLACES=4
	search holds room -DPUBLISHERS=3 -DIMPATIENT=0
	;;
esac

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
