/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weir itself, as a program uses it: a broker, one topic, publisher handles, a
 * subscription for each subscriber.  peer_weir.c and peer_weir_acks.c have defined
 * WEIR_ACKS before: whether messages are acknowledged, each or each batch of them
 * before the next receive.
 */
#ifndef BENCH_WEIR_PEER_H
#define BENCH_WEIR_PEER_H

#include <weir/weir.h>

#include "peers.h"

#define PEER_WINDOW 0

typedef struct {
	weir_publisher *publisher;
	weir_message *loan;
} peer_publisher;

typedef struct {
	weir_subscription *subscription;
	weir_delivery deliveries[BENCH_BATCH];
	size_t count; /* not acknowledged yet */
} peer_subscriber;

struct channel {
	struct bench_shape shape;
	weir_broker *broker;
	peer_publisher publishers[BENCH_PUBLISHERS_MAX];
	peer_subscriber subscribers[BENCH_SUBSCRIBERS_MAX];
};

#define TOPIC "bench.topic"

static void must(int error, const char *what)
{
	if (error != 0)
		bench_fail("%s: %s", what, weir_strerror(error));
}

static weir_wait wait_of(unsigned int mode)
{
	if (mode == BENCH_SPIN)
		return WEIR_WAIT_SPIN;
	if (mode == BENCH_YIELD)
		return WEIR_WAIT_YIELD;
	return mode == BENCH_PARK ? WEIR_WAIT_PARK : WEIR_WAIT_SPIN_THEN_PARK;
}

static void *channel_open(const struct bench_shape *shape)
{
	struct channel *channel = bench_memory(sizeof(*channel));
	weir_subscription_options options = {
		.capacity = shape->capacity,
		.wait = wait_of(shape->mode),
		.ack = WEIR_ACKS ? WEIR_ACK_MANUAL : WEIR_ACK_NONE,
	};

	channel->shape = *shape;
	must(weir_broker_open(&channel->broker, NULL), "weir_broker_open");
	for (unsigned int i = 0; i < shape->subscribers; i++)
		must(weir_subscribe(&channel->subscribers[i].subscription, channel->broker, TOPIC,
			     &options),
			"weir_subscribe");
	return channel;
}

static void *publisher_open(void *opened, unsigned int index)
{
	struct channel *channel = opened;
	peer_publisher *publisher = &channel->publishers[index];
	weir_publisher_options options = { .wait = wait_of(channel->shape.mode) };

	must(weir_publisher_open(&publisher->publisher, channel->broker, TOPIC, &options),
		"weir_publisher_open");
	return publisher;
}

static void *subscriber_open(void *opened, unsigned int index)
{
	struct channel *channel = opened;

	return &channel->subscribers[index];
}

static inline void acknowledge(peer_subscriber *subscriber)
{
	if (subscriber->count == 1)
		must(weir_ack(subscriber->deliveries), "weir_ack");
	else if (subscriber->count > 1)
		must(weir_ack_batch(subscriber->deliveries, subscriber->count, NULL),
			"weir_ack_batch");
	subscriber->count = 0;
}

static const char *channel_close(void *opened, uint64_t received)
{
	struct channel *channel = opened;
	const char *wrong = NULL;

	for (unsigned int i = 0; i < channel->shape.publishers; i++)
		weir_publisher_close(channel->publishers[i].publisher);
	for (unsigned int i = 0; i < channel->shape.subscribers; i++) {
		weir_subscription_statistics last;

		acknowledge(&channel->subscribers[i]);
		must(weir_unsubscribe(channel->subscribers[i].subscription, &last),
			"weir_unsubscribe");
		if (last.matched != received || last.enqueued != received ||
			last.delivered != received || last.acknowledged != received ||
			last.redelivered != 0 || last.high_water > last.capacity)
			wrong = "the subscription's statistics";
	}
	must(weir_broker_close(channel->broker, NULL), "weir_broker_close");
	bench_memory_free(channel);
	return wrong;
}

static inline void peer_publish(peer_publisher *publisher, const void *data, size_t size)
{
	must(weir_publish(publisher->publisher, data, size, NULL, NULL), "weir_publish");
}

static inline const void *peer_receive(peer_subscriber *subscriber)
{
	acknowledge(subscriber);
	must(weir_receive(subscriber->subscription, subscriber->deliveries, WEIR_FOREVER),
		"weir_receive");
	subscriber->count = WEIR_ACKS;
	return subscriber->deliveries[0].data;
}

#define PEER_BATCHES

static inline void peer_publish_batch(peer_publisher *publisher, unsigned char *first,
	size_t stride, size_t size, unsigned int count)
{
	weir_payload payloads[BENCH_BATCH];

	for (unsigned int i = 0; i < count; i++)
		payloads[i] = (weir_payload){ .data = first + i * stride, .size = size };
	must(weir_publish_batch(publisher->publisher, payloads, count, NULL, NULL),
		"weir_publish_batch");
}

static inline unsigned int peer_receive_batch(
	peer_subscriber *subscriber, const void **data, unsigned int count)
{
	size_t taken;

	acknowledge(subscriber);
	must(weir_receive_batch(
		     subscriber->subscription, subscriber->deliveries, count, WEIR_FOREVER, &taken),
		"weir_receive_batch");
	subscriber->count = WEIR_ACKS ? taken : 0;
	for (size_t i = 0; i < taken; i++)
		data[i] = subscriber->deliveries[i].data;
	return (unsigned int)taken;
}

#define PEER_LOANS

static inline void *peer_loan(peer_publisher *publisher, size_t size)
{
	must(weir_loan(publisher->publisher, size, &publisher->loan), "weir_loan");
	return weir_message_buffer(publisher->loan);
}

static inline void peer_publish_loan(peer_publisher *publisher, void *loan, size_t size)
{
	(void)loan;
	(void)size;
	must(weir_publish_message(publisher->publisher, publisher->loan, NULL, NULL),
		"weir_publish_message");
}

#include "loops.h"

#define WEIR_MODES     (BENCH_SPIN | BENCH_YIELD | BENCH_DEFAULT | BENCH_PARK)
#define WEIR_ABILITIES (BENCH_CAN_BATCH | BENCH_CAN_LOAN)
#define WEIR_CHANNEL   channel_open, publisher_open, subscriber_open, channel_close, PEER_LOOPS

#endif
