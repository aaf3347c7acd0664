/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simulation.h - what a simulation is made of, for the files that make it up:
 *
 *   sim.c         opening, spawning, running, stopping: weir/sim.h
 *   virtual.c     the event loop, and waiting: the operations of its clock
 *   sim_report.c  trace, report of waits, replay string
 *
 *   weir_sim --owns--> process --has--> event, in `due` or `future`, or in
 *                              --has--> fiber  neither while it waits for no
 *                                              time, polls in vain, or runs
 *   weiri_sim_timer, in another's memory, --has--> event
 *
 * A process has one event: it has only one way to continue.  A wait with a
 * deadline has the event of its timeout; whoever wakes the process takes it
 * back and schedules it as the event of the wake-up.
 *
 * Switching: the process that waits takes the next event itself and switches
 * to its process directly.  It goes back to the fiber that called run, the
 * loop, for what must not happen in a process: a timer, the trace, the end.
 *
 * A process is a record at the top of its own stack, so one page holds all
 * that it touches:
 *
 *   | guard page | stack, growing downwards ... <- | struct weiri_process | colour |
 *
 * The colour, 0 to 15 times 128 bytes, differs from neighbour to neighbour.
 * Without it all processes would use the same few sets of the caches, since
 * stacks lie whole pages apart.
 */
#ifndef WEIRI_CLOCK_SIMULATION_H
#define WEIRI_CLOCK_SIMULATION_H

#include "base/random.h"
#include "clock/clock.h"
#include "clock/event_queue.h"
#include "clock/fiber.h"
#include "clock/schedule.h"
#include "clock/stack_arena.h"
#include <weir/sim.h>

enum weiri_event_kind {
	WEIRI_EVENT_START,
	WEIRI_EVENT_SLEEP,
	WEIRI_EVENT_WAKE,
	WEIRI_EVENT_TIMEOUT,
	WEIRI_EVENT_YIELD,
	WEIRI_EVENT_POLL,
	WEIRI_EVENT_TIMER,
};

enum weiri_event_place {
	WEIRI_PLACE_NONE,
	WEIRI_PLACE_DUE,
	WEIRI_PLACE_FUTURE,
};

struct weiri_process {
	struct weiri_event event; /* first: a process is found from its event */
	struct weir_sim *sim;
	struct weiri_fiber fiber;
	struct weiri_waiter *waiter; /* what it is parked at, else NULL */
	double since;                /* when its wait began */
	uint64_t number;
	/* Polling, rule 7. */
	uint64_t polled_at; /* the simulation's `happened` at its last poll */
	unsigned polls;
	bool is_stalled; /* polls in vain: in the list of `stalled` */
	struct weiri_process *next_stalled;

	bool is_started;
	unsigned refusals; /* waits since the simulation was stopped */
	void (*function)(void *argument);
	void *argument;
	struct weiri_process *previous, *next; /* alive, in order of number; or ended */
	char name[WEIR_SIM_NAME_SIZE];
};

struct weir_sim {
	struct weir_clock clock; /* first: a simulation is found from its clock */
	double now;
	double until;                    /* events later than it stay */
	uint64_t events_left;            /* how many more this call may run */
	struct weiri_event_queue future; /* events later than now, by time */
	struct weiri_schedule due;       /* events at now */
	uint64_t serial;                 /* the last one given */
	uint64_t event_count;
	uint64_t hash;
	struct weiri_process *current; /* the process that runs, else NULL */
	struct weiri_event *chosen;    /* for the loop to run, when a process went back to it */
	struct weiri_fiber loop;       /* whoever called run, step or stop */

	/* What was done by others than polling processes; processes that polled
	 * in vain wait until it is no longer `stalled_at`. */
	uint64_t happened, stalled_at;
	struct weiri_process *first_stalled, *last_stalled;

	bool is_running; /* run, step or stop is being executed */
	bool is_stopped;
	uint64_t spawned;
	size_t alive_count, timer_count;
	struct weiri_process *first_alive, *last_alive;
	struct weiri_process *ended; /* for the next to be spawned, by `next` */
	size_t record_count;         /* of processes, alive and ended */
	struct weiri_stack_arena stacks;
	struct weiri_random random; /* the program's own */
	weir_sim_options options;   /* the defaults filled in */
	char replay[96];
};

static inline struct weir_sim *weiri_sim_of(struct weir_clock *clock)
{
	return (struct weir_sim *)(void *)clock;
}

static inline struct weiri_process *weiri_process_of(struct weiri_event *event)
{
	return (struct weiri_process *)(void *)event;
}

/* virtual.c */
extern const struct weiri_clock_operations weiri_virtual_clock_operations;

/* Schedule an event that is in no place, `time` or now, whichever is later. */
void weiri_sim_schedule(
	struct weir_sim *sim, struct weiri_event *event, double time, enum weiri_event_kind kind);
/* Take an event out of its place, if it is in one. */
void weiri_sim_unschedule(struct weir_sim *sim, struct weiri_event *event);
/* Make room for `count` events.  Returns 0, WEIR_ENOMEM or WEIR_ELIMIT. */
int weiri_sim_reserve(struct weir_sim *sim, size_t count);
/* Run events, from the loop, as long as there are any that may be run. */
void weiri_sim_loop(struct weir_sim *sim);
/* The running process has ended or been abandoned: leave it for the next. */
void weiri_sim_leave(struct weir_sim *sim, struct weiri_process *process);
/* Fold a word into the trace hash. */
void weiri_sim_hash(struct weir_sim *sim, uint64_t word);

/* sim_report.c */
void weiri_sim_trace(const struct weir_sim *sim, const struct weiri_event *event);
void weiri_sim_write_replay(struct weir_sim *sim);
/* Returns whether `text` is a replay string; then the options it replaces are set. */
bool weiri_sim_read_replay(const char *text, weir_sim_options *options);

#endif /* WEIRI_CLOCK_SIMULATION_H */
