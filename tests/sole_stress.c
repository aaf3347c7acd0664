/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sole_stress.c - a topic's only publisher writes its number and its rings' tails as its
 * own. Here others come while it does: a second publisher, or one by name, at any
 * moment. No number may be given twice, and no message may be lost.
 */
#include <stdatomic.h>
#include <string.h>

#include "core/publisher.h"
#include "core/topic.h"
#include "fixture.h"

#define SUBSCRIPTIONS_MAX 3
#define MESSAGES          64 /* of each of the two */
#define MESSAGES_BEFORE   80 /* which a single subscription takes to go over to inline ones */

struct guest {
	weir_broker *broker;
	_Atomic uint64_t first; /* messages that the first publisher has sent */
	uint64_t from;          /* the guest comes when there are so many */
	bool by_name;
};

static void *guest_run(void *argument)
{
	struct guest *guest = argument;
	weir_publisher *publisher = NULL;

	while (atomic_load_explicit(&guest->first, memory_order_relaxed) < guest->from)
		;
	if (!guest->by_name)
		publisher = fixture_publisher(guest->broker, "t");
	for (uint64_t i = 0; i < MESSAGES; i++) {
		uint64_t number = MESSAGES + i;

		if (guest->by_name)
			CHECK_EQ(weir_publish_to(
					 guest->broker, "t", &number, sizeof(number), NULL, NULL),
				0);
		else
			CHECK_EQ(weir_publish(publisher, &number, sizeof(number), NULL, NULL), 0);
	}
	weir_publisher_close(publisher);
	return NULL;
}

/* Returns how many the first one had sent when the topic became shared. */
static uint64_t first_run(struct guest *guest, weir_publisher *publisher)
{
	uint64_t alone = 0;

	for (uint64_t i = 0; i < MESSAGES; i++) {
		CHECK_EQ(weir_publish(publisher, &i, sizeof(i), NULL, NULL), 0);
		alone += weiri_topic_is_sole(publisher->topic);
		atomic_store_explicit(&guest->first, i + 1, memory_order_relaxed);
	}
	return alone;
}

/* Each of the numbers and of the messages once, and each publisher's in order. */
static void received_check(weir_subscription *subscription)
{
	bool seen[2 * MESSAGES] = { false };
	uint64_t next[2] = { 0, MESSAGES };

	for (uint64_t i = 0; i < (uint64_t)2 * MESSAGES; i++) {
		weir_delivery delivery;
		uint64_t number, sequence;

		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		number = fixture_number(&delivery);
		sequence = weir_message_sequence(delivery.message) - MESSAGES_BEFORE - 1;
		CHECK(sequence < (uint64_t)2 * MESSAGES && !seen[sequence]);
		seen[sequence] = true;
		CHECK_EQ(number, next[number >= MESSAGES]++);
	}
	fixture_check_empty(subscription);
}

static void before_run(
	weir_publisher *publisher, weir_subscription *const *subscriptions, uint64_t count)
{
	for (uint64_t number = 0; number < MESSAGES_BEFORE; number++) {
		CHECK_EQ(weir_publish(publisher, &number, sizeof(number), NULL, NULL), 0);
		for (uint64_t i = 0; i < count; i++)
			CHECK_EQ(fixture_receive(subscriptions[i]), number);
	}
}

static uint64_t round_run(uint64_t *random, bool by_name)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscriptions[SUBSCRIPTIONS_MAX];
	const uint64_t count = 1 + harness_random_below(random, SUBSCRIPTIONS_MAX);
	struct guest guest = {
		.broker = broker,
		.from = 1 + harness_random_below(random, MESSAGES / 2),
		.by_name = by_name,
	};
	weir_publisher *publisher;
	uint64_t alone;
	pthread_t thread;

	for (uint64_t i = 0; i < count; i++)
		subscriptions[i] = fixture_subscribe(broker, "t", (size_t)2 * MESSAGES);
	publisher = fixture_publisher(broker, "t");
	before_run(publisher, subscriptions, count);
	thread = fixture_thread(guest_run, &guest);
	alone = first_run(&guest, publisher);
	fixture_join(thread);
	CHECK(!weiri_topic_is_sole(publisher->topic));
	for (uint64_t i = 0; i < count; i++) {
		received_check(subscriptions[i]);
		CHECK_EQ(weir_unsubscribe(subscriptions[i], NULL), 0);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	return alone;
}

static void rounds_run(bool by_name)
{
	const uint64_t rounds = harness_scaled(16000);
	uint64_t random = harness_seed();
	uint64_t mixed = 0;

	for (uint64_t round = 0; round < rounds; round++) {
		uint64_t alone = round_run(&random, by_name);

		mixed += alone > 0 && alone < MESSAGES;
	}
	CHECK(mixed > 0);
}

WEIR_TEST(sole_stress, second_publisher_takes_no_number_and_no_place_twice)
{
	rounds_run(false);
}

WEIR_TEST(sole_stress, publish_by_name_takes_no_number_and_no_place_twice)
{
	rounds_run(true);
}
