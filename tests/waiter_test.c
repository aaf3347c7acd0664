/* SPDX-License-Identifier: BSD-2-Clause */
/* waiter_test.c - the states of a waiter, and that exactly one teller wins. */
#include "clock/waiter.h"

#include <stdatomic.h>

#include "clock/clock.h"
#include "fixture.h"

static uint32_t state_of(const struct weiri_waiter *waiter)
{
	return weiri_load_acquire(&waiter->state);
}

WEIR_TEST(waiter, goes_through_its_states)
{
	struct weir_clock *clock = weir_clock_real();
	struct weiri_waiter waiter = { .operation = "test", .object = "here" };

	CHECK_EQ(state_of(&waiter), WEIRI_WAITER_IDLE);
	/* Nobody waits: nobody is told. */
	CHECK(!weiri_waiter_notify(clock, &waiter));
	weiri_waiter_arm(&waiter);
	CHECK_EQ(state_of(&waiter), WEIRI_WAITER_WAITING);
	CHECK(!weiri_waiter_disarm(&waiter));
	CHECK_EQ(state_of(&waiter), WEIRI_WAITER_IDLE);
	weiri_waiter_arm(&waiter);
	CHECK(weiri_waiter_notify(clock, &waiter));
	CHECK(!weiri_waiter_notify(clock, &waiter));
	CHECK_EQ(state_of(&waiter), WEIRI_WAITER_NOTIFIED);
	CHECK(weiri_waiter_disarm(&waiter));
	CHECK_EQ(state_of(&waiter), WEIRI_WAITER_IDLE);
}

WEIR_TEST(waiter, parking_returns_at_once_when_told_before)
{
	struct weir_clock *clock = weir_clock_real();
	struct weiri_waiter waiter = { .operation = "test" };

	weiri_waiter_arm(&waiter);
	CHECK(weiri_waiter_notify(clock, &waiter));
	CHECK_EQ(weiri_clock_park(clock, &waiter, WEIR_FOREVER), 0);
	CHECK_EQ(state_of(&waiter), WEIRI_WAITER_IDLE);
	/* Told wins over a deadline that has passed. */
	weiri_waiter_arm(&waiter);
	CHECK(weiri_waiter_notify(clock, &waiter));
	CHECK_EQ(weiri_clock_park(clock, &waiter, -WEIR_FOREVER), 0);
}

WEIR_TEST(waiter, parking_ends_at_the_deadline_and_not_before)
{
	struct weir_clock *clock = weir_clock_real();
	struct weiri_waiter waiter = { .operation = "test" };
	static const double durations[] = { 0, 1e-9, 1e-6, 1e-3, 0.02 };

	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		const double deadline = weir_now(clock) + durations[i];

		weiri_waiter_arm(&waiter);
		CHECK_EQ(weiri_clock_park(clock, &waiter, deadline), WEIR_ETIMEDOUT);
		CHECK(weir_now(clock) >= deadline);
		CHECK_EQ(state_of(&waiter), WEIRI_WAITER_IDLE);
	}
	weiri_waiter_arm(&waiter);
	CHECK_EQ(weiri_clock_park(clock, &waiter, -WEIR_FOREVER), WEIR_ETIMEDOUT);
}

/* ---- Many tellers ---- */

#define TELLERS 3

struct bell {
	struct weiri_waiter waiter;
	_Atomic uint64_t round;
	_Atomic uint64_t told;
	_Atomic bool stop;
};

static void *teller_run(void *argument)
{
	struct bell *bell = argument;
	uint64_t last = 0;

	while (!atomic_load(&bell->stop)) {
		const uint64_t round = atomic_load(&bell->round);

		if (round == last) {
			(void)sched_yield();
			continue;
		}
		last = round;
		if (weiri_waiter_notify(weir_clock_real(), &bell->waiter))
			(void)atomic_fetch_add(&bell->told, 1);
	}
	return NULL;
}

WEIR_TEST(waiter, of_many_tellers_exactly_one_wins_each_time)
{
	static struct bell bell;
	const uint64_t rounds = harness_scaled(20000);
	pthread_t threads[TELLERS];
	uint64_t told = 0, in_vain = 0;

	for (int i = 0; i < TELLERS; i++)
		threads[i] = fixture_thread(teller_run, &bell);
	for (uint64_t i = 1; i <= rounds; i++) {
		weiri_waiter_arm(&bell.waiter);
		atomic_store(&bell.round, i);
		/* Now and then it does not wait, and may have been told all the same. */
		if (i % 4 == 0) {
			if (weiri_waiter_disarm(&bell.waiter))
				told++;
			else
				in_vain++;
		} else {
			CHECK_EQ(
				weiri_clock_park(weir_clock_real(), &bell.waiter, WEIR_FOREVER), 0);
			told++;
		}
	}
	atomic_store(&bell.stop, true);
	for (int i = 0; i < TELLERS; i++)
		fixture_join(threads[i]);
	CHECK_EQ(atomic_load(&bell.told), told);
	CHECK(in_vain > 0 && told > in_vain);
}
