/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue that a C programmer writes to share work among threads: a mutex, two
 * condition variables, messages by value, a signal with every push and every pop.
 */
#ifndef BENCH_SHARED_QUEUE_H
#define BENCH_SHARED_QUEUE_H

#include "bench.h"

#define SHARED_QUEUE_SIZE 64 /* bytes of a message */

struct shared_queue {
	pthread_mutex_t mutex;
	pthread_cond_t not_empty;
	pthread_cond_t not_full;
	uint64_t head;
	uint64_t tail;
	uint64_t capacity; /* a power of two */
	bool is_closed;
	unsigned char (*places)[SHARED_QUEUE_SIZE];
};

static inline struct shared_queue *shared_queue_open(size_t capacity)
{
	struct shared_queue *queue = bench_memory(sizeof(*queue));

	(void)pthread_mutex_init(&queue->mutex, NULL);
	(void)pthread_cond_init(&queue->not_empty, NULL);
	(void)pthread_cond_init(&queue->not_full, NULL);
	queue->capacity = capacity;
	queue->places = bench_memory(capacity * sizeof(*queue->places));
	return queue;
}

static inline void shared_queue_free(struct shared_queue *queue)
{
	(void)pthread_cond_destroy(&queue->not_full);
	(void)pthread_cond_destroy(&queue->not_empty);
	(void)pthread_mutex_destroy(&queue->mutex);
	bench_memory_free(queue->places);
	bench_memory_free(queue);
}

static inline void shared_queue_push(struct shared_queue *queue, const void *message)
{
	(void)pthread_mutex_lock(&queue->mutex);
	while (queue->tail - queue->head == queue->capacity)
		(void)pthread_cond_wait(&queue->not_full, &queue->mutex);
	memcpy(queue->places[queue->tail++ & (queue->capacity - 1)], message, SHARED_QUEUE_SIZE);
	(void)pthread_cond_signal(&queue->not_empty);
	(void)pthread_mutex_unlock(&queue->mutex);
}

/* Waits for one; false: there is none, and the queue is closed. */
static inline bool shared_queue_pop(struct shared_queue *queue, void *message)
{
	bool is_there;

	(void)pthread_mutex_lock(&queue->mutex);
	while (queue->tail == queue->head && !queue->is_closed)
		(void)pthread_cond_wait(&queue->not_empty, &queue->mutex);
	is_there = queue->tail != queue->head;
	if (is_there) {
		memcpy(message, queue->places[queue->head++ & (queue->capacity - 1)],
			SHARED_QUEUE_SIZE);
		(void)pthread_cond_signal(&queue->not_full);
	}
	(void)pthread_mutex_unlock(&queue->mutex);
	return is_there;
}

static inline void shared_queue_close(struct shared_queue *queue)
{
	(void)pthread_mutex_lock(&queue->mutex);
	queue->is_closed = true;
	(void)pthread_cond_broadcast(&queue->not_empty);
	(void)pthread_mutex_unlock(&queue->mutex);
}

#endif
