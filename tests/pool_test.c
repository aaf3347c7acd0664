/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_test.c - the blocks of messages: sizes, reuse, the chain on which receivers
 * give back, and a pool that outlives everybody but its messages.
 */
#include "core/pool.h"

#include <string.h>

#include "core/broker.h"
#include "core/message.h"
#include "core/publisher.h"
#include "fail_allocator.h"
#include "fixture.h"

struct bench {
	struct fail_allocator memory;
	weir_broker *broker;
	struct weiri_pool *pool;
};

static void bench_open(struct bench *bench)
{
	*bench = (struct bench){ .broker = NULL };
	bench->broker = fixture_broker(
		&(weir_broker_options){ .allocator = fail_allocator_hook(&bench->memory) });
	bench->pool = weiri_pool_open(bench->broker, NULL);
	CHECK(bench->pool != NULL);
}

static void bench_close(struct bench *bench)
{
	CHECK_EQ(weir_broker_close(bench->broker, NULL), 0);
	fail_allocator_check_empty(&bench->memory);
}

WEIR_TEST(pool, gives_messages_of_every_size_whose_bytes_are_their_own)
{
	enum {
		COUNT = 60
	};
	static struct weir_message *messages[COUNT];
	static size_t sizes[COUNT];
	struct bench bench;

	bench_open(&bench);
	for (size_t i = 0; i < COUNT; i++) {
		/* Around each power of two up to beyond the largest that is pooled. */
		sizes[i] = ((size_t)1 << i / 3) + i % 3 - 1;
		messages[i] = weiri_pool_take(bench.pool, sizes[i]);
		CHECK(messages[i] != NULL);
		CHECK_EQ(weir_message_size(messages[i]), sizes[i]);
		CHECK_EQ((uintptr_t)messages[i]->data % WEIRI_CACHE_LINE, 0);
		CHECK_EQ((messages[i]->flags & WEIRI_MESSAGE_LARGE) != 0,
			sizes[i] > WEIRI_POOL_PAYLOAD_MAX);
		memset(messages[i]->data, (int)i, sizes[i]);
	}
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t k = 0; k < sizes[i]; k += 1 + sizes[i] / 100)
			CHECK_EQ(((unsigned char *)messages[i]->data)[k], i);
		weiri_message_unref(messages[i], 1, NULL);
	}
	weiri_pool_abandon(bench.pool);
	bench_close(&bench);
}

WEIR_TEST(pool, in_steady_state_allocates_nothing)
{
	struct weir_message *messages[50];
	struct bench bench;
	uint64_t calls = 0;

	bench_open(&bench);
	for (int round = 0; round < 100; round++) {
		if (round == 2)
			calls = atomic_load(&bench.memory.calls);
		for (int i = 0; i < 50; i++)
			messages[i] = weiri_pool_take(bench.pool, 64 + (size_t)(i % 3) * 500);
		for (int i = 0; i < 50; i++)
			weiri_message_unref(messages[i], 1, NULL);
	}
	CHECK_EQ(atomic_load(&bench.memory.calls), calls);
	weiri_pool_abandon(bench.pool);
	bench_close(&bench);
}

WEIR_TEST(pool, memory_of_large_payloads_goes_with_them)
{
	struct bench bench;
	struct weir_message *message;
	uint64_t bytes;

	bench_open(&bench);
	weiri_message_unref(weiri_pool_take(bench.pool, WEIRI_POOL_PAYLOAD_MAX + 1), 1, NULL);
	bytes = atomic_load(&bench.memory.bytes);
	message = weiri_pool_take(bench.pool, 10000000);
	CHECK_EQ(atomic_load(&bench.memory.bytes), bytes + 10000000);
	weiri_message_unref(message, 1, NULL);
	CHECK_EQ(atomic_load(&bench.memory.bytes), bytes);
	weiri_pool_abandon(bench.pool);
	bench_close(&bench);
}

WEIR_TEST(pool, without_memory_gives_nothing_and_goes_on_later)
{
	struct bench bench;
	struct weir_message *message;

	bench_open(&bench);
	for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) {
		/* First the block, then the payload beside it. */
		fail_allocator_arm(&bench.memory, fail_at, false);
		if (fail_at == 2)
			weiri_message_unref(weiri_pool_take(bench.pool, 1), 1, NULL);
		fail_allocator_arm(&bench.memory, 1, false);
		CHECK(weiri_pool_take(bench.pool, WEIRI_POOL_PAYLOAD_MAX + 1) == NULL);
	}
	message = weiri_pool_take(bench.pool, WEIRI_POOL_PAYLOAD_MAX + 1);
	CHECK(message != NULL);
	weiri_message_unref(message, 1, NULL);
	weiri_pool_abandon(bench.pool);
	fail_allocator_arm(&bench.memory, 1, true);
	CHECK(weiri_pool_open(bench.broker, NULL) == NULL);
	fail_allocator_arm(&bench.memory, 0, false);
	bench_close(&bench);
}

