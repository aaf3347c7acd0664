/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conservation_stress.c - four publishers, four subscriptions that wait for room:
 * every message reaches every one of them once, whole, and in its publisher's
 * order, and the counters agree to the message (promises P1, P3).
 *
 * With WEIR_STRESS=10 the first case publishes ten million messages, and they are
 * received forty million times.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

#define PUBLISHERS    4
#define SUBSCRIPTIONS 4
#define BATCH_MAX     100
#define PAYLOAD_MAX   200

struct payload {
	uint32_t publisher;
	uint32_t size; /* of the whole */
	uint64_t number;
	uint64_t check;
	unsigned char rest[PAYLOAD_MAX];
};

#define PAYLOAD_MIN offsetof(struct payload, rest)

struct stage {
	weir_broker *broker;
	uint64_t target; /* messages of each publisher */
	weir_wait wait;
	const size_t *capacities;
	_Atomic uint64_t frees; /* of wrapped buffers */
};

struct publishing {
	struct stage *stage;
	weir_publisher *publisher; /* NULL: by name */
	weir_subscription *const *subscriptions;
	unsigned int index;
	uint64_t state;
	uint64_t published;
	uint64_t wraps;
	uint64_t to_parked; /* publishes that found a receiver asleep */
};

struct receiving {
	weir_subscription *subscription;
	uint64_t target; /* messages in all */
	uint64_t state;
	uint64_t last[PUBLISHERS];
	uint64_t received;
	uint64_t from_line; /* receives that found publishers in line */
	uint64_t batches;   /* receives that took more than one */
};

/* ---- Payloads ---- */

static uint64_t checksum(const struct payload *payload)
{
	uint64_t sum = payload->number * UINT64_C(0x9e3779b97f4a7c15) ^ payload->publisher;

	for (size_t i = 0; i < payload->size - PAYLOAD_MIN; i++)
		sum = sum * 31 + payload->rest[i];
	return sum;
}

static void payload_make(struct payload *payload, struct publishing *publishing, uint64_t number)
{
	const uint64_t random = harness_random(&publishing->state);

	payload->publisher = publishing->index;
	payload->number = number;
	payload->size = (uint32_t)(PAYLOAD_MIN + random % (random & 64 ? 8 : PAYLOAD_MAX));
	memset(payload->rest, (int)(random >> 16 & 0xff), payload->size - PAYLOAD_MIN);
	payload->check = checksum(payload);
}

static void payload_check(struct receiving *receiving, const weir_delivery *delivery)
{
	struct payload payload;

	CHECK(delivery->size >= PAYLOAD_MIN && delivery->size <= sizeof(payload));
	memcpy(&payload, delivery->data, delivery->size);
	CHECK_EQ(payload.size, delivery->size);
	CHECK_EQ(payload.check, checksum(&payload));
	CHECK(payload.publisher < PUBLISHERS);
	CHECK_EQ(payload.number, receiving->last[payload.publisher] + 1);
	CHECK_EQ(delivery->missed, 0);
	receiving->last[payload.publisher]++;
}

/* ---- Publishing, in every form ---- */

static void receipt_check(const weir_receipt *receipt, uint64_t count)
{
	CHECK_EQ(receipt->published, count);
	CHECK_EQ(receipt->matched, count * SUBSCRIPTIONS);
	CHECK_EQ(receipt->enqueued, count * SUBSCRIPTIONS);
	CHECK_EQ(receipt->dropped, 0);
}

static void publish_batch(struct publishing *publishing, size_t count)
{
	static _Thread_local struct payload payloads[BATCH_MAX];
	weir_payload list[BATCH_MAX];
	weir_receipt receipt;

	for (size_t i = 0; i < count; i++) {
		payload_make(&payloads[i], publishing, publishing->published + 1 + i);
		list[i] = (weir_payload){ &payloads[i], payloads[i].size };
	}
	CHECK_EQ(weir_publish_batch(publishing->publisher, list, count, NULL, &receipt), 0);
	receipt_check(&receipt, count);
}

static void publish_loan(struct publishing *publishing, const struct payload *payload)
{
	weir_receipt receipt;
	weir_message *message;

	CHECK_EQ(weir_loan(publishing->publisher, payload->size, &message), 0);
	memcpy(weir_message_buffer(message), payload, payload->size);
	CHECK_EQ(weir_publish_message(publishing->publisher, message, NULL, &receipt), 0);
	receipt_check(&receipt, 1);
}

