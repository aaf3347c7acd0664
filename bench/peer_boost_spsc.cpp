/* SPDX-License-Identifier: BSD-2-Clause */
/* Boost.Lockfree's spsc_queue: one producer, one consumer, a bound; it never sleeps. */
#include <boost/lockfree/spsc_queue.hpp>

#include "peers.h"

#define PEER_WINDOW 0
#define QUEUE_NODE  0
#define QUEUE_NO_TOKENS

struct queue {
	boost::lockfree::spsc_queue<void *> places;

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

	while (!queue->places.push(message))
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

#define QUEUE_BATCHES

static inline void queue_push_batch(
	struct queue *queue, void *, void **messages, unsigned int count, unsigned int mode)
{
	unsigned int looks = 0;

	while (count > 0) {
		unsigned int pushed = (unsigned int)queue->places.push(messages, count);

		messages += pushed;
		count -= pushed;
		if (count > 0)
			bench_idle(mode, &looks);
	}
}

static inline unsigned int queue_pop_batch(
	struct queue *queue, void *, void **messages, unsigned int count, unsigned int mode)
{
	unsigned int looks = 0, taken;

	while ((taken = (unsigned int)queue->places.pop(messages, count)) == 0)
		bench_idle(mode, &looks);
	return taken;
}

#include "queue_peer.h"

#include "loops.h"

const struct bench_peer bench_peer_boost_spsc = {
	"boost_spsc",
	"Boost spsc_queue",
	BENCH_SPIN | BENCH_YIELD,
	BENCH_CAN_BATCH | BENCH_CAN_LOAN,
	1,
	BENCH_SUBSCRIBERS_MAX,
	0,
	false,
	NULL,
	NULL,
	QUEUE_CHANNEL,
	PEER_LOOPS,
};
