/* SPDX-License-Identifier: BSD-2-Clause */
/* GLib's GAsyncQueue: a mutex, a condition and a list without a bound, so the
 * harness's window bounds it. */
#include <glib.h>

#include "peers.h"

#define PEER_WINDOW 1
#define QUEUE_NODE  0

struct queue {
	GAsyncQueue *queue;
};

static struct queue *queue_open(const struct bench_shape *shape)
{
	struct queue *queue = bench_memory(sizeof(*queue));

	(void)shape;
	queue->queue = g_async_queue_new();
	return queue;
}

static void queue_close(struct queue *queue)
{
	g_async_queue_unref(queue->queue);
	bench_memory_free(queue);
}

#define QUEUE_NO_TOKENS

static inline void queue_push(
	struct queue *queue, void *token, void *node, void *message, unsigned int mode)
{
	(void)token;
	(void)node;
	(void)mode;
	g_async_queue_push(queue->queue, message);
}

static inline void *queue_pop(struct queue *queue, void *token, unsigned int mode)
{
	(void)token;
	(void)mode;
	return g_async_queue_pop(queue->queue);
}

#include "queue_peer.h"

#include "loops.h"

const struct bench_peer bench_peer_glib = {
	.name = "glib",
	.title = "GLib GAsyncQueue *",
	.modes = BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.open = QUEUE_CHANNEL,
	PEER_LOOPS,
};
