/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local workloads: what concerns weir alone, since its peers have no topics, no
 * filters, and nothing that is idle.
 */
#ifndef BENCH_LOCAL_H
#define BENCH_LOCAL_H

#include <stddef.h>

/* One that is measured again and again between its begin and its end. */
struct bench_local {
	const char *name;
	const char *unit; /* less is better */
	size_t amount;    /* of whatever the case is about */
	void *(*begin)(const struct bench_local *local);
	double (*measure)(void *begun, double seconds);
	void (*end)(void *begun);
};

/* The time of a publish by the number of topics and of filters (bench/scaling.c). */
extern const struct bench_local bench_scaling[];

/* What an idle subscription and an idle topic take (bench/idle.c). */
extern const struct bench_local bench_idleness[];

#endif