WEIR_TEST(pool, lives_until_the_last_of_its_messages_is_given_back)
{
	enum {
		COUNT = 100
	};
	struct weir_message *messages[COUNT];

	/* Some come back before it is let go, some after it. */
	for (int before = 0; before <= COUNT; before += 10) {
		struct bench bench;
		uint64_t blocks;

		bench_open(&bench);
		for (int i = 0; i < COUNT; i++)
			messages[i] = weiri_pool_take(bench.pool, (size_t)i * 10);
		for (int i = 0; i < before; i++)
			weiri_message_unref(messages[i], 1, NULL);
		blocks = atomic_load(&bench.memory.blocks);
		weiri_pool_abandon(bench.pool);
		for (int i = before; i < COUNT; i++) {
			CHECK(atomic_load(&bench.memory.blocks) >= blocks);
			weiri_message_unref(messages[i], 1, NULL);
		}
		CHECK(atomic_load(&bench.memory.blocks) < blocks);
		bench_close(&bench);
	}
}

WEIR_TEST(pool, chain_keeps_messages_of_one_pool_and_passes_them_on)
{
	struct bench bench;
	struct weiri_pool *other;
	struct weiri_pool_chain chain = { .pool = NULL };
	struct weir_message *messages[50];

	bench_open(&bench);
	other = weiri_pool_open(bench.broker, NULL);
	for (int i = 0; i < 50; i++)
		messages[i] = weiri_pool_take(i < 45 ? bench.pool : other, 10);
	for (int i = 0; i < WEIRI_POOL_CHAIN_MAX; i++)
		weiri_message_unref_held(messages[i], &chain, other);
	CHECK_EQ(chain.count, WEIRI_POOL_CHAIN_MAX);
	CHECK(weiri_load_relaxed(&bench.pool->returned) == NULL);
	/* It is full: they go back, and one begins the next. */
	weiri_message_unref_held(messages[WEIRI_POOL_CHAIN_MAX], &chain, other);
	CHECK_EQ(chain.count, 1);
	CHECK(weiri_load_relaxed(&bench.pool->returned) != NULL);
	for (int i = WEIRI_POOL_CHAIN_MAX + 1; i < 45; i++)
		weiri_message_unref_held(messages[i], &chain, other);
	CHECK_EQ(chain.count, 45 - WEIRI_POOL_CHAIN_MAX);
	/* Another pool's: those before it go back. */
	weiri_message_unref(messages[45], 1, &chain);
	CHECK_EQ(chain.count, 1);
	CHECK(chain.pool == other);
	weiri_pool_abandon(bench.pool);
	weiri_pool_abandon(other);
	for (int i = 46; i < 50; i++)
		weiri_message_unref(messages[i], 1, &chain);
	weiri_pool_chain_flush(&chain);
	CHECK_EQ(chain.count, 0);
	weiri_pool_chain_flush(&chain);
	bench_close(&bench);
}

/* Messages in hand are written all over, so one that is in two places shows. */
static void fill(struct weir_message *message, size_t size, int mark)
{
	memset(message->data, mark, size);
}

static bool is_filled(const struct weir_message *message, size_t size, int mark)
{
	const unsigned char *bytes = message->data;

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != (unsigned char)mark)
			return false;
	return message->size == size;
}

WEIR_TEST(pool, blocks_come_back_in_bundles_of_their_size_and_each_is_used_once)
{
	static const size_t sizes[] = { 64, 64, 64, 200, 64, 1000, 200 };
	const size_t kinds = sizeof(sizes) / sizeof(sizes[0]);
	struct weir_message *messages[100];
	struct weiri_pool_chain chain = { .pool = NULL };
	uint64_t blocks = 0;
	struct bench bench;
	bool is_good = true;

	bench_open(&bench);
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < 100; i++) {
			messages[i] = weiri_pool_take(bench.pool, sizes[i % kinds]);
			fill(messages[i], sizes[i % kinds], (int)i);
		}
		for (size_t i = 0; i < 100; i++) {
			is_good = is_good && is_filled(messages[i], sizes[i % kinds], (int)i);
			weiri_message_unref(messages[i], 1, round % 3 == 0 ? &chain : NULL);
		}
		weiri_pool_chain_flush(&chain);
		if (round == 0)
			blocks = atomic_load(&bench.memory.blocks);
	}
	CHECK(is_good);
	/* Nothing was lost on the way either: what there was did for all rounds. */
	CHECK_EQ(atomic_load(&bench.memory.blocks), blocks);
	weiri_pool_abandon(bench.pool);
	bench_close(&bench);
}