static void buffer_free(void *context, void *data)
{
	struct stage *stage = context;

	(void)atomic_fetch_add(&stage->frees, 1);
	free(data);
}

static void publish_wrap(struct publishing *publishing, const struct payload *payload)
{
	struct payload *copy = malloc(sizeof(*copy));
	weir_receipt receipt;
	weir_message *message;

	CHECK(copy != NULL);
	memcpy(copy, payload, payload->size);
	CHECK_EQ(weir_message_wrap(publishing->publisher, copy, payload->size, buffer_free,
			 publishing->stage, &message),
		0);
	CHECK_EQ(weir_publish_message(publishing->publisher, message, NULL, &receipt), 0);
	receipt_check(&receipt, 1);
	publishing->wraps++;
}

static void publish_one(struct publishing *publishing)
{
	struct payload payload;
	weir_receipt receipt;
	int error;

	payload_make(&payload, publishing, publishing->published + 1);
	if (publishing->publisher == NULL) {
		error = weir_publish_to(publishing->stage->broker, "stress.by.name", &payload,
			payload.size, NULL, &receipt);
	} else if (harness_random_below(&publishing->state, 8) == 0) {
		publish_loan(publishing, &payload);
		return;
	} else if (harness_random_below(&publishing->state, 8) == 0) {
		publish_wrap(publishing, &payload);
		return;
	} else {
		error = weir_publish(publishing->publisher, &payload, payload.size, NULL, &receipt);
	}
	CHECK_EQ(error, 0);
	receipt_check(&receipt, 1);
}

static void *publishing_run(void *argument)
{
	struct publishing *publishing = argument;
	const uint64_t target = publishing->stage->target;

	while (publishing->published < target) {
		const uint64_t left = target - publishing->published;
		uint64_t count = 1;

		for (int i = 0; i < SUBSCRIPTIONS; i++)
			publishing->to_parked +=
				fixture_receiver_is_parked(publishing->subscriptions[i]);
		if (publishing->publisher != NULL &&
			harness_random_below(&publishing->state, 16) == 0)
			count = 1 + harness_random_below(&publishing->state, BATCH_MAX);
		if (count > left)
			count = left;
		if (count > 1)
			publish_batch(publishing, (size_t)count);
		else
			publish_one(publishing);
		publishing->published += count;
	}
	return NULL;
}

/* ---- Receiving ---- */

static void *receiving_run(void *argument)
{
	struct receiving *receiving = argument;
	weir_delivery deliveries[32];

	while (receiving->received < receiving->target) {
		const size_t count_max = 1 + (size_t)harness_random_below(&receiving->state, 32);
		size_t count;

		receiving->from_line += (weiri_load_acquire(&receiving->subscription->attention) &
						WEIRI_ATTENTION_ROOM) != 0;
		CHECK_EQ(weir_receive_batch(receiving->subscription, deliveries, count_max,
				 WEIR_FOREVER, &count),
			0);
		CHECK(count >= 1 && count <= count_max);
		for (size_t i = 0; i < count; i++)
			payload_check(receiving, &deliveries[i]);
		receiving->received += count;
		receiving->batches += count > 1;
	}
	return NULL;
}

/* ---- All together ---- */

static void subscriptions_open(struct stage *stage, weir_subscription **subscriptions)
{
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		const weir_subscription_options options = {
			.capacity = stage->capacities[i],
			.wait = stage->wait,
			/* One of each kind of queue. */
			.order = i == 1 || i == 2 ? WEIR_ORDER_PRIORITY : WEIR_ORDER_ARRIVAL,
			.priority_classes = i == 1 ? 2 : 0,
		};

		CHECK_EQ(weir_subscribe(&subscriptions[i], stage->broker,
				 i % 2 == 0 ? "stress.>" : "stress.*.*", &options),
			0);
	}
}

static void publishing_open(struct publishing *publishing, struct stage *stage, unsigned int index)
{
	static const char *const topics[PUBLISHERS] = { "stress.a.x", "stress.a.x", "stress.b.y",
		NULL };
	const weir_publisher_options options = { .wait = stage->wait };

	publishing->stage = stage;
	publishing->index = index;
	publishing->state = harness_seed() + index;
	if (topics[index] != NULL)
		CHECK_EQ(weir_publisher_open(
				 &publishing->publisher, stage->broker, topics[index], &options),
			0);
}

