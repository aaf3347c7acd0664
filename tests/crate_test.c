/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crate_test.c - messages that share a block and a count are whole as long as anybody has
 * one, and their memory comes back when nobody has.
 */
#include "core/crate.h"

#include <string.h>

#include "core/broker.h"
#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

#define LIVE   100
#define CHAINS 3

/* A receiver's own, where none of these messages is from. */
static struct weiri_pool own;

struct bed {
	struct fail_allocator memory;
	weir_broker *broker;
	struct weiri_pool *pool;
	struct weiri_pool_chain chains[CHAINS];
	struct weir_message *last; /* taken */
	struct weir_message *live[LIVE];
	unsigned int references[LIVE];
};

static void bed_open(struct bed *bed)
{
	memset(bed, 0, sizeof(*bed));
	bed->broker = fixture_broker(
		&(weir_broker_options){ .allocator = fail_allocator_hook(&bed->memory) });
	bed->pool = weiri_pool_open(bed->broker, NULL);
	CHECK(bed->pool != NULL);
}

static void bed_close(struct bed *bed)
{
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
	fail_allocator_check_empty(&bed->memory);
}

static struct weir_message *message_take(struct bed *bed, size_t size, int byte)
{
	struct weir_message *message = weiri_crate_take(bed->pool, size);

	CHECK(message != NULL);
	CHECK(message->place != 0);
	CHECK_EQ(weir_message_size(message), size);
	CHECK_EQ((uintptr_t)message->data % WEIRI_CACHE_LINE, 0);
	memset(message->data, byte, size);
	bed->last = message;
	return message;
}

static void message_check(const struct weir_message *message, int byte)
{
	const unsigned char *data = weir_message_data(message);

	for (size_t i = 0; i < weir_message_size(message); i++)
		CHECK_EQ(data[i], byte);
}

static uint64_t bytes(const struct bed *bed)
{
	return atomic_load(&bed->memory.bytes);
}

/* ---- Any order of taking, sharing and giving back ---- */

static void reference_give_back(struct bed *bed, size_t index, uint64_t random)
{
	struct weir_message *message = bed->live[index];

	message_check(message, (int)index);
	bed->references[index]--;
	if (bed->references[index] == 0)
		bed->live[index] = NULL;
	if (random % (CHAINS + 1) < CHAINS)
		weiri_message_unref_held(message, &bed->chains[random % (CHAINS + 1)], &own);
	else
		weiri_message_unref(message, 1, NULL);
}

static void step(struct bed *bed, size_t index, uint64_t random, size_t size_max)
{
	struct weir_message *message = bed->live[index];

	if (message == NULL) {
		bed->live[index] = message_take(bed, random % (size_max + 1), (int)index);
		bed->references[index] = 1;
	} else if (random % 3 == 0) {
		/* As the publisher that has just made it, or as anybody. */
		if (message == bed->last)
			weiri_crate_ref(bed->pool, message, 2);
		else
			weiri_message_ref(message, 2);
		bed->references[index] += 2;
	} else {
		reference_give_back(bed, index, random / 3);
	}
}

static void anything_goes(size_t size_max)
{
	static struct bed bed;
	uint64_t state = harness_seed() + size_max;
	const uint64_t steps = harness_scaled(100000);
	uint64_t calls = 0;

	bed_open(&bed);
	for (uint64_t i = 0; i < steps; i++) {
		size_t index = (size_t)harness_random_below(&state, LIVE);

		if (i == steps / 2)
			calls = atomic_load(&bed.memory.calls);
		/* Now and then a place comes to an end, so that no crate lasts. */
		if (i % 50 == 0)
			while (bed.live[index] != NULL)
				reference_give_back(&bed, index, harness_random(&state));
		step(&bed, index, harness_random(&state), size_max);
		if (i % 1000 == 0)
			weiri_crate_chain_flush(&bed.chains[i / 1000 % CHAINS]);
	}
	/* They are used again and again. */
	CHECK(atomic_load(&bed.memory.calls) <= calls + 2);
	for (size_t i = 0; i < LIVE; i++)
		while (bed.live[i] != NULL)
			reference_give_back(&bed, i, harness_random(&state));
	for (size_t i = 0; i < CHAINS; i++)
		weiri_crate_chain_flush(&bed.chains[i]);
	weiri_pool_abandon(bed.pool);
	bed_close(&bed);
}

