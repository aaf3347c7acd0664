/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits: how long messages were in a queue, as a histogram whose buckets are a
 * sixteenth of their value wide; so any percentile is right to about 6 %.
 */
#ifndef LOG_WAITS_H
#define LOG_WAITS_H

#include <stdint.h>

/* 16 buckets for each doubling of a time in nanoseconds, of 64 bits. */
#define WAITS_STEPS   16
#define WAITS_BUCKETS (61 * WAITS_STEPS)

struct waits {
	uint64_t count;
	uint64_t buckets[WAITS_BUCKETS];
};

void waits_add(struct waits *waits, double seconds);

/* The time that `percent` of the waits did not exceed, in seconds; 0 of none. */
double waits_percentile(const struct waits *waits, double percent);

#endif
