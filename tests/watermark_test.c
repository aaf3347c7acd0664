/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watermark_test.c - the hooks of a queue that fills and empties: when they are
 * called, that they alternate, and that none runs when it should be over.
 */
#include <stdatomic.h>

#include "core/broker.h"
#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

/* ---- What hooks are told ---- */

struct diary {
	_Atomic unsigned int slow;
	_Atomic unsigned int recovered;
	uint64_t queued; /* at the last call */
	weir_subscription *subscription;
	bool unsubscribes; /* in on_slow */
	weir_subscription_statistics last;
};

static void on_slow(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct diary *diary = context;

	CHECK_EQ(atomic_load(&diary->slow), atomic_load(&diary->recovered));
	(void)atomic_fetch_add(&diary->slow, 1);
	diary->queued = queued;
	diary->subscription = subscription;
	if (diary->unsubscribes)
		CHECK_EQ(weir_unsubscribe(subscription, &diary->last), 0);
}

static void on_recovered(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct diary *diary = context;

	(void)atomic_fetch_add(&diary->recovered, 1);
	CHECK_EQ(atomic_load(&diary->slow), atomic_load(&diary->recovered));
	diary->queued = queued;
	diary->subscription = subscription;
}

static weir_subscription *subscribe(
	weir_broker *broker, struct diary *diary, uint64_t high, uint64_t low)
{
	const weir_subscription_options options = {
		.capacity = 8,
		.high_watermark = high,
		.low_watermark = low,
		.on_slow = on_slow,
		.on_recovered = on_recovered,
		.hook_context = diary,
		.hook_interval = 1e-9,
	};
	weir_subscription *subscription;

	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
	return subscription;
}

