/* SPDX-License-Identifier: BSD-2-Clause */
/* topic_test.c - a topic's references and its snapshots of subscriptions. */
#include "core/topic.h"

#include <string.h>

#include "core/broker.h"
#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

#define SUBSCRIPTIONS 5

struct bench {
	struct fail_allocator memory;
	weir_broker *broker;
	struct weiri_topic *topic;
	struct weir_subscription *subscriptions[SUBSCRIPTIONS]; /* of the broker, to other topics */
};

static void bench_open(struct bench *bench)
{
	*bench = (struct bench){ .broker = NULL };
	bench->broker = fixture_broker(
		&(weir_broker_options){ .allocator = fail_allocator_hook(&bench->memory) });
	bench->topic = weiri_topic_open(bench->broker, "t", 1, 7);
	CHECK(bench->topic != NULL);
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		bench->subscriptions[i] =
			i % 2 == 0 ? fixture_subscribe(bench->broker, "x", 1)
				   : fixture_subscribe_dropping(bench->broker, "x", 1);
}

static void bench_close(struct bench *bench)
{
	weiri_topic_unref(bench->topic);
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		CHECK_EQ(weir_unsubscribe(bench->subscriptions[i], NULL), 0);
	CHECK_EQ(weir_broker_close(bench->broker, NULL), 0);
	fail_allocator_check_empty(&bench->memory);
}

static void change(struct bench *bench, int added, int removed)
{
	CHECK_EQ(weiri_topic_prepare(bench->topic, added < 0 ? NULL : bench->subscriptions[added],
			 removed < 0 ? NULL : bench->subscriptions[removed]),
		0);
	weiri_topic_apply(bench->topic);
	weiri_topic_discard(bench->topic);
}

/* The places that are not empty, as digits in their order; "-" is an empty one. */
static void check_places(struct bench *bench, const char *expected)
{
	const struct weiri_snapshot *snapshot = weiri_load_acquire(&bench->topic->snapshot);
	char found[SUBSCRIPTIONS + 2] = "";

	for (size_t i = 0; i < snapshot->count; i++) {
		const struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		found[i] = '-';
		for (int k = 0; k < SUBSCRIPTIONS; k++)
			if (subscription == bench->subscriptions[k])
				found[i] = (char)('0' + k);
	}
	CHECK_STR_EQ(found, expected);
	for (int k = 0; k < SUBSCRIPTIONS; k++)
		CHECK_EQ(weiri_topic_has(bench->topic, bench->subscriptions[k]),
			strchr(expected, '0' + k) != NULL);
}

WEIR_TEST(topic, knows_its_subscriptions_in_the_order_of_their_coming)
{
	struct bench bench;

	bench_open(&bench);
	check_places(&bench, "");
	change(&bench, 0, -1);
	change(&bench, 1, -1);
	change(&bench, 2, -1);
	check_places(&bench, "012");
	CHECK_EQ(weiri_load_relaxed(&bench.topic->snapshot)->blocking, 2);
	change(&bench, -1, 1);
	check_places(&bench, "02");
	change(&bench, 3, -1);
	change(&bench, 1, 0);
	check_places(&bench, "231");
	CHECK_EQ(weiri_load_relaxed(&bench.topic->snapshot)->blocking, 1);
	bench_close(&bench);
}

WEIR_TEST(topic, what_is_prepared_is_seen_by_nobody_until_it_is_applied)
{
	struct bench bench;

	bench_open(&bench);
	change(&bench, 0, -1);
	CHECK_EQ(weiri_topic_prepare(bench.topic, bench.subscriptions[1], NULL), 0);
	check_places(&bench, "0");
	weiri_topic_discard(bench.topic);
	check_places(&bench, "0");
	/* Without anything prepared both do nothing. */
	weiri_topic_apply(bench.topic);
	weiri_topic_discard(bench.topic);
	check_places(&bench, "0");
	bench_close(&bench);
}

WEIR_TEST(topic, one_that_leaves_without_memory_leaves_an_empty_place)
{
	struct bench bench;

	bench_open(&bench);
	for (int i = 0; i < 3; i++)
		change(&bench, i, -1);
	fail_allocator_arm(&bench.memory, 1, true);
	CHECK_EQ(weiri_topic_prepare(bench.topic, NULL, bench.subscriptions[1]), WEIR_ENOMEM);
	CHECK_EQ(weiri_topic_prepare(bench.topic, bench.subscriptions[4], NULL), WEIR_ENOMEM);
	check_places(&bench, "012");
	weiri_topic_erase(bench.topic, bench.subscriptions[1]);
	check_places(&bench, "0-2");
	/* Erasing one that is not there is nothing. */
	weiri_topic_erase(bench.topic, bench.subscriptions[1]);
	weiri_topic_erase(bench.topic, bench.subscriptions[4]);
	check_places(&bench, "0-2");
	fail_allocator_arm(&bench.memory, 0, false);
	/* The next change closes the gap. */
	change(&bench, 3, -1);
	check_places(&bench, "023");
	bench_close(&bench);
}

WEIR_TEST(topic, removed_for_good_says_so)
{
	struct bench bench;

	bench_open(&bench);
	change(&bench, 0, -1);
	CHECK(!weiri_snapshot_is_removed(weiri_load_acquire(&bench.topic->snapshot)));
	weiri_topic_prepare_removed(bench.topic);
	weiri_topic_apply(bench.topic);
	weiri_topic_discard(bench.topic);
	CHECK(weiri_snapshot_is_removed(weiri_load_acquire(&bench.topic->snapshot)));
	check_places(&bench, "");
	bench_close(&bench);
}

WEIR_TEST(topic, goes_with_its_last_reference)
{
	struct bench bench;
	uint64_t blocks;

	bench_open(&bench);
	blocks = atomic_load(&bench.memory.blocks);
	weiri_topic_ref(bench.topic);
	weiri_topic_ref(bench.topic);
	weiri_topic_unref(bench.topic);
	weiri_topic_unref(bench.topic);
	CHECK_EQ(atomic_load(&bench.memory.blocks), blocks);
	bench_close(&bench);
}
