/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtual.h - timers in virtual time: functions that are called at a time.
 *
 * A timer is an event like all others, in the order of (time, serial of its
 * start).  Its function is called outside of any process, so it can do what
 * needs no waiting; it may start and cancel timers, and destroy its own.
 *
 * Threads: the simulation's.  Only for a clock that is_virtual.
 */
#ifndef WEIRI_CLOCK_VIRTUAL_H
#define WEIRI_CLOCK_VIRTUAL_H

#include "clock/clock.h"
#include "clock/event_heap.h"

struct weiri_sim_timer {
	struct weiri_event event; /* first: a timer is found from its event */
	void (*fire)(struct weiri_sim_timer *timer);
};

/* Prepare a timer, not started.  Takes what starting it will need, so that
 * starting cannot fail.  Returns 0, WEIR_ENOMEM or WEIR_ELIMIT. */
int weiri_sim_timer_init(struct weiri_sim_timer *timer, struct weir_clock *clock,
	void (*fire)(struct weiri_sim_timer *timer));

/* Cancels the timer and gives back what it took. */
void weiri_sim_timer_destroy(struct weiri_sim_timer *timer, struct weir_clock *clock);

/* Call timer->fire at `time`, or at the present time through a new event if
 * that is not in the future; a timer that is started already is moved.
 * WEIR_FOREVER cancels. */
void weiri_sim_timer_start(struct weiri_sim_timer *timer, struct weir_clock *clock, double time);

/* Returns whether it was started and had not been called. */
bool weiri_sim_timer_cancel(struct weiri_sim_timer *timer, struct weir_clock *clock);

#endif /* WEIRI_CLOCK_VIRTUAL_H */
