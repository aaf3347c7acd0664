/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bucket: a rate with bursts.  It holds up to `burst` tokens, is full at first,
 * and gains `rate` of them a second; whoever sends something takes some out.
 *
 * The level is not kept but follows from two numbers: since `begun`, when the
 * bucket was full, `taken` have been taken out, and
 *
 *	level(t) = burst - taken + (t - begun) * rate        until it is full again
 *
 * So nothing is added up: under constant load the times are begun + k / rate, each
 * rounded once, and the k-th message of a simulation is where arithmetic says.
 *
 * More than `burst` can be taken at once: that needs a full bucket, and leaves a
 * debt which those who come later wait for.  So every count can be had in the
 * end, and in the long run the rate holds all the same.
 *
 * Threads: one at a time.
 */
#ifndef WEIRI_BUCKET_H
#define WEIRI_BUCKET_H

#include <stdint.h>

struct weiri_bucket {
	double rate; /* tokens a second; 0: no limit */
	uint64_t burst;
	double begun;
	uint64_t taken;
};

/* A full bucket.  `rate` is above 0 and finite, `burst` at least 1. */
void weiri_bucket_open(struct weiri_bucket *bucket, double rate, uint64_t burst);

/* The time from which on `count` tokens can be taken; not after `now`: at once. */
double weiri_bucket_ready(const struct weiri_bucket *bucket, uint64_t count, double now);

/* Take `count` tokens, at a time that is not before weiri_bucket_ready. */
void weiri_bucket_take(struct weiri_bucket *bucket, uint64_t count, double now);

/* Put back `count` of those that were taken last. */
static inline void weiri_bucket_return(struct weiri_bucket *bucket, uint64_t count)
{
	bucket->taken -= count;
}

#endif
