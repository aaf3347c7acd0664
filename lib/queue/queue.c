/* SPDX-License-Identifier: BSD-2-Clause */
/* Picks one of the three kinds of queue. */
#include "queue/queue.h"

#include <math.h>

#include <weir/error.h>

static int store_make(struct weiri_queue *queue, const struct weiri_store_options *options,
	const weir_allocator *allocator)
{
	struct weiri_store *store = weiri_allocate(allocator, sizeof(*store), WEIRI_CACHE_LINE);
	int error;

	if (store == NULL)
		return WEIR_ENOMEM;
	error = weiri_store_open(store, options, allocator);
	if (error != 0)
		weiri_deallocate(allocator, store, sizeof(*store));
	else
		queue->store = store;
	return error;
}

int weiri_queue_open(struct weiri_queue *queue, size_t capacity, size_t classes,
	const struct weiri_store_options *store, const weir_allocator *allocator)
{
	queue->capacity = capacity;
	if (store != NULL) {
		queue->kind = WEIRI_QUEUE_STORE;
		return store_make(queue, store, allocator);
	}
	if (classes > 0) {
		queue->kind = WEIRI_QUEUE_LANES;
		return weiri_lanes_open(&queue->lanes, classes, capacity, allocator);
	}
	queue->kind = WEIRI_QUEUE_RING;
	return weiri_ring_open(&queue->ring, capacity, allocator);
}

void weiri_queue_close(struct weiri_queue *queue, const weir_allocator *allocator)
{
	switch (queue->kind) {
	case WEIRI_QUEUE_RING:
		weiri_ring_close(&queue->ring, allocator);
		break;
	case WEIRI_QUEUE_LANES:
		weiri_lanes_close(queue->lanes, allocator);
		break;
	case WEIRI_QUEUE_STORE:
		weiri_store_close(queue->store);
		weiri_deallocate(allocator, queue->store, sizeof(*queue->store));
		break;
	}
}

size_t weiri_queue_pop(struct weiri_queue *queue, void **values, size_t count)
{
	size_t taken = 0;

	switch (queue->kind) {
	case WEIRI_QUEUE_RING:
		taken = weiri_ring_pop(&queue->ring, values, count);
		break;
	case WEIRI_QUEUE_LANES:
		taken = weiri_lanes_pop(queue->lanes, values, count);
		break;
	case WEIRI_QUEUE_STORE:
		weiri_store_lock(queue->store);
		taken = weiri_store_pop(queue->store, values, count);
		weiri_store_unlock(queue->store);
		break;
	}
	return taken;
}

double weiri_queue_fill(struct weiri_queue *queue)
{
	double fill = 0;

	if (queue->capacity != SIZE_MAX)
		fill = (double)weiri_queue_count(queue) / (double)queue->capacity;
	if (queue->kind == WEIRI_QUEUE_STORE && queue->store->options.bytes > 0)
		fill = fmax(fill, (double)weiri_store_weight(queue->store) /
					  (double)queue->store->options.bytes);
	return fill;
}

static void ring_add(struct weiri_queue_sums *sums, struct weiri_ring *ring)
{
	/* What has passed is read before what has come: nothing is less than
	 * nothing, also while others go on. */
	uint64_t voids_passed = weiri_load_acquire(&ring->voids_passed);
	uint64_t head = weiri_load_acquire(&ring->head);
	uint64_t voids_made = weiri_load_acquire(&ring->voids_made);
	uint64_t tail = weiri_load_acquire(&ring->tail);
	uint64_t popped = head - voids_passed;
	uint64_t pushed = tail - voids_made;
	uint64_t count = pushed > popped ? pushed - popped : 0;

	sums->popped += popped;
	sums->pushed += pushed;
	sums->count += count < ring->capacity ? count : ring->capacity;
}

static void store_read(struct weiri_queue_sums *sums, struct weiri_store *store)
{
	weiri_store_lock(store);
	sums->count = weiri_store_count(store);
	sums->pushed = store->pushed;
	sums->evicted = store->evicted;
	sums->conflated = store->conflated;
	sums->expired = store->expired;
	sums->popped =
		store->pushed - store->evicted - store->conflated - store->expired - sums->count;
	sums->high_water = store->high_water;
	weiri_store_unlock(store);
}

void weiri_queue_sums_read(struct weiri_queue *queue, struct weiri_queue_sums *sums)
{
	*sums = (struct weiri_queue_sums){ 0 };
	switch (queue->kind) {
	case WEIRI_QUEUE_RING:
		ring_add(sums, &queue->ring);
		sums->high_water = weiri_load_relaxed(&queue->ring.high_water);
		break;
	case WEIRI_QUEUE_LANES:
		for (size_t i = 0; i < queue->lanes->count; i++)
			ring_add(sums, &queue->lanes->rings[i]);
		sums->high_water = weiri_load_relaxed(&queue->lanes->high_water);
		break;
	case WEIRI_QUEUE_STORE:
		store_read(sums, queue->store);
		break;
	}
}