WEIR_TEST(crate, keeps_messages_of_the_smallest_size_apart)
{
	anything_goes(WEIRI_POOL_PAYLOAD_MIN);
}

WEIR_TEST(crate, keeps_messages_of_all_its_sizes_apart)
{
	anything_goes(WEIRI_CRATE_PAYLOAD_MAX);
}

/* ---- Who keeps what ---- */

WEIR_TEST(crate, comes_back_when_its_last_message_does_and_not_before)
{
	struct weir_message *kept;
	static struct bed bed;
	uint64_t before;

	bed_open(&bed);
	kept = message_take(&bed, 64, 1);
	for (int i = 1; i < 3 * WEIRI_CRATE_MESSAGES; i++)
		weiri_message_unref(message_take(&bed, 64, 2), 1, NULL);
	before = bytes(&bed);
	for (int i = 0; i < 100 * WEIRI_CRATE_MESSAGES; i++) {
		weiri_message_unref(message_take(&bed, 64, 3), 1, NULL);
		CHECK(weiri_message_counting(bed.last) != weiri_message_counting(kept));
	}
	CHECK_EQ(bytes(&bed), before);
	message_check(kept, 1);
	weiri_message_unref(kept, 1, NULL);
	/* The only one left, or the next one after that. */
	for (int i = 0; i < 2 * WEIRI_CRATE_MESSAGES; i++)
		weiri_message_unref(message_take(&bed, 64, 4), 1, NULL);
	CHECK_EQ(bytes(&bed), before);
	weiri_pool_abandon(bed.pool);
	bed_close(&bed);
}

WEIR_TEST(crate, that_is_open_outlives_its_publisher)
{
	static struct bed bed;
	struct weir_message *first, *second;

	bed_open(&bed);
	first = message_take(&bed, 10, 1);
	second = message_take(&bed, 20, 2);
	weiri_crate_ref(bed.pool, second, 1);
	weiri_pool_abandon(bed.pool);
	weiri_message_unref_held(second, &bed.chains[0], &own);
	weiri_message_unref(first, 1, NULL);
	message_check(second, 2);
	weiri_message_unref_held(second, &bed.chains[0], &own);
	weiri_crate_chain_flush(&bed.chains[0]);
	bed_close(&bed);
}

WEIR_TEST(crate, without_memory_gives_nothing_and_goes_on_later)
{
	static struct bed bed;
	struct weir_message *messages[8 * WEIRI_CRATE_MESSAGES];
	unsigned int refused = 0;

	bed_open(&bed);
	for (int i = 0; i < 8 * WEIRI_CRATE_MESSAGES; i++) {
		fail_allocator_arm(&bed.memory, 1, false);
		messages[i] = weiri_crate_take(bed.pool, 64);
		fail_allocator_arm(&bed.memory, 0, false);
		if (messages[i] == NULL) {
			refused++;
			messages[i] = message_take(&bed, 64, i);
		}
	}
	CHECK(refused >= 2);
	for (int i = 0; i < 8 * WEIRI_CRATE_MESSAGES; i++)
		weiri_message_unref(messages[i], 1, NULL);
	weiri_pool_abandon(bed.pool);
	bed_close(&bed);
}

/* ---- In a broker ---- */

struct outcome {
	uint64_t crated; /* messages that came in one */
	uint64_t kept;
};

/* Receive what is there: keep one now and then, whole until it is released. */
static void take_some(weir_subscription *subscription, uint64_t *expected, uint64_t until,
	weir_message **keep, struct outcome *outcome)
{
	weir_delivery delivery;

	while (*expected < until) {
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(delivery.size, 8 + *expected % 121);
		CHECK(memcmp(delivery.data, expected, 8) == 0);
		outcome->crated += delivery.message->place != 0;
		if (*expected % 61 == 0) {
			weir_message_release(*keep);
			CHECK_EQ(weir_message_keep(delivery.message), 0);
			*keep = delivery.message;
			outcome->kept++;
		}
		++*expected;
	}
}

