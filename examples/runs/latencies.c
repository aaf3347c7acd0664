/* SPDX-License-Identifier: BSD-2-Clause */
/* An array that grows, and is sorted in the end. */
#include "latencies.h"

#include <stdlib.h>

#include "../common/complain.h"

void latencies_add(struct latencies *latencies, double value)
{
	if (latencies->count == latencies->size) {
		latencies->size = latencies->size > 0 ? 2 * latencies->size : 64;
		latencies->values = memory_resize(
			latencies->values, latencies->size, sizeof(*latencies->values));
	}
	latencies->values[latencies->count++] = value;
}

void latencies_join(struct latencies *latencies, const struct latencies *others)
{
	for (size_t i = 0; i < others->count; i++)
		latencies_add(latencies, others->values[i]);
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;

	return (a > b) - (a < b);
}

static double percentile(const struct latencies *latencies, size_t percent)
{
	return latencies->values[(latencies->count * percent + 99) / 100 - 1];
}

struct latency_summary latencies_summarize(struct latencies *latencies)
{
	double sum = 0;

	if (latencies->count == 0)
		return (struct latency_summary){ 0 };
	qsort(latencies->values, latencies->count, sizeof(*latencies->values), compare);
	for (size_t i = 0; i < latencies->count; i++)
		sum += latencies->values[i];
	return (struct latency_summary){
		.mean = sum / (double)latencies->count,
		.p50 = percentile(latencies, 50),
		.p99 = percentile(latencies, 99),
		.max = latencies->values[latencies->count - 1],
	};
}

void latencies_free(struct latencies *latencies)
{
	free(latencies->values);
	*latencies = (struct latencies){ 0 };
}