WEIR_TEST(pool, what_came_back_one_by_one_is_sorted_in_bit_by_bit_and_counted_at_the_end)
{
	struct weir_message *messages[60];
	struct bench bench;

	for (int taken = 0; taken < 45; taken++) {
		bench_open(&bench);
		for (int i = 0; i < 60; i++)
			messages[i] = weiri_pool_take(bench.pool, i % 2 == 0 ? 10 : 500);
		for (int i = 0; i < 50; i++)
			weiri_message_unref(messages[i], 1, NULL);
		/* Some of them are in the free lists then, others wait their turn. */
		for (int i = 0; i < taken; i++)
			messages[i] = weiri_pool_take(bench.pool, i % 3 == 0 ? 10 : 500);
		weiri_pool_abandon(bench.pool);
		for (int i = 0; i < taken; i++)
			weiri_message_unref(messages[i], 1, NULL);
		for (int i = 50; i < 60; i++)
			weiri_message_unref(messages[i], 1, NULL);
		bench_close(&bench);
	}
}

/* ---- The race of letting go and giving back ---- */

#define GIVERS 3
#define EACH   40

struct giver {
	struct weir_message *messages[EACH];
	_Atomic bool *go;
};

static void *giver_run(void *argument)
{
	struct giver *giver = argument;
	struct weiri_pool_chain chain = { .pool = NULL };

	FIXTURE_UNTIL(atomic_load(giver->go));
	for (int i = 0; i < EACH; i++)
		weiri_message_unref(giver->messages[i], 1, i % 4 != 0 ? &chain : NULL);
	weiri_pool_chain_flush(&chain);
	return NULL;
}

WEIR_TEST(pool, goes_exactly_once_whoever_is_last)
{
	const uint64_t rounds = harness_scaled(1000);

	for (uint64_t round = 0; round < rounds; round++) {
		struct bench bench;
		struct giver givers[GIVERS];
		pthread_t threads[GIVERS];
		_Atomic bool go = false;

		bench_open(&bench);
		for (int i = 0; i < GIVERS; i++) {
			givers[i].go = &go;
			for (int k = 0; k < EACH; k++)
				givers[i].messages[k] = weiri_pool_take(bench.pool, 10);
			threads[i] = fixture_thread(giver_run, &givers[i]);
		}
		atomic_store(&go, true);
		weiri_pool_abandon(bench.pool);
		for (int i = 0; i < GIVERS; i++)
			fixture_join(threads[i]);
		bench_close(&bench);
	}
}

static void *waiting_run(void *argument)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(argument, &delivery, WEIR_FOREVER), 0);
	CHECK_EQ(weir_receive(argument, &delivery, WEIR_FOREVER), WEIR_ESHUTDOWN);
	return NULL;
}

WEIR_TEST(pool, gets_back_what_a_receiver_had_while_that_waits_in_whatever_way)
{
	static const weir_wait waits[] = { WEIR_WAIT_SPIN_THEN_PARK, WEIR_WAIT_SPIN, WEIR_WAIT_PARK,
		WEIR_WAIT_YIELD };

	/* A machine with one processor spins in no other way than SPIN. */
	for (unsigned int spins = 0; spins <= 64; spins += 64) {
		for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
			weir_broker *broker = fixture_broker(NULL);
			weir_publisher *publisher = fixture_publisher(broker, "t");
			weir_subscription *subscription;
			pthread_t thread;

			broker->spins = spins;
			CHECK_EQ(weir_subscribe(&subscription, broker, "t",
					 &(weir_subscription_options){ .wait = waits[i] }),
				0);
			CHECK_EQ(fixture_publish(publisher, 1), 1);
			thread = fixture_thread(waiting_run, subscription);
			FIXTURE_UNTIL(weiri_load_relaxed(&publisher->pool->returned) != NULL);
			CHECK_EQ(weir_broker_drain(broker, WEIR_FOREVER), 0);
			fixture_join(thread);
			weir_publisher_close(publisher);
			CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
			CHECK_EQ(weir_broker_close(broker, NULL), 0);
		}
	}
}
