/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Latencies: how long each of many messages waited, and what that comes to.
 *
 * Threads: one at a time.
 */
#ifndef RUNS_LATENCIES_H
#define RUNS_LATENCIES_H

#include <stddef.h>

struct latencies {
	double *values; /* in seconds */
	size_t count;
	size_t size;
};

/* Of none, all are 0. */
struct latency_summary {
	double mean;
	double p50;
	double p99;
	double max;
};

void latencies_add(struct latencies *latencies, double value);

/* All of the second ones as well. */
void latencies_join(struct latencies *latencies, const struct latencies *others);

/* Sorts them. Percentiles are the values of the nearest rank. */
struct latency_summary latencies_summarize(struct latencies *latencies);

void latencies_free(struct latencies *latencies);

#endif
