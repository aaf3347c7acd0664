/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schedule.h - which of the events that are due at the same instant is next.
 *
 *   WEIR_SCHEDULE_ORDER   in the order of their serials.  Events are added in
 *                         that order, so a list will do.
 *   WEIR_SCHEDULE_RANDOM  any, all equally likely, drawn anew each time.
 *   WEIR_SCHEDULE_PCT     probabilistic concurrency testing (Burckhardt et
 *                         al., ASPLOS 2010): each process has a random
 *                         priority and the highest that is due runs.  At each
 *                         of d steps, drawn from the first k, whoever is about
 *                         to run falls below all the others first.  An order
 *                         bug that needs d + 1 ordering constraints among n
 *                         processes shows with probability >= 1 / (n k^d).
 *
 * Every decision depends on the seed and on the events so far, on nothing else.
 *
 * Threads: one at a time.  Nothing blocks.
 */
#ifndef WEIRI_CLOCK_SCHEDULE_H
#define WEIRI_CLOCK_SCHEDULE_H

#include "base/random.h"
#include "clock/event_heap.h"
#include <weir/sim.h>

struct weiri_schedule {
	enum weir_schedule kind;
	struct weiri_random random;
	struct weiri_event *first, *last; /* ORDER */
	struct weiri_event_heap heap;     /* the others */
	/* PCT: the steps taken, and where the next changes are due, ascending. */
	uint64_t step;
	uint64_t changes[WEIR_SIM_PCT_CHANGE_POINTS_MAX];
	unsigned change_count, change_next;
};

/* `options` is valid, its defaults filled in. */
void weiri_schedule_init(struct weiri_schedule *schedule, const weir_sim_options *options);
void weiri_schedule_destroy(struct weiri_schedule *schedule);

/* Make room for `count` events in all.  Returns 0, WEIR_ENOMEM or WEIR_ELIMIT. */
int weiri_schedule_reserve(struct weiri_schedule *schedule, size_t count);

/* Give the event of a new process, or a timer about to start, its priority. */
void weiri_schedule_admit(struct weiri_schedule *schedule, struct weiri_event *event);

bool weiri_schedule_is_empty(const struct weiri_schedule *schedule);

/* Add an event that is due, of a serial later than those there. */
void weiri_schedule_add(struct weiri_schedule *schedule, struct weiri_event *event);

/* Take out the next one; there is one. */
struct weiri_event *weiri_schedule_take(struct weiri_schedule *schedule);

/* Take out an event that is there, unrun. */
void weiri_schedule_remove(struct weiri_schedule *schedule, struct weiri_event *event);

#endif /* WEIRI_CLOCK_SCHEDULE_H */
