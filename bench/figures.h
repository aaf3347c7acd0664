/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Figures: repeats, and what they come to.
 *
 * A repeat counts if it was fair: taken while the CPUs were near each other and
 * others left the machine alone.  Where fewer than BENCH_FAIR_LEAST were, all
 * count, and the summary says so.
 */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_REPEATS_MAX 128
#define BENCH_FAIR_LEAST  3

struct bench_repeat {
	double value;
	double probe; /* ns, the larger one of before and after */
	double load;  /* by others, 0 to 1 */
};

struct bench_summary {
	double median;
	double least;
	double most;
	unsigned int fair;
	bool is_fair; /* only the fair ones count in it */
};

/* What a fair repeat may have at most. */
struct bench_fairness {
	double probe;
	double load;
};

bool bench_repeat_is_fair(const struct bench_repeat *repeat, const struct bench_fairness *limit);

void bench_summarize(const struct bench_repeat *repeats, unsigned int count,
	const struct bench_fairness *limit, struct bench_summary *summary);

void bench_times_sort(uint32_t *times, size_t count);

#endif
