/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_plain_test.c - a publish without options does what one with default options
 * does, whatever the queues are like: the two take different ways through the library.
 */
#include "core/publish_plain.h"

#include <string.h>

#include "core/inline.h"
#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

#define SUBSCRIPTIONS_MAX 5
#define BATCH_MAX         40

/* Messages after which a subscription that is alone gets its inline. */
#define ENOUGH 70

struct side {
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscriptions[SUBSCRIPTIONS_MAX];
	size_t count;
};

/* Small queues of two policies; now and then one that is no ring, or is watched. */
static weir_subscription_options options_draw(uint64_t *random)
{
	weir_subscription_options options = {
		.capacity = 1 + harness_random_below(random, 6),
		.overflow = harness_random_below(random, 2) == 0 ? WEIR_OVERFLOW_BLOCK
								 : WEIR_OVERFLOW_DROP_NEWEST,
	};

	if (harness_random_below(random, 12) == 0)
		options.overflow = WEIR_OVERFLOW_DROP_OLDEST;
	if (harness_random_below(random, 12) == 0)
		options.count_priorities = true;
	if (harness_random_below(random, 4) == 0)
		options.ack = WEIR_ACK_AUTO;
	return options;
}

static void side_open(struct side *side, uint64_t seed)
{
	uint64_t random = seed;

	*side = (struct side){ .broker = fixture_broker(NULL) };
	CHECK_EQ(weir_publisher_open(&side->publisher, side->broker, "t",
			 &(weir_publisher_options){ .timeout = 1e-9 }),
		0);
	/* Often one or two: they get their messages inline, if they are so inclined. */
	side->count = harness_random_below(&random, 2) == 0
			      ? 1 + harness_random_below(&random, 2)
			      : harness_random_below(&random, SUBSCRIPTIONS_MAX + 1);
	for (size_t i = 0; i < side->count; i++) {
		weir_subscription_options options = options_draw(&random);

		CHECK_EQ(weir_subscribe(&side->subscriptions[i], side->broker, "t", &options), 0);
	}
}

static void side_close(struct side *side)
{
	weir_publisher_close(side->publisher);
	for (size_t i = 0; i < side->count; i++)
		CHECK_EQ(weir_unsubscribe(side->subscriptions[i], NULL), 0);
	CHECK_EQ(weir_broker_close(side->broker, NULL), 0);
}

/* What is there on both sides is the same message.  Returns whether it came inline in
 * the first one. */
static bool received_check(struct side *sides, size_t i)
{
	weir_delivery left, right;
	int error = weir_receive(sides[0].subscriptions[i], &left, 0);

	CHECK_EQ(weir_receive(sides[1].subscriptions[i], &right, 0), error);
	if (error != 0)
		return false;
	CHECK_EQ(left.size, right.size);
	CHECK_EQ(memcmp(left.data, right.data, left.size), 0);
	CHECK_EQ(left.missed, right.missed);
	CHECK_EQ(left.attempt, right.attempt);
	CHECK_EQ(weir_message_sequence(left.message), weir_message_sequence(right.message));
	CHECK_EQ(weir_message_priority(left.message), weir_message_priority(right.message));
	CHECK(weir_message_topic(left.message) != NULL);
	CHECK_STR_EQ(weir_message_topic(left.message), weir_message_topic(right.message));
	CHECK(right.message->pool != sides[1].subscriptions[i]->pool);
	return left.message->pool == sides[0].subscriptions[i]->pool;
}

static const weir_publish_options defaults;

static void publish_check(struct side *sides, uint64_t number, size_t size, weir_receipt *receipt)
{
	weir_receipt other = { .published = 77 };
	unsigned char bytes[200];
	int error;

	memset(bytes, (int)number + 1, sizeof(bytes));
	*receipt = (weir_receipt){ .published = 77 };
	error = weir_publish(sides[0].publisher, bytes, size, NULL, receipt);
	CHECK_EQ(weir_publish(sides[1].publisher, bytes, size, &defaults, &other), error);
	CHECK_EQ(memcmp(receipt, &other, sizeof(other)), 0);
}

/* Around what fits inline, small, or large. */
static size_t size_draw(uint64_t *random)
{
	switch (harness_random_below(random, 4)) {
	case 0:
		return WEIRI_INLINE_MAX - 1 + harness_random_below(random, 3);
	case 1:
		return harness_random_below(random, 200);
	default:
		return harness_random_below(random, 10);
	}
}

static void batch_check(
	struct side *sides, uint64_t number, uint64_t *random, weir_receipt *receipt)
{
	size_t count = 1 + harness_random_below(random, BATCH_MAX);
	weir_receipt other = { .published = 77 };
	weir_payload payloads[BATCH_MAX];
	unsigned char bytes[BATCH_MAX + 200];
	int error;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(number + i);
	for (size_t i = 0; i < count; i++)
		payloads[i] = (weir_payload){ bytes + i, size_draw(random) };
	*receipt = (weir_receipt){ .published = 77 };
	error = weir_publish_batch(sides[0].publisher, payloads, count, NULL, receipt);
	CHECK_EQ(weir_publish_batch(sides[1].publisher, payloads, count, &defaults, &other), error);
	CHECK_EQ(memcmp(receipt, &other, sizeof(other)), 0);
}

/* Everybody has received some before it begins. */
static void sides_warm(struct side *sides)
{
	for (uint64_t number = 0; number < ENOUGH; number++) {
		weir_receipt receipt;

		publish_check(sides, number, 8, &receipt);
		for (size_t i = 0; i < sides[0].count; i++)
			(void)received_check(sides, i);
	}
}

