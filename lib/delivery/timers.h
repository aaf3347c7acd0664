/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: functions that are called at a time.
 *
 * On the real clock one thread per broker, started when it is first needed,
 * sleeps until the earliest timer of a heap is due; it has no tick.  On a virtual
 * clock there is no thread: a timer is an event of the simulation, in the order of
 * its start like all others.
 *
 * A call is a hint that the time has come: it is never early, and what it is
 * about may have been settled just before, so the function looks for itself.
 *
 * Threads: any.  Lock order: a caller's lock may be held while starting; the
 * function is called with no lock of the timers held, and may start timers.
 */
#ifndef WEIRI_TIMERS_H
#define WEIRI_TIMERS_H

#include <pthread.h>

#include "clock/virtual.h"
#include "queue/heap.h"

struct weiri_timer {
	struct weiri_sim_timer simulated; /* first: found from it, in virtual time */
	struct weiri_heap_node node;      /* in real time */
	void (*fire)(struct weiri_timer *timer);
};

struct weiri_timers {
	struct weir_clock *clock;
	const weir_allocator *allocator;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* the earliest timer, or what is being called */
	struct weiri_heap heap;
	size_t timer_count;
	uint64_t serial;
	struct weiri_timer *firing; /* its function is being called */
	pthread_t thread;
	bool has_thread;
	bool is_closing;
};

/* Returns 0 or WEIR_ESYSTEM.  Clock and allocator outlive it. */
int weiri_timers_open(
	struct weiri_timers *timers, struct weir_clock *clock, const weir_allocator *allocator);

/* Ends and joins the thread; no function is called any more in real time.  Not
 * from a timer's function. */
void weiri_timers_stop(struct weiri_timers *timers);

/* Stops them; no timer is left. */
void weiri_timers_close(struct weiri_timers *timers);

/* A timer, not started.  Takes all that starting it will need, the thread too.
 * Returns 0, WEIR_ENOMEM, WEIR_ELIMIT or WEIR_ESYSTEM. */
int weiri_timer_open(struct weiri_timers *timers, struct weiri_timer *timer,
	void (*fire)(struct weiri_timer *timer));

/* Cancels it and waits until its function is not running, unless called by it. */
void weiri_timer_close(struct weiri_timers *timers, struct weiri_timer *timer);

/* Call timer->fire at `time`; a timer that is started is moved.  WEIR_FOREVER
 * cancels.  Cannot fail. */
void weiri_timer_start(struct weiri_timers *timers, struct weiri_timer *timer, double time);

#endif
