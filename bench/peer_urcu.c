/* SPDX-License-Identifier: BSD-2-Clause */
/* liburcu's wfcqueue: wait-free enqueue of nodes inside the messages, one consumer,
 * no bound, so the harness's window bounds it.  It has no call that sleeps. */
#define _LGPL_SOURCE
#include <urcu/wfcqueue.h>

#include "peers.h"

#define PEER_WINDOW 1
#define QUEUE_NODE  sizeof(struct node)

struct node {
	struct cds_wfcq_node node;
	void *message;
};

struct queue {
	struct cds_wfcq_head head;
	unsigned char apart[BENCH_LINE];
	struct cds_wfcq_tail tail;
};

static struct queue *queue_open(const struct bench_shape *shape)
{
	struct queue *queue = bench_memory(sizeof(*queue));

	(void)shape;
	cds_wfcq_init(&queue->head, &queue->tail);
	return queue;
}

static void queue_close(struct queue *queue)
{
	cds_wfcq_destroy(&queue->head, &queue->tail);
	bench_memory_free(queue);
}

#define QUEUE_NO_TOKENS

static inline void queue_push(
	struct queue *queue, void *token, void *place, void *message, unsigned int mode)
{
	struct node *node = place;

	(void)token;
	(void)mode;
	cds_wfcq_node_init(&node->node);
	node->message = message;
	(void)cds_wfcq_enqueue(&queue->head, &queue->tail, &node->node);
}

static inline void *queue_pop(struct queue *queue, void *token, unsigned int mode)
{
	struct cds_wfcq_node *node;
	unsigned int looks = 0;

	(void)token;
	for (;;) {
		node = __cds_wfcq_dequeue_nonblocking(&queue->head, &queue->tail);
		if (node != NULL && node != CDS_WFCQ_WOULDBLOCK)
			return caa_container_of(node, struct node, node)->message;
		bench_idle(mode, &looks);
	}
}

#include "queue_peer.h"

#include "loops.h"

const struct bench_peer bench_peer_urcu = {
	.name = "urcu",
	.title = "liburcu wfcqueue *",
	.modes = BENCH_SPIN | BENCH_YIELD,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.open = QUEUE_CHANNEL,
	PEER_LOOPS,
};
