/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two panels beside each other, with a row for each policy: on the left a bar of what
 * became of the jobs, on the right bars of latency. Lengths are in pixels.
 */
#include "chart.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../common/complain.h"

#define WIDTH  960
#define TOP    72 /* above the first row */
#define BOTTOM 40 /* below the last one */
#define ROW    56
#define BAR    30 /* what of a row the bars fill */

#define JOBS_X      120
#define JOBS_WIDTH  380
#define TIMES_X     560
#define TIMES_WIDTH 330

/* Where a legend's words begin, and from one of them to the next. */
#define LEGEND_Y    44
#define LEGEND_STEP 76

/* Lines of a panel's grid at most. */
#define TICKS_MAX 6

#define PARTS (CREW_WORKERS + 2)
#define TIMES 3

/* The workers, what nobody has done, and what was dropped. */
static const char *const colours[PARTS] = { "#4e79a7", "#86b4d8", "#e15759", "#a0a0a0", "#555555" };

static const struct {
	const char *name;
	const char *colour;
} legend_times[TIMES] = {
	{ "mean", "#8cd17d" },
	{ "p99", "#59a14f" },
	{ "max", "#2f6b2a" },
};

bool chart_path_is_valid(const char *path)
{
	const char *end = strrchr(path, '.');

	return end != NULL && end != path && end[-1] != '/' && strcmp(end, ".svg") == 0;
}

/* ---- Shapes ---- */

static void write_bar(
	FILE *file, double x, double y, double width, double height, const char *colour)
{
	if (width > 0)
		(void)fprintf(file,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
			"fill=\"%s\"/>\n",
			x, y, width, height, colour);
}

static void write_text(FILE *file, double x, double y, const char *style, const char *text)
{
	(void)fprintf(file, "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", x, y, style, text);
}

static void write_key(FILE *file, double x, const char *colour, const char *name)
{
	write_bar(file, x, LEGEND_Y - 10, 12, 12, colour);
	write_text(file, x + 17, LEGEND_Y, "", name);
}

/* From one line of the grid to the next: 1, 2 or 5 times a power of ten. */
static double grid_step(double most)
{
	double step = pow(10, floor(log10(most / TICKS_MAX)));

	if (step * TICKS_MAX >= most)
		return step;
	if (2 * step * TICKS_MAX >= most)
		return 2 * step;
	return 5 * step * TICKS_MAX >= most ? 5 * step : 10 * step;
}

static void write_grid(FILE *file, double x, double width, size_t rows, double most)
{
	double bottom = TOP + (double)rows * ROW;
	double step = grid_step(most);
	char text[32];

	for (unsigned int i = 0; i * step <= most * 1.000001; i++) {
		double at = x + width * (i * step / most);

		(void)fprintf(file,
			"<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\" "
			"stroke=\"#dddddd\"/>\n",
			at, TOP - 8, at, bottom);
		(void)snprintf(text, sizeof(text), "%g", i * step);
		write_text(file, at, bottom + 18, " text-anchor=\"middle\" fill=\"#666666\"", text);
	}
}

/* ---- Panels ---- */

static double bar_y(size_t row)
{
	return TOP + (double)row * ROW + (ROW - BAR) / 2.0;
}

/* By worker; then those that wait or are in a worker's hands, and the dropped ones. */
static void jobs_of(const struct crew *crew, double *parts)
{
	double rest = (double)crew->published - (double)crew->dropped;

	for (size_t i = 0; i < CREW_WORKERS; i++) {
		parts[i] = (double)crew->workers[i].done;
		rest -= parts[i];
	}
	parts[CREW_WORKERS] = rest;
	parts[CREW_WORKERS + 1] = (double)crew->dropped;
}

static void write_jobs(FILE *file, const struct crew *crew, size_t row, double most)
{
	static const char style[] =
		" text-anchor=\"middle\" fill=\"#ffffff\" style=\"font-size:11px\"";
	double x = JOBS_X;
	double parts[PARTS];
	char text[32];

	jobs_of(crew, parts);
	for (size_t i = 0; i < PARTS; i++) {
		double width = JOBS_WIDTH * parts[i] / most;

		write_bar(file, x, bar_y(row), width, BAR, colours[i]);
		(void)snprintf(text, sizeof(text), "%.0f", parts[i]);
		if (width >= 10 * (double)strlen(text))
			write_text(file, x + width / 2, bar_y(row) + 19, style, text);
		x += width;
	}
}

static void write_times(FILE *file, const struct crew *crew, size_t row, double most)
{
	const double times[TIMES] = { crew->latency.mean, crew->latency.p99, crew->latency.max };
	char text[32];

	for (size_t i = 0; i < TIMES; i++) {
		double y = bar_y(row) + (double)i * BAR / TIMES;
		double width = TIMES_WIDTH * times[i] / most;

		write_bar(file, TIMES_X, y, width, (double)BAR / TIMES - 1, legend_times[i].colour);
		(void)snprintf(text, sizeof(text), "%.1f s", times[i]);
		write_text(file, TIMES_X + width + 4, y + 8, " style=\"font-size:10px\"", text);
	}
}

static void write_titles(FILE *file, const struct crew *crew)
{
	static const char *const others[PARTS - CREW_WORKERS] = { "not done", "dropped" };
	static const char bold[] = " style=\"font-size:14px;font-weight:bold\"";

	write_text(file, JOBS_X, 22, bold, "Who did the jobs");
	write_text(file, TIMES_X, 22, bold, "How long a job waited to be received (s)");
	for (size_t i = 0; i < PARTS; i++)
		write_key(file, JOBS_X + (double)i * LEGEND_STEP, colours[i],
			i < CREW_WORKERS ? crew->workers[i].name : others[i - CREW_WORKERS]);
	for (size_t i = 0; i < TIMES; i++)
		write_key(file, TIMES_X + (double)i * LEGEND_STEP, legend_times[i].colour,
			legend_times[i].name);
}

static void write_chart(FILE *file, const struct crew *crews, size_t count)
{
	double jobs_most = 1, time_most = 0;
	int height = TOP + (int)count * ROW + BOTTOM;

	for (size_t i = 0; i < count; i++) {
		jobs_most = fmax(jobs_most, (double)crews[i].published);
		time_most = fmax(time_most, crews[i].latency.max);
	}
	if (time_most <= 0)
		time_most = 1;
	(void)fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<title>A group of three, one of them slow</title>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
		WIDTH, height, WIDTH, height);
	write_titles(file, &crews[0]);
	write_grid(file, JOBS_X, JOBS_WIDTH, count, jobs_most);
	write_grid(file, TIMES_X, TIMES_WIDTH, count, time_most);
	for (size_t i = 0; i < count; i++) {
		write_text(file, JOBS_X - 10, bar_y(i) + 19, " text-anchor=\"end\"",
			crews[i].policy->name);
		write_jobs(file, &crews[i], i, jobs_most);
		write_times(file, &crews[i], i, time_most);
	}
	(void)fprintf(file, "</svg>\n");
}

int chart_draw(const char *path, const struct crew *crews, size_t count)
{
	FILE *file = fopen(path, "w");
	bool is_written;

	if (file == NULL) {
		complain("--chart: '%s': %s", path, strerror(errno));
		return STATUS_FAILED;
	}
	write_chart(file, crews, count);
	is_written = ferror(file) == 0;
	if (fclose(file) == 0 && is_written)
		return STATUS_OK;
	complain("--chart: '%s' could not be written", path);
	return STATUS_FAILED;
}
