/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of a directory, and what gnuplot needs. */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench.h"
#include "machine.h"

#define ROWS_MAX  32
#define LINES_MAX 96
#define NAME_MAX_ 96

/* One peer in one mode, over the rows of a workload; a median of 0: not there. */
struct curve {
	char name[NAME_MAX_];
	double medians[ROWS_MAX];
};

struct bench_output {
	const struct bench_options *options;
	FILE *table;
	FILE *json;
	const char *workload;
	const char *title;
	unsigned int part; /* of the workload: one more begun with the same name */
	char plot[NAME_MAX_];
	char unit[NAME_MAX_];
	char rows[ROWS_MAX][NAME_MAX_];
	unsigned int rows_count;
	struct curve curves[LINES_MAX];
	unsigned int curves_count;
};

static FILE *file_open(const struct bench_output *output, const char *name, const char *suffix)
{
	char path[1024];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s%s", output->options->directory, name, suffix);
	file = fopen(path, "w");
	if (file == NULL)
		bench_fail("%s: %s", path, strerror(errno));
	return file;
}

struct bench_output *bench_output_open(const struct bench_options *options)
{
	struct bench_output *output = bench_memory(sizeof(*output));

	output->options = options;
	if (options->directory == NULL)
		return output;
	if (mkdir(options->directory, 0777) != 0 && errno != EEXIST)
		bench_fail("%s: %s", options->directory, strerror(errno));
	output->table = file_open(output, "table", ".txt");
	output->json = file_open(output, "results", ".jsonl");
	bench_machine_describe(output->table, "");
	return output;
}

void bench_output_close(struct bench_output *output)
{
	if (output->table != NULL)
		(void)fclose(output->table);
	if (output->json != NULL)
		(void)fclose(output->json);
	bench_memory_free(output);
}

void bench_output_begin(struct bench_output *output, const char *workload, const char *title)
{
	bool is_same = output->workload != NULL && strcmp(output->workload, workload) == 0;

	output->part = is_same ? output->part + 1 : 1;
	(void)snprintf(output->plot, NAME_MAX_, "%s", workload);
	if (is_same)
		(void)snprintf(output->plot, NAME_MAX_, "%s-%u", workload, output->part);
	output->workload = workload;
	output->title = title;
	output->rows_count = 0;
	output->curves_count = 0;
}

static struct curve *curve_of(struct bench_output *output, const struct bench_line *line)
{
	char name[NAME_MAX_];
	struct curve *curve;

	(void)snprintf(name, sizeof(name), "%s, %s", line->title, line->mode);
	for (unsigned int i = 0; i < output->curves_count; i++)
		if (strcmp(output->curves[i].name, name) == 0)
			return &output->curves[i];
	if (output->curves_count == LINES_MAX)
		return NULL;
	curve = &output->curves[output->curves_count++];
	memset(curve, 0, sizeof(*curve));
	(void)snprintf(curve->name, sizeof(curve->name), "%s", name);
	return curve;
}

static void curves_add(struct bench_output *output, const struct bench_row *row)
{
	unsigned int at = output->rows_count;

	if (at == ROWS_MAX)
		return;
	(void)snprintf(output->rows[at], NAME_MAX_, "%s", row->name);
	(void)snprintf(output->unit, NAME_MAX_, "%s", row->unit);
	output->rows_count++;
	for (unsigned int i = 0; i < row->count; i++) {
		struct curve *curve = curve_of(output, &row->lines[i]);
		struct bench_summary summary;

		if (curve == NULL)
			continue;
		bench_summarize(row->lines[i].repeats, row->lines[i].count,
			&output->options->fairness, &summary);
		curve->medians[at] = summary.median;
	}
}

void bench_output_row(struct bench_output *output, const struct bench_row *row)
{
	const struct bench_fairness *limit = &output->options->fairness;

	(output->options->is_json ? bench_report_json : bench_report_table)(stdout, row, limit);
	if (output->options->directory == NULL)
		return;
	bench_report_table(output->table, row, limit);
	bench_report_json(output->json, row, limit);
	curves_add(output, row);
}

/* A block for each curve: place of the row, its name, the median. */
static void data_put(const struct bench_output *output, FILE *file)
{
	for (unsigned int i = 0; i < output->curves_count; i++) {
		(void)fprintf(file, "%s\"%s\"\n", i > 0 ? "\n\n" : "", output->curves[i].name);
		for (unsigned int row = 0; row < output->rows_count; row++)
			if (output->curves[i].medians[row] > 0)
				(void)fprintf(file, "%u \"%s\" %.6g\n", row, output->rows[row],
					output->curves[i].medians[row]);
	}
}

/* One row: a bar for each curve. */
static void bars_put(const struct bench_output *output, FILE *file)
{
	(void)fputs("set style fill solid 0.6\nset boxwidth 0.8\nset xtics rotate by -40\n"
		    "set yrange [0:*]\nplot '-' using 0:2:xtic(1) with boxes notitle\n",
		file);
	for (unsigned int i = 0; i < output->curves_count; i++)
		(void)fprintf(file, "\"%s\" %.6g\n", output->curves[i].name,
			output->curves[i].medians[0]);
	(void)fputs("e\n", file);
}

/* Several rows: a line for each curve, ours the thick one. */
static void lines_put(const struct bench_output *output, FILE *file)
{
	(void)fputs("set logscale y\nset key outside right\nset grid ytics\n"
		    "set xtics rotate by -30\nset offsets 0.2, 0.2, 0, 0\nplot",
		file);
	for (unsigned int i = 0; i < output->curves_count; i++)
		(void)fprintf(file,
			"%s '%s.dat' index %u using 1:3:xtic(2) with linespoints lw %d "
			"title columnheader(1)",
			i > 0 ? ", \\\n" : "", output->plot, i,
			strncmp(output->curves[i].name, "weir,", 5) == 0 ? 4 : 1);
	(void)fputc('\n', file);
}

void bench_output_end(struct bench_output *output)
{
	FILE *file;

	if (output->options->directory == NULL || output->rows_count == 0)
		return;
	file = file_open(output, output->plot, ".dat");
	data_put(output, file);
	(void)fclose(file);
	file = file_open(output, output->plot, ".gp");
	(void)fprintf(file,
		"# gnuplot %s.gp, in this directory\n"
		"set terminal pngcairo size 1400,800 noenhanced\nset output '%s.png'\n"
		"set title \"%s: %s\"\nset ylabel \"%s\"\n",
		output->plot, output->plot, output->workload, output->title, output->unit);
	if (output->rows_count == 1)
		bars_put(output, file);
	else
		lines_put(output, file);
	(void)fclose(file);
}
