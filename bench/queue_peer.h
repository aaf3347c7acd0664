/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queue peer: makes a broker's shape out of a plain queue of pointers.
 *
 * There is one queue for each subscriber.  The publisher copies the payload once,
 * into one of 4 x capacity preallocated slots in turn, and pushes the slot's
 * address to every queue.  Nothing is allocated and no references are counted,
 * for a slot can only come round again once every bounded queue has let it go.
 * That is the kindest case for these peers: a broker has more to do.
 *
 * A peer's file has defined
 *   QUEUE_NODE    bytes of the queue's own wanted in front of each message for
 *                 each subscriber, or 0
 *   struct queue, and as static inline functions
 *   struct queue *queue_open(const struct bench_shape *shape);
 *   void queue_close(struct queue *queue);
 *   void *queue_end_open(struct queue *queue, bool is_publisher);   a token of that end
 *   void queue_end_close(void *token, bool is_publisher);
 *                 unless it defines QUEUE_NO_TOKENS
 *   void queue_push(struct queue *queue, void *token, void *node, void *message,
 *           unsigned int mode);                                  waits when full
 *   void *queue_pop(struct queue *queue, void *token, unsigned int mode);
 * and, if it has them,
 *   QUEUE_BATCHES with
 *   void queue_push_batch(struct queue *queue, void *token, void **messages,
 *           unsigned int count, unsigned int mode);
 *   unsigned int queue_pop_batch(struct queue *queue, void *token, void **messages,
 *           unsigned int count, unsigned int mode);
 * and includes this and then bench/loops.h.
 */
#ifndef BENCH_QUEUE_PEER_H
#define BENCH_QUEUE_PEER_H

#include "bench.h"

struct channel;

#ifdef QUEUE_NO_TOKENS
static inline void *queue_end_open(struct queue *queue, bool is_publisher)
{
	(void)queue;
	(void)is_publisher;
	return NULL;
}

static inline void queue_end_close(void *token, bool is_publisher)
{
	(void)token;
	(void)is_publisher;
}
#endif

typedef struct {
	struct channel *channel;
	unsigned char *slots; /* each: nodes for all subscribers, then the payload */
	uint64_t next;
	void *tokens[BENCH_SUBSCRIBERS_MAX];
} peer_publisher;

typedef struct {
	struct queue *queue;
	void *token;
	unsigned int mode;
} peer_subscriber;

struct channel {
	struct bench_shape shape;
	size_t nodes;  /* bytes in front of the payload */
	size_t stride; /* from slot to slot */
	uint64_t mask; /* slots - 1 */
	struct queue *queues[BENCH_SUBSCRIBERS_MAX];
	peer_publisher publishers[BENCH_PUBLISHERS_MAX];
	peer_subscriber subscribers[BENCH_SUBSCRIBERS_MAX];
};

static inline size_t lines(size_t bytes)
{
	return (bytes + BENCH_LINE - 1) & ~(size_t)(BENCH_LINE - 1);
}

static void *channel_open(const struct bench_shape *shape)
{
	struct channel *channel = (struct channel *)bench_memory(sizeof(*channel));

	channel->shape = *shape;
	channel->nodes = lines(shape->subscribers * (size_t)QUEUE_NODE);
	channel->stride = channel->nodes + lines(shape->size);
	channel->mask = 4 * shape->capacity - 1;
	for (unsigned int i = 0; i < shape->subscribers; i++)
		channel->queues[i] = queue_open(shape);
	return channel;
}

static void *channel_publisher_open(void *opened, unsigned int index)
{
	struct channel *channel = (struct channel *)opened;
	peer_publisher *publisher = &channel->publishers[index];
	size_t bytes = (channel->mask + 1) * channel->stride;

	publisher->channel = channel;
	publisher->slots = (unsigned char *)bench_memory(bytes);
	memset(publisher->slots, 1, bytes);
	for (unsigned int i = 0; i < channel->shape.subscribers; i++)
		publisher->tokens[i] = queue_end_open(channel->queues[i], true);
	return publisher;
}

static void *channel_subscriber_open(void *opened, unsigned int index)
{
	struct channel *channel = (struct channel *)opened;
	peer_subscriber *subscriber = &channel->subscribers[index];

	subscriber->queue = channel->queues[index];
	subscriber->mode = channel->shape.mode;
	subscriber->token = queue_end_open(subscriber->queue, false);
	return subscriber;
}

static const char *channel_close(void *opened, uint64_t received)
{
	struct channel *channel = (struct channel *)opened;

	(void)received;
	for (unsigned int i = 0; i < channel->shape.publishers; i++) {
		for (unsigned int j = 0; j < channel->shape.subscribers; j++)
			queue_end_close(channel->publishers[i].tokens[j], true);
		bench_memory_free(channel->publishers[i].slots);
	}
	for (unsigned int i = 0; i < channel->shape.subscribers; i++) {
		queue_end_close(channel->subscribers[i].token, false);
		queue_close(channel->queues[i]);
	}
	bench_memory_free(channel);
	return NULL;
}

static inline unsigned char *slot_next(peer_publisher *publisher)
{
	struct channel *channel = publisher->channel;

	return publisher->slots + (publisher->next++ & channel->mask) * channel->stride;
}

#define PEER_LOANS

static inline void *peer_loan(peer_publisher *publisher, size_t size)
{
	(void)size;
	return slot_next(publisher) + publisher->channel->nodes;
}

static inline void peer_publish_loan(peer_publisher *publisher, void *loan, size_t size)
{
	struct channel *channel = publisher->channel;
	unsigned char *node = (unsigned char *)loan - channel->nodes;

	(void)size;
	for (unsigned int i = 0; i < channel->shape.subscribers; i++, node += QUEUE_NODE)
		queue_push(
			channel->queues[i], publisher->tokens[i], node, loan, channel->shape.mode);
}

static inline void peer_publish(peer_publisher *publisher, const void *data, size_t size)
{
	void *message = peer_loan(publisher, size);

	memcpy(message, data, size);
	peer_publish_loan(publisher, message, size);
}

static inline const void *peer_receive(peer_subscriber *subscriber)
{
	return queue_pop(subscriber->queue, subscriber->token, subscriber->mode);
}

#ifdef QUEUE_BATCHES
#define PEER_BATCHES

static inline void peer_publish_batch(peer_publisher *publisher, unsigned char *first,
	size_t stride, size_t size, unsigned int count)
{
	struct channel *channel = publisher->channel;
	void *messages[BENCH_BATCH];

	for (unsigned int i = 0; i < count; i++) {
		messages[i] = peer_loan(publisher, size);
		memcpy(messages[i], first + i * stride, size);
	}
	for (unsigned int i = 0; i < channel->shape.subscribers; i++)
		queue_push_batch(channel->queues[i], publisher->tokens[i], messages, count,
			channel->shape.mode);
}

static inline unsigned int peer_receive_batch(
	peer_subscriber *subscriber, const void **data, unsigned int count)
{
	return queue_pop_batch(
		subscriber->queue, subscriber->token, (void **)data, count, subscriber->mode);
}
#endif

#define QUEUE_CHANNEL channel_open, channel_publisher_open, channel_subscriber_open, channel_close

#endif
