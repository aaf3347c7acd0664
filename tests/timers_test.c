/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers of the real clock, with their thread. */
#include "delivery/timers.h"

#include <stdatomic.h>

#include "fixture.h"

#define TIMERS 1000

struct alarm {
	struct weiri_timer timer; /* first */
	struct weiri_timers *timers;
	double time; /* it must not be called before */
	_Atomic uint32_t calls;
	_Atomic bool is_inside;
	_Atomic bool may_leave;
	struct alarm *next; /* to be started by its function */
};

static void alarms_open(struct weiri_timers *timers)
{
	static weir_allocator allocator;

	weiri_allocator_complete(&allocator);
	*timers = (struct weiri_timers){ 0 };
	CHECK_EQ(weiri_timers_open(timers, weir_clock_real(), &allocator), 0);
}

static double now(void)
{
	return weir_now(weir_clock_real());
}

static void called(struct weiri_timer *timer)
{
	struct alarm *alarm = (void *)timer;

	CHECK(now() >= alarm->time);
	(void)atomic_fetch_add(&alarm->calls, 1);
}

static void alarm_open(struct weiri_timers *timers, struct alarm *alarm)
{
	alarm->timers = timers;
	CHECK_EQ(weiri_timer_open(timers, &alarm->timer, called), 0);
}

WEIR_TEST(timers, many_timers_are_each_called_once_and_never_early)
{
	static struct alarm alarms[TIMERS];
	uint64_t state = harness_seed();
	struct weiri_timers timers;

	alarms_open(&timers);
	for (int i = 0; i < TIMERS; i++) {
		alarm_open(&timers, &alarms[i]);
		alarms[i].time = now() + (double)harness_random_below(&state, 50000) * 1e-6;
		weiri_timer_start(&timers, &alarms[i].timer, alarms[i].time);
	}
	for (int i = 0; i < TIMERS; i++)
		FIXTURE_UNTIL(atomic_load(&alarms[i].calls) > 0);
	for (int i = 0; i < TIMERS; i++) {
		weiri_timer_close(&timers, &alarms[i].timer);
		CHECK_EQ(atomic_load(&alarms[i].calls), 1);
	}
	weiri_timers_close(&timers);
}

WEIR_TEST(timers, a_timer_that_is_moved_is_called_at_its_last_time_only)
{
	struct alarm first = { 0 }, moved = { 0 }, cancelled = { 0 };
	struct weiri_timers timers;

	alarms_open(&timers);
	alarm_open(&timers, &first);
	alarm_open(&timers, &moved);
	alarm_open(&timers, &cancelled);
	/* Far away: started so, and brought near. */
	weiri_timer_start(&timers, &first.timer, now() + 1000);
	weiri_timer_start(&timers, &cancelled.timer, now() + 0.2);
	weiri_timer_start(&timers, &cancelled.timer, WEIR_FOREVER);
	moved.time = now() + 0.25;
	weiri_timer_start(&timers, &moved.timer, moved.time);
	first.time = now() + 0.005;
	weiri_timer_start(&timers, &first.timer, first.time);
	FIXTURE_UNTIL(atomic_load(&moved.calls) > 0);
	CHECK_EQ(atomic_load(&first.calls), 1);
	CHECK_EQ(atomic_load(&cancelled.calls), 0);
	weiri_timer_close(&timers, &first.timer);
	weiri_timer_close(&timers, &moved.timer);
	weiri_timer_close(&timers, &cancelled.timer);
	CHECK_EQ(atomic_load(&moved.calls), 1);
	weiri_timers_close(&timers);
}

static void stay_inside(struct weiri_timer *timer)
{
	struct alarm *alarm = (void *)timer;

	atomic_store(&alarm->is_inside, true);
	FIXTURE_UNTIL(atomic_load(&alarm->may_leave));
	(void)atomic_fetch_add(&alarm->calls, 1);
	atomic_store(&alarm->is_inside, false);
}

