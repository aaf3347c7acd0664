/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON lines and tables. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

static void string_put(FILE *file, const char *key, const char *value)
{
	(void)fprintf(file, "\"%s\":\"", key);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			(void)fputc('\\', file);
		(void)fputc(*value, file);
	}
	(void)fputs("\",", file);
}

void bench_report_json(FILE *file, const struct bench_row *row, const struct bench_fairness *limit)
{
	for (unsigned int i = 0; i < row->count; i++) {
		const struct bench_line *line = &row->lines[i];
		struct bench_summary summary;

		bench_summarize(line->repeats, line->count, limit, &summary);
		(void)fputc('{', file);
		string_put(file, "workload", row->workload);
		string_put(file, "case", row->name);
		string_put(file, "peer", line->peer);
		string_put(file, "mode", line->mode);
		string_put(file, "unit", row->unit);
		(void)fprintf(file,
			"\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,\"fair\":%u,\"repeats\":[",
			summary.median, summary.least, summary.most, summary.fair);
		for (unsigned int j = 0; j < line->count; j++)
			(void)fprintf(file, "%s{\"value\":%.6g,\"probe\":%.1f,\"load\":%.3f}",
				j > 0 ? "," : "", line->repeats[j].value, line->repeats[j].probe,
				line->repeats[j].load);
		(void)fputs("]}\n", file);
	}
	(void)fflush(file);
}

/* Figures with three places that count: messages in millions, times in microseconds. */
static void number_put(FILE *file, double value, const char *unit, int width)
{
	int digits;

	if (strcmp(unit, "ns") == 0)
		value /= 1e3;
	else if (strchr(unit, '/') != NULL)
		value /= 1e6;
	digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
	(void)fprintf(file, "%*.*f", width, digits, value);
}

static const char *unit_shown(const char *unit)
{
	if (strcmp(unit, "ns") == 0)
		return "us";
	if (strcmp(unit, "messages/s") == 0)
		return "M messages/s";
	return strcmp(unit, "deliveries/s") == 0 ? "M deliveries/s" : unit;
}

struct ranked {
	const struct bench_line *line;
	struct bench_summary summary;
	bool is_less_better;
};

static int ranked_compare(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	int order =
		(a->summary.median < b->summary.median) - (a->summary.median > b->summary.median);

	return a->is_less_better ? -order : order;
}

static void ranked_put(FILE *file, const struct bench_row *row, const struct ranked *ranked,
	const struct ranked *ours)
{
	const struct bench_summary *summary = &ranked->summary;

	(void)fprintf(file, "  %-28s %-8s", ranked->line->title, ranked->line->mode);
	number_put(file, summary->median, row->unit, 10);
	(void)fputs(summary->is_fair ? "  " : "~ ", file);
	number_put(file, summary->least, row->unit, 9);
	number_put(file, summary->most, row->unit, 10);
	(void)fprintf(file, "%7u/%-4u", summary->fair, ranked->line->count);
	if (ours != NULL && ours != ranked)
		(void)fprintf(file, "%8.2f",
			row->is_less_better ? summary->median / ours->summary.median
					    : ours->summary.median / summary->median);
	(void)fputc('\n', file);
}

void bench_report_table(FILE *file, const struct bench_row *row, const struct bench_fairness *limit)
{
	struct ranked *ranked = calloc(row->count, sizeof(*ranked));
	const struct ranked *ours = NULL;

	if (ranked == NULL)
		return;
	for (unsigned int i = 0; i < row->count; i++) {
		ranked[i].line = &row->lines[i];
		ranked[i].is_less_better = row->is_less_better;
		bench_summarize(
			row->lines[i].repeats, row->lines[i].count, limit, &ranked[i].summary);
	}
	qsort(ranked, row->count, sizeof(*ranked), ranked_compare);
	/* The first mode that weir entered with is the one to compare. */
	for (unsigned int i = 0; i < row->count; i++)
		for (unsigned int j = 0; ours == NULL && j < row->count; j++)
			if (ranked[j].line == &row->lines[i] &&
				strcmp(row->lines[i].peer, "weir") == 0)
				ours = &ranked[j];
	(void)fprintf(file, "\n%s %s, %s\n  %-28s %-8s%10s  %9s%10s%12s%8s\n", row->workload,
		row->name, unit_shown(row->unit), "peer", "mode", "median", "min", "max",
		"fair/all", "weir x");
	for (unsigned int i = 0; i < row->count; i++)
		ranked_put(file, row, &ranked[i], ours);
	(void)fflush(file);
	free(ranked);
}
