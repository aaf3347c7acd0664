/* SPDX-License-Identifier: BSD-2-Clause */
/* Boost.Lockfree's queue: any number of both, nodes of a fixed size; it never sleeps. */
#include <boost/lockfree/queue.hpp>

#include "peers.h"

#define PEER_WINDOW 0
#define QUEUE_NODE  0
#define QUEUE_NO_TOKENS

struct queue {
	boost::lockfree::queue<void *, boost::lockfree::fixed_sized<true>> places;

	explicit queue(size_t capacity) : places(capacity)
	{
	}
};

static struct queue *queue_open(const struct bench_shape *shape)
{
	return new struct queue(shape->capacity);
}

static void queue_close(struct queue *queue)
{
	delete queue;
}

static inline void queue_push(struct queue *queue, void *, void *, void *message, unsigned int mode)
{
	unsigned int looks = 0;

	while (!queue->places.bounded_push(message))
		bench_idle(mode, &looks);
}

static inline void *queue_pop(struct queue *queue, void *, unsigned int mode)
{
	unsigned int looks = 0;
	void *message;

	while (!queue->places.pop(message))
		bench_idle(mode, &looks);
	return message;
}

#include "queue_peer.h"

#include "loops.h"

const struct bench_peer bench_peer_boost_queue = {
	"boost_queue",
	"Boost queue",
	BENCH_SPIN | BENCH_YIELD,
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
