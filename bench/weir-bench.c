/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weir-bench - weir next to its peers, in the same run.
 *
 * For each case all that enter it are calibrated, and then take turns: one repeat
 * each, round after round, until each has as many fair repeats as were asked for
 * (figures.h), or twice as many rounds have gone by.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine.h"
#include "peers.h"
#include "report.h"
#include "workloads.h"

#define ENTRANTS_MAX 96

/* A calibrating run goes on growing until it lasts this long or has so many messages. */
#define CALIBRATION_SECONDS  0.05
#define CALIBRATION_MESSAGES 1000000

/* A throughput run that was calibrated on a better moment ends after this. */
#define LIMIT_SECONDS 3

#define PACE_INTERVAL 10000

/* The least and the most round trips of a run. */
#define TRIPS_MIN 1000
#define TRIPS_MAX 200000

struct options {
	const char *workloads; /* W1,W2:N=4,... or all */
	const char *peers;     /* names, or all */
	const char *modes;     /* NULL: as the workload says */
	unsigned int repeats;
	double seconds;
	struct bench_fairness fairness;
	bool is_json;
};

struct entrant {
	const struct bench_peer *peer;
	struct bench_job job;
	unsigned int count;
	struct bench_repeat repeats[BENCH_FIGURES_MAX][BENCH_REPEATS_MAX];
};

/* All that enter one case. */
struct round {
	const struct bench_workload *workload;
	const struct bench_case *which;
	struct entrant *entrants;
	unsigned int count;
	unsigned int figures;
};

static const char *mode_name(unsigned int mode)
{
	switch (mode) {
	case BENCH_SPIN:
		return "spin";
	case BENCH_YIELD:
		return "yield";
	case BENCH_PARK:
		return "park";
	default:
		return "default";
	}
}

/* Whether a word is in a list of words with commas between them. */
static bool list_has(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; at != NULL; at = strchr(at, ',')) {
		if (*at == ',')
			at++;
		if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return false;
}

static bool case_is_chosen(const struct options *options, const struct bench_workload *workload,
	const struct bench_case *which)
{
	char word[64];

	(void)snprintf(word, sizeof(word), "%s:%s", workload->name, which->name);
	return strcmp(options->workloads, "all") == 0 ||
	       list_has(options->workloads, workload->name) || list_has(options->workloads, word);
}

static bool peer_can(const struct bench_peer *peer, const struct bench_case *which)
{
	return which->publishers <= peer->publishers_max &&
	       which->subscribers <= peer->subscribers_max &&
	       (!which->is_loaned || (peer->abilities & BENCH_CAN_LOAN));
}

static unsigned int modes_of(const struct options *options, const struct bench_workload *workload,
	const struct bench_peer *peer)
{
	unsigned int modes = 0;

	if (options->modes == NULL) {
		modes = workload->modes & peer->modes;
		return modes != 0 ? modes : workload->fallback & peer->modes;
	}
	for (unsigned int mode = BENCH_SPIN; mode <= BENCH_PARK; mode <<= 1)
		if (list_has(options->modes, mode_name(mode)))
			modes |= mode & peer->modes;
	return modes;
}

static double seconds_of(const struct entrant *entrant, const struct bench_result *result)
{
	const struct bench_job *job = &entrant->job;

	return (double)(job->messages * job->shape.publishers * job->shape.subscribers) /
	       result->figures[0];
}

/* How many messages make a run of the wanted time. */
static void entrant_calibrate(struct entrant *entrant, double seconds)
{
	struct bench_job *job = &entrant->job;
	unsigned int ends = job->shape.publishers * job->shape.subscribers;
	struct bench_result result = { 0 };
	double messages;

	job->limit = LIMIT_SECONDS * UINT64_C(1000000000);
	switch (job->kind) {
	case BENCH_PACED:
		job->interval = PACE_INTERVAL;
		job->messages = (uint64_t)(seconds * 1e9 / PACE_INTERVAL);
		return;
	case BENCH_ROUND_TRIP:
		job->messages = TRIPS_MIN;
		bench_run(entrant->peer, job, &result);
		messages = seconds * 1e9 / result.figures[0];
		job->messages = messages < TRIPS_MIN   ? TRIPS_MIN
				: messages > TRIPS_MAX ? TRIPS_MAX
						       : (uint64_t)messages;
		return;
	case BENCH_THROUGHPUT:
		break;
	}
	job->messages = 2000 / ends + 1;
	for (;; job->messages *= 8) {
		bench_run(entrant->peer, job, &result);
		if (seconds_of(entrant, &result) > CALIBRATION_SECONDS ||
			job->messages * ends > CALIBRATION_MESSAGES)
			break;
	}
	messages = result.figures[0] * seconds / ends;
	job->messages = messages < 200 ? 200 : (uint64_t)messages;
}

