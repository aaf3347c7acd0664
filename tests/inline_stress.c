/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline_stress.c - inline messages where threads meet: publishers that both want the last
 * place of one of two queues, and a subscription that leaves between two looks at it.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "core/subscription.h"
#include "fixture.h"
#include "queue/ring.h"

/* Messages after which a subscription gets its inline. */
#define ENOUGH 70

static bool has_slots(weir_subscription *subscription)
{
	return weiri_ring_slots(&subscription->queue.ring) != NULL;
}

static void slots_provide(
	weir_publisher *publisher, weir_subscription *const *subscriptions, size_t count)
{
	for (uint64_t number = 0; number < ENOUGH; number++) {
		CHECK_EQ(fixture_publish(publisher, number), count);
		for (size_t i = 0; i < count; i++)
			CHECK_EQ(fixture_receive(subscriptions[i]), number);
	}
	for (size_t i = 0; i < count; i++)
		CHECK(has_slots(subscriptions[i]));
}

/* ---- Two queues, one of which has room for one more ---- */

struct race {
	uint64_t rounds;
	weir_publisher *publisher;
	_Atomic uint64_t begun; /* rounds */
	_Atomic uint64_t ended; /* of the other thread */
};

static void *race_run(void *argument)
{
	struct race *race = argument;

	for (uint64_t round = 1; round <= race->rounds; round++) {
		while (atomic_load(&race->begun) < round)
			;
		CHECK_EQ(weir_publish(race->publisher, &round, sizeof(round), NULL, NULL), 0);
		atomic_store(&race->ended, round);
	}
	return NULL;
}

static uint64_t taken_count(weir_subscription *subscription)
{
	weir_delivery delivery;
	uint64_t count = 0;

	while (weir_receive(subscription, &delivery, 0) == 0)
		count++;
	return count;
}

WEIR_TEST(inline_stress, a_queue_with_room_refuses_nothing_because_another_is_full)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscriptions[2] = {
		fixture_subscribe_dropping(broker, "t", 4),
		fixture_subscribe_dropping(broker, "t", 3),
	};
	weir_publisher *publisher = fixture_publisher(broker, "t");
	struct race race = { .rounds = harness_scaled(100000) };
	pthread_t thread;

	slots_provide(publisher, subscriptions, 2);
	race.publisher = fixture_publisher(broker, "t");
	thread = fixture_thread(race_run, &race);
	for (uint64_t round = 1; round <= race.rounds; round++) {
		CHECK_EQ(fixture_publish(publisher, round), 2);
		CHECK_EQ(fixture_publish(publisher, round), 2);
		atomic_store(&race.begun, round);
		CHECK_EQ(weir_publish(publisher, &round, sizeof(round), NULL, NULL), 0);
		while (atomic_load(&race.ended) < round)
			;
		CHECK_EQ(taken_count(subscriptions[0]), 4);
		CHECK_EQ(taken_count(subscriptions[1]), 3);
	}
	fixture_join(thread);
	weir_publisher_close(publisher);
	weir_publisher_close(race.publisher);
	CHECK_EQ(weir_unsubscribe(subscriptions[0], NULL), 0);
	CHECK_EQ(weir_unsubscribe(subscriptions[1], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- A subscription leaves, and there is no memory for a snapshot without it ---- */

static _Thread_local bool is_refused;

static void *memory_take(void *context, size_t size, size_t alignment)
{
	(void)context;
	return is_refused
		       ? NULL
		       : aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void memory_give(void *context, void *block, size_t size)
{
	(void)context;
	(void)size;
	free(block);
}

struct leaving {
	weir_publisher *publisher;
	_Atomic uint64_t published;
	_Atomic bool stop;
};

static void *leaving_run(void *argument)
{
	struct leaving *leaving = argument;
	uint64_t number = 0;

	while (!atomic_load_explicit(&leaving->stop, memory_order_relaxed)) {
		const weir_payload payload = { &number, sizeof(number) };

		number++;
		if (number % 4 == 0)
			CHECK_EQ(
				weir_publish_batch(leaving->publisher, &payload, 1, NULL, NULL), 0);
		else
			CHECK_EQ(weir_publish(
					 leaving->publisher, &number, sizeof(number), NULL, NULL),
				0);
		atomic_store_explicit(&leaving->published, number, memory_order_relaxed);
	}
	return NULL;
}

static void published_await(struct leaving *leaving, uint64_t count)
{
	uint64_t last = atomic_load(&leaving->published);

	FIXTURE_UNTIL(atomic_load(&leaving->published) >= last + count);
}

static void leaving_round(uint64_t *random)
{
	const weir_allocator memory = { .allocate = memory_take, .deallocate = memory_give };
	weir_broker *broker = fixture_broker(&(weir_broker_options){ .allocator = memory });
	const size_t count = 1 + harness_random_below(random, 2);
	const size_t leaves = harness_random_below(random, count);
	weir_subscription *subscriptions[2];
	struct leaving leaving = { .publisher = fixture_publisher(broker, "t") };
	pthread_t thread;

	for (size_t i = 0; i < count; i++)
		subscriptions[i] = fixture_subscribe_dropping(broker, "t", 2048);
	slots_provide(leaving.publisher, subscriptions, count);
	thread = fixture_thread(leaving_run, &leaving);
	published_await(&leaving, 10 + harness_random_below(random, 500));
	is_refused = true;
	CHECK_EQ(weir_unsubscribe(subscriptions[leaves], NULL), 0);
	is_refused = false;
	published_await(&leaving, 10);
	atomic_store(&leaving.stop, true);
	fixture_join(thread);
	weir_publisher_close(leaving.publisher);
	if (count == 2)
		CHECK_EQ(weir_unsubscribe(subscriptions[1 - leaves], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline_stress, a_subscription_that_leaves_without_memory_is_not_pushed_to)
{
	const uint64_t rounds = harness_scaled(300);
	uint64_t random = harness_seed();

	for (uint64_t round = 0; round < rounds; round++)
		leaving_round(&random);
}
