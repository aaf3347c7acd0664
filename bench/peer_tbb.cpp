/* SPDX-License-Identifier: BSD-2-Clause */
/* oneTBB's concurrent_bounded_queue: push and pop sleep. */
#include <tbb/concurrent_queue.h>

#include "peers.h"

#define PEER_WINDOW 0
#define QUEUE_NODE  0
#define QUEUE_NO_TOKENS

struct queue {
	tbb::concurrent_bounded_queue<void *> places;
};

static struct queue *queue_open(const struct bench_shape *shape)
{
	struct queue *queue = new struct queue;

	queue->places.set_capacity((ptrdiff_t)shape->capacity);
	return queue;
}

static void queue_close(struct queue *queue)
{
	delete queue;
}

static inline void queue_push(struct queue *queue, void *, void *, void *message, unsigned int mode)
{
	unsigned int looks = 0;

	if (mode == BENCH_DEFAULT) {
		queue->places.push(message);
		return;
	}
	while (!queue->places.try_push(message))
		bench_idle(mode, &looks);
}

static inline void *queue_pop(struct queue *queue, void *, unsigned int mode)
{
	unsigned int looks = 0;
	void *message;

	if (mode == BENCH_DEFAULT) {
		queue->places.pop(message);
		return message;
	}
	while (!queue->places.try_pop(message))
		bench_idle(mode, &looks);
	return message;
}

#include "queue_peer.h"

#include "loops.h"

const struct bench_peer bench_peer_tbb = {
	"tbb",
	"TBB bounded queue",
	BENCH_SPIN | BENCH_DEFAULT,
	BENCH_CAN_LOAN,
	BENCH_PUBLISHERS_MAX,
	BENCH_SUBSCRIBERS_MAX,
	0,
	false,
	NULL,
	NULL,
	QUEUE_CHANNEL,
	PEER_LOOPS,
};
