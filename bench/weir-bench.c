/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weir-bench - weir next to its peers, in the same run.
 */
#include <stdio.h>

#include "machine.h"
#include "peers.h"
#include "turns.h"

static bool is_chosen(const struct bench_options *options, const char *workload, const char *name)
{
	char word[96];

	(void)snprintf(word, sizeof(word), "%s:%s", workload, name);
	return strcmp(options->workloads, "all") == 0 ||
	       bench_list_has(options->workloads, workload) ||
	       bench_list_has(options->workloads, word);
}

static void workload_run(const struct bench_options *options, const struct bench_workload *workload,
	struct bench_output *output)
{
	bench_output_begin(output, workload->name, workload->title);
	for (const struct bench_case *which = workload->cases; which->name != NULL; which++)
		if (is_chosen(options, workload->name, which->name))
			bench_turns(options, workload, which, output);
	bench_output_end(output);
}

static void local_run(const struct bench_options *options, const char *workload, const char *title,
	const struct bench_local *locals, struct bench_output *output)
{
	bench_output_begin(output, workload, title);
	for (const struct bench_local *local = locals; local->name != NULL; local++)
		if (is_chosen(options, workload, local->name))
			bench_turns_local(options, workload, local, output);
	bench_output_end(output);
}

#define SCALING_TITLE  "the time of a publish with many topics, and with many filters"
#define IDLENESS_TITLE "what is idle takes"

static void local_list(const char *name, const char *title, const struct bench_local *locals)
{
	(void)printf("  %-4s %s:", name, title);
	for (const struct bench_local *local = locals; local->name != NULL; local++)
		(void)printf("%s %s", local == locals ? "" : ";", local->name);
	(void)printf("\n");
}

static void list_all(void)
{
	(void)printf("Workloads and their cases:\n");
	for (const struct bench_workload *workload = bench_workloads; workload->name != NULL;
		workload++) {
		(void)printf("  %-4s %s:", workload->name, workload->title);
		for (const struct bench_case *which = workload->cases; which->name != NULL; which++)
			(void)printf("%s %s", which == workload->cases ? "" : ";", which->name);
		(void)printf("\n");
	}
	local_list("W8", SCALING_TITLE, bench_scaling);
	local_list("W9", IDLENESS_TITLE, bench_idleness);
	(void)printf("Peers that are here:\n");
	for (const struct bench_peer *const *peer = bench_peers; *peer != NULL; peer++)
		if (bench_peer_is_there(*peer))
			(void)printf("  %-12s %s\n", (*peer)->name, (*peer)->title);
	(void)printf("* The harness holds its publisher back: by itself it drops, or grows.\n");
}

int main(int count, char **words)
{
	struct bench_options options;
	struct bench_output *output;
	int error = bench_options_read(&options, count, words);

	if (error != 0)
		return error < 0;
	if (options.is_list) {
		list_all();
		return 0;
	}
	bench_machine_open();
	output = bench_output_open(&options);
	if (!options.is_json)
		bench_machine_describe(stdout, "");
	for (const struct bench_workload *workload = bench_workloads; workload->name != NULL;
		workload++)
		workload_run(&options, workload, output);
	local_run(&options, "W8", SCALING_TITLE, bench_scaling, output);
	local_run(&options, "W9", IDLENESS_TITLE, bench_idleness, output);
	bench_output_close(output);
	return 0;
}
