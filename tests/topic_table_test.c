/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_table_test.c - topics by name against an array of them, with hashes that
 * collide on purpose; and that readers lose nothing while the table grows.
 */
#include "core/topic_table.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/broker.h"
#include "fail_allocator.h"
#include "fixture.h"
#include <weir/error.h>

#define NAMES 200

struct bench {
	struct fail_allocator memory;
	weir_allocator allocator;
	weir_broker *broker; /* topics need one to be freed by */
	struct weiri_reclaim reclaim;
	struct weiri_topic_table table;
	struct weiri_topic *topics[NAMES]; /* those that are there */
	size_t count;
	uint64_t hash_mask; /* few bits: many collide */
};

static void bench_open(struct bench *bench, uint64_t hash_mask)
{
	memset(bench, 0, sizeof(*bench));
	bench->allocator = fail_allocator_hook(&bench->memory);
	bench->broker = fixture_broker(&(weir_broker_options){ .allocator = bench->allocator });
	bench->hash_mask = hash_mask;
	weiri_reclaim_open(&bench->reclaim, weiri_fence_probe());
	CHECK_EQ(weiri_topic_table_open(&bench->table, &bench->allocator), 0);
}

static size_t name_of(size_t index, char *name)
{
	return (size_t)snprintf(name, 32, "topic.%zu", index);
}

/* Neighbours, and everybody with the same few bits, share their place. */
static uint64_t hash_of(const struct bench *bench, size_t index)
{
	return (index / 2 * UINT64_C(0x9e3779b97f4a7c15)) & bench->hash_mask;
}

static struct weiri_topic *find(struct bench *bench, size_t index)
{
	char name[32];
	const size_t length = name_of(index, name);

	return weiri_topic_table_find(&bench->table, name, length, hash_of(bench, index));
}

static int add(struct bench *bench, size_t index)
{
	char name[32];
	const size_t length = name_of(index, name);
	struct weiri_topic *topic =
		weiri_topic_open(bench->broker, name, length, hash_of(bench, index));
	int error;

	if (topic == NULL)
		return WEIR_ENOMEM;
	error = weiri_topic_table_add(&bench->table, topic, &bench->allocator, &bench->reclaim);
	if (error != 0) {
		weiri_topic_unref(topic);
		return error;
	}
	bench->topics[index] = topic;
	bench->count++;
	return 0;
}

static void take_out(struct bench *bench, size_t index)
{
	weiri_topic_table_remove(&bench->table, bench->topics[index]);
	weiri_topic_unref(bench->topics[index]);
	bench->topics[index] = NULL;
	bench->count--;
}

static void bench_check(struct bench *bench)
{
	struct weiri_topic *topic;
	size_t cursor = 0, seen = 0;

	for (size_t i = 0; i < NAMES; i++)
		CHECK(find(bench, i) == bench->topics[i]);
	while ((topic = weiri_topic_table_next(&bench->table, &cursor)) != NULL) {
		size_t index = 0;

		CHECK_EQ(sscanf(topic->name, "topic.%zu", &index), 1);
		CHECK(bench->topics[index] == topic);
		seen++;
	}
	CHECK_EQ(seen, bench->count);
	CHECK_EQ(bench->table.topics, bench->count);
}

static void bench_close(struct bench *bench)
{
	for (size_t i = 0; i < NAMES; i++)
		if (bench->topics[i] != NULL)
			take_out(bench, i);
	weiri_topic_table_close(&bench->table, &bench->allocator);
	weiri_reclaim_close(&bench->reclaim, &bench->allocator);
	CHECK_EQ(weir_broker_close(bench->broker, NULL), 0);
	fail_allocator_check_empty(&bench->memory);
}

static void agree_with_an_array(uint64_t hash_mask)
{
	static struct bench bench;
	uint64_t state = harness_seed();
	const uint64_t steps = harness_scaled(20000);

	bench_open(&bench, hash_mask);
	for (uint64_t i = 0; i < steps; i++) {
		const size_t index = (size_t)harness_random_below(&state, NAMES);

		if (bench.topics[index] != NULL)
			take_out(&bench, index);
		else
			CHECK_EQ(add(&bench, index), 0);
		if (i % 97 == 0)
			bench_check(&bench);
	}
	/* Removed places do not fill it up for ever. */
	CHECK(weiri_load_relaxed(&bench.table.array)->size <= 8 * NAMES);
	bench_check(&bench);
	bench_close(&bench);
}