static void statistics_check(struct side *sides)
{
	weir_broker_statistics left, right;

	for (size_t i = 0; i < sides[0].count; i++) {
		weir_subscription_statistics one = fixture_statistics(sides[0].subscriptions[i]);
		weir_subscription_statistics other = fixture_statistics(sides[1].subscriptions[i]);

		CHECK_EQ(memcmp(&one, &other, sizeof(one)), 0);
	}
	left = fixture_broker_statistics(sides[0].broker);
	right = fixture_broker_statistics(sides[1].broker);
	CHECK_EQ(memcmp(&left, &right, sizeof(left)), 0);
}

WEIR_TEST(publish_plain, does_what_an_ordinary_publish_does)
{
	const uint64_t rounds = harness_scaled(400);
	uint64_t random = harness_seed();
	uint64_t all = 0, some = 0, waited = 0, inlined = 0, pairs = 0;

	for (uint64_t round = 0; round < rounds; round++) {
		uint64_t seed = harness_random(&random);
		bool has_batches = harness_random_below(&random, 3) == 0;
		struct side sides[2];

		side_open(&sides[0], seed);
		side_open(&sides[1], seed);
		if (harness_random_below(&random, 2) == 0)
			sides_warm(sides);
		for (uint64_t number = 0; number < 20; number++) {
			weir_receipt receipt;

			if (has_batches && harness_random_below(&random, 2) == 0)
				batch_check(sides, number, &random, &receipt);
			else
				publish_check(sides, number, size_draw(&random), &receipt);
			all += receipt.enqueued > 0 && receipt.dropped == 0;
			some += receipt.enqueued > 0 && receipt.dropped > 0;
			waited += receipt.timed_out > 0;
			for (size_t i = 0; i < sides[0].count; i++) {
				bool is_inline = harness_random_below(&random, 3) == 0 &&
						 received_check(sides, i);

				inlined += is_inline;
				pairs += is_inline && sides[0].count == 2;
			}
		}
		statistics_check(sides);
		side_close(&sides[0]);
		side_close(&sides[1]);
	}
	CHECK(all > 0);
	CHECK(some > 0);
	CHECK(waited > 0);
	CHECK(inlined > pairs && pairs > 0);
}

WEIR_TEST(publish_plain, passes_over_places_that_are_empty)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscriptions[3];
	weir_receipt receipt;

	for (int i = 0; i < 3; i++)
		subscriptions[i] = fixture_subscribe(broker, "t", 4);
	CHECK_EQ(fixture_publish(publisher, 1), 3);
	/* Without memory for a snapshot of those that stay. */
	fail_allocator_arm(&memory, 1, true);
	CHECK_EQ(weir_unsubscribe(subscriptions[1], NULL), 0);
	fail_allocator_arm(&memory, 0, false);
	CHECK_EQ(weir_publish(publisher, "2", 1, NULL, &receipt), 0);
	CHECK_EQ(receipt.matched, 2);
	CHECK_EQ(receipt.enqueued, 2);
	CHECK_EQ(receipt.sequence, 2);
	/* A queue that is full comes after the empty place. */
	CHECK_EQ(fixture_receive(subscriptions[0]), 1);
	CHECK_EQ(fixture_statistics(subscriptions[2]).queued, 2);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(weir_publish(publisher, "3", 1, NULL, &receipt), 0);
	CHECK_EQ(weir_publish(
			 publisher, "4", 1, &(weir_publish_options){ .no_wait = true }, &receipt),
		WEIR_ETIMEDOUT);
	CHECK_EQ(receipt.matched, 2);
	CHECK_EQ(receipt.enqueued, 1);
	fail_allocator_arm(&memory, 1, true);
	CHECK_EQ(weir_unsubscribe(subscriptions[0], NULL), 0);
	CHECK_EQ(weir_unsubscribe(subscriptions[2], NULL), 0);
	fail_allocator_arm(&memory, 0, false);
	/* Nobody is left, and two empty places or none: the message is freed at once. */
	CHECK_EQ(weir_publish(publisher, "5", 1, NULL, &receipt), 0);
	CHECK_EQ(receipt.published, 1);
	CHECK_EQ(receipt.matched, 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}

struct wrapped {
	weir_broker *broker;
	uint64_t inside; /* publishes that a close waits for */
	unsigned int freed;
};

static void wrapped_free(void *context, void *data)
{
	struct wrapped *wrapped = context;

	(void)data;
	wrapped->inside = weiri_load_relaxed(&wrapped->broker->inside);
	wrapped->freed++;
}

WEIR_TEST(publish_plain, is_waited_for_by_a_close_while_it_frees_what_nobody_took)
{
	struct fail_allocator memory = { 0 };
	struct wrapped wrapped = { 0 };
	weir_publisher *publisher;
	weir_subscription *subscription;
	weir_message *message;

	wrapped.broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	publisher = fixture_publisher(wrapped.broker, "t");
	subscription = fixture_subscribe_dropping(wrapped.broker, "t", 4);
	fail_allocator_arm(&memory, 1, true);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	fail_allocator_arm(&memory, 0, false);
	CHECK_EQ(weir_message_wrap(
			 publisher, &wrapped, sizeof(wrapped), wrapped_free, &wrapped, &message),
		0);
	CHECK_EQ(weir_publish_message(publisher, message, NULL, NULL), 0);
	CHECK_EQ(wrapped.freed, 1);
	CHECK_EQ(wrapped.inside, 1);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(wrapped.broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}