static void publish_some(weir_publisher *publisher, uint64_t *number, size_t count, bool in_batch)
{
	static unsigned char data[64][128];
	weir_payload payloads[64];

	for (size_t i = 0; i < count; i++) {
		payloads[i] = (weir_payload){ data[i], 8 + *number % 121 };
		memcpy(data[i], number, sizeof(*number));
		++*number;
	}
	if (in_batch)
		CHECK_EQ(weir_publish_batch(publisher, payloads, count, NULL, NULL), 0);
	for (size_t i = 0; i < count && !in_batch; i++)
		CHECK_EQ(
			weir_publish(publisher, payloads[i].data, payloads[i].size, NULL, NULL), 0);
}

WEIR_TEST(crate, is_given_back_by_a_receiver_that_has_nothing_to_do)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscriptions[3];
	weir_delivery delivery;

	for (int i = 0; i < 3; i++)
		subscriptions[i] = fixture_subscribe(broker, "t", 8);
	(void)fixture_publish(publisher, 1);
	(void)fixture_publish(publisher, 2);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(fixture_receive(subscriptions[i]), 1);
		CHECK_EQ(fixture_receive(subscriptions[i]), 2);
		CHECK(subscriptions[i]->chain.crate != NULL);
		CHECK_EQ(weir_receive(subscriptions[i], &delivery, 1e-6), WEIR_ETIMEDOUT);
		CHECK(subscriptions[i]->chain.crate == NULL);
		CHECK_EQ(weir_unsubscribe(subscriptions[i], NULL), 0);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(crate, carries_what_is_published_to_many)
{
	static struct fail_allocator memory;
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscriptions[4];
	weir_message *keep[4] = { NULL };
	uint64_t taken[4] = { 0 };
	uint64_t number = 0, calls = 0, state = harness_seed();
	struct outcome outcome = { 0 };

	for (int i = 0; i < 4; i++)
		subscriptions[i] = fixture_subscribe(broker, i == 3 ? "*" : "t", 128);
	for (int round = 0; round < 2000; round++) {
		if (round == 1000)
			calls = atomic_load(&memory.calls);
		publish_some(publisher, &number, 1 + (size_t)harness_random_below(&state, 64),
			round % 2 == 0);
		for (int i = 0; i < 4; i++)
			take_some(subscriptions[i], &taken[i], number, &keep[i], &outcome);
	}
	CHECK(atomic_load(&memory.calls) <= calls + 2);
	CHECK_EQ(outcome.crated, 4 * number);
	CHECK(outcome.kept > 1000);
	weir_publisher_close(publisher);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(weir_unsubscribe(subscriptions[i], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	for (int i = 0; i < 4; i++)
		weir_message_release(keep[i]);
	fail_allocator_check_empty(&memory);
}

/* ---- Who gets none ---- */

/* Three plain subscriptions, the first one with these options. */
struct topic_of_three {
	struct fail_allocator memory;
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscriptions[3];
};

static void topic_open(struct topic_of_three *topic, uint64_t capacity_bytes,
	const weir_subscription_options *options)
{
	memset(topic, 0, sizeof(*topic));
	topic->broker = fixture_broker(
		&(weir_broker_options){ .allocator = fail_allocator_hook(&topic->memory),
			.capacity_bytes = capacity_bytes });
	CHECK_EQ(weir_subscribe(&topic->subscriptions[0], topic->broker, "t", options), 0);
	for (int i = 1; i < 3; i++)
		topic->subscriptions[i] = fixture_subscribe(topic->broker, "t", 8);
	topic->publisher = fixture_publisher(topic->broker, "t");
}

static void topic_close(struct topic_of_three *topic)
{
	weir_publisher_close(topic->publisher);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weir_unsubscribe(topic->subscriptions[i], NULL), 0);
	CHECK_EQ(weir_broker_close(topic->broker, NULL), 0);
	fail_allocator_check_empty(&topic->memory);
}

/* Publish one, which all but the first one of the receivers take; whether it came in a crate. */
static bool one_is_crated(struct topic_of_three *topic, uint64_t number)
{
	weir_delivery delivery;

	CHECK_EQ(weir_publish(topic->publisher, &number, sizeof(number), NULL, NULL), 0);
	CHECK_EQ(fixture_receive(topic->subscriptions[1]), number);
	CHECK_EQ(weir_receive(topic->subscriptions[2], &delivery, 0), 0);
	CHECK_EQ(fixture_number(&delivery), number);
	return delivery.message->place != 0;
}

WEIR_TEST(crate, is_not_for_queues_that_may_hold_a_few_of_many)
{
	static const struct {
		uint64_t capacity_bytes;
		weir_subscription_options options;
		bool is_crated;
	} cases[] = {
		{ 0, { .capacity = 8 }, true },
		{ 0, { .capacity = 8, .ack = WEIR_ACK_MANUAL }, false },
		{ 0, { .capacity = 8, .group = "g", .group_policy = WEIR_GROUP_ROUND_ROBIN },
			false },
		{ 0, { .capacity = 8, .capacity_bytes = 10000 }, false },
		{ 10000, { .capacity = 8 }, false },
	};
	static struct topic_of_three topic;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		topic_open(&topic, cases[i].capacity_bytes, &cases[i].options);
		for (uint64_t number = 0; number < 4; number++)
			CHECK_EQ(one_is_crated(&topic, number), cases[i].is_crated);
		topic_close(&topic);
	}
}

