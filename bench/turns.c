/* SPDX-License-Identifier: BSD-2-Clause */
/* Calibrating, taking turns, and what comes of it. */
#include "turns.h"

#include <stdio.h>

#include "external.h"
#include "machine.h"
#include "peers.h"

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

bool bench_peer_is_there(const struct bench_peer *peer)
{
	if (peer->server != NULL)
		return peer->server->is_there();
	return peer->program == NULL || bench_external_is_there(peer);
}

/* The process whose time is the peer's as well; 0: there is none. */
static pid_t process_of(const struct bench_peer *peer)
{
	return peer->server != NULL ? peer->server->process() : bench_external_process(peer);
}

static bool peer_is_asked(const struct bench_options *options,
	const struct bench_workload *workload, const struct bench_peer *peer)
{
	if (workload->peers != NULL ? !bench_list_has(workload->peers, peer->name)
				    : peer->is_variant)
		return false;
	return strcmp(options->peers, "all") == 0 || bench_list_has(options->peers, peer->name);
}

static bool peer_can(const struct bench_peer *peer, const struct bench_case *which)
{
	return which->publishers <= peer->publishers_max &&
	       which->subscribers <= peer->subscribers_max &&
	       (!which->is_loaned || (peer->abilities & BENCH_CAN_LOAN));
}

static unsigned int modes_of(const struct bench_options *options,
	const struct bench_workload *workload, const struct bench_peer *peer)
{
	unsigned int modes = 0;

	if (options->modes == NULL) {
		modes = workload->modes & peer->modes;
		return modes != 0 ? modes : workload->fallback & peer->modes;
	}
	for (unsigned int mode = BENCH_SPIN; mode <= BENCH_PARK; mode <<= 1)
		if (bench_list_has(options->modes, mode_name(mode)))
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
static double entrant_repeat(
	const struct bench_options *options, struct entrant *entrant, double probe_before)
{
	struct bench_result result = { 0 };
	struct bench_meter meter;
	double probe, load;

	if (options->patience > 0) {
		bench_quiet_await(options->fairness.load, options->patience);
		probe_before = bench_probe();
	}
	bench_meter_begin(&meter, process_of(entrant->peer));
	bench_run(entrant->peer, &entrant->job, &result);
	load = bench_meter_end(&meter, process_of(entrant->peer));
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

static void round_enter(const struct bench_options *options, struct round *round)
{
	for (const struct bench_peer *const *peer = bench_peers; *peer != NULL; peer++) {
		unsigned int modes = modes_of(options, round->workload, *peer);

		if (!peer_is_asked(options, round->workload, *peer) ||
			!bench_peer_is_there(*peer) || !peer_can(*peer, round->which))
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

static void round_measure(const struct bench_options *options, struct round *round)
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
			probe = entrant_repeat(options, entrant, probe);
		}
}

/* Every line of the row is an entrant's figure. */
static void round_report(
	const struct round *round, unsigned int figure, struct bench_output *output)
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
	bench_output_row(output, &row);
}

void bench_turns(const struct bench_options *options, const struct bench_workload *workload,
	const struct bench_case *which, struct bench_output *output)
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
			round_report(&round, i, output);
	}
	bench_memory_free(round.entrants);
}

void bench_turns_local(const struct bench_options *options, const char *workload,
	const struct bench_local *local, struct bench_output *output)
{
	struct bench_repeat repeats[BENCH_REPEATS_MAX];
	struct bench_line line = { "weir", "weir", "default", repeats, 0 };
	struct bench_row row = {
		.workload = workload,
		.name = local->name,
		.unit = local->unit,
		.is_less_better = true,
		.lines = &line,
		.count = 1,
	};
	unsigned int fair = 0;
	void *begun;

	bench_context(workload, local->name, "weir");
	begun = local->begin(local);
	while (fair < options->repeats && line.count < 2 * options->repeats) {
		struct bench_repeat *repeat = &repeats[line.count++];
		struct bench_meter meter;

		/* One thread: the distance of the CPUs is nothing to it. */
		repeat->probe = 0;
		bench_quiet_await(options->fairness.load, options->patience);
		bench_meter_begin(&meter, 0);
		repeat->value = local->measure(begun, options->seconds);
		repeat->load = bench_meter_end(&meter, 0);
		fair += bench_repeat_is_fair(repeat, &options->fairness);
	}
	local->end(begun);
	bench_output_row(output, &row);
}
