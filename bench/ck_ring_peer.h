/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ck_ring as a peer, for one producer or for many: peer_ck_spsc.c and
 * peer_ck_mpsc.c have defined CK_ENQUEUE and CK_DEQUEUE before.
 *
 * Spinning and yielding it is the raw ring.  It has no waiting call of its own;
 * the default mode adds a gate on each side (gate.h), where the publisher is let
 * go again at each quarter of the ring.
 */
#ifndef BENCH_CK_RING_PEER_H
#define BENCH_CK_RING_PEER_H

#include <ck_ring.h>

#include "gate.h"
#include "peers.h"

#define PEER_WINDOW 0
#define QUEUE_NODE  0

struct queue {
	ck_ring_t ring;
	ck_ring_buffer_t *buffer;
	uint64_t popped;
	uint64_t quarter_mask;
	unsigned char apart[BENCH_LINE];
	struct bench_gate full;
	struct bench_gate empty;
};

static struct queue *queue_open(const struct bench_shape *shape)
{
	struct queue *queue = bench_memory(sizeof(*queue));

	queue->buffer = bench_memory(shape->capacity * sizeof(*queue->buffer));
	queue->quarter_mask = shape->capacity / 4 - 1;
	/* It holds one less. */
	ck_ring_init(&queue->ring, (unsigned int)shape->capacity);
	return queue;
}

static void queue_close(struct queue *queue)
{
	bench_memory_free(queue->buffer);
	bench_memory_free(queue);
}

#define QUEUE_NO_TOKENS

static inline void queue_push(
	struct queue *queue, void *token, void *node, void *message, unsigned int mode)
{
	unsigned int looks = 0;

	(void)token;
	(void)node;
	while (!CK_ENQUEUE(&queue->ring, queue->buffer, message)) {
		if (mode != BENCH_DEFAULT) {
			bench_idle(mode, &looks);
			continue;
		}
		bench_gate_arm(&queue->full);
		if (CK_ENQUEUE(&queue->ring, queue->buffer, message))
			break;
		bench_gate_sleep(&queue->full);
	}
	if (mode == BENCH_DEFAULT)
		bench_gate_open(&queue->empty);
}

static inline void *queue_pop(struct queue *queue, void *token, unsigned int mode)
{
	unsigned int looks = 0;
	void *message;

	(void)token;
	while (!CK_DEQUEUE(&queue->ring, queue->buffer, &message)) {
		if (mode != BENCH_DEFAULT) {
			bench_idle(mode, &looks);
			continue;
		}
		bench_gate_arm(&queue->empty);
		if (CK_DEQUEUE(&queue->ring, queue->buffer, &message)) {
			bench_gate_disarm(&queue->empty);
			break;
		}
		bench_gate_sleep(&queue->empty);
	}
	if (mode == BENCH_DEFAULT && (++queue->popped & queue->quarter_mask) == 0)
		bench_gate_open(&queue->full);
	return message;
}

#include "queue_peer.h"

#include "loops.h"

#endif