WEIR_TEST(crate, is_not_for_those_that_come_after_a_dropped_one)
{
	const weir_subscription_options dropping = {
		.capacity = 1,
		.overflow = WEIR_OVERFLOW_DROP_NEWEST,
	};
	static struct topic_of_three topic;

	topic_open(&topic, 0, &dropping);
	for (uint64_t turn = 0; turn < 3; turn++) {
		CHECK(one_is_crated(&topic, 1));
		CHECK(one_is_crated(&topic, 2)); /* the queue is full */
		CHECK_EQ(fixture_receive(topic.subscriptions[0]), 1);
		for (uint64_t i = 0; i < WEIRI_CRATES_PAUSE; i++) {
			CHECK(!one_is_crated(&topic, i));
			CHECK_EQ(fixture_receive(topic.subscriptions[0]), i);
		}
		CHECK(one_is_crated(&topic, 3));
		CHECK_EQ(fixture_receive(topic.subscriptions[0]), 3);
	}
	topic_close(&topic);
}

WEIR_TEST(crate, leaves_memory_in_proportion_to_what_is_queued)
{
	enum {
		CAPACITY = 1024
	};
	const weir_subscription_options slow = {
		.capacity = CAPACITY,
		.overflow = WEIR_OVERFLOW_DROP_NEWEST,
	};
	static struct topic_of_three topic;
	uint64_t before, number = 0;

	topic_open(&topic, 0, &slow);
	before = atomic_load(&topic.memory.bytes);
	for (; number < CAPACITY; number++)
		CHECK(one_is_crated(&topic, number));
	/* It takes one of sixteen, until nothing is left of what it took in a row. */
	for (; number < 32 * CAPACITY; number++) {
		weir_delivery delivery;

		(void)one_is_crated(&topic, number);
		if (number % 16 == 0)
			CHECK_EQ(weir_receive(topic.subscriptions[0], &delivery, 0), 0);
	}
	CHECK_EQ(fixture_statistics(topic.subscriptions[0]).queued, CAPACITY);
	/* Twice 128 bytes each, for what is free again is the publisher's still. */
	CHECK(atomic_load(&topic.memory.bytes) - before < CAPACITY * 3 * 128);
	topic_close(&topic);
}

WEIR_TEST(crate, is_done_without_where_there_is_no_memory_for_it)
{
	const weir_subscription_options options = { .capacity = 8 };
	static struct topic_of_three topic;

	topic_open(&topic, 0, &options);
	fail_allocator_arm(&topic.memory, 1, false);
	CHECK(!one_is_crated(&topic, 1));
	CHECK_EQ(atomic_load(&topic.memory.failed), 1);
	CHECK_EQ(fixture_receive(topic.subscriptions[0]), 1);
	CHECK(one_is_crated(&topic, 2));
	CHECK_EQ(fixture_receive(topic.subscriptions[0]), 2);
	topic_close(&topic);
}
