/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run: one of the lesson's simulations. Each lies in a file of its own, which
 * defines one `struct run`; run.c has the list of them.
 */
#ifndef RUNS_RUN_H
#define RUNS_RUN_H

#include <stddef.h>

struct options;

/* Options that only some runs take. */
enum run_takes {
	TAKES_SELECT = 1,
	TAKES_CAPACITY = 2,
	TAKES_MULTIPLIER = 4,
	TAKES_SWEEP = 8,
	TAKES_PLOT = 16,
	TAKES_DROPS = 32,
	TAKES_ATTEMPTS = 64,
	TAKES_POLICY = 128,
	TAKES_CHART = 256,
};

struct run {
	const char *name;
	const char *summary; /* one line */
	unsigned int takes;  /* of enum run_takes */
	/* The defaults of options; those it does not take are 0. */
	double until;
	double interval;
	double service;
	size_t capacity;
	double multiplier;
	int (*play)(const struct options *options); /* returns the exit status */
};

extern const struct run run_ack;
extern const struct run run_backpressure;
extern const struct run run_group;
extern const struct run run_priority;
extern const struct run run_simple;

/* The run of that name; NULL: there is none. */
const struct run *run_find(const char *name);

/* The name and the summary of each, a line each, on standard output. */
void run_list(void);

/* Their names, with commas between them. */
const char *run_names(void);

#endif
