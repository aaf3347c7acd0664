/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crate_stress.c - messages that share a count where threads meet: publishers and
 * subscriptions that come and go, receivers that hold, and messages that are kept by one
 * thread and released by another.
 */
#include <stdatomic.h>
#include <string.h>

#include "core/message.h"
#include "fail_allocator.h"
#include "fixture.h"

#define RECEIVERS  3
#define PUBLISHERS 2
#define MAILBOXES  16

struct stress {
	struct fail_allocator memory;
	weir_broker *broker;
	weir_message *_Atomic mailboxes[MAILBOXES];
	_Atomic bool stop;
	_Atomic uint64_t crated;
	_Atomic uint64_t posted;
	_Atomic uint64_t released; /* by another thread than the one that kept it */
	uint64_t messages;
};

struct receiver {
	struct stress *stress;
	weir_subscription *subscription;
	uint64_t state;
	uint64_t received;
};

/* Every byte is the same: whoever wrote over it afterwards, or in part, shows. */
static void message_check(const weir_message *message)
{
	const unsigned char *data = weir_message_data(message);
	const size_t size = weir_message_size(message);

	CHECK(size >= 1 && size <= 128);
	for (size_t i = 1; i < size; i++)
		CHECK_EQ(data[i], data[0]);
}

/* What the box held before is somebody else's, or this one's own of long ago. */
static void post(struct stress *stress, uint64_t box, weir_message *message)
{
	weir_message *old = atomic_exchange(&stress->mailboxes[box % MAILBOXES], message);

	if (old == NULL)
		return;
	message_check(old);
	weir_message_release(old);
	atomic_fetch_add_explicit(&stress->released, 1, memory_order_relaxed);
}

static void receive_one(struct receiver *receiver, const weir_delivery *delivery)
{
	struct stress *stress = receiver->stress;
	uint64_t random = harness_random(&receiver->state);

	message_check(delivery->message);
	receiver->received++;
	if (delivery->message->place != 0)
		atomic_fetch_add_explicit(&stress->crated, 1, memory_order_relaxed);
	if (random % 8 != 0)
		return;
	CHECK_EQ(weir_message_keep(delivery->message), 0);
	post(stress, random / 8, delivery->message);
	atomic_fetch_add_explicit(&stress->posted, 1, memory_order_relaxed);
}

static void *receiver_run(void *argument)
{
	struct receiver *receiver = argument;
	weir_delivery deliveries[8];
	int error;

	do {
		size_t many = 1 + (size_t)harness_random_below(&receiver->state, 8);
		size_t count = 0;

		error = weir_receive_batch(
			receiver->subscription, deliveries, many, WEIR_FOREVER, &count);
		for (size_t i = 0; error == 0 && i < count; i++)
			receive_one(receiver, &deliveries[i]);
	} while (error == 0);
	CHECK_EQ(error, WEIR_ESHUTDOWN);
	return NULL;
}

/* One by one and in batches, and now and then by another publisher. */
static void *publisher_run(void *argument)
{
	struct stress *stress = argument;
	unsigned char data[8][128];
	weir_payload payloads[8];
	uint64_t state = harness_seed() + (uintptr_t)&data / 4096;
	weir_publisher *publisher = fixture_publisher(stress->broker, "t");

	for (uint64_t sent = 0; sent < stress->messages;) {
		uint64_t random = harness_random(&state);
		size_t count = random % 2 == 0 ? 1 : 1 + random / 2 % 8;

		for (size_t i = 0; i < count; i++) {
			payloads[i] =
				(weir_payload){ data[i], 1 + (size_t)((random >> 8) + i) % 128 };
			memset(data[i], (int)(sent + i) & 255, payloads[i].size);
		}
		if (random % 2 == 0)
			CHECK_EQ(weir_publish(publisher, data[0], payloads[0].size, NULL, NULL), 0);
		else
			CHECK_EQ(weir_publish_batch(publisher, payloads, count, NULL, NULL), 0);
		sent += count;
		if (random % 512 == 0) {
			weir_publisher_close(publisher);
			publisher = fixture_publisher(stress->broker, "t");
		}
	}
	weir_publisher_close(publisher);
	return NULL;
}

/* A subscription that takes a little and leaves, with what it holds and what is queued.  Now and
 * then it is one for which, as long as it is there, no crates are filled. */
static void *visitor_run(void *argument)
{
	struct stress *stress = argument;

	for (uint64_t visit = 0; !atomic_load(&stress->stop); visit++) {
		const weir_subscription_options options = {
			.capacity = 16,
			.overflow =
				visit % 64 == 7 ? WEIR_OVERFLOW_DROP_NEWEST : WEIR_OVERFLOW_BLOCK,
			.ack = visit % 16 == 3 ? WEIR_ACK_MANUAL : WEIR_ACK_NONE,
		};
		weir_subscription *subscription;
		weir_delivery delivery;

		CHECK_EQ(weir_subscribe(&subscription, stress->broker, "t", &options), 0);

		for (int i = 0; i < 20 && weir_receive(subscription, &delivery, 0.001) == 0; i++)
			message_check(delivery.message);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	}
	return NULL;
}

static void *keeper_run(void *argument)
{
	struct stress *stress = argument;

	for (uint64_t box = 0; !atomic_load(&stress->stop); box++)
		post(stress, box, NULL);
	return NULL;
}

WEIR_TEST(crate_stress, is_whole_until_the_last_reference_whoever_has_it)
{
	static struct stress stress;
	struct receiver receivers[RECEIVERS];
	pthread_t threads[RECEIVERS], publishers[PUBLISHERS], visitor, keeper;

	stress.messages = harness_scaled(30000);
	stress.broker = fixture_broker(
		&(weir_broker_options){ .allocator = fail_allocator_hook(&stress.memory) });
	for (int i = 0; i < RECEIVERS; i++) {
		const weir_subscription_options options = { .capacity = 64 };

		receivers[i] = (struct receiver){ .stress = &stress,
			.state = harness_seed() + 1000 + (uint64_t)i };
		CHECK_EQ(weir_subscribe(&receivers[i].subscription, stress.broker,
				 i == 1 ? "*" : "t", &options),
			0);
	}
	for (int i = 0; i < RECEIVERS; i++)
		threads[i] = fixture_thread(receiver_run, &receivers[i]);
	visitor = fixture_thread(visitor_run, &stress);
	keeper = fixture_thread(keeper_run, &stress);
	for (int i = 0; i < PUBLISHERS; i++)
		publishers[i] = fixture_thread(publisher_run, &stress);
	for (int i = 0; i < PUBLISHERS; i++)
		fixture_join(publishers[i]);
	atomic_store(&stress.stop, true);
	fixture_join(visitor);
	fixture_join(keeper);
	CHECK_EQ(weir_broker_drain(stress.broker, WEIR_FOREVER), 0);
	for (int i = 0; i < RECEIVERS; i++) {
		fixture_join(threads[i]);
		CHECK_EQ(receivers[i].received, receivers[0].received);
		CHECK_EQ(weir_unsubscribe(receivers[i].subscription, NULL), 0);
	}
	CHECK(receivers[0].received >= PUBLISHERS * stress.messages);
	CHECK_EQ(weir_broker_close(stress.broker, NULL), 0);
	for (uint64_t i = 0; i < MAILBOXES; i++)
		post(&stress, i, NULL);
	CHECK_EQ(atomic_load(&stress.released), atomic_load(&stress.posted));
	CHECK(atomic_load(&stress.crated) > stress.messages);
	CHECK(atomic_load(&stress.posted) > stress.messages / 8);
	fail_allocator_check_empty(&stress.memory);
}
