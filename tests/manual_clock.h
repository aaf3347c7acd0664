/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * manual_clock.h - a clock whose time stands still but for waits, which jump to
 * their end at once: for cases of one thread that look at times exactly.
 *
 * To the library it is a real clock: threads, spinning and fences are as ever.
 */
#ifndef WEIR_TESTS_MANUAL_CLOCK_H
#define WEIR_TESTS_MANUAL_CLOCK_H

#include "clock/clock.h"
#include <weir/error.h>

struct manual_clock {
	struct weir_clock clock; /* first: the library sees only this */
	_Atomic double now;      /* the broker's timer thread looks too */
	double tick;             /* by which it is late when asked for a rough time */
	void (*on_wait)(struct manual_clock *clock); /* called when a wait begins; NULL */
	void *context;
};

static double manual_now(struct weir_clock *clock)
{
	return ((struct manual_clock *)(void *)clock)->now;
}

static double manual_now_roughly(struct weir_clock *clock)
{
	struct manual_clock *manual = (struct manual_clock *)(void *)clock;

	return manual->now + manual->tick;
}

static int manual_sleep_until(struct weir_clock *clock, double time)
{
	struct manual_clock *manual = (struct manual_clock *)(void *)clock;

	if (time > manual->now)
		manual->now = time;
	return 0;
}

static int manual_park(struct weir_clock *clock, struct weiri_waiter *waiter, double deadline)
{
	struct manual_clock *manual = (struct manual_clock *)(void *)clock;

	if (manual->on_wait != NULL)
		manual->on_wait(manual);
	if (weiri_waiter_disarm(waiter))
		return 0;
	/* Nobody else runs: without a deadline it would never end. */
	if (deadline == WEIR_FOREVER)
		return WEIR_EDEADLK;
	(void)manual_sleep_until(clock, deadline);
	return WEIR_ETIMEDOUT;
}

static void manual_unpark(struct weir_clock *clock, struct weiri_waiter *waiter)
{
	(void)clock;
	(void)waiter;
}

static void manual_nothing(struct weir_clock *clock)
{
	(void)clock;
}

static const struct weiri_clock_operations manual_operations = {
	.now = manual_now,
	.now_roughly = manual_now_roughly,
	.park = manual_park,
	.unpark = manual_unpark,
	.give_way = manual_nothing,
	.pause = manual_nothing,
	.sleep_until = manual_sleep_until,
};

/* A clock that shows `now`. */
static inline struct manual_clock manual_clock_at(double now)
{
	return (struct manual_clock){ .clock.operations = &manual_operations, .now = now };
}

#endif
