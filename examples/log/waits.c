/* SPDX-License-Identifier: BSD-2-Clause */
/* A histogram with logarithmic buckets, each doubling cut in equal steps. */
#include "waits.h"

#include <stddef.h>

#define STEP_BITS 4 /* of WAITS_STEPS */

_Static_assert(WAITS_STEPS == 1 << STEP_BITS, "the steps are told by whole bits");

/* Below WAITS_STEPS each value has its own bucket. Above, the leading one says
 * which doubling, and the STEP_BITS bits after it which step. */
static size_t bucket_of(uint64_t value)
{
	unsigned int doubling;

	if (value < WAITS_STEPS)
		return (size_t)value;
	doubling = 63U - (unsigned int)__builtin_clzll(value) - STEP_BITS;
	return (doubling + 1) * (size_t)WAITS_STEPS + ((value >> doubling) & (WAITS_STEPS - 1));
}

/* The largest value of a bucket. */
static double bucket_end(size_t bucket)
{
	size_t doubling = bucket / WAITS_STEPS;

	if (doubling == 0)
		return (double)bucket;
	return (double)((uint64_t)(WAITS_STEPS + bucket % WAITS_STEPS + 1) << (doubling - 1)) - 1;
}

void waits_add(struct waits *waits, double seconds)
{
	double nanoseconds = seconds * 1e9;
	/* 2^62 ns are 146 years. */
	uint64_t value =
		nanoseconds > 0 ? (uint64_t)(nanoseconds < 0x1p62 ? nanoseconds : 0x1p62) : 0;

	waits->buckets[bucket_of(value)]++;
	waits->count++;
}

double waits_percentile(const struct waits *waits, double percent)
{
	double wanted = (double)waits->count * percent / 100;
	uint64_t sum = 0;

	if (waits->count == 0)
		return 0;
	for (size_t i = 0; i < WAITS_BUCKETS; i++) {
		sum += waits->buckets[i];
		if ((double)sum >= wanted)
			return bucket_end(i) * 1e-9;
	}
	return bucket_end(WAITS_BUCKETS - 1) * 1e-9;
}
