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

/* Units as tables show them: the others are shown as they are. */
static const struct shown {
	const char *unit;
	const char *shown;
	double scale;
} units_shown[] = {
	{ "ns", "us", 1e3 },
	{ "messages/s", "M messages/s", 1e6 },
	{ "deliveries/s", "M deliveries/s", 1e6 },
};

static struct shown unit_shown(const char *unit)
{
	for (size_t i = 0; i < sizeof(units_shown) / sizeof(*units_shown); i++)
		if (strcmp(units_shown[i].unit, unit) == 0)
			return units_shown[i];
	return (struct shown){ unit, unit, 1 };
}

/* With the three places that count. */
static void number_put(FILE *file, double value, const char *unit, int width)
{
	double scaled = value / unit_shown(unit).scale;
	int digits = scaled >= 100 ? 0 : scaled >= 10 ? 1 : scaled >= 1 ? 2 : 3;

	(void)fprintf(file, "%*.*f", width, digits, scaled);
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

/* The peer of a row that is ours: weir, or, where only that enters, weir with
 * acknowledgements. */
static const char *ours_name(const struct bench_row *row)
{
	for (unsigned int i = 0; i < row->count; i++)
		if (strcmp(row->lines[i].peer, "weir") == 0)
			return "weir";
	return "weir_acks";
}

/* What a line is compared with: ours in the same mode, or else in the first of the
 * modes that it entered with; NULL if it did not enter, or if the line is its own. */
static const struct ranked *ours_for(
	const struct bench_row *row, const struct ranked *ranked, const struct ranked *line)
{
	const char *name = ours_name(row);
	const struct ranked *ours = NULL;

	if (strcmp(line->line->peer, name) == 0)
		return NULL;
	for (unsigned int i = 0; i < row->count; i++) {
		if (strcmp(ranked[i].line->peer, name) != 0)
			continue;
		if (strcmp(ranked[i].line->mode, line->line->mode) == 0)
			return &ranked[i];
		if (ours == NULL || ranked[i].line < ours->line)
			ours = &ranked[i];
	}
	return ours;
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
	if (ours != NULL)
		(void)fprintf(file, "%8.2f",
			row->is_less_better ? summary->median / ours->summary.median
					    : ours->summary.median / summary->median);
	(void)fputc('\n', file);
}

void bench_report_table(FILE *file, const struct bench_row *row, const struct bench_fairness *limit)
{
	struct ranked *ranked = calloc(row->count, sizeof(*ranked));

	if (ranked == NULL)
		return;
	for (unsigned int i = 0; i < row->count; i++) {
		ranked[i].line = &row->lines[i];
		ranked[i].is_less_better = row->is_less_better;
		bench_summarize(
			row->lines[i].repeats, row->lines[i].count, limit, &ranked[i].summary);
	}
	qsort(ranked, row->count, sizeof(*ranked), ranked_compare);
	(void)fprintf(file, "\n%s %s, %s\n  %-28s %-8s%10s  %9s%10s%12s%8s\n", row->workload,
		row->name, unit_shown(row->unit).shown, "peer", "mode", "median", "min", "max",
		"fair/all", "weir x");
	for (unsigned int i = 0; i < row->count; i++)
		ranked_put(file, row, &ranked[i], ours_for(row, ranked, &ranked[i]));
	(void)fflush(file);
	free(ranked);
}
