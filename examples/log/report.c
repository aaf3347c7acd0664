/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables in columns as wide as what is in them. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

#define COUNT_WIDTH 10

/* The name of a subscriber: its filter, and what more it does. */
#define NAME_SIZE (WEIR_TOPIC_SIZE_MAX + sizeof(" (archive)"))

static void name_format(const struct subscriber *subscriber, char name[NAME_SIZE])
{
	(void)snprintf(name, NAME_SIZE, "%s%s", weir_subscription_filter(subscriber->subscription),
		subscriber->archive != NULL ? " (archive)" : "");
}

static int name_width(const struct subscriber *subscriber, size_t least)
{
	char name[NAME_SIZE];
	size_t size;

	name_format(subscriber, name);
	size = strlen(name);
	return (int)(size > least ? size : least);
}

void report_duration_format(double seconds, char text[REPORT_DURATION_SIZE])
{
	static const struct {
		double factor;
		const char *name;
	} units[] = { { 1e9, "ns" }, { 1e6, "us" }, { 1e3, "ms" }, { 1, "s" } };
	size_t unit = 0;
	double value;

	while (unit < 3 && seconds * units[unit].factor >= 999.5)
		unit++;
	value = seconds * units[unit].factor;
	(void)snprintf(text, REPORT_DURATION_SIZE, "%.*f %s", unit == 0 || value >= 99.95 ? 0 : 1,
		value, units[unit].name);
}

static void gap_print(const struct tally *tally)
{
	char begin[LOG_TIME_SIZE];

	if (!tally->has_gap) {
		(void)printf("  -\n");
		return;
	}
	log_time_format(tally->gap_begin, begin);
	(void)printf("  %" PRId64 "d %02d:%02d:%02d after %s\n", tally->gap / 86400,
		(int)(tally->gap / 3600 % 24), (int)(tally->gap / 60 % 60), (int)(tally->gap % 60),
		begin);
}

void report_total(uint64_t lines, uint64_t bytes, size_t topics, double seconds)
{
	char duration[REPORT_DURATION_SIZE];

	report_duration_format(seconds, duration);
	(void)printf("%" PRIu64 " line%s, %zu topic%s, %" PRIu64 " byte%s, in %s: %.0f lines/s\n",
		lines, lines == 1 ? "" : "s", topics, topics == 1 ? "" : "s", bytes,
		bytes == 1 ? "" : "s", duration, seconds > 0 ? (double)lines / seconds : 0);
}

void report_subscribers(const struct subscriber *subscribers, size_t count)
{
	int width = (int)strlen("subscriber");

	for (size_t i = 0; i < count; i++)
		width = name_width(&subscribers[i], (size_t)width);
	(void)printf("\n%-*s %*s %*s %*s %*s %*s  %s\n", width, "subscriber", COUNT_WIDTH,
		"received", COUNT_WIDTH, "dropped", COUNT_WIDTH, "high water", COUNT_WIDTH,
		"wait p50", COUNT_WIDTH, "wait p99", "slowest gap");
	for (size_t i = 0; i < count; i++) {
		const struct subscriber *subscriber = &subscribers[i];
		const weir_subscription_statistics *statistics = &subscriber->statistics;
		char name[NAME_SIZE], p50[REPORT_DURATION_SIZE], p99[REPORT_DURATION_SIZE];

		name_format(subscriber, name);
		report_duration_format(waits_percentile(&subscriber->waits, 50), p50);
		report_duration_format(waits_percentile(&subscriber->waits, 99), p99);
		(void)printf("%-*s %*" PRIu64 " %*" PRIu64 " %*" PRIu64 " %*s %*s", width, name,
			COUNT_WIDTH, subscriber->tally.lines, COUNT_WIDTH,
			subscriber_dropped(subscriber), COUNT_WIDTH, statistics->high_water,
			COUNT_WIDTH, subscriber->tally.lines > 0 ? p50 : "-", COUNT_WIDTH,
			subscriber->tally.lines > 0 ? p99 : "-");
		gap_print(&subscriber->tally);
	}
}

/* A row of the table of topics. */
struct row {
	const char *topic;
	uint64_t lines;
};

static int by_lines(const void *left, const void *right)
{
	const struct row *one = left;
	const struct row *other = right;

	if (one->lines != other->lines)
		return one->lines > other->lines ? -1 : 1;
	return strcmp(one->topic, other->topic);
}

static int by_topic(const void *left, const void *right)
{
	return strcmp(((const struct row *)left)->topic, ((const struct row *)right)->topic);
}

/* The rows to show, in their order. */
static struct row *rows_make(
	weir_broker *broker, const struct topics *topics, size_t *shown, int *width)
{
	struct row *rows = memory_resize(NULL, topics->count, sizeof(*rows));
	size_t widest = strlen("topic");

	for (size_t i = 0; i < topics->count; i++) {
		weir_topic_statistics statistics = { .published = 0 };

		(void)weir_topic_statistics_get(broker, topics->names[i], &statistics);
		rows[i] = (struct row){ .topic = topics->names[i], .lines = statistics.published };
	}
	qsort(rows, topics->count, sizeof(*rows), by_lines);
	if (*shown > topics->count)
		*shown = topics->count;
	qsort(rows, *shown, sizeof(*rows), by_topic);
	for (size_t i = 0; i < *shown; i++)
		if (strlen(rows[i].topic) > widest)
			widest = strlen(rows[i].topic);
	*width = (int)widest;
	return rows;
}

static void row_print(
	const struct row *row, int width, const struct subscriber *subscribers, size_t count)
{
	(void)printf("%-*s %*" PRIu64, width, row->topic, COUNT_WIDTH, row->lines);
	for (size_t i = 0; i < count; i++) {
		uint64_t lines = tally_count(&subscribers[i].tally, row->topic);
		int column = name_width(&subscribers[i], COUNT_WIDTH);

		if (lines > 0)
			(void)printf("  %*" PRIu64, column, lines);
		else
			(void)printf("  %*s", column, "-");
	}
	(void)putchar('\n');
}

void report_topics(weir_broker *broker, const struct topics *topics, size_t rows,
	const struct subscriber *subscribers, size_t count)
{
	int width;
	struct row *shown;

	if (topics->count == 0)
		return;
	shown = rows_make(broker, topics, &rows, &width);
	(void)printf("\n%-*s %*s", width, "topic", COUNT_WIDTH, "lines");
	for (size_t i = 0; i < count; i++) {
		char name[NAME_SIZE];

		name_format(&subscribers[i], name);
		(void)printf("  %*s", COUNT_WIDTH, name);
	}
	(void)putchar('\n');
	for (size_t i = 0; i < rows; i++)
		row_print(&shown[i], width, subscribers, count);
	if (rows < topics->count)
		(void)printf("%zu more of %zu topics: --topics=all\n", topics->count - rows,
			topics->count);
	free(shown);
}
