/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nanomsg's NN_PUB and NN_SUB over inproc.  NN_PUB drops when a subscriber's pipe
 * is full, so the harness's window holds the publisher; NN_RCVBUF holds two
 * windows.
 */
#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include <stdio.h>

#include "peers.h"

#define PEER_WINDOW 1

typedef struct {
	int socket;
} peer_publisher;

typedef struct {
	int socket;
	int flags;
	void *message;
} peer_subscriber;

struct channel {
	struct bench_shape shape;
	peer_publisher publishers[BENCH_PUBLISHERS_MAX];
	peer_subscriber subscribers[BENCH_SUBSCRIBERS_MAX];
};

static int must(int result, const char *what)
{
	if (result < 0)
		bench_fail("%s: %s", what, nn_strerror(nn_errno()));
	return result;
}

static void sockets_open(struct channel *channel)
{
	const struct bench_shape *shape = &channel->shape;
	int bytes = (int)(2 * shape->capacity * (shape->size + 64));

	for (unsigned int i = 0; i < shape->publishers; i++) {
		int socket = must(nn_socket(AF_SP, NN_PUB), "nn_socket");

		channel->publishers[i].socket = socket;
		must(nn_setsockopt(socket, NN_SOL_SOCKET, NN_SNDBUF, &bytes, sizeof(bytes)),
			"NN_SNDBUF");
	}
	for (unsigned int i = 0; i < shape->subscribers; i++) {
		int socket = must(nn_socket(AF_SP, NN_SUB), "nn_socket");

		channel->subscribers[i].socket = socket;
		channel->subscribers[i].flags = shape->mode == BENCH_SPIN ? NN_DONTWAIT : 0;
		must(nn_setsockopt(socket, NN_SOL_SOCKET, NN_RCVBUF, &bytes, sizeof(bytes)),
			"NN_RCVBUF");
		must(nn_setsockopt(socket, NN_SUB, NN_SUB_SUBSCRIBE, "", 0), "NN_SUB_SUBSCRIBE");
	}
}

/* The side that is alone binds, the others connect. */
static void *channel_open(const struct bench_shape *shape)
{
	static unsigned int opened; /* an address is free again only some time after its use */
	struct channel *channel = bench_memory(sizeof(*channel));
	bool is_one = shape->publishers == 1;
	char address[64];

	channel->shape = *shape;
	(void)snprintf(address, sizeof(address), "inproc://bench%u", opened++);
	sockets_open(channel);
	must(nn_bind(is_one ? channel->publishers[0].socket : channel->subscribers[0].socket,
		     address),
		"nn_bind");
	for (unsigned int i = 0; is_one && i < shape->subscribers; i++)
		must(nn_connect(channel->subscribers[i].socket, address), "nn_connect");
	for (unsigned int i = 0; !is_one && i < shape->publishers; i++)
		must(nn_connect(channel->publishers[i].socket, address), "nn_connect");
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
	struct channel *channel = opened;

	(void)received;
	for (unsigned int i = 0; i < channel->shape.publishers; i++)
		must(nn_close(channel->publishers[i].socket), "nn_close");
	for (unsigned int i = 0; i < channel->shape.subscribers; i++) {
		if (channel->subscribers[i].message != NULL)
			must(nn_freemsg(channel->subscribers[i].message), "nn_freemsg");
		must(nn_close(channel->subscribers[i].socket), "nn_close");
	}
	bench_memory_free(channel);
	return NULL;
}

static inline void peer_publish(peer_publisher *publisher, const void *data, size_t size)
{
	must(nn_send(publisher->socket, data, size, 0), "nn_send");
}

static inline const void *peer_receive(peer_subscriber *subscriber)
{
	if (subscriber->message != NULL)
		must(nn_freemsg(subscriber->message), "nn_freemsg");
	subscriber->message = NULL;
	while (nn_recv(subscriber->socket, &subscriber->message, NN_MSG, subscriber->flags) < 0) {
		if (nn_errno() != EAGAIN)
			bench_fail("nn_recv: %s", nn_strerror(nn_errno()));
		bench_relax();
	}
	return subscriber->message;
}

#define PEER_LOANS

static inline void *peer_loan(peer_publisher *publisher, size_t size)
{
	void *loan = nn_allocmsg(size, 0);

	(void)publisher;
	if (loan == NULL)
		bench_fail("nn_allocmsg: %s", nn_strerror(nn_errno()));
	return loan;
}

static inline void peer_publish_loan(peer_publisher *publisher, void *loan, size_t size)
{
	(void)size;
	must(nn_send(publisher->socket, &loan, NN_MSG, 0), "nn_send");
}

#include "loops.h"

const struct bench_peer bench_peer_nanomsg = {
	.name = "nanomsg",
	.title = "nanomsg PUB/SUB inproc *",
	.modes = BENCH_SPIN | BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.settle_ms = 50,
	.open = channel_open,
	.publisher_open = publisher_open,
	.subscriber_open = subscriber_open,
	.close = channel_close,
	PEER_LOOPS,
};
