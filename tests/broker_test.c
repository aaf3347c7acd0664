/* SPDX-License-Identifier: BSD-2-Clause */
/* broker_test.c - a broker as a user opens and uses it: options, fan-out, caps. */
#include "fail_allocator.h"
#include "fixture.h"

/* ---- Opening ---- */

WEIR_TEST(broker, opens_with_all_defaults_and_with_every_option_at_its_limits)
{
	const weir_broker_options least = {
		.message_size_max = 1, .topics_max = 1, .subscriptions_max = 1
	};
	const weir_broker_options most = {
		.clock = weir_clock_real(),
		.message_size_max = (size_t)1 << 31,
		.topics_max = (size_t)1 << 32,
		.subscriptions_max = (size_t)1 << 32,
		.timestamps = true,
	};

	CHECK_EQ(weir_broker_close(fixture_broker(NULL), NULL), 0);
	CHECK_EQ(weir_broker_close(fixture_broker(&(weir_broker_options){ 0 }), NULL), 0);
	CHECK_EQ(weir_broker_close(fixture_broker(&least), NULL), 0);
	CHECK_EQ(weir_broker_close(fixture_broker(&most), NULL), 0);
}

WEIR_TEST(broker, refuses_options_out_of_range_and_leaves_the_output_alone)
{
	const weir_allocator whole = fail_allocator_hook(&(struct fail_allocator){ 0 });
	weir_broker *const untouched = (weir_broker *)(uintptr_t)0x10;
	weir_broker *broker = untouched;
	const weir_broker_options bad[] = {
		{ .message_size_max = ((size_t)1 << 31) + 1 },
		{ .message_size_max = SIZE_MAX },
		{ .topics_max = ((size_t)1 << 32) + 1 },
		{ .subscriptions_max = ((size_t)1 << 32) + 1 },
		{ .allocator = { .allocate = whole.allocate } },
		{ .allocator = { .deallocate = whole.deallocate } },
		{ .reserved = { 1 } },
		{ .reserved = { [7] = UINT64_MAX } },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(weir_broker_open(&broker, &bad[i]), WEIR_EINVAL);
		CHECK(broker == untouched);
	}
	CHECK_EQ(weir_broker_open(NULL, NULL), WEIR_EINVAL);
}

WEIR_TEST(broker, lives_on_the_clock_it_was_given_and_by_default_on_the_real_one)
{
	weir_broker *broker = fixture_broker(NULL);

	CHECK(weir_broker_clock(broker) == weir_clock_real());
	CHECK(weir_broker_clock(NULL) == NULL);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(broker, many_live_side_by_side_and_share_nothing)
{
	enum {
		COUNT = 20
	};
	weir_broker *brokers[COUNT];
	weir_subscription *subscriptions[COUNT];

	for (int i = 0; i < COUNT; i++) {
		brokers[i] = fixture_broker(NULL);
		subscriptions[i] = fixture_subscribe(brokers[i], ">", 4);
	}
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(weir_publish_to(brokers[i], "here", &i, sizeof(i), NULL, NULL), 0);
	for (int i = 0; i < COUNT; i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_receive(subscriptions[i], &delivery, 0), 0);
		CHECK_EQ(*(const int *)delivery.data, i);
		fixture_check_empty(subscriptions[i]);
		CHECK_EQ(weir_broker_close(brokers[i], NULL), 0);
		CHECK_EQ(weir_unsubscribe(subscriptions[i], NULL), 0);
	}
}

WEIR_TEST(broker, opens_and_closes_ten_thousand_times_and_nothing_is_left)
{
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	const uint64_t rounds = harness_scaled(10000);

	for (uint64_t i = 0; i < rounds; i++)
		CHECK_EQ(weir_broker_close(fixture_broker(&options), NULL), 0);
	fail_allocator_check_empty(&memory);
}

/* ---- Fan-out ---- */

WEIR_TEST(broker, delivers_to_every_matching_subscription)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *exact = fixture_subscribe(broker, "orders.eu", 0);
	weir_subscription *star = fixture_subscribe(broker, "*.eu", 0);
	weir_publisher *publisher = fixture_publisher(broker, "orders.eu");
	weir_subscription *tail = fixture_subscribe(broker, "orders.>", 0);
	weir_subscription *other = fixture_subscribe(broker, "orders.us", 0);
	weir_delivery delivery;

	CHECK_EQ(fixture_publish_text(publisher, "hello"), 3);
	fixture_receive_text(exact, "hello");
	fixture_receive_text(star, "hello");
	fixture_receive_text(tail, "hello");
	fixture_check_empty(other);
	CHECK_EQ(weir_unsubscribe(star, NULL), 0);
	CHECK_EQ(fixture_publish_text(publisher, "again"), 2);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK_EQ(weir_receive(exact, &delivery, 0), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_unsubscribe(exact, NULL), 0);
	CHECK_EQ(weir_unsubscribe(tail, NULL), 0);
	CHECK_EQ(weir_unsubscribe(other, NULL), 0);
	weir_publisher_close(publisher);
}

