/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libzmq over inproc as a peer: peer_zmq_pubsub.c and peer_zmq_pushpull.c have
 * defined ZMQ_OUT, ZMQ_IN and ZMQ_IS_PUBSUB before.
 *
 * PUB/SUB runs with ZMQ_XPUB_NODROP, so that the publisher waits instead of
 * dropping.  The capacity of inproc is the sum of both high-water marks.
 */
#ifndef BENCH_ZMQ_PEER_H
#define BENCH_ZMQ_PEER_H

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

#include "peers.h"

#define PEER_WINDOW 0

typedef struct {
	void *socket;
	int flags;
	zmq_msg_t loan;
} peer_publisher;

typedef struct {
	void *socket;
	int flags;
	zmq_msg_t message;
} peer_subscriber;

struct channel {
	struct bench_shape shape;
	void *context;
	peer_publisher publishers[BENCH_PUBLISHERS_MAX];
	peer_subscriber subscribers[BENCH_SUBSCRIBERS_MAX];
};

#define ADDRESS "inproc://bench"

static void must(int error, const char *what)
{
	if (error < 0)
		bench_fail("%s: %s", what, zmq_strerror(errno));
}

static void option_set(void *socket, int option, int value)
{
	must(zmq_setsockopt(socket, option, &value, sizeof(value)), "zmq_setsockopt");
}

static void publisher_prepare(struct channel *channel, peer_publisher *publisher)
{
	const struct bench_shape *shape = &channel->shape;

	publisher->socket = zmq_socket(channel->context, ZMQ_OUT);
	publisher->flags = shape->mode == BENCH_SPIN ? ZMQ_DONTWAIT : 0;
	option_set(publisher->socket, ZMQ_SNDHWM, (int)(shape->capacity / 2 / shape->publishers));
	option_set(publisher->socket, ZMQ_LINGER, 0);
	if (ZMQ_IS_PUBSUB)
		option_set(publisher->socket, ZMQ_XPUB_NODROP, 1);
}

static void subscriber_prepare(struct channel *channel, peer_subscriber *subscriber)
{
	const struct bench_shape *shape = &channel->shape;

	subscriber->socket = zmq_socket(channel->context, ZMQ_IN);
	subscriber->flags = shape->mode == BENCH_SPIN ? ZMQ_DONTWAIT : 0;
	option_set(subscriber->socket, ZMQ_RCVHWM, (int)(shape->capacity / 2 / shape->publishers));
	option_set(subscriber->socket, ZMQ_LINGER, 0);
	if (ZMQ_IS_PUBSUB)
		must(zmq_setsockopt(subscriber->socket, ZMQ_SUBSCRIBE, "", 0), "ZMQ_SUBSCRIBE");
	must(zmq_msg_init(&subscriber->message), "zmq_msg_init");
}

/* The side that is alone binds, the others connect. */
static void channel_connect(struct channel *channel)
{
	const struct bench_shape *shape = &channel->shape;
	bool is_one = shape->publishers == 1;

	must(zmq_bind(is_one ? channel->publishers[0].socket : channel->subscribers[0].socket,
		     ADDRESS),
		"zmq_bind");
	for (unsigned int i = 0; is_one && i < shape->subscribers; i++)
		must(zmq_connect(channel->subscribers[i].socket, ADDRESS), "zmq_connect");
	for (unsigned int i = 0; !is_one && i < shape->publishers; i++)
		must(zmq_connect(channel->publishers[i].socket, ADDRESS), "zmq_connect");
}

/* To read ZMQ_EVENTS makes a socket work off what is pending: the SUB takes each
 * new pipe and sends its subscription, the PUB reads it.  Without it a publisher
 * that starts first would drop its first messages. */
static void events_work_off(void *socket)
{
	int events;
	size_t size = sizeof(events);

	must(zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size), "ZMQ_EVENTS");
}

static void *channel_open(const struct bench_shape *shape)
{
	struct channel *channel = (struct channel *)bench_memory(sizeof(*channel));

	channel->shape = *shape;
	channel->context = zmq_ctx_new();
	if (channel->context == NULL)
		bench_fail("zmq_ctx_new");
	for (unsigned int i = 0; i < shape->publishers; i++)
		publisher_prepare(channel, &channel->publishers[i]);
	for (unsigned int i = 0; i < shape->subscribers; i++)
		subscriber_prepare(channel, &channel->subscribers[i]);
	channel_connect(channel);
	for (unsigned int turn = 0; turn < 2; turn++) {
		for (unsigned int i = 0; i < shape->subscribers; i++)
			events_work_off(channel->subscribers[i].socket);
		for (unsigned int i = 0; i < shape->publishers; i++)
			events_work_off(channel->publishers[i].socket);
	}
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

static const char *channel_close(void *opened, uint64_t received)
{
	struct channel *channel = (struct channel *)opened;

	(void)received;
	for (unsigned int i = 0; i < channel->shape.publishers; i++)
		must(zmq_close(channel->publishers[i].socket), "zmq_close");
	for (unsigned int i = 0; i < channel->shape.subscribers; i++) {
		must(zmq_msg_close(&channel->subscribers[i].message), "zmq_msg_close");
		must(zmq_close(channel->subscribers[i].socket), "zmq_close");
	}
	must(zmq_ctx_term(channel->context), "zmq_ctx_term");
	bench_memory_free(channel);
	return NULL;
}

/* After a call that returned less than 0: look again, if it was only busy. */
static inline void again(const char *what)
{
	if (errno != EAGAIN)
		bench_fail("%s: %s", what, zmq_strerror(errno));
	bench_relax();
}

static inline void peer_publish(peer_publisher *publisher, const void *data, size_t size)
{
	while (zmq_send(publisher->socket, data, size, publisher->flags) < 0)
		again("zmq_send");
}

static inline const void *peer_receive(peer_subscriber *subscriber)
{
	while (zmq_msg_recv(&subscriber->message, subscriber->socket, subscriber->flags) < 0)
		again("zmq_msg_recv");
	return zmq_msg_data(&subscriber->message);
}

#define PEER_LOANS

static inline void *peer_loan(peer_publisher *publisher, size_t size)
{
	must(zmq_msg_init_size(&publisher->loan, size), "zmq_msg_init_size");
	return zmq_msg_data(&publisher->loan);
}

static inline void peer_publish_loan(peer_publisher *publisher, void *loan, size_t size)
{
	(void)loan;
	(void)size;
	while (zmq_msg_send(&publisher->loan, publisher->socket, publisher->flags) < 0)
		again("zmq_msg_send");
}

#include "loops.h"

#define ZMQ_CHANNEL channel_open, publisher_open, subscriber_open, channel_close, PEER_LOOPS

#endif
