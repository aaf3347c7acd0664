/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * statistics_test.c - the counters are exact at every quiet point and add up
 * (promise P3), and none of them ever runs backwards.
 */
#include <stdatomic.h>
#include <string.h>

#include "fail_allocator.h"
#include "fixture.h"
#include "model.h"

WEIR_TEST(statistics, are_those_of_a_model_after_every_one_of_many_random_operations)
{
	const uint64_t runs = harness_scaled(40);
	struct model_counts sum = { 0 };

	for (uint64_t run = 0; run < runs; run++) {
		struct fail_allocator memory = { 0 };
		const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
		struct model *model = model_open(&options, harness_seed() + run);
		struct model_counts counts;

		for (int i = 0; i < 2500; i++) {
			model_step(model);
			model_check(model);
		}
		counts = model_close(model);
		fail_allocator_check_empty(&memory);
		sum.operations += counts.operations;
		sum.publishes += counts.publishes;
		sum.batches += counts.batches;
		sum.by_name += counts.by_name;
		sum.missed += counts.missed;
		sum.newest += counts.newest;
		sum.timed_out += counts.timed_out;
		sum.closed += counts.closed;
		sum.partial += counts.partial;
		sum.busy_topics += counts.busy_topics;
		sum.removals += counts.removals;
	}
	CHECK(sum.operations == runs * 2500);
	CHECK(sum.publishes > runs && sum.batches > runs && sum.by_name > runs);
	CHECK(sum.missed > runs && sum.newest > runs && sum.timed_out > runs);
	CHECK(sum.closed > runs && sum.partial > runs);
	CHECK(sum.busy_topics > runs && sum.removals > runs);
}