WEIR_TEST(watermark, hooks_alternate_at_exactly_the_marks)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	struct diary diary = { 0 };
	weir_subscription *subscription = subscribe(broker, &diary, 4, 1);

	for (unsigned int round = 1; round <= 3; round++) {
		for (uint64_t i = 1; i <= 6; i++) {
			fixture_publish(publisher, i);
			CHECK_EQ(atomic_load(&diary.slow), i < 4 ? round - 1 : round);
		}
		CHECK_EQ(diary.queued, 4);
		CHECK(diary.subscription == subscription);
		for (uint64_t i = 1; i <= 6; i++) {
			CHECK_EQ(fixture_receive(subscription), i);
			CHECK_EQ(atomic_load(&diary.recovered), i < 5 ? round - 1 : round);
		}
		CHECK_EQ(diary.queued, 1);
		diary.subscription = NULL;
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- From which thread ---- */

struct callers {
	weir_publisher *publisher;
	weir_subscription *subscription;
	pthread_t slow;
	pthread_t recovered;
};

static void slow_caller(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct callers *callers = context;

	(void)subscription;
	(void)queued;
	callers->slow = pthread_self();
}

static void recovered_caller(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct callers *callers = context;

	(void)subscription;
	(void)queued;
	callers->recovered = pthread_self();
}

static void *publish_one(void *argument)
{
	fixture_publish(((struct callers *)argument)->publisher, 1);
	return NULL;
}

static void *receive_one(void *argument)
{
	CHECK_EQ(fixture_receive(((struct callers *)argument)->subscription), 1);
	return NULL;
}

WEIR_TEST(watermark, on_slow_is_the_publishers_and_on_recovered_the_receivers)
{
	weir_broker *broker = fixture_broker(NULL);
	struct callers callers = { .publisher = fixture_publisher(broker, "t") };
	const weir_subscription_options options = {
		.high_watermark = 1,
		.on_slow = slow_caller,
		.on_recovered = recovered_caller,
		.hook_context = &callers,
	};
	pthread_t publisher, receiver;

	CHECK_EQ(weir_subscribe(&callers.subscription, broker, "t", &options), 0);
	callers.slow = callers.recovered = pthread_self();
	publisher = fixture_thread(publish_one, &callers);
	fixture_join(publisher);
	CHECK(pthread_equal(callers.slow, publisher));
	CHECK(pthread_equal(callers.recovered, pthread_self()));
	receiver = fixture_thread(receive_one, &callers);
	fixture_join(receiver);
	CHECK(pthread_equal(callers.recovered, receiver));
	weir_publisher_close(callers.publisher);
	CHECK_EQ(weir_unsubscribe(callers.subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- What they may do, and what waits for them ---- */

WEIR_TEST(watermark, no_hook_follows_when_on_slow_has_unsubscribed)
{
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	weir_broker *broker = fixture_broker(&options);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	struct diary diary = { .unsubscribes = true };

	(void)subscribe(broker, &diary, 2, 1);
	fixture_publish(publisher, 1);
	fixture_publish(publisher, 2);
	CHECK_EQ(atomic_load(&diary.slow), 1);
	CHECK_EQ(atomic_load(&diary.recovered), 0);
	CHECK_EQ(diary.last.dropped[WEIR_DROP_CLOSED], 2);
	fixture_check_sums(&diary.last);
	CHECK_EQ(fixture_publish(publisher, 3), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}

struct slow_hook {
	weir_broker *broker;
	weir_publisher *publisher;
	_Atomic bool is_inside;
	_Atomic bool is_done;
};

/* Stays inside until the broker is closed, and for a good while after that. */
static void slow_hook(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct slow_hook *hook = context;

	(void)subscription;
	(void)queued;
	atomic_store(&hook->is_inside, true);
	FIXTURE_UNTIL(weiri_load_acquire(&hook->broker->state) == WEIRI_BROKER_CLOSED);
	for (int i = 0; i < 1000; i++)
		(void)sched_yield();
	atomic_store(&hook->is_done, true);
}

static void *slow_publish(void *argument)
{
	struct slow_hook *hook = argument;

	CHECK_EQ(weir_publish(hook->publisher, "x", 1, NULL, NULL), 0);
	return NULL;
}

static void *slow_receive(void *argument)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(argument, &delivery, 0), 0);
	return NULL;
}

static void close_while_in_hook(bool is_recovered)
{
	struct slow_hook hook = { .broker = fixture_broker(NULL) };
	const weir_subscription_options options = {
		.high_watermark = 1,
		.on_slow = is_recovered ? NULL : slow_hook,
		.on_recovered = is_recovered ? slow_hook : NULL,
		.hook_context = &hook,
	};
	weir_subscription *subscription;
	pthread_t thread;

	CHECK_EQ(weir_subscribe(&subscription, hook.broker, "t", &options), 0);
	hook.publisher = fixture_publisher(hook.broker, "t");
	if (is_recovered)
		fixture_publish(hook.publisher, 1);
	thread = is_recovered ? fixture_thread(slow_receive, subscription)
			      : fixture_thread(slow_publish, &hook);
	FIXTURE_UNTIL(atomic_load(&hook.is_inside));
	CHECK_EQ(weir_broker_close(hook.broker, NULL), 0);
	CHECK(atomic_load(&hook.is_done));
	fixture_join(thread);
	weir_publisher_close(hook.publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}

WEIR_TEST(watermark, closing_the_broker_waits_for_a_hook_that_runs)
{
	close_while_in_hook(false);
	close_while_in_hook(true);
}

struct leaver {
	weir_subscription *subscription;
	_Atomic bool is_inside;
	_Atomic bool is_done;
};

static void leaver_hook(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct leaver *leaver = context;

	(void)queued;
	atomic_store(&leaver->is_inside, true);
	FIXTURE_UNTIL((weiri_load_acquire(&subscription->attention) & WEIRI_ATTENTION_CLOSED) != 0);
	for (int i = 0; i < 1000; i++)
		(void)sched_yield();
	atomic_store(&leaver->is_done, true);
}

static void *leaver_publish(void *argument)
{
	weir_broker *broker = argument;

	CHECK_EQ(weir_publish_to(broker, "t", "x", 1, NULL, NULL), 0);
	return NULL;
}

WEIR_TEST(watermark, unsubscribing_waits_for_a_hook_that_runs_in_another_thread)
{
	weir_broker *broker = fixture_broker(NULL);
	struct leaver leaver = { 0 };
	const weir_subscription_options options = {
		.high_watermark = 1, .on_slow = leaver_hook, .hook_context = &leaver
	};
	pthread_t thread;

	CHECK_EQ(weir_subscribe(&leaver.subscription, broker, "t", &options), 0);
	thread = fixture_thread(leaver_publish, broker);
	FIXTURE_UNTIL(atomic_load(&leaver.is_inside));
	CHECK_EQ(weir_unsubscribe(leaver.subscription, NULL), 0);
	CHECK(atomic_load(&leaver.is_done));
	fixture_join(thread);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