static unsigned int fair_count(const struct entrant *entrant, const struct bench_fairness *limit)
{
	unsigned int fair = 0;

	for (unsigned int i = 0; i < entrant->count; i++)
		fair += bench_repeat_is_fair(&entrant->repeats[0][i], limit);
	return fair;
}

/* One repeat between two probes; returns the second, which is the next one's first. */
static double entrant_repeat(struct entrant *entrant, double probe_before)
{
	struct bench_result result = { 0 };
	struct bench_meter meter;
	double probe, load;

	bench_meter_begin(&meter, 0);
	bench_run(entrant->peer, &entrant->job, &result);
	load = bench_meter_end(&meter, 0);
	probe = bench_probe();
	for (unsigned int i = 0; i < result.count; i++) {
		struct bench_repeat *repeat = &entrant->repeats[i][entrant->count];

		repeat->value = result.figures[i];
		repeat->probe = probe > probe_before ? probe : probe_before;
		repeat->load = load;
	}
	entrant->count++;
	return probe;
}

static void round_enter(const struct options *options, struct round *round)
{
	for (const struct bench_peer *const *peer = bench_peers; *peer != NULL; peer++) {
		unsigned int modes = modes_of(options, round->workload, *peer);

		if (!peer_can(*peer, round->which) ||
			(strcmp(options->peers, "all") != 0 &&
				!list_has(options->peers, (*peer)->name)))
			continue;
		for (unsigned int mode = BENCH_SPIN; mode <= BENCH_PARK; mode <<= 1) {
			struct entrant *entrant = &round->entrants[round->count];

			if ((modes & mode) == 0 || round->count == ENTRANTS_MAX)
				continue;
			entrant->peer = *peer;
			entrant->job.kind = round->workload->kind;
			bench_shape_of(round->workload, round->which, mode, &entrant->job.shape);
			if (((*peer)->abilities & BENCH_CAN_BATCH) == 0)
				entrant->job.shape.batch = 1;
			round->count++;
		}
	}
}

static void round_measure(const struct options *options, struct round *round)
{
	double probe;

	for (unsigned int i = 0; i < round->count; i++) {
		bench_context(
			round->workload->name, round->which->name, round->entrants[i].peer->name);
		entrant_calibrate(&round->entrants[i], options->seconds);
	}
	probe = bench_probe();
	for (unsigned int turn = 0; turn < 2 * options->repeats; turn++)
		for (unsigned int i = 0; i < round->count; i++) {
			struct entrant *entrant = &round->entrants[i];

			if (fair_count(entrant, &options->fairness) >= options->repeats)
				continue;
			bench_context(
				round->workload->name, round->which->name, entrant->peer->name);
			probe = entrant_repeat(entrant, probe);
		}
}

static void round_report(
	const struct options *options, const struct round *round, unsigned int figure)
{
	const char *figure_name = bench_figure_name(round->workload->kind, figure);
	struct bench_line lines[ENTRANTS_MAX];
	char name[64];
	struct bench_row row = {
		.workload = round->workload->name,
		.name = name,
		.unit = bench_figure_unit(round->workload, round->which),
		.is_less_better = round->workload->kind != BENCH_THROUGHPUT,
		.lines = lines,
		.count = round->count,
	};

	(void)snprintf(name, sizeof(name), "%s%s%s", round->which->name,
		*figure_name != '\0' ? " " : "", figure_name);
	for (unsigned int i = 0; i < round->count; i++) {
		const struct entrant *entrant = &round->entrants[i];

		lines[i] = (struct bench_line){
			.peer = entrant->peer->name,
			.title = entrant->peer->title,
			.mode = mode_name(entrant->job.shape.mode),
			.repeats = entrant->repeats[figure],
			.count = entrant->count,
		};
	}
	(options->is_json ? bench_report_json : bench_report_table)(
		stdout, &row, &options->fairness);
}

