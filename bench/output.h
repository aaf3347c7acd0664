/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output: where rows go.
 *
 * On standard output they are tables, or JSON lines.  With a directory, they are
 * also put into its files table.txt and results.jsonl, and for each workload into
 * W1.dat and W1.gp, which gnuplot makes W1.png of.
 */
#ifndef BENCH_OUTPUT_H
#define BENCH_OUTPUT_H

#include "options.h"
#include "report.h"

struct bench_output;

struct bench_output *bench_output_open(const struct bench_options *options);
void bench_output_close(struct bench_output *output);

/* All rows of a workload come between these two. */
void bench_output_begin(struct bench_output *output, const char *workload, const char *title);
void bench_output_end(struct bench_output *output);

void bench_output_row(struct bench_output *output, const struct bench_row *row);

#endif
