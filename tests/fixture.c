/* SPDX-License-Identifier: BSD-2-Clause */
/* fixture.c - see fixture.h. */
#include "fixture.h"

#include <string.h>

#include "core/subscription.h"

/* ---- A broker and its handles ---- */

weir_broker *fixture_broker(const weir_broker_options *options)
{
	weir_broker *broker = NULL;

	CHECK_EQ(weir_broker_open(&broker, options), 0);
	return broker;
}

weir_publisher *fixture_publisher(weir_broker *broker, const char *name)
{
	weir_publisher *publisher = NULL;

	CHECK_EQ(weir_publisher_open(&publisher, broker, name, NULL), 0);
	return publisher;
}

static weir_subscription *subscribe(
	weir_broker *broker, const char *filter, size_t capacity, weir_overflow overflow)
{
	const weir_subscription_options options = { .capacity = capacity, .overflow = overflow };
	weir_subscription *subscription = NULL;

	CHECK_EQ(weir_subscribe(&subscription, broker, filter, &options), 0);
	return subscription;
}

weir_subscription *fixture_subscribe(weir_broker *broker, const char *filter, size_t capacity)
{
	return subscribe(broker, filter, capacity, WEIR_OVERFLOW_BLOCK);
}

weir_subscription *fixture_subscribe_dropping(
	weir_broker *broker, const char *filter, size_t capacity)
{
	return subscribe(broker, filter, capacity, WEIR_OVERFLOW_DROP_NEWEST);
}

/* ---- Messages ---- */

static uint64_t publish(weir_publisher *publisher, const void *data, size_t size)
{
	weir_receipt receipt;

	CHECK_EQ(weir_publish(publisher, data, size, NULL, &receipt), 0);
	CHECK_EQ(receipt.published, 1);
	CHECK_EQ(receipt.matched, receipt.enqueued + receipt.dropped);
	return receipt.enqueued;
}

uint64_t fixture_publish(weir_publisher *publisher, uint64_t number)
{
	return publish(publisher, &number, sizeof(number));
}

uint64_t fixture_publish_text(weir_publisher *publisher, const char *text)
{
	return publish(publisher, text, strlen(text));
}

uint64_t fixture_number(const weir_delivery *delivery)
{
	uint64_t number;

	CHECK_EQ(delivery->size, sizeof(number));
	memcpy(&number, delivery->data, sizeof(number));
	return number;
}

uint64_t fixture_receive(weir_subscription *subscription)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	return fixture_number(&delivery);
}

void fixture_receive_text(weir_subscription *subscription, const char *text)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.size, strlen(text));
	CHECK(memcmp(delivery.data, text, delivery.size) == 0);
}

void fixture_check_empty(weir_subscription *subscription)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), WEIR_EAGAIN);
}

/* ---- The sums of P3 ---- */

uint64_t fixture_dropped(const weir_subscription_statistics *statistics)
{
	uint64_t sum = 0;

	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		sum += statistics->dropped[i];
	return sum;
}

void fixture_check_sums(const weir_subscription_statistics *statistics)
{
	CHECK_EQ(statistics->matched, statistics->acknowledged + fixture_dropped(statistics) +
					      statistics->expired + statistics->dead_lettered +
					      statistics->queued + statistics->in_flight +
					      statistics->parked);
	CHECK(statistics->enqueued >= statistics->delivered + statistics->queued);
	CHECK(statistics->matched >= statistics->enqueued);
	CHECK(statistics->high_water <= statistics->capacity);
	CHECK(statistics->queued <= statistics->high_water);
}

void fixture_check_broker_sums(const weir_broker_statistics *statistics)
{
	uint64_t dropped = 0;

	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		dropped += statistics->dropped[i];
	CHECK_EQ(statistics->matched, statistics->acknowledged + dropped + statistics->expired +
					      statistics->dead_lettered + statistics->queued +
					      statistics->in_flight + statistics->parked);
	CHECK(statistics->matched >= statistics->enqueued);
}

weir_subscription_statistics fixture_statistics(weir_subscription *subscription)
{
	weir_subscription_statistics statistics;

	CHECK_EQ(weir_subscription_statistics_get(subscription, &statistics), 0);
	fixture_check_sums(&statistics);
	return statistics;
}

weir_broker_statistics fixture_broker_statistics(weir_broker *broker)
{
	weir_broker_statistics statistics;

	CHECK_EQ(weir_broker_statistics_get(broker, &statistics), 0);
	fixture_check_broker_sums(&statistics);
	return statistics;
}

/* ---- Threads ---- */

pthread_t fixture_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, run, argument), 0);
	return thread;
}

void fixture_join(pthread_t thread)
{
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

bool fixture_receiver_is_parked(weir_subscription *subscription)
{
	struct weiri_waiter *waiter = weiri_load_acquire(&subscription->armed);

	return waiter != NULL && weiri_load_acquire(&waiter->state) == WEIRI_WAITER_WAITING;
}

bool fixture_publishers_are_parked(weir_subscription *subscription, unsigned int count)
{
	struct weiri_room *room = &subscription->room;
	unsigned int parked = 0;

	CHECK_EQ(pthread_mutex_lock(&room->mutex), 0);
	for (struct weiri_room_place *place = room->first; place != NULL; place = place->next)
		parked += weiri_load_acquire(&place->waiter->state) == WEIRI_WAITER_WAITING;
	CHECK_EQ(pthread_mutex_unlock(&room->mutex), 0);
	return parked >= count;
}