WEIR_TEST(statistics, of_nothing_are_zero)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 5);
	const weir_subscription_statistics empty = { .capacity = 5 };
	const weir_topic_statistics quiet = { .subscriptions = 1 };
	const weir_broker_statistics fresh = { .topics = 1, .subscriptions = 1 };
	weir_subscription_statistics of_subscription;
	weir_topic_statistics of_topic;
	weir_broker_statistics of_broker;

	memset(&of_subscription, 0xff, sizeof(of_subscription));
	memset(&of_topic, 0xff, sizeof(of_topic));
	memset(&of_broker, 0xff, sizeof(of_broker));
	CHECK_EQ(weir_subscription_statistics_get(subscription, &of_subscription), 0);
	CHECK_EQ(weir_topic_statistics_get(broker, "t", &of_topic), 0);
	CHECK_EQ(weir_broker_statistics_get(broker, &of_broker), 0);
	CHECK(memcmp(&of_subscription, &empty, sizeof(empty)) == 0);
	CHECK(memcmp(&of_topic, &quiet, sizeof(quiet)) == 0);
	CHECK(memcmp(&of_broker, &fresh, sizeof(fresh)) == 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(statistics, are_not_written_on_failure)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_topic_statistics of_topic = { .published = 77 };

	CHECK_EQ(weir_topic_statistics_get(broker, "nobody", &of_topic), WEIR_ENOENT);
	CHECK_EQ(weir_topic_statistics_get(broker, "a.*", &of_topic), WEIR_EINVAL);
	CHECK_EQ(weir_topic_statistics_get(broker, NULL, &of_topic), WEIR_EINVAL);
	CHECK_EQ(weir_topic_statistics_get(NULL, "t", &of_topic), WEIR_EINVAL);
	CHECK_EQ(weir_topic_statistics_get(broker, "t", NULL), WEIR_EINVAL);
	CHECK_EQ(of_topic.published, 77);
	CHECK_EQ(weir_broker_statistics_get(broker, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_broker_statistics_get(NULL, &(weir_broker_statistics){ 0 }), WEIR_EINVAL);
	CHECK_EQ(weir_subscription_statistics_get(NULL, &(weir_subscription_statistics){ 0 }),
		WEIR_EINVAL);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(statistics, high_water_is_the_most_that_was_queued_and_never_falls)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 5);
	weir_publisher *publisher = fixture_publisher(broker, "t");

	for (uint64_t round = 1; round <= 5; round++) {
		for (uint64_t i = 0; i < round; i++)
			fixture_publish(publisher, i);
		CHECK_EQ(fixture_statistics(subscription).high_water, round);
		for (uint64_t i = 0; i < round; i++)
			CHECK_EQ(fixture_receive(subscription), i);
		CHECK_EQ(fixture_statistics(subscription).high_water, round);
		CHECK_EQ(fixture_statistics(subscription).queued, 0);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- While everything moves ---- */

struct middle {
	weir_broker *broker;
	weir_broker_statistics seen;
};

static void middle_look(void *context, void *data)
{
	struct middle *middle = context;

	(void)data;
	CHECK_EQ(weir_broker_statistics_get(middle->broker, &middle->seen), 0);
}

/* What is queued is given back in the middle of it, which is a place to look from. */
WEIR_TEST(statistics, of_a_broker_do_not_fall_in_the_middle_of_an_unsubscribe)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe_dropping(broker, "t", 1);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	struct middle middle = { .broker = broker };
	weir_message *message;

	fixture_publish(publisher, 1);
	fixture_publish(publisher, 2);
	CHECK_EQ(fixture_receive(subscription), 1);
	CHECK_EQ(weir_message_wrap(publisher, &middle, 1, middle_look, &middle, &message), 0);
	CHECK_EQ(weir_publish_message(publisher, message, NULL, NULL), 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(middle.seen.published, 3);
	CHECK_EQ(middle.seen.delivered, 1);
	CHECK_EQ(middle.seen.dropped[WEIR_DROP_NEWEST], 1);
	CHECK_EQ(fixture_broker_statistics(broker).dropped[WEIR_DROP_CLOSED], 1);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

struct reader {
	weir_broker *broker;
	_Atomic bool stop;
	_Atomic uint64_t reads;
};

static void *reader_run(void *argument)
{
	struct reader *reader = argument;
	weir_broker_statistics before = { 0 };

	while (!atomic_load(&reader->stop)) {
		weir_broker_statistics now;

		CHECK_EQ(weir_broker_statistics_get(reader->broker, &now), 0);
		CHECK(now.published >= before.published);
		CHECK(now.matched >= before.matched);
		CHECK(now.enqueued >= before.enqueued);
		CHECK(now.delivered >= before.delivered);
		for (int i = 0; i < WEIR_DROP_REASONS; i++)
			CHECK(now.dropped[i] >= before.dropped[i]);
		before = now;
		(void)atomic_fetch_add(&reader->reads, 1);
	}
	return NULL;
}

WEIR_TEST(statistics, of_a_broker_never_fall_while_handles_come_and_go)
{
	weir_broker *broker = fixture_broker(NULL);
	struct reader reader = { .broker = broker };
	pthread_t thread = fixture_thread(reader_run, &reader);
	const uint64_t wanted = harness_scaled(2000);
	uint64_t rounds = 0;

	for (; rounds < wanted || atomic_load(&reader.reads) < wanted; rounds++) {
		weir_subscription *subscription = fixture_subscribe(broker, "t", 4);
		weir_subscription *small = fixture_subscribe_dropping(broker, "*", 1);
		weir_publisher *publisher = fixture_publisher(broker, "t");

		for (uint64_t i = 0; i < 4; i++)
			fixture_publish(publisher, i);
		CHECK_EQ(fixture_receive(subscription), 0);
		CHECK_EQ(fixture_receive(small), 0);
		weir_publisher_close(publisher);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		CHECK_EQ(weir_unsubscribe(small, NULL), 0);
	}
	atomic_store(&reader.stop, true);
	fixture_join(thread);
	CHECK_EQ(fixture_broker_statistics(broker).published, 4 * rounds);
	CHECK_EQ(fixture_broker_statistics(broker).delivered, 2 * rounds);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
