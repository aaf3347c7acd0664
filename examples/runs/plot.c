/* SPDX-License-Identifier: BSD-2-Clause */
/* A script for gnuplot, with the data in it. */
#include "plot.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../common/complain.h"

#define WIDTH  520
#define HEIGHT 340

/* The largest depth that a linear scale shows well. */
#define LINEAR_MAX 10

/* What a shell answers when there is no such program. */
#define STATUS_NO_PROGRAM 127

static const char *terminal_of(const char *path)
{
	const char *end = strrchr(path, '.');

	if (end == NULL || end == path || end[-1] == '/')
		return NULL;
	if (strcmp(end, ".svg") == 0)
		return "svg rounded background rgb 'white'";
	return strcmp(end, ".png") == 0 ? "pngcairo rounded" : NULL;
}

bool plot_path_is_valid(const char *path)
{
	/* A newline would end gnuplot's string. */
	return terminal_of(path) != NULL && strchr(path, '\n') == NULL;
}

/* A string of gnuplot's, in which a quote is doubled. */
static void write_quoted(FILE *script, const char *text)
{
	(void)putc('\'', script);
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			(void)putc('\'', script);
		(void)putc(*text, script);
	}
	(void)putc('\'', script);
}

static void write_data(FILE *script, const struct flow *flow, size_t index, double until)
{
	const struct series *series = &flow->series;

	(void)fprintf(script, "$flow%zu << END\n0 %.9g 0\n", index, flow->base_interval);
	for (size_t i = 0; i < series->count; i++)
		(void)fprintf(script, "%.9g %.9g %llu\n", series->samples[i].time,
			series->samples[i].interval, (unsigned long long)series->samples[i].depth);
	/* The last one lasts to the end. */
	if (series->count > 0)
		(void)fprintf(script, "%.9g %.9g %llu\n", until,
			series->samples[series->count - 1].interval,
			(unsigned long long)series->samples[series->count - 1].depth);
	(void)fprintf(script, "END\n");
}

static size_t column_end(const struct flow *flows, size_t count, size_t first)
{
	size_t end = first;

	while (end < count && flows[end].base_interval == flows[first].base_interval)
		end++;
	return end;
}

static size_t column_count(const struct flow *flows, size_t count)
{
	size_t columns = 0;

	for (size_t i = 0; i < count; i = column_end(flows, count, i))
		columns++;
	return columns;
}

/* The flows first..end-1; `field` of the data is 2, the interval, or 3, the depth.
 * Where lines lie upon each other, the wider ones show from below. */
static void write_panel(
	FILE *script, const struct flow *flows, size_t first, size_t end, unsigned int field)
{
	(void)fprintf(script, "set title 'base interval %g s'\n", flows[first].base_interval);
	(void)fprintf(script, "plot");
	for (size_t i = first; i < end; i++)
		(void)fprintf(script,
			"%s $flow%zu using 1:%u with steps lw %zu title 'capacity %zu'",
			i > first ? "," : "", i, field, 1 + end - i, flows[i].capacity);
	(void)fprintf(script, "\n");
}

static void write_row(
	FILE *script, const struct flow *flows, size_t count, const char *label, unsigned int field)
{
	(void)fprintf(script, "set ylabel '%s'\n", label);
	for (size_t i = 0; i < count; i = column_end(flows, count, i))
		write_panel(script, flows, i, column_end(flows, count, i), field);
}

/* The same scale for all intervals. */
static void write_interval_scale(FILE *script, const struct flow *flows, size_t count)
{
	double longest = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < flows[i].series.count; k++)
			longest = fmax(longest, flows[i].series.samples[k].interval);
	if (longest > 0 && isfinite(1.2 * longest))
		(void)fprintf(script, "set yrange [0:%.9g]\n", 1.2 * longest);
}

/* The same scale for all depths; one on which a depth of 1 is seen beside 50. */
static void write_depth_scale(FILE *script, const struct flow *flows, size_t count)
{
	uint64_t most = 1;

	for (size_t i = 0; i < count; i++)
		if (flows[i].high_water > most)
			most = flows[i].high_water;
	(void)fprintf(script, "set yrange [0:%.9g]\n", 1.2 * (double)most);
	if (most <= LINEAR_MAX) {
		(void)fprintf(script, "set ytics 1\n");
		return;
	}
	(void)fprintf(script, "set nonlinear y via asinh(y) inverse sinh(y)\nset ytics (0");
	for (uint64_t tic = 1; tic <= most; tic *= 10)
		(void)fprintf(script, ", %llu, %llu, %llu", (unsigned long long)tic,
			(unsigned long long)(2 * tic), (unsigned long long)(5 * tic));
	(void)fprintf(script, ")\n");
}

static void write_script(
	FILE *script, const char *path, const struct flow *flows, size_t count, double until)
{
	size_t columns = column_count(flows, count);

	(void)fprintf(script, "set terminal %s size %zu,%d\nset output ", terminal_of(path),
		columns * WIDTH, 2 * HEIGHT);
	write_quoted(script, path);
	(void)fprintf(script, "\n");
	for (size_t i = 0; i < count; i++)
		write_data(script, &flows[i], i, until);
	(void)fprintf(script,
		"set multiplot layout 2,%zu\n"
		"set xlabel 'time (s)'\nset xrange [0:%.9g]\n"
		"set lmargin 9\nset rmargin 3\nset bmargin 5.5\n"
		"set grid\nset key below horizontal maxrows 1 samplen 2\n",
		columns, until > 0 ? until : 1);
	write_interval_scale(script, flows, count);
	write_row(script, flows, count, "publishing interval (s)", 2);
	write_depth_scale(script, flows, count);
	write_row(script, flows, count, "messages in the queue", 3);
	(void)fprintf(script, "unset multiplot\nset output\n");
}

int plot_draw(const char *path, const struct flow *flows, size_t count, double until)
{
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	FILE *script = popen("gnuplot", "w");
	int status;

	if (script == NULL) {
		complain("--plot: gnuplot cannot be started");
		return STATUS_FAILED;
	}
	write_script(script, path, flows, count, until);
	status = pclose(script);
	(void)signal(SIGPIPE, before);
	if (status == 0)
		return STATUS_OK;
	if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_NO_PROGRAM)
		complain("--plot: gnuplot is needed, and is not there");
	else
		complain("--plot: gnuplot could not make '%s'", path);
	return STATUS_FAILED;
}
