/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A nats-server on the loopback, by NATS's own library for C, each end with a
 * connection of its own.  A subscription's queue drops when it is full, and the
 * server ends the connection of one that is slow, so the harness's window holds
 * the publisher.
 */
#include <nats/nats.h>
#include <stdio.h>

#include "nats_server.h"
#include "peers.h"

#define PEER_WINDOW 1

/* Longer than the harness lets a run last. */
#define PATIENCE_MS 600000

typedef struct {
	natsConnection *connection;
	const char *subject;
} peer_publisher;

typedef struct {
	natsConnection *connection;
	natsSubscription *subscription;
	natsMsg *message;
} peer_subscriber;

struct channel {
	struct bench_shape shape;
	char subject[32];
	peer_publisher publishers[BENCH_PUBLISHERS_MAX];
	peer_subscriber subscribers[BENCH_SUBSCRIBERS_MAX];
};

static void must(natsStatus status, const char *what)
{
	if (status != NATS_OK)
		bench_fail("%s: %s", what, natsStatus_GetText(status));
}

/* The library gathers what is published for a millisecond, unless told that it is
 * waited for. */
static natsOptions *options_make(const struct bench_shape *shape)
{
	natsOptions *options;

	must(natsOptions_Create(&options), "natsOptions_Create");
	must(natsOptions_SetURL(options, bench_nats_server_url()), "natsOptions_SetURL");
	must(natsOptions_SetAllowReconnect(options, false), "natsOptions_SetAllowReconnect");
	must(natsOptions_SetSendAsap(options, shape->is_latency), "natsOptions_SetSendAsap");
	return options;
}

static void subscriber_prepare(
	struct channel *channel, peer_subscriber *subscriber, natsOptions *options)
{
	must(natsConnection_Connect(&subscriber->connection, options), "natsConnection_Connect");
	must(natsConnection_SubscribeSync(
		     &subscriber->subscription, subscriber->connection, channel->subject),
		"natsConnection_SubscribeSync");
	/* A round trip: the server has the subscription now. */
	must(natsConnection_Flush(subscriber->connection), "natsConnection_Flush");
}

/* All connections are made here, so that their threads are not pinned with the ends. */
static void *channel_open(const struct bench_shape *shape)
{
	static unsigned int opened; /* round trips have a subject for each way */
	struct channel *channel = bench_memory(sizeof(*channel));
	natsOptions *options = options_make(shape);

	channel->shape = *shape;
	(void)snprintf(channel->subject, sizeof(channel->subject), "bench.%u", opened++);
	for (unsigned int i = 0; i < shape->subscribers; i++)
		subscriber_prepare(channel, &channel->subscribers[i], options);
	for (unsigned int i = 0; i < shape->publishers; i++) {
		channel->publishers[i].subject = channel->subject;
		must(natsConnection_Connect(&channel->publishers[i].connection, options),
			"natsConnection_Connect");
	}
	natsOptions_Destroy(options);
	return channel;
}

static void *publisher_open(void *opened, unsigned int index)
{
	return &((struct channel *)opened)->publishers[index];
}

static void *subscriber_open(void *opened, unsigned int index)
{
	return &((struct channel *)opened)->subscribers[index];
}

static bool subscriber_end(peer_subscriber *subscriber, uint64_t received)
{
	int64_t delivered, dropped;

	must(natsSubscription_GetDelivered(subscriber->subscription, &delivered), "GetDelivered");
	must(natsSubscription_GetDropped(subscriber->subscription, &dropped), "GetDropped");
	natsMsg_Destroy(subscriber->message);
	natsSubscription_Destroy(subscriber->subscription);
	natsConnection_Destroy(subscriber->connection);
	return delivered == (int64_t)received && dropped == 0;
}

static const char *channel_close(void *opened, uint64_t received)
{
	struct channel *channel = opened;
	const char *wrong = NULL;

	for (unsigned int i = 0; i < channel->shape.publishers; i++)
		natsConnection_Destroy(channel->publishers[i].connection);
	for (unsigned int i = 0; i < channel->shape.subscribers; i++)
		if (!subscriber_end(&channel->subscribers[i], received))
			wrong = "the subscription's counters";
	bench_memory_free(channel);
	return wrong;
}

static inline void peer_publish(peer_publisher *publisher, const void *data, size_t size)
{
	must(natsConnection_Publish(publisher->connection, publisher->subject, data, (int)size),
		"natsConnection_Publish");
}

static inline const void *peer_receive(peer_subscriber *subscriber)
{
	natsMsg_Destroy(subscriber->message);
	subscriber->message = NULL;
	must(natsSubscription_NextMsg(&subscriber->message, subscriber->subscription, PATIENCE_MS),
		"natsSubscription_NextMsg");
	return natsMsg_GetData(subscriber->message);
}

#include "loops.h"

const struct bench_peer bench_peer_nats = {
	.name = "nats",
	.title = "nats-server (loopback) *",
	.modes = BENCH_DEFAULT,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.server = &bench_nats_server,
	.open = channel_open,
	.publisher_open = publisher_open,
	.subscriber_open = subscriber_open,
	.close = channel_close,
	PEER_LOOPS,
};
