/* SPDX-License-Identifier: BSD-2-Clause */
/* A binary heap whose nodes know where they are. */
#include "queue/heap.h"

#include <string.h>

#include <weir/error.h>

#define SIZE_FIRST 16

int weiri_heap_reserve(struct weiri_heap *heap, size_t count, const weir_allocator *allocator)
{
	size_t size = heap->size > 0 ? heap->size : SIZE_FIRST;
	struct weiri_heap_node **nodes;

	if (count <= heap->size)
		return 0;
	while (size < count)
		size *= 2;
	nodes = weiri_allocate(allocator, size * sizeof(*nodes), sizeof(*nodes));
	if (nodes == NULL)
		return WEIR_ENOMEM;
	if (heap->count > 0)
		memcpy(nodes, heap->nodes, heap->count * sizeof(*nodes));
	weiri_heap_close(heap, allocator);
	heap->nodes = nodes;
	heap->size = size;
	return 0;
}

void weiri_heap_close(struct weiri_heap *heap, const weir_allocator *allocator)
{
	weiri_deallocate(allocator, heap->nodes, heap->size * sizeof(*heap->nodes));
}

static bool precedes(const struct weiri_heap_node *a, const struct weiri_heap_node *b)
{
	return a->key < b->key || (a->key == b->key && a->serial < b->serial);
}

static void put(struct weiri_heap *heap, size_t position, struct weiri_heap_node *node)
{
	heap->nodes[position] = node;
	node->position = position;
}

static void rise(struct weiri_heap *heap, size_t position, struct weiri_heap_node *node)
{
	while (position > 0) {
		size_t parent = (position - 1) / 2;

		if (!precedes(node, heap->nodes[parent]))
			break;
		put(heap, position, heap->nodes[parent]);
		position = parent;
	}
	put(heap, position, node);
}

static void sink(struct weiri_heap *heap, size_t position, struct weiri_heap_node *node)
{
	for (;;) {
		size_t child = 2 * position + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && precedes(heap->nodes[child + 1], heap->nodes[child]))
			child++;
		if (!precedes(heap->nodes[child], node))
			break;
		put(heap, position, heap->nodes[child]);
		position = child;
	}
	put(heap, position, node);
}

void weiri_heap_add(struct weiri_heap *heap, struct weiri_heap_node *node)
{
	rise(heap, heap->count++, node);
}

void weiri_heap_remove(struct weiri_heap *heap, struct weiri_heap_node *node)
{
	size_t position = node->position;
	struct weiri_heap_node *last = heap->nodes[--heap->count];

	node->position = WEIRI_HEAP_NOWHERE;
	if (last == node)
		return;
	if (position > 0 && precedes(last, heap->nodes[(position - 1) / 2]))
		rise(heap, position, last);
	else
		sink(heap, position, last);
}

size_t weiri_heap_next(const struct weiri_heap *heap, size_t position, bool descend)
{
	if (descend && 2 * position + 1 < heap->count)
		return 2 * position + 1;
	/* Up until there is a right sibling; left children have odd positions. */
	for (; position > 0; position = (position - 1) / 2)
		if (position % 2 == 1 && position + 1 < heap->count)
			return position + 1;
	return WEIRI_HEAP_NOWHERE;
}
