/* SPDX-License-Identifier: BSD-2-Clause */
/* A broker as a user sees it: publish and receive, drain and close, counters. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "core/broker.h"
#include "harness.h"
#include "weir/weir.h"

static weir_broker *broker_opened(void)
{
	weir_broker *broker = NULL;

	CHECK_EQ(weir_broker_open(&broker, NULL), 0);
	return broker;
}

static void publish_text(weir_publisher *publisher, const char *text, uint64_t enqueued)
{
	weir_receipt receipt;

	CHECK_EQ(weir_publish(publisher, text, strlen(text), NULL, &receipt), 0);
	CHECK_EQ(receipt.enqueued, enqueued);
}

static void receive_text(weir_subscription *subscription, const char *text)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.size, strlen(text));
	CHECK(memcmp(delivery.data, text, delivery.size) == 0);
}

WEIR_TEST(broker, delivers_to_every_matching_subscription)
{
	weir_broker *broker = broker_opened();
	weir_subscription *exact, *star, *tail, *other;
	weir_publisher *publisher;
	weir_delivery delivery;

	CHECK_EQ(weir_subscribe(&exact, broker, "orders.eu", NULL), 0);
	CHECK_EQ(weir_subscribe(&star, broker, "*.eu", NULL), 0);
	CHECK_EQ(weir_publisher_open(&publisher, broker, "orders.eu", NULL), 0);
	CHECK_EQ(weir_subscribe(&tail, broker, "orders.>", NULL), 0);
	CHECK_EQ(weir_subscribe(&other, broker, "orders.us", NULL), 0);
	publish_text(publisher, "hello", 3);
	receive_text(exact, "hello");
	receive_text(star, "hello");
	receive_text(tail, "hello");
	CHECK_EQ(weir_receive(other, &delivery, 0), WEIR_EAGAIN);
	CHECK_EQ(weir_unsubscribe(star, NULL), 0);
	publish_text(publisher, "again", 2);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK_EQ(weir_receive(exact, &delivery, 0), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_unsubscribe(exact, NULL), 0);
	CHECK_EQ(weir_unsubscribe(tail, NULL), 0);
	CHECK_EQ(weir_unsubscribe(other, NULL), 0);
	weir_publisher_close(publisher);
}

static void *drain_for_ever(void *broker)
{
	CHECK_EQ(weir_broker_drain(broker, WEIR_FOREVER), WEIR_ESHUTDOWN);
	return NULL;
}

WEIR_TEST(broker, closing_ends_a_drain_that_waits_for_a_queue_nobody_empties)
{
	weir_broker *broker = broker_opened();
	weir_subscription *subscription;
	weir_broker_statistics last;
	pthread_t thread;

	CHECK_EQ(weir_subscribe(&subscription, broker, "a", NULL), 0);
	CHECK_EQ(weir_publish_to(broker, "a", "x", 1, NULL, NULL), 0);
	CHECK_EQ(pthread_create(&thread, NULL, drain_for_ever, broker), 0);
	while (weiri_load_acquire(&broker->drain_waiter.state) != WEIRI_WAITER_WAITING)
		(void)sched_yield();
	CHECK_EQ(weir_broker_close(broker, &last), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 1);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}