static void *let_go(void *argument)
{
	struct alarm *alarm = argument;

	/* Until close, which has taken it out of the count, waits. */
	for (;;) {
		size_t count;

		(void)pthread_mutex_lock(&alarm->timers->mutex);
		count = alarm->timers->timer_count;
		(void)pthread_mutex_unlock(&alarm->timers->mutex);
		if (count == 0)
			break;
		(void)sched_yield();
	}
	atomic_store(&alarm->may_leave, true);
	return NULL;
}

WEIR_TEST(timers, close_waits_for_the_function_that_is_running)
{
	struct weiri_timers timers;
	struct alarm alarm = { 0 };
	pthread_t thread;

	alarms_open(&timers);
	alarm_open(&timers, &alarm);
	alarm.timer.fire = stay_inside;
	weiri_timer_start(&timers, &alarm.timer, now());
	FIXTURE_UNTIL(atomic_load(&alarm.is_inside));
	/* Started again while it runs: close cancels that too. */
	weiri_timer_start(&timers, &alarm.timer, now());
	thread = fixture_thread(let_go, &alarm);
	weiri_timer_close(&timers, &alarm.timer);
	CHECK(!atomic_load(&alarm.is_inside));
	CHECK_EQ(atomic_load(&alarm.calls), 1);
	fixture_join(thread);
	weiri_timers_close(&timers);
}

WEIR_TEST(timers, a_timer_cancelled_or_moved_while_it_is_called_obeys)
{
	struct weiri_timers timers;
	struct alarm alarm = { 0 };

	alarms_open(&timers);
	alarm_open(&timers, &alarm);
	alarm.timer.fire = stay_inside;
	weiri_timer_start(&timers, &alarm.timer, now());
	FIXTURE_UNTIL(atomic_load(&alarm.is_inside));
	weiri_timer_start(&timers, &alarm.timer, now() + 1000);
	weiri_timer_start(&timers, &alarm.timer, WEIR_FOREVER);
	weiri_timer_start(&timers, &alarm.timer, now());
	atomic_store(&alarm.may_leave, true);
	FIXTURE_UNTIL(atomic_load(&alarm.calls) == 2);
	weiri_timer_close(&timers, &alarm.timer);
	weiri_timers_close(&timers);
}

static void start_next(struct weiri_timer *timer)
{
	struct alarm *alarm = (void *)timer;

	/* Closing itself does not wait for itself. */
	weiri_timer_close(alarm->timers, timer);
	if (alarm->next != NULL)
		weiri_timer_start(alarm->timers, &alarm->next->timer, now());
	(void)atomic_fetch_add(&alarm->calls, 1);
}

WEIR_TEST(timers, a_function_may_start_others_and_close_its_own_timer)
{
	static struct alarm alarms[100];
	struct weiri_timers timers;

	alarms_open(&timers);
	for (int i = 0; i < 100; i++) {
		alarm_open(&timers, &alarms[i]);
		alarms[i].timer.fire = start_next;
		alarms[i].next = i < 99 ? &alarms[i + 1] : NULL;
	}
	weiri_timer_start(&timers, &alarms[0].timer, now());
	FIXTURE_UNTIL(atomic_load(&alarms[99].calls) == 1);
	weiri_timers_close(&timers);
}

WEIR_TEST(timers, nothing_is_called_after_stop)
{
	struct weiri_timers timers;
	struct alarm alarm = { 0 };

	alarms_open(&timers);
	alarm_open(&timers, &alarm);
	weiri_timer_start(&timers, &alarm.timer, now() + 1000);
	weiri_timers_stop(&timers);
	weiri_timer_start(&timers, &alarm.timer, now());
	weiri_timer_close(&timers, &alarm.timer);
	CHECK_EQ(atomic_load(&alarm.calls), 0);
	weiri_timers_close(&timers);
}