WEIR_TEST(topic_table, agrees_with_an_array)
{
	agree_with_an_array(UINT64_MAX);
}

WEIR_TEST(topic_table, agrees_with_an_array_when_most_hashes_collide)
{
	agree_with_an_array(3);
}

WEIR_TEST(topic_table, tells_names_of_one_hash_apart_also_when_one_begins_like_another)
{
	struct bench bench;

	bench_open(&bench, 0);
	/* topic.1, topic.10, topic.100 */
	for (size_t index = 1; index <= 100; index *= 10)
		CHECK_EQ(add(&bench, index), 0);
	bench_check(&bench);
	take_out(&bench, 10);
	bench_check(&bench);
	bench_close(&bench);
}

WEIR_TEST(topic_table, without_memory_to_grow_stays_as_it_was)
{
	static struct bench bench;
	size_t refused = 0;

	bench_open(&bench, UINT64_MAX);
	for (size_t i = 0; i < NAMES; i++) {
		/* There is memory for the topic itself; for a larger array there is none. */
		fail_allocator_arm(&bench.memory, 0, false);
		weiri_topic_unref(weiri_topic_open(bench.broker, "t", 1, 0));
		fail_allocator_arm(&bench.memory, 1, true);
		if (add(&bench, i) == 0)
			continue;
		refused++;
		bench_check(&bench);
		fail_allocator_arm(&bench.memory, 0, false);
		CHECK_EQ(add(&bench, i), 0);
	}
	CHECK(refused >= 3);
	fail_allocator_arm(&bench.memory, 0, false);
	bench_check(&bench);
	bench_close(&bench);
}

/* ---- Readers ---- */

struct reader {
	struct bench *bench;
	struct weiri_reclaim_member *member;
	_Atomic bool stop;
	_Atomic uint64_t looks;
};

/* The first names stay, whatever comes and goes beside them. */
#define STAYING 10

static void *reader_run(void *argument)
{
	struct reader *reader = argument;

	while (!atomic_load(&reader->stop)) {
		for (size_t i = 0; i < STAYING; i++) {
			struct weiri_topic *topic;

			weiri_reclaim_begin(reader->member);
			topic = find(reader->bench, i);
			CHECK(topic != NULL && topic == reader->bench->topics[i]);
			weiri_reclaim_end(&reader->bench->reclaim, reader->member);
		}
		(void)atomic_fetch_add(&reader->looks, 1);
	}
	return NULL;
}

WEIR_TEST(topic_table, readers_find_what_stays_while_it_grows_and_is_renewed)
{
	static struct bench bench;
	struct reader reader = { .bench = &bench };
	const uint64_t looks = harness_scaled(2000);
	uint64_t renewals = 0, rounds = 0;
	pthread_t thread;

	bench_open(&bench, UINT64_MAX);
	reader.member = weiri_reclaim_join(&bench.reclaim, &bench.allocator);
	CHECK(reader.member != NULL);
	for (size_t i = 0; i < STAYING; i++)
		CHECK_EQ(add(&bench, i), 0);
	thread = fixture_thread(reader_run, &reader);
	for (; atomic_load(&reader.looks) < looks || rounds < 20; rounds++) {
		const void *before = weiri_load_relaxed(&bench.table.array);

		for (size_t i = STAYING; i < NAMES; i++)
			CHECK_EQ(add(&bench, i), 0);
		renewals += before != weiri_load_relaxed(&bench.table.array);
		for (size_t i = STAYING; i < NAMES; i++) {
			weiri_topic_table_remove(&bench.table, bench.topics[i]);
			weiri_reclaim_wait(&bench.reclaim);
			weiri_topic_unref(bench.topics[i]);
			bench.topics[i] = NULL;
			bench.count--;
		}
	}
	CHECK(renewals > 1);
	atomic_store(&reader.stop, true);
	fixture_join(thread);
	weiri_reclaim_leave(&bench.reclaim, reader.member);
	bench_close(&bench);
}
