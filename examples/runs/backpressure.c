/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run "backpressure": a full queue slows its publisher down (flow.h). With
 * --sweep it is played with several capacities and intervals, and told as a table.
 */
#include <stdio.h>

#include "../common/complain.h"
#include "flow.h"
#include "options.h"
#include "plot.h"
#include "run.h"

static const double sweep_intervals[] = { 0.5, 2.0 };
static const size_t sweep_capacities[] = { 1, 2, 5, 50 };

#define INTERVALS  (sizeof(sweep_intervals) / sizeof(sweep_intervals[0]))
#define CAPACITIES (sizeof(sweep_capacities) / sizeof(sweep_capacities[0]))

static void report(const struct flow *flow)
{
	(void)printf("\n=== Backpressure Statistics ===\n");
	(void)printf("Messages published: %llu\n", (unsigned long long)flow->published);
	(void)printf("Messages delivered: %llu\n", (unsigned long long)flow->delivered);
	(void)printf("Messages dropped: %llu\n", (unsigned long long)flow->dropped);
	(void)printf("Backpressure events: %llu\n", (unsigned long long)flow->slowdowns);
	(void)printf("Final interval: %.1fs\n", flow->last_interval);
	(void)printf("Messages received: %llu\n", (unsigned long long)flow->received);
}

static int play_one(const struct options *options)
{
	struct flow flow;
	int status = STATUS_OK;

	flow_play(&flow, options, false);
	report(&flow);
	if (options->plot != NULL)
		status = plot_draw(options->plot, &flow, 1, options->until);
	flow_free(&flow);
	return status;
}

/* ---- What if? ---- */

static void header_print(void)
{
	(void)printf("base interval  capacity  published  delivered  dropped  received  "
		     "most in queue  latency: mean    max  final interval\n");
}

static void row_print(const struct flow *flow)
{
	double mean = flow->received > 0 ? flow->latency_sum / (double)flow->received : 0;

	(void)printf("%12.1fs  %8zu  %9llu  %9llu  %7llu  %8llu  %13llu"
		     "  %12.1fs  %4.1fs  %13.1fs\n",
		flow->base_interval, flow->capacity, (unsigned long long)flow->published,
		(unsigned long long)flow->delivered, (unsigned long long)flow->dropped,
		(unsigned long long)flow->received, (unsigned long long)flow->high_water, mean,
		flow->latency_max, flow->last_interval);
}

static int play_sweep(const struct options *options)
{
	struct flow flows[INTERVALS * CAPACITIES];
	size_t count = 0;
	int status = STATUS_OK;

	header_print();
	for (size_t i = 0; i < INTERVALS; i++) {
		for (size_t k = 0; k < CAPACITIES; k++) {
			struct options varied = *options;

			varied.interval = sweep_intervals[i];
			varied.capacity = sweep_capacities[k];
			flow_play(&flows[count], &varied, true);
			row_print(&flows[count++]);
		}
	}
	if (options->plot != NULL)
		status = plot_draw(options->plot, flows, count, options->until);
	while (count > 0)
		flow_free(&flows[--count]);
	return status;
}

static int play(const struct options *options)
{
	return options->has_sweep ? play_sweep(options) : play_one(options);
}

const struct run run_backpressure = {
	.name = "backpressure",
	.summary = "a bounded queue refuses, and its publisher slows down",
	.takes = TAKES_CAPACITY | TAKES_MULTIPLIER | TAKES_SWEEP | TAKES_PLOT,
	.until = 30,
	.interval = 0.5,
	.service = 2,
	.capacity = 5,
	.multiplier = 2,
	.play = play,
};
