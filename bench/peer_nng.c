/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nng's pub0 and sub0 over inproc.  pub0 never waits and drops when a subscriber
 * is behind, so the harness's window holds the publisher; the library's own
 * buffers hold twice the window.
 */
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdio.h>

#include "peers.h"

#define PEER_WINDOW 1

typedef struct {
	nng_socket socket;
} peer_publisher;

typedef struct {
	nng_socket socket;
	int flags;
	nng_msg *message;
} peer_subscriber;

struct channel {
	struct bench_shape shape;
	peer_publisher publishers[BENCH_PUBLISHERS_MAX];
	peer_subscriber subscribers[BENCH_SUBSCRIBERS_MAX];
};

static void must(int error, const char *what)
{
	if (error != 0)
		bench_fail("%s: %s", what, nng_strerror(error));
}

static void sockets_open(struct channel *channel)
{
	int messages = 2 * (int)channel->shape.capacity;

	for (unsigned int i = 0; i < channel->shape.publishers; i++) {
		nng_socket *socket = &channel->publishers[i].socket;

		must(nng_pub0_open(socket), "nng_pub0_open");
		must(nng_socket_set_int(*socket, NNG_OPT_SENDBUF, messages), "NNG_OPT_SENDBUF");
	}
	for (unsigned int i = 0; i < channel->shape.subscribers; i++) {
		peer_subscriber *subscriber = &channel->subscribers[i];

		subscriber->flags = channel->shape.mode == BENCH_SPIN ? NNG_FLAG_NONBLOCK : 0;
		must(nng_sub0_open(&subscriber->socket), "nng_sub0_open");
		must(nng_socket_set_int(subscriber->socket, NNG_OPT_RECVBUF, messages),
			"NNG_OPT_RECVBUF");
		must(nng_socket_set(subscriber->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0), "subscribe");
	}
}

/* The side that is alone listens, the others dial. */
static void *channel_open(const struct bench_shape *shape)
{
	static unsigned int opened; /* an address is free again only some time after its use */
	struct channel *channel = bench_memory(sizeof(*channel));
	bool is_one = shape->publishers == 1;
	char address[64];

	channel->shape = *shape;
	(void)snprintf(address, sizeof(address), "inproc://bench%u", opened++);
	sockets_open(channel);
	must(nng_listen(is_one ? channel->publishers[0].socket : channel->subscribers[0].socket,
		     address, NULL, 0),
		"nng_listen");
	for (unsigned int i = 0; is_one && i < shape->subscribers; i++)
		must(nng_dial(channel->subscribers[i].socket, address, NULL, 0), "nng_dial");
	for (unsigned int i = 0; !is_one && i < shape->publishers; i++)
		must(nng_dial(channel->publishers[i].socket, address, NULL, 0), "nng_dial");
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
		must(nng_close(channel->publishers[i].socket), "nng_close");
	for (unsigned int i = 0; i < channel->shape.subscribers; i++) {
		nng_msg_free(channel->subscribers[i].message);
		must(nng_close(channel->subscribers[i].socket), "nng_close");
	}
	bench_memory_free(channel);
	return NULL;
}

/* nng_send copies; it takes a pointer that is not to const all the same. */
static inline void peer_publish(peer_publisher *publisher, void *data, size_t size)
{
	must(nng_send(publisher->socket, data, size, 0), "nng_send");
}

static inline const void *peer_receive(peer_subscriber *subscriber)
{
	int error;

	nng_msg_free(subscriber->message);
	subscriber->message = NULL;
	while ((error = nng_recvmsg(subscriber->socket, &subscriber->message, subscriber->flags)) ==
		NNG_EAGAIN)
		bench_relax();
	must(error, "nng_recvmsg");
	return nng_msg_body(subscriber->message);
}

#include "loops.h"

const struct bench_peer bench_peer_nng = {
	.name = "nng",
	.title = "nng pub0/sub0 inproc *",
	.modes = BENCH_SPIN | BENCH_DEFAULT,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.settle_ms = 50,
	.open = channel_open,
	.publisher_open = publisher_open,
	.subscriber_open = subscriber_open,
	.close = channel_close,
	PEER_LOOPS,
};
