/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clock: where time comes from and how to wait, the one thing in which real
 * and virtual time differ.  All else in the library is the same code.
 *
 * Times and durations are double seconds.  WEIR_FOREVER (infinity) is a valid
 * deadline and a valid duration.  A deadline is an instant of this clock.
 */
#ifndef WEIRI_CLOCK_H
#define WEIRI_CLOCK_H

#include "clock/waiter.h"
#include <weir/clock.h>

struct weiri_clock_operations {
	double (*now)(struct weir_clock *clock);

	/* Now or a little later, at most the hundredth of a second that a tick of the
	 * system can last, if that has not missed one: for what is to happen no earlier, in
	 * a second or more.  Real time: several times as fast, and the processor need not
	 * finish all loads before.  Virtual time: now. */
	double (*now_roughly)(struct weir_clock *clock);

	/* Wait until the armed waiter is notified or the deadline has come.
	 * The state is IDLE afterwards.  Returns 0 if it was notified,
	 * WEIR_ETIMEDOUT (never before the deadline), WEIR_EDEADLK if the
	 * caller may not wait (virtual time, outside a process), or
	 * WEIR_ESHUTDOWN (the simulation is being closed). */
	int (*park)(struct weir_clock *clock, struct weiri_waiter *waiter, double deadline);

	/* Let the waiter, whose state has just become NOTIFIED, go on. */
	void (*unpark)(struct weir_clock *clock, struct weiri_waiter *waiter);

	/* Virtual time: the calling process continues through a new event at
	 * the same time.  Real time, or outside a process: nothing. */
	void (*give_way)(struct weir_clock *clock);

	/* An attempt that found nothing to do, by a caller that may try again
	 * without waiting.  Virtual time: gives way, and sees to it that a loop
	 * of such attempts does not hold time still.  Real time: nothing. */
	void (*pause)(struct weir_clock *clock);

	/* Something that such an attempt may look for has changed, and nobody was
	 * in line for it: a message was queued, a subscription was closed.
	 * Virtual time: those who tried in vain try again.  Real time: nothing. */
	void (*changed)(struct weir_clock *clock);

	/* Returns 0, WEIR_EDEADLK or WEIR_ESHUTDOWN as park does. */
	int (*sleep_until)(struct weir_clock *clock, double time);
};

struct weir_clock {
	const struct weiri_clock_operations *operations;
	/* Virtual time: one thread, nothing spins, and a message that finds a
	 * receiver in line goes to it without taking room in the queue. */
	bool is_virtual;
};

static inline double weiri_clock_now(struct weir_clock *clock)
{
	return clock->operations->now(clock);
}

static inline double weiri_clock_now_roughly(struct weir_clock *clock)
{
	return clock->operations->now_roughly(clock);
}

static inline int weiri_clock_park(
	struct weir_clock *clock, struct weiri_waiter *waiter, double deadline)
{
	return clock->operations->park(clock, waiter, deadline);
}

/* weiri_waiter_arm, for a wait on this clock. */
static inline void weiri_clock_arm(struct weir_clock *clock, struct weiri_waiter *waiter)
{
	if (clock->is_virtual) /* one thread needs no fence */
		weiri_store_relaxed(&waiter->state, WEIRI_WAITER_WAITING);
	else
		weiri_waiter_arm(waiter);
}

static inline void weiri_clock_give_way(struct weir_clock *clock)
{
	if (clock->is_virtual)
		clock->operations->give_way(clock);
}

static inline void weiri_clock_pause(struct weir_clock *clock)
{
	if (clock->is_virtual)
		clock->operations->pause(clock);
}

static inline void weiri_clock_changed(struct weir_clock *clock)
{
	if (clock->is_virtual)
		clock->operations->changed(clock);
}

/* The instant `timeout` seconds from now; WEIR_FOREVER stays so.  A real clock
 * is not read for a timeout of 0, which means the past: minus infinity. */
static inline double weiri_clock_deadline(struct weir_clock *clock, double timeout)
{
	if (timeout == WEIR_FOREVER)
		return WEIR_FOREVER;
	if (timeout == 0 && !clock->is_virtual)
		return -WEIR_FOREVER;
	return weiri_clock_now(clock) + timeout;
}

/* Whether `duration` is a number of seconds of at least 0 (WEIR_FOREVER is). */
static inline bool weiri_duration_is_valid(double duration)
{
	return duration >= 0;
}

#endif
