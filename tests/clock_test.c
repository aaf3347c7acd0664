/* SPDX-License-Identifier: BSD-2-Clause */
/* clock_test.c - the real clock as a user sees it, and instants made of durations. */
#include "clock/clock.h"

#include <math.h>
#include <time.h>

#include "fixture.h"

WEIR_TEST(clock, runs_with_the_monotonic_time_of_the_system)
{
	struct timespec time;
	double before, now, after;

	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &time), 0);
	before = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
	now = weir_now(weir_clock_real());
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &time), 0);
	after = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
	CHECK(before <= now && now <= after);
	for (int i = 0; i < 10000; i++) {
		const double next = weir_now(weir_clock_real());

		CHECK(next >= now);
		now = next;
	}
	CHECK(weir_clock_real() == weir_clock_real());
}

/* The system's own rough time is that of its last tick, so the two agree however late
 * this thread is. */
WEIR_TEST(clock, that_is_rough_is_a_tick_at_most_ahead_of_the_last_one)
{
	struct timespec time;
	double before, now, after;

	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC_COARSE, &time), 0);
	before = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
	now = weiri_clock_now_roughly(weir_clock_real());
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC_COARSE, &time), 0);
	after = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
	CHECK(before + 0.01 <= now && now <= after + 0.01);
	CHECK_EQ(clock_getres(CLOCK_MONOTONIC_COARSE, &time), 0);
	CHECK(time.tv_sec == 0 && (double)time.tv_nsec * 1e-9 <= 0.01);
}

WEIR_TEST(clock, that_is_none_has_no_time)
{
	CHECK(isnan(weir_now(NULL)));
	CHECK_EQ(weir_sleep(NULL, 1), WEIR_EINVAL);
}

WEIR_TEST(clock, sleeps_no_less_than_asked)
{
	static const double durations[] = { 0, 1e-300, 1e-9, 1e-6, 1e-3, 0.0123 };

	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		const double before = weir_now(weir_clock_real());

		CHECK_EQ(weir_sleep(weir_clock_real(), durations[i]), 0);
		CHECK(weir_now(weir_clock_real()) - before >= durations[i]);
	}
}

WEIR_TEST(clock, refuses_to_sleep_for_what_is_no_duration)
{
	static const double bad[] = { -1, -1e-300, -HUGE_VAL, (double)NAN };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(weir_sleep(weir_clock_real(), bad[i]), WEIR_EINVAL);
}

WEIR_TEST(clock, makes_instants_of_durations)
{
	struct weir_clock *clock = weir_clock_real();
	const double before = weir_now(clock);
	double deadline = weiri_clock_deadline(clock, 10);

	CHECK(deadline >= before + 10 && deadline <= weir_now(clock) + 10);
	CHECK(weiri_clock_deadline(clock, WEIR_FOREVER) == WEIR_FOREVER);
	/* The past, without a look at the clock. */
	CHECK(weiri_clock_deadline(clock, 0) == -WEIR_FOREVER);
	CHECK(weiri_clock_deadline(clock, 1e300) >= 1e300);
}

WEIR_TEST(clock, durations_are_numbers_of_at_least_nothing)
{
	CHECK(weiri_duration_is_valid(0));
	CHECK(weiri_duration_is_valid(1e-300));
	CHECK(weiri_duration_is_valid(WEIR_FOREVER));
	CHECK(!weiri_duration_is_valid(-1e-300));
	CHECK(!weiri_duration_is_valid(-WEIR_FOREVER));
	CHECK(!weiri_duration_is_valid((double)NAN));
}

struct dreamer {
	_Atomic bool sleeps;
};

/* Times beyond what the system can express are the same as for ever. */
static void *dreamer_run(void *argument)
{
	struct dreamer *dreamer = argument;

	dreamer->sleeps = true;
	(void)weir_sleep(weir_clock_real(), 1e18);
	dreamer->sleeps = false;
	return NULL;
}

WEIR_TEST(clock, sleeps_on_for_times_that_no_system_can_express)
{
	static struct dreamer dreamer;
	pthread_t thread = fixture_thread(dreamer_run, &dreamer);
	const double begin = weir_now(weir_clock_real());

	FIXTURE_UNTIL(dreamer.sleeps);
	while (weir_now(weir_clock_real()) < begin + 0.02)
		CHECK(dreamer.sleeps);
	/* It has no end: it goes with the process. */
	CHECK_EQ(pthread_detach(thread), 0);
}
