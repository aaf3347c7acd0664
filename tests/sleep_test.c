/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sleep_test.c - receivers that do not sleep spare their publishers the look whether
 * they do, and are woken all the same when they do (lib/core/receive.c).
 */
#include <limits.h>
#include <stdatomic.h>

#include "core/broker.h"
#include "core/subscription.h"
#include "fixture.h"

#define MESSAGES 200

static bool sleeps(weir_subscription *subscription)
{
	return weiri_load_relaxed(&subscription->sleeps);
}

struct sleeper {
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscriptions[2];
	_Atomic uint64_t received;
};

/* Waits awake, however long it takes, but for the last message. */
static void *sleeper_run(void *argument)
{
	struct sleeper *sleeper = argument;
	weir_delivery delivery;

	sleeper->broker->spins = UINT_MAX;
	for (uint64_t number = 0; number < MESSAGES; number++) {
		if (number == MESSAGES - 1)
			sleeper->broker->spins = 0;
		CHECK_EQ(weir_receive(sleeper->subscriptions[0], &delivery, WEIR_FOREVER), 0);
		CHECK_EQ(fixture_number(&delivery), number);
		atomic_store(&sleeper->received, number + 1);
	}
	return NULL;
}

WEIR_TEST(sleep, after_many_waits_without_it_publishers_do_not_look_until_it_comes_again)
{
	struct sleeper sleeper = { .broker = fixture_broker(NULL) };
	pthread_t thread;

	sleeper.publisher = fixture_publisher(sleeper.broker, "t");
	sleeper.subscriptions[0] = fixture_subscribe(sleeper.broker, "t", 0);
	CHECK(sleeps(sleeper.subscriptions[0]));
	thread = fixture_thread(sleeper_run, &sleeper);
	for (uint64_t number = 0; number < MESSAGES - 1; number++) {
		CHECK_EQ(fixture_publish(sleeper.publisher, number), 1);
		FIXTURE_UNTIL(atomic_load(&sleeper.received) == number + 1);
	}
	FIXTURE_UNTIL(fixture_receiver_is_parked(sleeper.subscriptions[0]));
	CHECK(sleeps(sleeper.subscriptions[0]));
	CHECK_EQ(fixture_publish(sleeper.publisher, MESSAGES - 1), 1);
	fixture_join(thread);
	weir_publisher_close(sleeper.publisher);
	CHECK_EQ(weir_unsubscribe(sleeper.subscriptions[0], NULL), 0);
	CHECK_EQ(weir_broker_close(sleeper.broker, NULL), 0);
}

/* Both sides alone, as fast as they can, with sleeps and without in turns. */
static void *reader_run(void *argument)
{
	struct sleeper *sleeper = argument;
	weir_delivery delivery;

	for (uint64_t number = 0;; number++) {
		int error;

		if (number % 128 == 0)
			sleeper->broker->spins = number % 256 == 0 ? UINT_MAX : 0;
		error = weir_receive(sleeper->subscriptions[0], &delivery, WEIR_FOREVER);
		if (error == WEIR_ESHUTDOWN)
			return NULL;
		CHECK_EQ(error, 0);
		CHECK_EQ(fixture_number(&delivery), number);
		atomic_store(&sleeper->received, number + 1);
	}
}

WEIR_TEST(sleep, nobody_sleeps_on_while_it_is_announced_and_taken_back_all_the_time)
{
	const uint64_t messages = harness_scaled(20000);
	struct sleeper sleeper = { .broker = fixture_broker(NULL) };
	uint64_t spared = 0, asleep = 0;
	pthread_t thread;

	sleeper.publisher = fixture_publisher(sleeper.broker, "t");
	sleeper.subscriptions[0] = fixture_subscribe(sleeper.broker, "t", 4);
	thread = fixture_thread(reader_run, &sleeper);
	for (uint64_t number = 0; number < messages; number++) {
		CHECK_EQ(weir_publish(sleeper.publisher, &number, sizeof(number), NULL, NULL), 0);
		/* One that slept on would never get here. */
		if (number % 4 != 3)
			FIXTURE_UNTIL(atomic_load(&sleeper.received) == number + 1);
		spared += !sleeps(sleeper.subscriptions[0]);
		if (number % 256 == 200) {
			FIXTURE_UNTIL(fixture_receiver_is_parked(sleeper.subscriptions[0]));
			asleep++;
		}
	}
	FIXTURE_UNTIL(atomic_load(&sleeper.received) == messages);
	if (sleeper.broker->fence_asymmetric)
		CHECK(spared > 0);
	CHECK(asleep > 0);
	CHECK_EQ(weir_broker_drain(sleeper.broker, WEIR_FOREVER), 0);
	fixture_join(thread);
	weir_publisher_close(sleeper.publisher);
	CHECK_EQ(weir_unsubscribe(sleeper.subscriptions[0], NULL), 0);
	CHECK_EQ(weir_broker_close(sleeper.broker, NULL), 0);
}

