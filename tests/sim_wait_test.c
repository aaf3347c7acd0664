/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_wait_test.c - waiting in virtual time: waiters, polls, timers, reports, stopping. */
#include "sim_fixture.h"

#include <string.h>

#include "clock/simulation.h"
#include "clock/virtual.h"

#include <weir/error.h>

/* ---- Waiters ---- */

/* A process that waits at a waiter until a deadline, and what came of it. */
struct wait_case {
	struct weiri_waiter waiter;
	const char *name;
	double timeout;
	int result;
};

static void wait_and_tell(void *argument)
{
	struct wait_case *wait = argument;

	weiri_waiter_arm(&wait->waiter);
	wait->result = weiri_clock_park(
		fixture.clock, &wait->waiter, weiri_clock_deadline(fixture.clock, wait->timeout));
	CHECK_EQ(weiri_load_relaxed(&wait->waiter.state), WEIRI_WAITER_IDLE);
	fixture_log("%s%d", wait->name, wait->result);
}

static void notify_both_at_three(void *argument)
{
	struct wait_case *waits = argument;

	fixture_sleep(3);
	CHECK(weiri_waiter_notify(fixture.clock, &waits[1].waiter));
	CHECK(weiri_waiter_notify(fixture.clock, &waits[0].waiter));
	CHECK(!weiri_waiter_notify(fixture.clock, &waits[0].waiter));
	fixture_log("notified");
	fixture_sleep(0);
	fixture_log("again");
}

WEIR_TEST(sim_wait, the_notified_go_on_through_new_events_in_the_order_of_notification)
{
	struct wait_case waits[2] = { { .name = "a", .timeout = WEIR_FOREVER },
		{ .name = "b", .timeout = 5 } };

	fixture_open(NULL);
	fixture_spawn("a", wait_and_tell, &waits[0]);
	fixture_spawn("b", wait_and_tell, &waits[1]);
	fixture_spawn("c", notify_both_at_three, waits);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "3:notified 3:b0 3:a0 3:again");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim_wait, a_wait_ends_at_its_deadline)
{
	struct wait_case wait = { .name = "a", .timeout = 2.5 };

	fixture_open(NULL);
	fixture_spawn("a", wait_and_tell, &wait);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "2.5:a-4");
	CHECK_EQ(wait.result, WEIR_ETIMEDOUT);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim_wait, a_deadline_in_the_past_is_now_after_the_others_of_this_instant)
{
	struct wait_case wait = { .name = "a", .timeout = -1 };

	fixture_open(NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 7), WEIR_SIM_DONE);
	fixture_spawn("a", wait_and_tell, &wait);
	fixture_spawn("b", wait_and_tell, &(struct wait_case){ .name = "b", .timeout = 0 });
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "7:a-4 7:b-4");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void notify_at_three(void *argument)
{
	struct wait_case *wait = argument;
	bool was_first;

	fixture_sleep(3);
	was_first = weiri_waiter_notify(fixture.clock, &wait->waiter);
	fixture_log("%s", was_first ? "first" : "late");
}

/* The event of what was scheduled first comes first: the teller's at 3, since
 * it went to sleep before the other began to wait; then the other way round. */
WEIR_TEST(sim_wait, of_a_deadline_and_a_notification_at_one_instant_one_wins)
{
	struct wait_case wait = { .name = "a", .timeout = 3 };

	fixture_open(NULL);
	fixture_spawn("b", notify_at_three, &wait);
	fixture_spawn("a", wait_and_tell, &wait);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "3:first 3:a0");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);

	fixture_open(NULL);
	fixture_spawn("a", wait_and_tell, &wait);
	fixture_spawn("b", notify_at_three, &wait);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "3:a-4 3:late");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim_wait, what_is_notified_from_outside_goes_on_in_the_next_run)
{
	struct wait_case wait = { .name = "a", .timeout = WEIR_FOREVER };

	fixture_open(NULL);
	fixture_spawn("a", wait_and_tell, &wait);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 2), WEIR_SIM_WAITING);
	CHECK(weiri_waiter_notify(fixture.clock, &wait.waiter));
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "2:a0");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void notify_itself(void *argument)
{
	struct wait_case *wait = argument;

	weiri_waiter_arm(&wait->waiter);
	CHECK(weiri_waiter_notify(fixture.clock, &wait->waiter));
	CHECK_EQ(weiri_clock_park(fixture.clock, &wait->waiter, WEIR_FOREVER), 0);
	fixture_log("went on");
}

