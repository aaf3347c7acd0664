/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workloads: the table of what is measured.
 */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include "run.h"

/* What a case changes of a shape of 1 publisher, 1 subscriber and 64 bytes. */
struct bench_case {
	const char *name;
	unsigned int publishers;
	unsigned int subscribers;
	size_t size;
	unsigned int batch;
	bool is_loaned;
};

/* A workload of runs of two kinds has two of these, one after the other. */
struct bench_workload {
	const char *name;
	const char *title;
	enum bench_kind kind;
	bool is_pinned;
	unsigned int modes;    /* a peer enters with each of these that it has */
	unsigned int fallback; /* ... or, having none, with this one if it has it; 0: stays out */
	const char *peers;     /* that enter, by name; NULL: all */
	const struct bench_case *cases; /* ends with one without a name */
};

/* Ends with one without a name. */
extern const struct bench_workload bench_workloads[];

/* The shape of a case for a mode; batch and loan as the case asks. */
void bench_shape_of(const struct bench_workload *workload, const struct bench_case *which,
	unsigned int mode, struct bench_shape *shape);

/* The names and the unit of the figures of a kind of run. */
const char *bench_figure_name(enum bench_kind kind, unsigned int figure);
const char *bench_figure_unit(
	const struct bench_workload *workload, const struct bench_case *which);

#endif
