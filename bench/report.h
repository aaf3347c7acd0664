/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Report: rows of figures, as JSON or as a table.
 *
 * A row is one figure of one case of one workload, for all that entered it.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "figures.h"

struct bench_line {
	const char *peer;  /* its name */
	const char *title; /* its name in words */
	const char *mode;
	const struct bench_repeat *repeats;
	unsigned int count;
};

struct bench_row {
	const char *workload;
	const char *name; /* of the case, and the figure */
	const char *unit;
	bool is_less_better;
	struct bench_line *lines; /* the report may put them in another order */
	unsigned int count;
};

/* One JSON object for each line of the row. */
void bench_report_json(FILE *file, const struct bench_row *row, const struct bench_fairness *limit);

/*
 * A table, the best first; its last column says how many times better weir is, in
 * the same mode where it entered with that.
 * Medians with ~ are of all repeats, since too few were fair.
 */
void bench_report_table(
	FILE *file, const struct bench_row *row, const struct bench_fairness *limit);

#endif
