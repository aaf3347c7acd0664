/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redrive_stress.c - a letter is sent back by one thread, time and again, while others use
 * its message, or take what it is to be sent back to away.
 */
#include <stdatomic.h>
#include <string.h>

#include "fail_allocator.h"
#include "fixture.h"
#include <weir/acknowledge.h>
#include <weir/message.h>

#define KEEPERS 2

struct stress {
	struct fail_allocator memory;
	weir_broker *broker;
	weir_subscription *letters;
	weir_delivery letter;
	_Atomic bool stop;
	_Atomic uint64_t keeps;
};

static const weir_subscription_options failing = {
	.ack = WEIR_ACK_MANUAL,
	.max_attempts = 1,
	.dead_letter_topic = "letters",
};

/* One letter, of a subscription that is gone. */
static void stress_open(struct stress *stress)
{
	weir_subscription *subscription;
	weir_delivery delivery;

	memset(stress, 0, sizeof(*stress));
	stress->broker = fixture_broker(
		&(weir_broker_options){ .allocator = fail_allocator_hook(&stress->memory) });
	CHECK_EQ(weir_subscribe(&subscription, stress->broker, "t", &failing), 0);
	CHECK_EQ(weir_subscribe(&stress->letters, stress->broker, "letters", NULL), 0);
	CHECK_EQ(weir_publish_to(stress->broker, "t", "hello", 5, NULL, NULL), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_reject(&delivery, NULL), 0);
	CHECK_EQ(weir_receive(stress->letters, &stress->letter, 0), 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}

static void stress_close(struct stress *stress)
{
	CHECK_EQ(stress->letter.size, 5);
	CHECK(memcmp(stress->letter.data, "hello", 5) == 0);
	CHECK_EQ(weir_unsubscribe(stress->letters, NULL), 0);
	CHECK_EQ(weir_broker_close(stress->broker, NULL), 0);
	fail_allocator_check_empty(&stress->memory);
}

static void *keeper_run(void *argument)
{
	struct stress *stress = argument;

	while (!atomic_load(&stress->stop)) {
		CHECK_EQ(weir_message_keep(stress->letter.message), 0);
		weir_message_release(stress->letter.message);
		atomic_fetch_add_explicit(&stress->keeps, 1, memory_order_relaxed);
	}
	return NULL;
}

WEIR_TEST(redrive_stress, loses_no_reference_of_others)
{
	static struct stress stress;
	pthread_t keepers[KEEPERS];
	const uint64_t tries = harness_scaled(100000);

	stress_open(&stress);
	for (int i = 0; i < KEEPERS; i++)
		keepers[i] = fixture_thread(keeper_run, &stress);
	for (uint64_t i = 0; i < tries || atomic_load(&stress.keeps) < tries; i++)
		CHECK_EQ(weir_redrive(&stress.letter), WEIR_ENOENT);
	atomic_store(&stress.stop, true);
	for (int i = 0; i < KEEPERS; i++)
		fixture_join(keepers[i]);
	stress_close(&stress);
}

static void *redriver_run(void *argument)
{
	struct stress *stress = argument;

	while (!atomic_load(&stress->stop)) {
		CHECK_EQ(weir_redrive(&stress->letter), WEIR_ENOENT);
		atomic_fetch_add_explicit(&stress->keeps, 1, memory_order_relaxed);
	}
	return NULL;
}

/* Its ledger gets one owner after another, none of which it came from. */
WEIR_TEST(redrive_stress, finds_no_other_subscription_than_its_own)
{
	static struct stress stress;
	pthread_t redriver;
	const uint64_t owners = harness_scaled(1000);

	stress_open(&stress);
	redriver = fixture_thread(redriver_run, &stress);
	for (uint64_t i = 0; i < owners || atomic_load(&stress.keeps) < owners; i++) {
		weir_subscription *subscription;

		CHECK_EQ(weir_subscribe(&subscription, stress.broker, "t", &failing), 0);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	}
	atomic_store(&stress.stop, true);
	fixture_join(redriver);
	stress_close(&stress);
}
