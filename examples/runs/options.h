/* SPDX-License-Identifier: BSD-2-Clause */
/* Options: what the command line asks for. */
#ifndef RUNS_OPTIONS_H
#define RUNS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crew_policy;
struct run;

struct options {
	const struct run *run;
	/* The number given, in words of 32 bits, the least significant first. */
	uint32_t *seed;
	size_t seed_size;
	/* Seconds of the run. For "simple" the next two are factors. */
	double until;
	double interval;
	double service;
	size_t capacity;
	double multiplier;
	bool has_select;
	bool has_sweep;
	bool has_drops;
	bool has_dead_letter;
	uint32_t attempts;                /* 0: not given */
	const char *plot;                 /* the picture's name; NULL: none */
	const char *chart;                /* the same */
	const struct crew_policy *policy; /* NULL: all of them */
	bool is_realtime;
	double speed; /* in real time: seconds of the run in one of the clock */
};

/* Fill in `options`. Returns -1, or the status to exit with: something else than
 * a run was asked for and given, or a mistake was told. */
int options_parse(struct options *options, int argument_count, char **arguments);

void options_free(struct options *options);

#endif