static void subscriptions_check(const struct stage *stage, weir_subscription **subscriptions,
	const struct receiving *receivings)
{
	const uint64_t all = stage->target * PUBLISHERS;

	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		const weir_subscription_statistics statistics =
			fixture_statistics(subscriptions[i]);

		for (int k = 0; k < PUBLISHERS; k++)
			CHECK_EQ(receivings[i].last[k], stage->target);
		CHECK_EQ(statistics.matched, all);
		CHECK_EQ(statistics.delivered, all);
		CHECK(statistics.high_water == stage->capacities[i] || statistics.capacity > 64);
		fixture_check_empty(subscriptions[i]);
		CHECK_EQ(weir_unsubscribe(subscriptions[i], NULL), 0);
	}
}

static void broker_check(struct stage *stage)
{
	const uint64_t all = stage->target * PUBLISHERS;
	weir_broker_statistics last;

	CHECK_EQ(weir_broker_close(stage->broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.published, all);
	CHECK_EQ(last.matched, all * SUBSCRIPTIONS);
	CHECK_EQ(last.enqueued, all * SUBSCRIPTIONS);
	CHECK_EQ(last.delivered, all * SUBSCRIPTIONS);
}

static void conserve(weir_wait wait, const size_t *capacities, uint64_t messages)
{
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	struct stage stage = {
		.target = messages / PUBLISHERS, .wait = wait, .capacities = capacities
	};
	static struct publishing publishings[PUBLISHERS];
	static struct receiving receivings[SUBSCRIPTIONS];
	weir_subscription *subscriptions[SUBSCRIPTIONS];
	pthread_t threads[PUBLISHERS + SUBSCRIPTIONS];
	uint64_t wraps = 0, to_parked = 0, from_line = 0, batches = 0;

	stage.broker = fixture_broker(&options);
	subscriptions_open(&stage, subscriptions);
	for (unsigned int i = 0; i < SUBSCRIPTIONS; i++) {
		receivings[i] = (struct receiving){
			.subscription = subscriptions[i],
			.target = stage.target * PUBLISHERS,
			.state = harness_seed() + 100 + i,
		};
		threads[PUBLISHERS + i] = fixture_thread(receiving_run, &receivings[i]);
	}
	for (unsigned int i = 0; i < PUBLISHERS; i++) {
		publishing_open(&publishings[i], &stage, i);
		publishings[i].subscriptions = subscriptions;
		threads[i] = fixture_thread(publishing_run, &publishings[i]);
	}
	for (int i = 0; i < PUBLISHERS + SUBSCRIPTIONS; i++)
		fixture_join(threads[i]);
	for (int i = 0; i < PUBLISHERS; i++) {
		wraps += publishings[i].wraps;
		to_parked += publishings[i].to_parked;
		from_line += receivings[i].from_line;
		batches += receivings[i].batches;
	}
	subscriptions_check(&stage, subscriptions, receivings);
	for (int i = 0; i < PUBLISHERS; i++)
		weir_publisher_close(publishings[i].publisher);
	broker_check(&stage);
	fail_allocator_check_empty(&memory);
	CHECK(wraps > 0);
	CHECK_EQ(atomic_load(&stage.frees), wraps);
	CHECK(batches > 0);
	/* It would prove little if nobody had waited. Where looking comes before
	 * sleeping, a busy machine may leave nobody asleep. */
	if (wait == WEIR_WAIT_PARK) {
		CHECK(from_line > 0);
		CHECK(to_parked > 0);
	}
}

static const size_t roomy[SUBSCRIPTIONS] = { 256, 1000, 4096, 5000 };
static const size_t tight[SUBSCRIPTIONS] = { 1, 3, 7, 64 };

WEIR_TEST(conservation_stress, through_roomy_queues)
{
	conserve(WEIR_WAIT_SPIN_THEN_PARK, roomy, harness_scaled(1000000));
}

WEIR_TEST(conservation_stress, through_tight_queues)
{
	conserve(WEIR_WAIT_SPIN_THEN_PARK, tight, harness_scaled(100000));
}

WEIR_TEST(conservation_stress, through_tight_queues_always_parking)
{
	conserve(WEIR_WAIT_PARK, tight, harness_scaled(50000));
}