WEIR_TEST(sim_wait, who_was_notified_before_parking_does_not_wait)
{
	struct wait_case wait = { .name = "a" };

	fixture_open(NULL);
	fixture_spawn("a", notify_itself, &wait);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:went on");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim_wait, a_wait_outside_of_a_process_is_a_deadlock)
{
	struct weiri_waiter waiter = { .operation = "receive" };

	fixture_open(NULL);
	weiri_waiter_arm(&waiter);
	CHECK_EQ(weiri_clock_park(fixture.clock, &waiter, WEIR_FOREVER), WEIR_EDEADLK);
	CHECK_EQ(weiri_load_relaxed(&waiter.state), WEIRI_WAITER_IDLE);
	weiri_clock_give_way(fixture.clock);
	weiri_clock_pause(fixture.clock);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void give_way(void *argument)
{
	fixture_log("%s1", (const char *)argument);
	weiri_clock_give_way(fixture.clock);
	fixture_log("%s2", (const char *)argument);
}

WEIR_TEST(sim_wait, giving_way_lets_the_others_of_the_same_instant_go_first)
{
	fixture_open(NULL);
	fixture_spawn("a", give_way, "a");
	fixture_spawn("b", give_way, "b");
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:a1 0:b1 0:a2 0:b2");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

/* ---- Polls ---- */

/* A process that polls a flag, and how often it looked. */
struct poll_case {
	bool flag;
	unsigned int looks;
};

static void poll_flag(void *argument)
{
	struct poll_case *poll = argument;

	while (!poll->flag) {
		poll->looks++;
		weiri_clock_pause(fixture.clock);
	}
	fixture_log("seen");
}

static void set_flag_at_five(void *argument)
{
	struct poll_case *poll = argument;

	fixture_sleep(5);
	poll->flag = true;
	fixture_log("set");
}

WEIR_TEST(sim_wait, a_process_that_polls_does_not_hold_time_still)
{
	struct poll_case poll = { .flag = false };

	fixture_open(NULL);
	fixture_spawn("poller", poll_flag, &poll);
	fixture_spawn("setter", set_flag_at_five, &poll);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "5:set 5:seen");
	CHECK(poll.looks >= WEIR_SIM_POLLS_MAX);
	CHECK(poll.looks <= WEIR_SIM_POLLS_MAX * 2);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim_wait, a_run_of_processes_that_only_poll_ends_and_says_so)
{
	struct poll_case poll = { .flag = false };
	unsigned int looks;

	fixture_open(NULL);
	for (int i = 0; i < 3; i++)
		fixture_spawn("poller", poll_flag, &poll);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_SPINNING);
	looks = poll.looks;
	/* The starts of the later ones are something that happens to the earlier. */
	CHECK(looks >= 3 * WEIR_SIM_POLLS_MAX && looks <= 3 * (WEIR_SIM_POLLS_MAX + 2));
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_SPINNING);
	CHECK_EQ(poll.looks, looks);
	poll.flag = true;
	weiri_clock_changed(fixture.clock);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:seen 0:seen 0:seen");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim_wait, pollers_get_their_turn_whatever_the_schedule)
{
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct poll_case poll = { .flag = false };

		fixture_open(&(weir_sim_options){ .seed = seed,
			.schedule = seed % 2 ? WEIR_SCHEDULE_PCT : WEIR_SCHEDULE_RANDOM });
		fixture_spawn("poller", poll_flag, &poll);
		fixture_spawn("poller", poll_flag, &poll);
		fixture_spawn("setter", set_flag_at_five, &poll);
		CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
		CHECK_STR_EQ(fixture.log, "5:set 5:seen 5:seen");
		CHECK_EQ(weir_sim_close(fixture.sim), 0);
	}
}

/* ---- Timers ---- */

struct timer_case {
	struct weiri_sim_timer timer;
	char name;
	int left; /* how often it starts itself again */
};

static void fire(struct weiri_sim_timer *timer)
{
	struct timer_case *self = (struct timer_case *)(void *)timer;

	CHECK_EQ(weir_sleep(fixture.clock, 1), WEIR_EDEADLK);
	fixture_log("%c", self->name);
	if (self->left-- > 0)
		weiri_sim_timer_start(timer, fixture.clock, weir_now(fixture.clock) + 1);
	else if (self->name == 'd')
		weiri_sim_timer_destroy(timer, fixture.clock);
}

static void timer_make(struct timer_case *timer, char name, int left)
{
	timer->name = name;
	timer->left = left;
	CHECK_EQ(weiri_sim_timer_init(&timer->timer, fixture.clock, fire), 0);
}