WEIR_TEST(broker, stamps_messages_with_its_clock_only_if_asked)
{
	const bool wishes[] = { false, true };

	for (int i = 0; i < 2; i++) {
		weir_broker *broker =
			fixture_broker(&(weir_broker_options){ .timestamps = wishes[i] });
		weir_subscription *subscription = fixture_subscribe(broker, "t", 1);
		const double before = weir_now(weir_broker_clock(broker));
		weir_delivery delivery;
		double stamp;

		CHECK_EQ(weir_publish_to(broker, "t", NULL, 0, NULL, NULL), 0);
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		stamp = weir_message_timestamp(delivery.message);
		if (wishes[i])
			CHECK(stamp >= before && stamp <= weir_now(weir_broker_clock(broker)));
		else
			CHECK_EQ((int)stamp, 0);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		CHECK_EQ(weir_broker_close(broker, NULL), 0);
	}
}

/* ---- Caps ---- */

WEIR_TEST(broker, topics_max_is_exact_and_removing_a_topic_makes_room)
{
	weir_broker *broker = fixture_broker(&(weir_broker_options){ .topics_max = 2 });
	weir_publisher *one = fixture_publisher(broker, "one");
	weir_publisher *three = NULL;
	weir_subscription *subscription = NULL;

	CHECK_EQ(weir_publish_to(broker, "two", NULL, 0, NULL, NULL), 0);
	CHECK_EQ(weir_publisher_open(&three, broker, "three", NULL), WEIR_ELIMIT);
	CHECK(three == NULL);
	CHECK_EQ(weir_publish_to(broker, "three", NULL, 0, NULL, NULL), WEIR_ELIMIT);
	CHECK_EQ(weir_subscribe(&subscription, broker, "three", NULL), WEIR_ELIMIT);
	CHECK(subscription == NULL);
	CHECK_EQ(fixture_broker_statistics(broker).topics, 2);
	/* A filter with a wildcard makes no topic. */
	subscription = fixture_subscribe(broker, "*", 0);
	CHECK_EQ(weir_topic_remove(broker, "two"), 0);
	three = fixture_publisher(broker, "three");
	CHECK_EQ(fixture_publish(three, 3), 1);
	weir_publisher_close(one);
	weir_publisher_close(three);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(broker, subscriptions_max_is_exact_and_unsubscribing_makes_room)
{
	weir_broker *broker = fixture_broker(&(weir_broker_options){ .subscriptions_max = 2 });
	weir_subscription *one = fixture_subscribe(broker, "one", 0);
	weir_subscription *two = fixture_subscribe(broker, ">", 0);
	weir_subscription *three = NULL;

	CHECK_EQ(weir_subscribe(&three, broker, "three", NULL), WEIR_ELIMIT);
	CHECK(three == NULL);
	CHECK_EQ(fixture_broker_statistics(broker).topics, 1);
	CHECK_EQ(weir_unsubscribe(one, NULL), 0);
	three = fixture_subscribe(broker, "three", 0);
	CHECK_EQ(weir_unsubscribe(three, NULL), 0);
	CHECK_EQ(weir_unsubscribe(two, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(broker, message_size_max_is_exact_for_every_way_to_make_a_message)
{
	weir_broker *broker = fixture_broker(&(weir_broker_options){ .message_size_max = 10 });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	const weir_payload good = { "0123456789", 10 }, bad[] = { good, { "0123456789+", 11 } };
	weir_message *message = NULL;

	CHECK_EQ(weir_publish(publisher, "0123456789", 10, NULL, NULL), 0);
	CHECK_EQ(weir_publish(publisher, "0123456789+", 11, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish(publisher, "0123456789+", SIZE_MAX, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish_batch(publisher, &good, 1, NULL, NULL), 0);
	/* The whole batch is looked at before the first of it goes. */
	CHECK_EQ(weir_publish_batch(publisher, bad, 2, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish_to(broker, "t", "0123456789", 10, NULL, NULL), 0);
	CHECK_EQ(weir_publish_to(broker, "t", "0123456789+", 11, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_loan(publisher, 11, &message), WEIR_EINVAL);
	CHECK_EQ(weir_loan(publisher, SIZE_MAX, &message), WEIR_EINVAL);
	CHECK(message == NULL);
	CHECK_EQ(weir_loan(publisher, 10, &message), 0);
	weir_message_release(message);
	CHECK_EQ(fixture_broker_statistics(broker).published, 3);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
