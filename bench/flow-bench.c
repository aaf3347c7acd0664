/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow-bench - what flow control costs: policies, priorities, stopped subscribers;
 * what acknowledgements do, and groups.
 *
 *	flow-bench [--repeats N] [--seconds S] [--patience S] [TABLE...]
 *
 * Cases take turns, one slice of S seconds each; a ratio is that of a slice to its
 * base's slice of the same turn. Medians stand first, the least and the most
 * beside them.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "figures.h"
#include "flow.h"
#include "machine.h"

#define CASES_MAX 24

static const struct flow_table *const tables[] = { &flow_full, &flow_through, &flow_priorities,
	&flow_threads, &flow_stopped, &flow_acks, &flow_timer, &flow_late, &flow_policies,
	&flow_members, &flow_policy_threads };

static struct {
	unsigned int repeats;
	double seconds;
	double patience;
} options = { .repeats = 15, .seconds = 0.05 };

/* By case, figure and turn. */
static struct bench_repeat values[CASES_MAX][FLOW_FIGURES_MAX][BENCH_REPEATS_MAX];
static struct bench_repeat ratios[CASES_MAX][FLOW_FIGURES_MAX][BENCH_REPEATS_MAX];

void bench_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)fflush(stdout);
	(void)fputs("flow-bench: ", stderr);
	(void)vfprintf(stderr, format, arguments);
	(void)fputc('\n', stderr);
	va_end(arguments);
	_exit(2);
}

void *bench_memory(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (memory == NULL)
		bench_fail("no memory for %zu bytes", bytes);
	return memory;
}

void bench_memory_free(void *memory)
{
	free(memory);
}

void flow_must(int error, const char *what)
{
	if (error != 0)
		bench_fail("%s: %s", what, weir_strerror(error));
}

uint64_t flow_own_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static bool is_there(const struct flow_table *table, size_t which)
{
	return table->is_there == NULL || table->is_there(&table->cases[which]);
}

static size_t cases_count(const struct flow_table *table)
{
	size_t count = 0;

	while (table->cases[count].name != NULL)
		count++;
	return count;
}

static void turn(const struct flow_table *table, size_t count, unsigned int number)
{
	for (size_t i = 0; i < count; i++) {
		double figures[FLOW_FIGURES_MAX] = { 0 };

		if (!is_there(table, i))
			continue;
		bench_quiet_await(0.1, options.patience);
		table->measure(&table->cases[i], options.seconds, figures);
		for (size_t k = 0; table->figures[k] != NULL; k++)
			values[i][k][number].value = figures[k];
	}
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; table->figures[k] != NULL; k++)
			ratios[i][k][number].value = values[i][k][number].value /
						     values[table->cases[i].base][k][number].value;
}

static void row_print(const struct flow_table *table, size_t which, size_t figure)
{
	static const struct bench_fairness all = { 1, 1 };
	struct bench_summary value, ratio;

	bench_summarize(values[which][figure], options.repeats, &all, &value);
	bench_summarize(ratios[which][figure], options.repeats, &all, &ratio);
	(void)printf("%-34s %-8s %9.1f %9.1f %9.1f  ", table->cases[which].name,
		table->figures[figure], value.median, value.least, value.most);
	if (table->cases[which].base == which)
		(void)printf("%7s\n", "1");
	else
		(void)printf("%7.2f %7.2f %7.2f\n", ratio.median, ratio.least, ratio.most);
}

static void table_run(const struct flow_table *table)
{
	size_t count = cases_count(table);

	for (unsigned int i = 0; i < options.repeats; i++)
		turn(table, count, i);
	(void)printf("\n%s: %s; ns\n%-43s %9s %9s %9s  %7s %7s %7s\n", table->name, table->title,
		"", "median", "least", "most", "x base", "least", "most");
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; is_there(table, i) && table->figures[k] != NULL; k++)
			row_print(table, i, k);
	(void)fflush(stdout);
}

static bool is_chosen(const struct flow_table *table, int count, char **words)
{
	for (int i = optind; i < count; i++)
		if (strcmp(words[i], table->name) == 0)
			return true;
	return optind == count;
}

static int options_read(int count, char **words)
{
	static const struct option known[] = {
		{ "repeats", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "patience", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
		if (option == 'r')
			options.repeats = (unsigned int)strtoul(optarg, NULL, 10);
		else if (option == 's')
			options.seconds = strtod(optarg, NULL);
		else if (option == 'p')
			options.patience = strtod(optarg, NULL);
		else
			return -1;
	}
	return options.repeats >= 1 && options.repeats <= BENCH_REPEATS_MAX &&
			       options.seconds > 0 && options.patience >= 0
		       ? 0
		       : -1;
}

int main(int count, char **words)
{
	if (options_read(count, words) != 0) {
		(void)fputs("usage: flow-bench [--repeats 15] [--seconds 0.05] [--patience 0] "
			    "[F1 F2 F3 F4 F5 A1 A2 A3 G1 G2 G3]\n",
			stderr);
		return 1;
	}
	bench_machine_open();
	bench_machine_describe(stdout, "");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (is_chosen(tables[i], count, words))
			table_run(tables[i]);
	return 0;
}