WEIR_TEST(sim_wait, timers_and_processes_share_one_order)
{
	struct timer_case a, b;

	fixture_open(NULL);
	timer_make(&a, 'a', 0);
	timer_make(&b, 'b', 2);
	weiri_sim_timer_start(&b.timer, fixture.clock, 1);
	weiri_sim_timer_start(&a.timer, fixture.clock, 2);
	fixture_spawn("c", give_way, "c");
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:c1 0:c2 1:b 2:a 2:b 3:b");
	weiri_sim_timer_destroy(&a.timer, fixture.clock);
	weiri_sim_timer_destroy(&b.timer, fixture.clock);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim_wait, a_timer_can_be_moved_cancelled_and_destroyed_as_it_fires)
{
	struct timer_case a, b, d;

	fixture_open(NULL);
	timer_make(&a, 'a', 0);
	timer_make(&b, 'b', 0);
	timer_make(&d, 'd', 0);
	CHECK(!weiri_sim_timer_cancel(&a.timer, fixture.clock));
	weiri_sim_timer_start(&a.timer, fixture.clock, 1);
	weiri_sim_timer_start(&b.timer, fixture.clock, 2);
	weiri_sim_timer_start(&d.timer, fixture.clock, -1);
	weiri_sim_timer_start(&a.timer, fixture.clock, 3);
	CHECK(weiri_sim_timer_cancel(&b.timer, fixture.clock));
	CHECK(!weiri_sim_timer_cancel(&b.timer, fixture.clock));
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:d 3:a");
	weiri_sim_timer_start(&b.timer, fixture.clock, 4);
	weiri_sim_timer_start(&b.timer, fixture.clock, WEIR_FOREVER);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	weiri_sim_timer_destroy(&a.timer, fixture.clock);
	weiri_sim_timer_destroy(&b.timer, fixture.clock);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

/* ---- Who waits for what ---- */

static char report[1024];

static void add_to_report(void *argument, const weir_sim_wait *wait)
{
	size_t length = strlen(report);

	(void)argument;
	length += (size_t)weir_sim_wait_text(report + length, sizeof(report) - length, wait);
	(void)snprintf(report + length, sizeof(report) - length, "\n");
}

WEIR_TEST(sim_wait, a_run_without_events_tells_who_waits_for_what_since_when)
{
	struct wait_case waits[] = {
		{ .name = "a",
			.timeout = WEIR_FOREVER,
			.waiter = { .operation = "receive", .object = "orders.>" } },
		{ .name = "b",
			.timeout = 20,
			.waiter = { .operation = "publish", .object = "orders.eu" } },
	};
	struct poll_case poll = { .flag = false };

	fixture_open(NULL);
	fixture_spawn("Analytics", wait_and_tell, &waits[0]);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 1.1), WEIR_SIM_WAITING);
	fixture_spawn("Orders", wait_and_tell, &waits[1]);
	fixture_spawn("Poller", poll_flag, &poll);
	fixture_spawn("Setter", set_flag_at_five, &poll);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 2), WEIR_SIM_MORE);
	report[0] = '\0';
	weir_sim_waits(fixture.sim, add_to_report, NULL);
	CHECK_STR_EQ(report, "process 1 Analytics waits in receive at orders.> since 0\n"
			     "process 2 Orders waits in publish at orders.eu since 1.1 until 21.1\n"
			     "process 3 Poller waits in poll since 1.1\n"
			     "process 4 Setter waits in sleep since 1.1 until 6.1\n");
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_WAITING);
	report[0] = '\0';
	weir_sim_waits(fixture.sim, add_to_report, NULL);
	CHECK_STR_EQ(report, "process 1 Analytics waits in receive at orders.> since 0\n");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim_wait, a_text_that_is_too_long_is_cut_and_its_length_told)
{
	weir_sim_wait wait = { .process = 1,
		.name = "p",
		.operation = "receive",
		.object = "orders",
		.since = 0.1,
		.until = WEIR_FOREVER };
	weir_sim_event event = {
		.time = 0.1, .serial = 2, .process = 3, .name = "name", .kind = "sleep"
	};
	char text[8];

	CHECK_EQ(weir_sim_event_text(text, sizeof(text), &event), strlen("0.1 #2 sleep 3 name"));
	CHECK_STR_EQ(text, "0.1 #2 ");
	CHECK_EQ(weir_sim_wait_text(NULL, 0, &wait),
		strlen("process 1 p waits in receive at orders since 0.1"));
}

