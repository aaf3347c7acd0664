/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * moodycamel::BlockingConcurrentQueue with tokens for producers and consumers.  It
 * has no bound, so the harness's window bounds it.  Its waiting call polls for a
 * while by itself (10,000 turns) before it sleeps on a semaphore.
 */
#include <concurrentqueue/blockingconcurrentqueue.h>

#include "peers.h"

#define PEER_WINDOW 1
#define QUEUE_NODE  0

struct queue {
	moodycamel::BlockingConcurrentQueue<void *> places;

	explicit queue(size_t capacity) : places(4 * capacity)
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

static void *queue_end_open(struct queue *queue, bool is_publisher)
{
	if (is_publisher)
		return new moodycamel::ProducerToken(queue->places);
	return new moodycamel::ConsumerToken(queue->places);
}

static void queue_end_close(void *token, bool is_publisher)
{
	if (is_publisher)
		delete static_cast<moodycamel::ProducerToken *>(token);
	else
		delete static_cast<moodycamel::ConsumerToken *>(token);
}

static inline void queue_push(struct queue *queue, void *token, void *, void *message, unsigned int)
{
	if (!queue->places.enqueue(*static_cast<moodycamel::ProducerToken *>(token), message))
		bench_fail("no memory");
}

static inline void *queue_pop(struct queue *queue, void *token, unsigned int mode)
{
	moodycamel::ConsumerToken &consumer = *static_cast<moodycamel::ConsumerToken *>(token);
	unsigned int looks = 0;
	void *message;

	if (mode == BENCH_DEFAULT) {
		queue->places.wait_dequeue(consumer, message);
		return message;
	}
	while (!queue->places.try_dequeue(consumer, message))
		bench_idle(mode, &looks);
	return message;
}

#define QUEUE_BATCHES

static inline void queue_push_batch(
	struct queue *queue, void *token, void **messages, unsigned int count, unsigned int)
{
	if (!queue->places.enqueue_bulk(
		    *static_cast<moodycamel::ProducerToken *>(token), messages, count))
		bench_fail("no memory");
}

static inline unsigned int queue_pop_batch(
	struct queue *queue, void *token, void **messages, unsigned int count, unsigned int mode)
{
	moodycamel::ConsumerToken &consumer = *static_cast<moodycamel::ConsumerToken *>(token);
	unsigned int looks = 0;
	size_t taken;

	if (mode == BENCH_DEFAULT)
		return (unsigned int)queue->places.wait_dequeue_bulk(consumer, messages, count);
	while ((taken = queue->places.try_dequeue_bulk(consumer, messages, count)) == 0)
		bench_idle(mode, &looks);
	return (unsigned int)taken;
}

#include "queue_peer.h"

#include "loops.h"

const struct bench_peer bench_peer_moodycamel = {
	"moodycamel",
	"moodycamel blocking *",
	BENCH_SPIN | BENCH_DEFAULT,
	BENCH_CAN_BATCH | BENCH_CAN_LOAN,
	BENCH_PUBLISHERS_MAX,
	BENCH_SUBSCRIBERS_MAX,
	0,
	false,
	NULL,
	NULL,
	QUEUE_CHANNEL,
	PEER_LOOPS,
};
