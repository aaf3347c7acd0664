/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * planted-bug.c - a bug of order, found by simulation and repeated at will.
 *
 * Two agents sell the last seat of a flight. Each has some calls to make, looks
 * whether the seat is free, asks the customer, and sells it, without looking
 * again. It goes well almost always: the slower agent has three times as many
 * calls to make, so he looks long after the other has sold. The bug needs the
 * faster one to be overtaken right between looking and selling.
 *
 *	planted-bug                     looks for it under each schedule
 *	planted-bug --seeds N           with so many seeds (1 to 1,000,000)
 *	planted-bug --replay STRING     shows the run that the string stands for
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/sim.h>

#define CALLS_FAST    100
#define CALLS_SLOW    300
#define SEEDS_DEFAULT 5000
#define SEEDS_MAX     1000000

struct flight {
	weir_sim *sim;
	int sold;
	bool is_shown;
};

struct agent {
	struct flight *flight;
	const char *name;
	int calls;
};

static void tell(const struct agent *agent, const char *what)
{
	if (agent->flight->is_shown)
		printf("event %3llu: %s %s\n",
			(unsigned long long)weir_sim_event_count(agent->flight->sim), agent->name,
			what);
}

/* Somebody else may go on here: everything happens at the same instant. */
static void let_others(const struct agent *agent)
{
	(void)weir_sleep(weir_sim_clock(agent->flight->sim), 0);
}

static void sell(void *argument)
{
	const struct agent *agent = argument;

	for (int i = 0; i < agent->calls; i++)
		let_others(agent);
	if (agent->flight->sold > 0) {
		tell(agent, "sees that the seat is sold");
		return;
	}
	tell(agent, "sees that the seat is free");
	let_others(agent);
	agent->flight->sold++;
	tell(agent, "sells it");
}

static void fail(const char *what, int error)
{
	fprintf(stderr, "planted-bug: %s: %s\n", what, weir_strerror(error));
	exit(2);
}

/* Runs the two agents. Returns how often the seat was sold; *events, unless it
 * is NULL, is then how many events that took. */
static int run(const weir_sim_options *options, bool is_shown, uint64_t *events)
{
	struct flight flight = { .is_shown = is_shown };
	struct agent agents[] = {
		{ &flight, "Fast", CALLS_FAST },
		{ &flight, "Slow", CALLS_SLOW },
	};
	int error = weir_sim_open(&flight.sim, options);

	if (error != 0)
		fail("cannot open the simulation", error);
	for (int i = 0; i < 2; i++) {
		error = weir_sim_spawn(flight.sim, agents[i].name, sell, &agents[i]);
		if (error != 0)
			fail("cannot spawn an agent", error);
	}
	(void)weir_sim_run(flight.sim);
	if (events != NULL)
		*events = weir_sim_event_count(flight.sim);
	if (is_shown)
		printf("sold %d times; trace hash %016llx\n", flight.sold,
			(unsigned long long)weir_sim_trace_hash(flight.sim));
	(void)weir_sim_close(flight.sim);
	return flight.sold;
}

static void print_replay(const weir_sim_options *options)
{
	weir_sim *sim;
	int error = weir_sim_open(&sim, options);

	if (error != 0)
		fail("cannot open the simulation", error);
	printf("  planted-bug --replay %s\n", weir_sim_replay_string(sim));
	(void)weir_sim_close(sim);
}

static void search(const char *name, weir_sim_options options, unsigned long seeds)
{
	for (unsigned long seed = 1; seed <= seeds; seed++) {
		options.seed = seed;
		if (run(&options, false, NULL) > 1) {
			printf("%s: sold twice with seed %lu of %lu\n", name, seed, seeds);
			print_replay(&options);
			return;
		}
	}
	printf("%s: sold once with each of %lu seeds\n", name, seeds);
}

static void search_all(unsigned long seeds)
{
	uint64_t events;
	int sold = run(NULL, false, &events);

	printf("order: sold %d times, in %llu events\n", sold, (unsigned long long)events);
	search("random", (weir_sim_options){ .schedule = WEIR_SCHEDULE_RANDOM }, seeds);
	/* One change of priorities, at any of the events. */
	search("pct",
		(weir_sim_options){ .schedule = WEIR_SCHEDULE_PCT,
			.pct_change_points = 1,
			.pct_steps = events },
		seeds);
}

int main(int argument_count, char **arguments)
{
	if (argument_count == 3 && strcmp(arguments[1], "--replay") == 0) {
		(void)run(&(weir_sim_options){ .replay = arguments[2] }, true, NULL);
	} else if (argument_count == 3 && strcmp(arguments[1], "--seeds") == 0) {
		char *end;
		unsigned long seeds = strtoul(arguments[2], &end, 10);

		if (*end != '\0' || seeds < 1 || seeds > SEEDS_MAX) {
			fprintf(stderr, "planted-bug: --seeds takes a number from 1 to %d\n",
				SEEDS_MAX);
			return 2;
		}
		search_all(seeds);
	} else if (argument_count == 1) {
		search_all(SEEDS_DEFAULT);
	} else {
		fprintf(stderr, "usage: planted-bug [--seeds N | --replay STRING]\n");
		return 2;
	}
	return 0;
}
