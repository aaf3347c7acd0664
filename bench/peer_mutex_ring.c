/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring that a C programmer writes in an afternoon: one mutex and two condition
 * variables for each subscriber, a signal with every push and every pop.
 */
#include "peers.h"

#define PEER_WINDOW 0
#define QUEUE_NODE  0

struct queue {
	pthread_mutex_t mutex;
	pthread_cond_t not_empty;
	pthread_cond_t not_full;
	size_t head;
	size_t tail;
	size_t capacity;
	void **places;
};

static struct queue *queue_open(const struct bench_shape *shape)
{
	struct queue *queue = bench_memory(sizeof(*queue));

	(void)pthread_mutex_init(&queue->mutex, NULL);
	(void)pthread_cond_init(&queue->not_empty, NULL);
	(void)pthread_cond_init(&queue->not_full, NULL);
	queue->capacity = shape->capacity;
	queue->places = bench_memory(shape->capacity * sizeof(*queue->places));
	return queue;
}

static void queue_close(struct queue *queue)
{
	(void)pthread_cond_destroy(&queue->not_full);
	(void)pthread_cond_destroy(&queue->not_empty);
	(void)pthread_mutex_destroy(&queue->mutex);
	bench_memory_free(queue->places);
	bench_memory_free(queue);
}

#define QUEUE_NO_TOKENS

static inline void queue_push(
	struct queue *queue, void *token, void *node, void *message, unsigned int mode)
{
	(void)token;
	(void)node;
	(void)mode;
	(void)pthread_mutex_lock(&queue->mutex);
	while (queue->tail - queue->head == queue->capacity)
		(void)pthread_cond_wait(&queue->not_full, &queue->mutex);
	queue->places[queue->tail++ & (queue->capacity - 1)] = message;
	(void)pthread_cond_signal(&queue->not_empty);
	(void)pthread_mutex_unlock(&queue->mutex);
}

static inline void *queue_pop(struct queue *queue, void *token, unsigned int mode)
{
	void *message;

	(void)token;
	(void)mode;
	(void)pthread_mutex_lock(&queue->mutex);
	while (queue->tail == queue->head)
		(void)pthread_cond_wait(&queue->not_empty, &queue->mutex);
	message = queue->places[queue->head++ & (queue->capacity - 1)];
	(void)pthread_cond_signal(&queue->not_full);
	(void)pthread_mutex_unlock(&queue->mutex);
	return message;
}

#define QUEUE_BATCHES

static inline void queue_push_batch(
	struct queue *queue, void *token, void **messages, unsigned int count, unsigned int mode)
{
	(void)token;
	(void)mode;
	(void)pthread_mutex_lock(&queue->mutex);
	for (unsigned int i = 0; i < count; i++) {
		while (queue->tail - queue->head == queue->capacity) {
			(void)pthread_cond_signal(&queue->not_empty);
			(void)pthread_cond_wait(&queue->not_full, &queue->mutex);
		}
		queue->places[queue->tail++ & (queue->capacity - 1)] = messages[i];
	}
	(void)pthread_cond_signal(&queue->not_empty);
	(void)pthread_mutex_unlock(&queue->mutex);
}

static inline unsigned int queue_pop_batch(
	struct queue *queue, void *token, void **messages, unsigned int count, unsigned int mode)
{
	unsigned int taken = 0;

	(void)token;
	(void)mode;
	(void)pthread_mutex_lock(&queue->mutex);
	while (queue->tail == queue->head)
		(void)pthread_cond_wait(&queue->not_empty, &queue->mutex);
	for (; taken < count && queue->tail != queue->head; taken++)
		messages[taken] = queue->places[queue->head++ & (queue->capacity - 1)];
	(void)pthread_cond_signal(&queue->not_full);
	(void)pthread_mutex_unlock(&queue->mutex);
	return taken;
}

#include "queue_peer.h"
#include "loops.h"

const struct bench_peer bench_peer_mutex_ring = {
	.name = "mutex",
	.title = "mutex ring (pthread)",
	.modes = BENCH_DEFAULT,
	.abilities = BENCH_CAN_BATCH | BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.open = QUEUE_CHANNEL,
	PEER_LOOPS,
};
