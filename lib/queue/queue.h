/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queue: what a subscription keeps its messages in, one of three kinds.
 *
 *   ring   in order of arrival, full means "not now": lock-free (the fast path)
 *   lanes  in order of at most 32 classes, full means "not now": lock-free
 *   store  everything else: any ranks, eviction, conflation, limits in bytes,
 *          growth; under a mutex
 *
 * This file only picks the kind; each has its own file.  Any number of pushers;
 * one popper.
 */
#ifndef WEIRI_QUEUE_H
#define WEIRI_QUEUE_H

#include "queue/lanes.h"
#include "queue/ring.h"
#include "queue/store.h"

enum weiri_queue_kind {
	WEIRI_QUEUE_RING,
	WEIRI_QUEUE_LANES,
	WEIRI_QUEUE_STORE,
};

struct weiri_queue {
	enum weiri_queue_kind kind;
	size_t capacity; /* SIZE_MAX: none */
	struct weiri_lanes *lanes;
	struct weiri_store *store;
	struct weiri_ring ring;
};

/* What has gone through it. */
struct weiri_queue_sums {
	uint64_t pushed; /* taken in */
	uint64_t popped;
	uint64_t evicted;
	uint64_t conflated;
	uint64_t expired;
	uint64_t count; /* in it now */
	uint64_t high_water;
};

/* `store` says what a store is to be like; NULL: ring, or lanes if classes > 0.
 * Returns 0, WEIR_ENOMEM or WEIR_ESYSTEM. */
int weiri_queue_open(struct weiri_queue *queue, size_t capacity, size_t classes,
	const struct weiri_store_options *store, const weir_allocator *allocator);

/* The queue is empty. */
void weiri_queue_close(struct weiri_queue *queue, const weir_allocator *allocator);

/* Threads: the popper. */
size_t weiri_queue_pop(struct weiri_queue *queue, void **values, size_t count);

/* Threads: any. */
void weiri_queue_sums_read(struct weiri_queue *queue, struct weiri_queue_sums *sums);

/* How full it is, 0 to 1: of its limits that in messages or that in bytes, whichever
 * is nearer.  Threads: any. */
double weiri_queue_fill(struct weiri_queue *queue);

/* Threads: any; exact if nothing is under way, never more than the capacity. */
static inline uint64_t weiri_queue_count(struct weiri_queue *queue)
{
	switch (queue->kind) {
	case WEIRI_QUEUE_LANES:
		return weiri_lanes_count(queue->lanes);
	case WEIRI_QUEUE_STORE:
		return weiri_store_count(queue->store);
	case WEIRI_QUEUE_RING:
		break;
	}
	return weiri_ring_count(&queue->ring);
}

/* For the popper: whether pop would return 0. */
static inline bool weiri_queue_is_empty(struct weiri_queue *queue)
{
	switch (queue->kind) {
	case WEIRI_QUEUE_LANES:
		return weiri_lanes_is_empty(queue->lanes);
	case WEIRI_QUEUE_STORE:
		return weiri_store_count(queue->store) == 0;
	case WEIRI_QUEUE_RING:
		break;
	}
	return weiri_ring_is_empty(&queue->ring);
}

#endif