static void case_run(const struct options *options, const struct bench_workload *workload,
	const struct bench_case *which)
{
	static const unsigned int figures[] = {
		[BENCH_THROUGHPUT] = 1,
		[BENCH_ROUND_TRIP] = 3,
		[BENCH_PACED] = 6,
	};
	struct round round = { .workload = workload, .which = which };

	round.entrants = bench_memory(ENTRANTS_MAX * sizeof(*round.entrants));
	round_enter(options, &round);
	if (round.count > 0) {
		round_measure(options, &round);
		for (unsigned int i = 0; i < figures[workload->kind]; i++)
			round_report(options, &round, i);
	}
	bench_memory_free(round.entrants);
}

static void list_all(void)
{
	(void)printf("Workloads and their cases:\n");
	for (const struct bench_workload *workload = bench_workloads; workload->name != NULL;
		workload++) {
		(void)printf("  %-4s %s:", workload->name, workload->title);
		for (const struct bench_case *which = workload->cases; which->name != NULL; which++)
			(void)printf("%s %s", which == workload->cases ? "" : ",", which->name);
		(void)printf("\n");
	}
	(void)printf("Peers of this build:\n");
	for (const struct bench_peer *const *peer = bench_peers; *peer != NULL; peer++)
		(void)printf("  %-12s %s\n", (*peer)->name, (*peer)->title);
}

static const char usage[] =
	"usage: weir-bench [--workload all|W1,W2:N=4,...] [--peers all|weir,mutex,...]\n"
	"                  [--modes spin,yield,default,park] [--repeats 7] [--seconds 0.3]\n"
	"                  [--near NS] [--load SHARE] [--json]\n"
	"       weir-bench --list\n"
	"Repeats count when the probe was at most --near (60) and others used at most\n"
	"--load (0.1) of the CPUs; up to twice as many are taken to have so many.\n";

/* 0: go on. */
static int options_read(struct options *options, int count, char **words)
{
	static const struct option known[] = {
		{ "workload", required_argument, NULL, 'w' },
		{ "peers", required_argument, NULL, 'p' },
		{ "modes", required_argument, NULL, 'm' },
		{ "repeats", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "near", required_argument, NULL, 'n' },
		{ "load", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "list", no_argument, NULL, 'L' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
		switch (option) {
		case 'w':
			options->workloads = optarg;
			break;
		case 'p':
			options->peers = optarg;
			break;
		case 'm':
			options->modes = optarg;
			break;
		case 'r':
			options->repeats = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			options->seconds = strtod(optarg, NULL);
			break;
		case 'n':
			options->fairness.probe = strtod(optarg, NULL);
			break;
		case 'l':
			options->fairness.load = strtod(optarg, NULL);
			break;
		case 'j':
			options->is_json = true;
			break;
		case 'L':
			list_all();
			exit(0);
		default:
			return -1;
		}
	}
	if (optind != count || options->repeats < 1 || options->repeats > BENCH_REPEATS_MAX / 2 ||
		!(options->seconds >= 0.001 && options->seconds <= LIMIT_SECONDS))
		return -1;
	return 0;
}

int main(int count, char **words)
{
	struct options options = {
		.workloads = "all",
		.peers = "all",
		.repeats = 7,
		.seconds = 0.3,
		.fairness = { .probe = 60, .load = 0.1 },
	};

	if (options_read(&options, count, words) != 0) {
		(void)fputs(usage, stderr);
		return 1;
	}
	bench_machine_open();
	if (!options.is_json)
		bench_machine_describe(stdout, "");
	for (const struct bench_workload *workload = bench_workloads; workload->name != NULL;
		workload++)
		for (const struct bench_case *which = workload->cases; which->name != NULL; which++)
			if (case_is_chosen(&options, workload, which))
				case_run(&options, workload, which);
	return 0;
}