/* ---- Stopping ---- */

static void wait_twice(void *argument)
{
	struct wait_case *wait = argument;

	wait_and_tell(wait);
	CHECK_EQ(weir_sleep(fixture.clock, 1), WEIR_ESHUTDOWN);
	weiri_clock_give_way(fixture.clock);
	weiri_clock_pause(fixture.clock);
	CHECK_EQ(weir_sim_spawn(fixture.sim, "late", wait_twice, wait), WEIR_ESHUTDOWN);
	wait_and_tell(wait);
}

WEIR_TEST(sim_wait, stopping_ends_all_waits_in_the_order_of_spawning)
{
	struct wait_case waits[] = {
		{ .name = "a", .timeout = WEIR_FOREVER },
		{ .name = "b", .timeout = 3 },
		{ .name = "c", .timeout = WEIR_FOREVER },
	};

	fixture_open(NULL);
	for (int i = 0; i < 3; i++)
		fixture_spawn("waiter", wait_twice, &waits[i]);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 1), WEIR_SIM_MORE);
	fixture_spawn("never", wait_twice, &waits[0]);
	/* What has come true is not taken back: it may have brought a message. */
	CHECK(weiri_waiter_notify(fixture.clock, &waits[2].waiter));
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	CHECK_STR_EQ(fixture.log, "1:a-6 1:a-6 1:b-6 1:b-6 1:c0 1:c-6");
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_sim_spawn(fixture.sim, "late", wait_twice, NULL), WEIR_ESHUTDOWN);
	CHECK(weir_now(fixture.clock) == 1);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void wake_the_next_as_it_ends(void *argument)
{
	struct wait_case *waits = argument;

	wait_and_tell(&waits[0]);
	CHECK(weiri_waiter_notify(fixture.clock, &waits[1].waiter));
}

WEIR_TEST(sim_wait, a_process_that_ends_may_wake_another_that_is_to_end)
{
	struct wait_case waits[] = {
		{ .name = "a", .timeout = WEIR_FOREVER },
		{ .name = "b", .timeout = WEIR_FOREVER },
	};

	fixture_open(NULL);
	fixture_spawn("a", wake_the_next_as_it_ends, waits);
	fixture_spawn("b", wait_and_tell, &waits[1]);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_WAITING);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
	CHECK_EQ(waits[0].result, WEIR_ESHUTDOWN);
	CHECK_EQ(waits[1].result, 0);
}

static void sleep_whatever_is_answered(void *argument)
{
	uint64_t *refusals = argument;

	for (;;) {
		if (weir_sleep(fixture.clock, 1) != 0)
			++*refusals;
	}
}

static void poll_whatever_happens(void *argument)
{
	(void)argument;
	for (;;)
		weiri_clock_pause(fixture.clock);
}

WEIR_TEST(sim_wait, a_process_that_will_not_end_is_abandoned)
{
	struct wait_case wait = { .name = "c", .timeout = WEIR_FOREVER };
	uint64_t refusals = 0;

	fixture_open(NULL);
	fixture_spawn("a", sleep_whatever_is_answered, &refusals);
	fixture_spawn("b", poll_whatever_happens, NULL);
	fixture_spawn("c", wait_and_tell, &wait);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 1), WEIR_SIM_MORE);
	CHECK_EQ(weir_sim_stop(fixture.sim), 2);
	CHECK_EQ(refusals, WEIR_SIM_REFUSALS_MAX + 1);
	CHECK_STR_EQ(fixture.log, "1:c-6");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void wait_silently(void *argument)
{
	struct wait_case *wait = argument;

	weiri_waiter_arm(&wait->waiter);
	wait->result = weiri_clock_park(fixture.clock, &wait->waiter, wait->timeout);
}

WEIR_TEST(sim_wait, ten_thousand_waiting_processes_are_unwound)
{
	static struct wait_case waits[10000];
	/* ThreadSanitizer has room for 8,000 threads and fibers. */
	int count = WEIRI_THREAD_SANITIZER ? 1000 : 10000;

	fixture_open(NULL);
	for (int i = 0; i < count; i++) {
		waits[i].timeout = 1 + i % 7;
		fixture_spawn("waiter", wait_silently, &waits[i]);
	}
	CHECK_EQ(weir_sim_run_until(fixture.sim, 0.5), WEIR_SIM_MORE);
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
	for (int i = 0; i < count; i++)
		CHECK_EQ(waits[i].result, WEIR_ESHUTDOWN);
}
