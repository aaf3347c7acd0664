/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options: what the command line asks for.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "figures.h"

struct bench_options {
	const char *workloads; /* W1,W2:N=4,... or all */
	const char *peers;     /* names, or all */
	const char *modes;     /* names; NULL: as the workload says */
	unsigned int repeats;
	double seconds; /* of one repeat */
	struct bench_fairness fairness;
	double patience;       /* seconds to wait for a quiet moment before a repeat */
	bool is_json;          /* on standard output, instead of tables */
	const char *directory; /* for tables, JSON and plots; NULL: none */
	bool is_list;          /* only say what there is */
};

/* Whether a word is in a list of words with commas between them. */
bool bench_list_has(const char *list, const char *word);

/* Returns 0; 1: it has done all that was asked; -1: they make no sense. */
int bench_options_read(struct bench_options *options, int count, char **words);

#endif
