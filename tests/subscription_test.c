/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subscription_test.c - what a subscription may be asked, what it answers to every
 * mistake, and receiving in all its forms; with outputs untouched by failure.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/subscription.h"
#include "fixture.h"

#define NOT_A_NUMBER ((double)NAN)

static weir_subscription *const untouched = (weir_subscription *)(uintptr_t)0x10;

static void check_refused(weir_broker *broker, const char *filter,
	const weir_subscription_options *options, int error)
{
	weir_subscription *subscription = untouched;

	CHECK_EQ(weir_subscribe(&subscription, broker, filter, options), error);
	CHECK(subscription == untouched);
}

static void no_hook(void *context, weir_subscription *subscription, uint64_t queued)
{
	(void)context;
	(void)subscription;
	(void)queued;
}

/* ---- Opening ---- */

WEIR_TEST(subscription, options_out_of_range_are_refused_and_change_nothing)
{
	static const weir_subscription_options bad[] = {
		{ .capacity = WEIR_CAPACITY_MAX + 1 },
		{ .capacity = SIZE_MAX },
		{ .overflow = (weir_overflow)6 },
		{ .overflow = (weir_overflow)-1 },
		{ .overflow = WEIR_OVERFLOW_UNBOUNDED, .capacity = 1 },
		{ .order = (weir_order)2 },
		{ .order = (weir_order)-1 },
		{ .priority_classes = 1 },
		{ .ageing = 1 },
		{ .ageing = NOT_A_NUMBER },
		{ .order = WEIR_ORDER_PRIORITY, .priority_classes = 33 },
		{ .order = WEIR_ORDER_PRIORITY, .ageing = -1 },
		{ .order = WEIR_ORDER_PRIORITY, .ageing = NOT_A_NUMBER },
		{ .order = WEIR_ORDER_PRIORITY, .ageing = HUGE_VAL },
		{ .order = WEIR_ORDER_PRIORITY, .ageing = 1, .priority_classes = 2 },
		{ .wait = (weir_wait)4 },
		{ .wait = (weir_wait)-1 },
		{ .low_watermark = 1 },
		{ .high_watermark = 1, .low_watermark = 1 },
		{ .high_watermark = 1025 },
		{ .high_watermark = 5, .capacity = 4 },
		{ .on_slow = no_hook },
		{ .on_recovered = no_hook },
		{ .high_watermark = 2, .hook_interval = -1 },
		{ .high_watermark = 2, .hook_interval = NOT_A_NUMBER },
		{ .hook_interval = NOT_A_NUMBER },
		{ .hook_interval = -1 },
		{ .ack = (weir_ack_mode)3 },
		{ .ack = (weir_ack_mode)-1 },
		{ .ack_timeout = 1 },
		{ .max_in_flight = 1 },
		{ .max_attempts = 1 },
		{ .dead_letter_topic = "dead" },
		{ .ack = WEIR_ACK_MANUAL, .ack_timeout = -1 },
		{ .ack = WEIR_ACK_MANUAL, .ack_timeout = NOT_A_NUMBER },
		{ .ack = WEIR_ACK_MANUAL, .ack_timeout_from_publish = true },
		{ .ack = WEIR_ACK_MANUAL, .max_in_flight = WEIR_CAPACITY_MAX + 1 },
		{ .ack = WEIR_ACK_MANUAL, .redelivery_delay = -1 },
		{ .ack = WEIR_ACK_MANUAL, .redelivery_delay = NOT_A_NUMBER },
		{ .ack = WEIR_ACK_MANUAL, .redelivery_factor = NOT_A_NUMBER },
		{ .ack = WEIR_ACK_MANUAL, .redelivery_delay_max = NOT_A_NUMBER },
		{ .ack = WEIR_ACK_MANUAL, .redelivery_jitter = 1.5 },
		{ .ack = WEIR_ACK_MANUAL, .redelivery_jitter = -0.5 },
		{ .ack = WEIR_ACK_MANUAL, .redelivery_jitter = NOT_A_NUMBER },
		{ .ack = WEIR_ACK_MANUAL, .dead_letter_topic = "" },
		{ .ack = WEIR_ACK_MANUAL, .dead_letter_topic = "dead.*" },
		{ .reserved = { 1 } },
		{ .reserved = { [7] = 1 } },
	};
	weir_broker *broker = fixture_broker(NULL);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		weir_subscription *subscription = untouched;
		const int error = weir_subscribe(&subscription, broker, "t", &bad[i]);

		if (error != WEIR_EINVAL || subscription != untouched)
			harness_fail(__FILE__, __LINE__, "refusing option set %zu", i);
	}
	check_refused(broker, "", NULL, WEIR_EINVAL);
	check_refused(broker, "a.", NULL, WEIR_EINVAL);
	check_refused(broker, NULL, NULL, WEIR_EINVAL);
	check_refused(NULL, "t", NULL, WEIR_EINVAL);
	CHECK_EQ(weir_subscribe(NULL, broker, "t", NULL), WEIR_EINVAL);
	CHECK_EQ(fixture_broker_statistics(broker).subscriptions, 0);
	CHECK_EQ(fixture_broker_statistics(broker).topics, 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(subscription, options_at_their_limits_are_taken)
{
	static const weir_subscription_options good[] = {
		{ .capacity = 1 },
		{ .capacity = WEIR_CAPACITY_MAX },
		{ .capacity_bytes = 1 },
		{ .capacity_bytes = UINT64_MAX },
		{ .overflow = WEIR_OVERFLOW_UNBOUNDED },
		{ .order = WEIR_ORDER_PRIORITY, .priority_classes = 32 },
		{ .order = WEIR_ORDER_PRIORITY, .ageing = 1e300 },
		{ .wait = WEIR_WAIT_PARK },
		{ .high_watermark = 1024, .low_watermark = 1023, .hook_interval = WEIR_FOREVER },
		{ .high_watermark = 1 },
		{ .protect = true, .protect_priority = INT32_MIN },
		{ .ack = WEIR_ACK_AUTO, .ack_timeout = WEIR_FOREVER, .max_in_flight = 1 },
		{ .ack = WEIR_ACK_MANUAL,
			.max_attempts = UINT32_MAX,
			.redelivery_jitter = 1,
			.dead_letter_topic = "dead.letters" },
	};
	weir_broker *broker = fixture_broker(NULL);

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		weir_subscription *subscription = NULL;

		CHECK_EQ(weir_subscribe(&subscription, broker, "t", &good[i]), 0);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	}
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(subscription, has_1024_places_by_default)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe_dropping(broker, "t", 0);
	weir_publisher *publisher = fixture_publisher(broker, "t");

	for (uint64_t i = 0; i < 1024; i++)
		CHECK_EQ(fixture_publish(publisher, i), 1);
	CHECK_EQ(fixture_publish(publisher, 0), 0);
	CHECK_EQ(fixture_statistics(subscription).capacity, 1024);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(subscription, has_a_number_and_keeps_its_filter)
{
	weir_broker *broker = fixture_broker(NULL);
	char filter[] = "orders.*";
	weir_subscription *one = fixture_subscribe(broker, filter, 1);
	weir_subscription *two = fixture_subscribe(broker, ">", 1);

	memset(filter, 'x', sizeof(filter) - 1);
	CHECK_STR_EQ(weir_subscription_filter(one), "orders.*");
	CHECK_EQ(weir_subscription_id(one), 1);
	CHECK_EQ(weir_subscription_id(two), 2);
	CHECK_EQ(weir_unsubscribe(two, NULL), 0);
	/* A number is never used again. */
	two = fixture_subscribe(broker, ">", 1);
	CHECK_EQ(weir_subscription_id(two), 3);
	CHECK_STR_EQ(weir_subscription_filter(NULL), NULL);
	CHECK_EQ(weir_subscription_id(NULL), 0);
	CHECK_EQ(weir_unsubscribe(one, NULL), 0);
	CHECK_EQ(weir_unsubscribe(two, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- Receiving ---- */

static void untouched_by(int found, int expected, const weir_delivery *delivery, size_t count)
{
	CHECK_EQ(found, expected);
	CHECK_EQ(delivery->size, 77);
	CHECK(delivery->message == NULL);
	CHECK_EQ(count, 77);
}

WEIR_TEST(subscription, receive_says_what_is_wrong_and_leaves_outputs_alone)
{
	static const double bad[] = { -1, -1e-300, -HUGE_VAL, NOT_A_NUMBER };
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 1);
	weir_delivery delivery = { .size = 77 };
	size_t count = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		untouched_by(weir_receive(subscription, &delivery, bad[i]), WEIR_EINVAL, &delivery,
			count);
		untouched_by(weir_receive_batch(subscription, &delivery, 1, bad[i], &count),
			WEIR_EINVAL, &delivery, count);
	}
	untouched_by(weir_receive(NULL, &delivery, 0), WEIR_EINVAL, &delivery, count);
	untouched_by(weir_receive(subscription, NULL, 0), WEIR_EINVAL, &delivery, count);
	untouched_by(
		weir_receive_batch(NULL, &delivery, 1, 0, &count), WEIR_EINVAL, &delivery, count);
	untouched_by(weir_receive_batch(subscription, NULL, 1, 0, &count), WEIR_EINVAL, &delivery,
		count);
	untouched_by(weir_receive_batch(subscription, &delivery, 0, 0, &count), WEIR_EINVAL,
		&delivery, count);
	untouched_by(weir_receive_batch(subscription, &delivery, 1, 0, NULL), WEIR_EINVAL,
		&delivery, count);
	untouched_by(weir_receive(subscription, &delivery, 0), WEIR_EAGAIN, &delivery, count);
	untouched_by(weir_receive(subscription, &delivery, 1e-9), WEIR_ETIMEDOUT, &delivery, count);
	untouched_by(weir_receive_batch(subscription, &delivery, 5, 1e-4, &count), WEIR_ETIMEDOUT,
		&delivery, count);
	CHECK_EQ(weir_wake(subscription), 0);
	untouched_by(weir_receive(subscription, &delivery, 1), WEIR_EINTR, &delivery, count);
	CHECK_EQ(weir_subscription_stop(subscription), 0);
	untouched_by(weir_receive(subscription, &delivery, 0), WEIR_ECLOSED, &delivery, count);
	untouched_by(weir_receive(subscription, &delivery, WEIR_FOREVER), WEIR_ECLOSED, &delivery,
		count);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_unsubscribe(NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_subscription_stop(NULL), WEIR_EINVAL);
	CHECK_EQ(weir_wake(NULL), WEIR_EINVAL);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(subscription, waits_as_long_as_allowed_in_every_way_of_waiting)
{
	static const weir_wait waits[] = { WEIR_WAIT_SPIN_THEN_PARK, WEIR_WAIT_SPIN, WEIR_WAIT_PARK,
		WEIR_WAIT_YIELD };
	weir_broker *broker = fixture_broker(NULL);

	for (int i = 0; i < 4; i++) {
		const weir_subscription_options options = { .wait = waits[i] };
		weir_subscription *subscription;
		weir_delivery delivery;
		double before;

		CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
		before = weir_now(weir_clock_real());
		CHECK_EQ(weir_receive(subscription, &delivery, 5e-3), WEIR_ETIMEDOUT);
		CHECK(weir_now(weir_clock_real()) - before >= 5e-3);
		CHECK_EQ(weir_publish_to(broker, "t", "x", 1, NULL, NULL), 0);
		CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), 0);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	}
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(subscription, batch_takes_what_is_there_and_no_more_than_asked)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 5000);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	static weir_delivery deliveries[WEIR_BATCH_MAX + 100];
	size_t count;

	for (uint64_t i = 0; i < 5000; i++)
		fixture_publish(publisher, i);
	CHECK_EQ(weir_receive_batch(subscription, deliveries, 3, 0, &count), 0);
	CHECK_EQ(count, 3);
	/* The largest one there is. */
	CHECK_EQ(weir_receive_batch(subscription, deliveries, SIZE_MAX, 0, &count), 0);
	CHECK_EQ(count, WEIR_BATCH_MAX);
	for (size_t i = 0; i < count; i++)
		CHECK_EQ(fixture_number(&deliveries[i]), i + 3);
	CHECK_EQ(weir_receive_batch(
			 subscription, deliveries, WEIR_BATCH_MAX + 100, WEIR_FOREVER, &count),
		0);
	CHECK_EQ(count, 5000 - 3 - WEIR_BATCH_MAX);
	fixture_check_empty(subscription);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(subscription, missed_tells_of_each_loss_once_with_the_next_message)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe_dropping(broker, "t", 2);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery deliveries[2];
	size_t count;

	for (uint64_t i = 0; i < 5; i++)
		fixture_publish(publisher, i);
	CHECK_EQ(weir_receive_batch(subscription, deliveries, 2, 0, &count), 0);
	CHECK_EQ(count, 2);
	CHECK_EQ(deliveries[0].missed, 3);
	CHECK_EQ(deliveries[1].missed, 0);
	fixture_publish(publisher, 5);
	CHECK_EQ(weir_receive(subscription, deliveries, 0), 0);
	CHECK_EQ(deliveries[0].missed, 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

struct receiver {
	weir_subscription *subscription;
	double timeout;
	int result;
};

static void *receiver_run(void *argument)
{
	struct receiver *receiver = argument;
	weir_delivery delivery;

	receiver->result = weir_receive(receiver->subscription, &delivery, receiver->timeout);
	return NULL;
}

WEIR_TEST(subscription, second_receive_at_once_finds_it_busy)
{
	weir_broker *broker = fixture_broker(NULL);
	struct receiver receiver = { fixture_subscribe(broker, "t", 1), WEIR_FOREVER, 1 };
	weir_delivery delivery = { .size = 77 };
	size_t index = 77;
	pthread_t thread = fixture_thread(receiver_run, &receiver);

	FIXTURE_UNTIL(fixture_receiver_is_parked(receiver.subscription));
	CHECK_EQ(weir_receive(receiver.subscription, &delivery, 0), WEIR_EBUSY);
	CHECK_EQ(weir_select(&receiver.subscription, 1, WEIR_SELECT_FAIR, 0, &delivery, &index),
		WEIR_EBUSY);
	CHECK_EQ(delivery.size, 77);
	CHECK_EQ(index, 77);
	CHECK_EQ(weir_publish_to(broker, "t", "x", 1, NULL, NULL), 0);
	fixture_join(thread);
	CHECK_EQ(receiver.result, 0);
	CHECK_EQ(weir_unsubscribe(receiver.subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(subscription, stopping_and_unsubscribing_end_a_receive_that_waits)
{
	static const weir_wait waits[] = { WEIR_WAIT_SPIN_THEN_PARK, WEIR_WAIT_SPIN, WEIR_WAIT_PARK,
		WEIR_WAIT_YIELD };

	for (int i = 0; i < 8; i++) {
		weir_broker *broker = fixture_broker(NULL);
		const weir_subscription_options options = { .wait = waits[i % 4] };
		struct receiver receiver = { NULL, WEIR_FOREVER, 1 };
		pthread_t thread;

		CHECK_EQ(weir_subscribe(&receiver.subscription, broker, "t", &options), 0);
		thread = fixture_thread(receiver_run, &receiver);
		FIXTURE_UNTIL(weiri_load_acquire(&receiver.subscription->receiving) == 1);
		if (i < 4) {
			CHECK_EQ(weir_subscription_stop(receiver.subscription), 0);
			/* Again is nothing. */
			CHECK_EQ(weir_subscription_stop(receiver.subscription), 0);
			fixture_join(thread);
			CHECK_EQ(weir_unsubscribe(receiver.subscription, NULL), 0);
		} else {
			CHECK_EQ(weir_unsubscribe(receiver.subscription, NULL), 0);
			fixture_join(thread);
		}
		CHECK_EQ(receiver.result, WEIR_ECLOSED);
		CHECK_EQ(weir_broker_close(broker, NULL), 0);
	}
}

/* ---- Waking ---- */

WEIR_TEST(subscription, wake_interrupts_the_next_wait_once_and_no_receive_that_finds_something)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 4);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery delivery;

	CHECK_EQ(weir_wake(subscription), 0);
	CHECK_EQ(weir_wake(subscription), 0);
	fixture_publish(publisher, 1);
	CHECK_EQ(fixture_receive(subscription), 1);
	/* A try does not wait. */
	fixture_check_empty(subscription);
	CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), WEIR_EINTR);
	CHECK_EQ(weir_receive(subscription, &delivery, 1e-6), WEIR_ETIMEDOUT);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(subscription, wake_ends_a_wait_of_any_kind)
{
	static const weir_wait waits[] = { WEIR_WAIT_SPIN_THEN_PARK, WEIR_WAIT_SPIN, WEIR_WAIT_PARK,
		WEIR_WAIT_YIELD };

	for (int i = 0; i < 4; i++) {
		weir_broker *broker = fixture_broker(NULL);
		const weir_subscription_options options = { .wait = waits[i] };
		struct receiver receiver = { NULL, WEIR_FOREVER, 1 };
		pthread_t thread;

		CHECK_EQ(weir_subscribe(&receiver.subscription, broker, "t", &options), 0);
		thread = fixture_thread(receiver_run, &receiver);
		FIXTURE_UNTIL(weiri_load_acquire(&receiver.subscription->receiving) == 1);
		CHECK_EQ(weir_wake(receiver.subscription), 0);
		fixture_join(thread);
		CHECK_EQ(receiver.result, WEIR_EINTR);
		CHECK_EQ(weir_unsubscribe(receiver.subscription, NULL), 0);
		CHECK_EQ(weir_broker_close(broker, NULL), 0);
	}
}

/* ---- Sums by priority ---- */

WEIR_TEST(subscription, counts_by_priority_only_where_asked)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *plain = fixture_subscribe(broker, "t", 4), *counting;
	const weir_subscription_options options = { .count_priorities = true };
	weir_priority_statistics statistics = { .matched = { 77 } };

	CHECK_EQ(weir_subscription_priorities_get(plain, &statistics), WEIR_EINVAL);
	CHECK_EQ(weir_subscription_priorities_get(NULL, &statistics), WEIR_EINVAL);
	CHECK_EQ(statistics.matched[0], 77);
	CHECK_EQ(weir_subscribe(&counting, broker, "t", &options), 0);
	CHECK_EQ(weir_subscription_priorities_get(counting, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_subscription_priorities_get(counting, &statistics), 0);
	CHECK_EQ(statistics.matched[0], 0);
	CHECK_EQ(weir_unsubscribe(plain, NULL), 0);
	CHECK_EQ(weir_unsubscribe(counting, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
