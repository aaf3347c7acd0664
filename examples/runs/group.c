/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run "group": three workers share the jobs of one topic (crew.h), under the policy
 * that --policy names, with a transcript; or, without it, under one after the other,
 * and what came of each is told as a table.
 */
#include <stdio.h>

#include "chart.h"
#include "../common/complain.h"
#include "crew.h"
#include "options.h"
#include "run.h"

static void latency_print(const struct latency_summary *latency)
{
	(void)printf("  %12.1fs  %5.1fs  %5.1fs  %5.1fs\n", latency->mean, latency->p50,
		latency->p99, latency->max);
}

/* ---- One policy ---- */

static void worker_print(const struct crew_worker *worker, double until)
{
	(void)printf("%-6s  %6lu  %8llu  %5llu  %7llu  %5.1f%%  %5.1f%%", worker->name,
		(unsigned long)worker->weight, (unsigned long long)worker->received,
		(unsigned long long)worker->done, (unsigned long long)worker->waiting,
		100 * worker->share, until > 0 ? 100 * worker->busy / until : 0);
	latency_print(&worker->latency);
}

static void report(const struct crew *crew, double until)
{
	(void)printf("\n=== Group Statistics: %s ===\n", crew->policy->name);
	(void)printf("Messages published: %llu\n", (unsigned long long)crew->published);
	(void)printf("Messages dropped: %llu\n", (unsigned long long)crew->dropped);
	(void)printf("Messages received: %llu\n", (unsigned long long)crew->received);
	(void)printf("Messages done: %llu\n", (unsigned long long)crew->done);
	(void)printf("Messages waiting: %llu\n", (unsigned long long)crew->waiting);
	(void)printf("Imbalance: %.2f\n\n", crew->imbalance);
	(void)printf("worker  weight  received   done  waiting   share    busy  "
		     "latency: mean     p50     p99     max\n");
	for (size_t i = 0; i < CREW_WORKERS; i++)
		worker_print(&crew->workers[i], until);
	(void)printf("%-6s  %6s  %8llu  %5llu  %7llu  %6s  %6s", "all", "",
		(unsigned long long)crew->received, (unsigned long long)crew->done,
		(unsigned long long)crew->waiting, "", "");
	latency_print(&crew->latency);
}

/* ---- All of them ---- */

static void header_print(const struct crew *crew)
{
	(void)printf("%-13s  done:", "policy");
	for (size_t i = 0; i < CREW_WORKERS; i++)
		(void)printf(" %6s", crew->workers[i].name);
	(void)printf("  waiting  dropped  imbalance  latency: mean     p50     p99     max\n");
}

static void row_print(const struct crew *crew)
{
	(void)printf("%-13s       ", crew->policy->name);
	for (size_t i = 0; i < CREW_WORKERS; i++)
		(void)printf(" %6llu", (unsigned long long)crew->workers[i].done);
	(void)printf("  %7llu  %7llu  %9.2f", (unsigned long long)crew->waiting,
		(unsigned long long)crew->dropped, crew->imbalance);
	latency_print(&crew->latency);
}

static int play(const struct options *options)
{
	struct crew crews[CREW_POLICIES];
	size_t count = 0;

	if (options->policy != NULL) {
		crew_play(&crews[count++], options->policy, options, false);
		report(&crews[0], options->until);
	}
	for (; options->policy == NULL && count < CREW_POLICIES; count++) {
		crew_play(&crews[count], &crew_policies[count], options, true);
		if (count == 0)
			header_print(&crews[count]);
		row_print(&crews[count]);
	}
	return options->chart != NULL ? chart_draw(options->chart, crews, count) : STATUS_OK;
}

const struct run run_group = {
	.name = "group",
	.summary = "consumers share the work, one of them is slow: what each policy makes of it",
	.takes = TAKES_CAPACITY | TAKES_POLICY | TAKES_CHART,
	.until = 120,
	.interval = 0.7,
	.service = 1,
	.capacity = 1024,
	.play = play,
};
