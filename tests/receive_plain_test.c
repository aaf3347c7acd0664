/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * receive_plain_test.c - the short way to receive does all that the long one does; the same
 * cases go both ways, the long one being a batch of one.
 */
#include "core/receive_plain.h"

#include <string.h>

#include "fixture.h"
#include <weir/message.h>

static int one_receive(weir_subscription *subscription, weir_delivery *delivery, bool is_plain)
{
	size_t count = 1;
	int error;

	if (is_plain)
		return weir_receive(subscription, delivery, 0);
	error = weir_receive_batch(subscription, delivery, 1, 0, &count);
	CHECK_EQ(count, 1);
	return error;
}

WEIR_TEST(receive_plain, is_for_plain_rings_in_real_time)
{
	static const struct {
		weir_subscription_options options;
		bool is_plain;
	} cases[] = {
		{ { .capacity = 8 }, true },
		{ { .capacity = 8, .overflow = WEIR_OVERFLOW_DROP_NEWEST }, true },
		{ { .capacity = 8, .overflow = WEIR_OVERFLOW_DROP_OLDEST }, false },
		{ { .capacity = 8, .ack = WEIR_ACK_MANUAL }, false },
		{ { .capacity = 8, .high_watermark = 4 }, false },
		{ { .capacity = 8, .order = WEIR_ORDER_PRIORITY }, false },
		{ { .capacity = 8, .group = "g" }, false },
	};
	weir_broker *broker = fixture_broker(NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		weir_subscription *subscription;

		CHECK_EQ(weir_subscribe(&subscription, broker, "t", &cases[i].options), 0);
		CHECK_EQ(subscription->is_plain, cases[i].is_plain && broker->fence_asymmetric);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	}
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

static void losses_check(bool is_plain)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe_dropping(broker, "t", 2);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery delivery;

	for (uint64_t i = 0; i < 5; i++)
		(void)fixture_publish(publisher, i);
	memset(&delivery, 0xff, sizeof(delivery));
	CHECK_EQ(one_receive(subscription, &delivery, is_plain), 0);
	CHECK_EQ(fixture_number(&delivery), 0);
	CHECK_EQ(delivery.size, sizeof(uint64_t));
	CHECK(delivery.data == weir_message_data(delivery.message));
	CHECK_EQ(delivery.missed, 3);
	CHECK_EQ(delivery.attempt, 1);
	CHECK(delivery.deadline == WEIR_FOREVER);
	CHECK_EQ(delivery.token_ledger, 0);
	CHECK_EQ(one_receive(subscription, &delivery, is_plain), 0);
	CHECK_EQ(delivery.missed, 0);
	CHECK_EQ(one_receive(subscription, &delivery, is_plain), WEIR_EAGAIN);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK_EQ(one_receive(subscription, &delivery, is_plain), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}

WEIR_TEST(receive_plain, tells_what_was_lost_once)
{
	losses_check(true);
	losses_check(false);
}

static void attention_check(bool is_plain)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 2);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery delivery;

	/* As a publisher that came to wait here and has gone since. */
	(void)fixture_publish(publisher, 1);
	weiri_attention_set(subscription, WEIRI_ATTENTION_ROOM);
	CHECK(subscription->room.told == 0);
	CHECK_EQ(one_receive(subscription, &delivery, is_plain), 0);
	CHECK(subscription->room.told > 0);
	weiri_attention_clear(subscription, WEIRI_ATTENTION_ROOM);
	/* Another thread's receive is under way. */
	weiri_store_relaxed(&subscription->receiving, 1);
	CHECK_EQ(one_receive(subscription, &delivery, is_plain), WEIR_EBUSY);
	weiri_store_relaxed(&subscription->receiving, 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(receive_plain, sees_to_what_calls_for_attention)
{
	attention_check(true);
	attention_check(false);
}

static unsigned int freed;

static void note_free(void *context, void *data)
{
	(void)context;
	(void)data;
	freed++;
}

WEIR_TEST(receive_plain, releases_what_was_handed_out_before_one_or_many)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 16);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery deliveries[8];
	size_t count;

	freed = 0;
	for (int i = 0; i < 6; i++) {
		weir_message *message;

		CHECK_EQ(weir_message_wrap(publisher, &freed, 1, note_free, NULL, &message), 0);
		CHECK_EQ(weir_publish_message(publisher, message, NULL, NULL), 0);
	}
	CHECK_EQ(weir_receive_batch(subscription, deliveries, 4, 0, &count), 0);
	CHECK_EQ(count, 4);
	CHECK_EQ(freed, 0);
	CHECK_EQ(weir_receive(subscription, deliveries, 0), 0);
	CHECK_EQ(freed, 4);
	CHECK_EQ(weir_receive(subscription, deliveries, 0), 0);
	CHECK_EQ(freed, 5);
	CHECK_EQ(weir_receive(subscription, deliveries, 0), WEIR_EAGAIN);
	CHECK_EQ(freed, 6);
	CHECK_EQ(weir_receive(subscription, deliveries, 0), WEIR_EAGAIN);
	CHECK_EQ(freed, 6);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
