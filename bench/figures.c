/* SPDX-License-Identifier: BSD-2-Clause */
/* Medians of repeats. */
#include "figures.h"

#include <stdlib.h>

static int value_compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static int time_compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

void bench_times_sort(uint32_t *times, size_t count)
{
	qsort(times, count, sizeof(*times), time_compare);
}

bool bench_repeat_is_fair(const struct bench_repeat *repeat, const struct bench_fairness *limit)
{
	return repeat->probe <= limit->probe && repeat->load <= limit->load;
}

void bench_summarize(const struct bench_repeat *repeats, unsigned int count,
	const struct bench_fairness *limit, struct bench_summary *summary)
{
	double values[BENCH_REPEATS_MAX];
	unsigned int taken = 0;

	summary->fair = 0;
	for (unsigned int i = 0; i < count; i++)
		summary->fair += bench_repeat_is_fair(&repeats[i], limit);
	summary->is_fair = summary->fair >= BENCH_FAIR_LEAST;
	for (unsigned int i = 0; i < count; i++)
		if (!summary->is_fair || bench_repeat_is_fair(&repeats[i], limit))
			values[taken++] = repeats[i].value;
	qsort(values, taken, sizeof(*values), value_compare);
	summary->least = values[0];
	summary->most = values[taken - 1];
	summary->median = taken % 2 == 1 ? values[taken / 2]
					 : (values[taken / 2 - 1] + values[taken / 2]) / 2;
}