static void *selecter_run(void *argument)
{
	struct sleeper *sleeper = argument;
	weir_delivery delivery;
	size_t index;

	CHECK_EQ(weir_select(sleeper->subscriptions, 2, WEIR_SELECT_FAIR, WEIR_FOREVER, &delivery,
			 &index),
		0);
	CHECK_EQ(index, 1);
	CHECK_EQ(fixture_number(&delivery), 7);
	return NULL;
}

WEIR_TEST(sleep, in_a_select_one_that_never_sleeps_alone_is_woken)
{
	struct sleeper sleeper = { .broker = fixture_broker(NULL) };
	pthread_t thread;

	sleeper.publisher = fixture_publisher(sleeper.broker, "spin");
	CHECK_EQ(weir_subscribe(&sleeper.subscriptions[0], sleeper.broker, "park",
			 &(weir_subscription_options){ .wait = WEIR_WAIT_PARK }),
		0);
	CHECK_EQ(weir_subscribe(&sleeper.subscriptions[1], sleeper.broker, "spin",
			 &(weir_subscription_options){ .wait = WEIR_WAIT_SPIN }),
		0);
	CHECK_EQ(sleeps(sleeper.subscriptions[1]), !sleeper.broker->fence_asymmetric);
	thread = fixture_thread(selecter_run, &sleeper);
	FIXTURE_UNTIL(fixture_receiver_is_parked(sleeper.subscriptions[1]));
	CHECK(sleeps(sleeper.subscriptions[1]));
	CHECK_EQ(fixture_publish(sleeper.publisher, 7), 1);
	fixture_join(thread);
	weir_publisher_close(sleeper.publisher);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(weir_unsubscribe(sleeper.subscriptions[i], NULL), 0);
	CHECK_EQ(weir_broker_close(sleeper.broker, NULL), 0);
}

static void *member_run(void *argument)
{
	struct sleeper *sleeper = argument;
	weir_delivery delivery;

	CHECK_EQ(weir_receive(sleeper->subscriptions[1], &delivery, WEIR_FOREVER), 0);
	CHECK_EQ(fixture_number(&delivery), 7);
	return NULL;
}

WEIR_TEST(sleep, in_a_group_one_that_sleeps_is_woken_though_the_first_member_never_does)
{
	static const weir_group_policy policies[] = { WEIR_GROUP_SHARED, WEIR_GROUP_ROUND_ROBIN };

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		struct sleeper sleeper = { .broker = fixture_broker(NULL) };
		weir_subscription_options options = { .group = "g", .group_policy = policies[i] };
		weir_delivery delivery;
		uint64_t number = 7;
		pthread_t thread;

		sleeper.publisher = fixture_publisher(sleeper.broker, "t");
		for (int k = 0; k < 2; k++) {
			options.wait = k == 0 ? WEIR_WAIT_SPIN : WEIR_WAIT_PARK;
			CHECK_EQ(weir_subscribe(
					 &sleeper.subscriptions[k], sleeper.broker, "t", &options),
				0);
		}
		/* The first publish is no plain one. */
		for (int k = 0; k < 2; k++)
			(void)fixture_publish(sleeper.publisher, 0);
		for (int k = 0; k < 2; k++)
			while (weir_receive(sleeper.subscriptions[k], &delivery, 0) == 0)
				;
		thread = fixture_thread(member_run, &sleeper);
		FIXTURE_UNTIL(fixture_receiver_is_parked(sleeper.subscriptions[1]));
		/* In turn, the second one is the other's. */
		for (size_t k = 0; k <= i; k++)
			CHECK_EQ(weir_publish(
					 sleeper.publisher, &number, sizeof(number), NULL, NULL),
				0);
		fixture_join(thread);
		weir_publisher_close(sleeper.publisher);
		for (int k = 0; k < 2; k++)
			CHECK_EQ(weir_unsubscribe(sleeper.subscriptions[k], NULL), 0);
		CHECK_EQ(weir_broker_close(sleeper.broker, NULL), 0);
	}
}
