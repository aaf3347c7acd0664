/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Real clock: CLOCK_MONOTONIC, and a futex behind the waiter.
 *
 * A futex, not a condition variable: the waiter is one word, needs no set-up
 * that can fail, and a notify without a sleeper costs no system call.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock/clock.h"
#include <weir/error.h>

/* Later deadlines (292 years) are the same as none. */
#define SECONDS_MAX 9.2e9

/* Linux has 100 ticks a second or more. */
#define TICK_MAX 0.01

static double real_now(struct weir_clock *clock)
{
	struct timespec time;

	(void)clock;
	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double real_now_roughly(struct weir_clock *clock)
{
	struct timespec time;

	(void)clock;
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9 + TICK_MAX;
}

/* The first instant that is not before `time`.  Seconds in a double have 53
 * bits, so rounding up to the nanosecond keeps "never early" true. */
static struct timespec timespec_from(double time)
{
	struct timespec result = { .tv_sec = (time_t)time };
	double rest = (time - (double)result.tv_sec) * 1e9;

	result.tv_nsec = (long)rest;
	if ((double)result.tv_nsec < rest)
		result.tv_nsec++;
	if (result.tv_nsec >= 1000000000) {
		result.tv_nsec -= 1000000000;
		result.tv_sec++;
	}
	return result;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t expected, double deadline)
{
	struct timespec time;
	struct timespec *limit = NULL;

	if (deadline < SECONDS_MAX) {
		time = timespec_from(deadline);
		limit = &time;
	}
	/* Every reason to return is looked at again by the caller. */
	(void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, limit, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

static int real_park(struct weir_clock *clock, struct weiri_waiter *waiter, double deadline)
{
	/* N1: see waiter.c. */
	while (weiri_load_acquire(&waiter->state) == WEIRI_WAITER_WAITING) {
		if (deadline < SECONDS_MAX && real_now(clock) >= deadline)
			return weiri_waiter_disarm(waiter) ? 0 : WEIR_ETIMEDOUT;
		futex_wait(&waiter->state, WEIRI_WAITER_WAITING, deadline);
	}
	weiri_store_relaxed(&waiter->state, WEIRI_WAITER_IDLE);
	return 0;
}

static void real_unpark(struct weir_clock *clock, struct weiri_waiter *waiter)
{
	(void)clock;
	(void)syscall(SYS_futex, &waiter->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void real_nothing(struct weir_clock *clock)
{
	(void)clock;
}

static int real_sleep_until(struct weir_clock *clock, double time)
{
	struct timespec limit;

	(void)clock;
	for (;;) {
		limit = timespec_from(time < SECONDS_MAX ? time : SECONDS_MAX);
		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &limit, NULL) == 0)
			return 0;
	}
}

static const struct weiri_clock_operations real_operations = {
	.now = real_now,
	.now_roughly = real_now_roughly,
	.park = real_park,
	.unpark = real_unpark,
	.give_way = real_nothing,
	.pause = real_nothing,
	.changed = real_nothing,
	.sleep_until = real_sleep_until,
};

weir_clock *weir_clock_real(void)
{
	static const struct weir_clock real = { .operations = &real_operations };

	return (weir_clock *)(uintptr_t)&real;
}
