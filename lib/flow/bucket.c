/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of a token bucket. */
#include "flow/bucket.h"

#include <math.h>

void weiri_bucket_open(struct weiri_bucket *bucket, double rate, uint64_t burst)
{
	/* Full at whatever time it is looked at first. */
	*bucket = (struct weiri_bucket){ .rate = rate, .burst = burst, .begun = -INFINITY };
}

/* When what was taken will have come in again. */
static double full_at(const struct weiri_bucket *bucket)
{
	return bucket->begun + (double)bucket->taken / bucket->rate;
}

double weiri_bucket_ready(const struct weiri_bucket *bucket, uint64_t count, double now)
{
	if (full_at(bucket) <= now)
		return now;
	if (count >= bucket->burst)
		return full_at(bucket);
	/* Never negative: what fits into what is left gives a time before `begun`. */
	if (bucket->taken <= bucket->burst - count)
		return now;
	return bucket->begun + (double)(bucket->taken - (bucket->burst - count)) / bucket->rate;
}

void weiri_bucket_take(struct weiri_bucket *bucket, uint64_t count, double now)
{
	/* At the very moment at which it is full again the old beginning is as
	 * good as a new one, and keeps the times where they are. */
	if (full_at(bucket) < now) {
		bucket->begun = now;
		bucket->taken = 0;
	}
	bucket->taken += count;
}
