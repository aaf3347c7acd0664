/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heap: nodes in the order of (key, serial), any of which can be taken out.
 *
 * A binary heap in one array.  A node knows its position, so removing it costs
 * O(log n) as adding and taking the first do.  Room is reserved beforehand, so
 * that adding cannot fail.
 *
 * Threads: one at a time.  Owner: nodes are parts of what is ordered; the heap
 * only points at them.
 */
#ifndef WEIRI_HEAP_H
#define WEIRI_HEAP_H

#include "base/allocator.h"

#define WEIRI_HEAP_NOWHERE SIZE_MAX

struct weiri_heap_node {
	double key;
	uint64_t serial; /* no two nodes of a heap have the same key and serial */
	size_t position; /* WEIRI_HEAP_NOWHERE while in no heap */
};

struct weiri_heap {
	struct weiri_heap_node **nodes;
	size_t count;
	size_t size;
};

/* Room for `count` nodes in all.  Returns 0 or WEIR_ENOMEM. */
int weiri_heap_reserve(struct weiri_heap *heap, size_t count, const weir_allocator *allocator);
void weiri_heap_close(struct weiri_heap *heap, const weir_allocator *allocator);

/* The node is in no heap, its key is not NaN, and there is room. */
void weiri_heap_add(struct weiri_heap *heap, struct weiri_heap_node *node);

/* The node is in this heap. */
void weiri_heap_remove(struct weiri_heap *heap, struct weiri_heap_node *node);

/*
 * A walk through the heap from position 0, parents before children: the position
 * after this one, WEIRI_HEAP_NOWHERE at the end.  What is below this one is left
 * out unless `descend`: nothing in there precedes it.
 */
size_t weiri_heap_next(const struct weiri_heap *heap, size_t position, bool descend);

/* NULL if the heap is empty. */
static inline struct weiri_heap_node *weiri_heap_first(const struct weiri_heap *heap)
{
	return heap->count > 0 ? heap->nodes[0] : NULL;
}

#endif
