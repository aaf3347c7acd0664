/* SPDX-License-Identifier: BSD-2-Clause */
/* event_heap.c - see event_heap.h. */
#include "clock/event_heap.h"

#include <stdlib.h>

#include "base/debug.h"
#include <weir/error.h>

#define CHILDREN     4
#define CAPACITY_MIN 16

/* Which of two entries is first is as good as random, so a branch would be
 * guessed wrong half the time: this compiles to none. */
static inline bool precedes(const struct weiri_event_entry *a, const struct weiri_event_entry *b)
{
#ifdef __SIZEOF_INT128__
	__extension__ typedef unsigned __int128 wide;

	return ((wide)a->rank << 64 | a->serial) < ((wide)b->rank << 64 | b->serial);
#else
	return (a->rank < b->rank) | ((a->rank == b->rank) & (a->serial < b->serial));
#endif
}

static inline void put(
	struct weiri_event_heap *heap, uint32_t index, const struct weiri_event_entry *entry)
{
	heap->entries[index] = *entry;
	entry->event->position = index;
}

/* The least of the children that begin at `child`, of which there is one or more. */
static inline uint32_t least_child(const struct weiri_event_heap *heap, uint32_t child)
{
	const struct weiri_event_entry *entries = heap->entries;
	uint32_t least = child;

	if (child + CHILDREN <= heap->count) {
		uint32_t a = child + precedes(&entries[child + 1], &entries[child]);
		uint32_t b = child + 2 + precedes(&entries[child + 3], &entries[child + 2]);

		return a + (b - a) * precedes(&entries[b], &entries[a]);
	}
	while (++child < heap->count) {
		if (precedes(&entries[child], &entries[least]))
			least = child;
	}
	return least;
}

/* Put the entry at the free place `index`, or as far above it as it belongs. */
static void rise(
	struct weiri_event_heap *heap, uint32_t index, const struct weiri_event_entry *entry)
{
	while (index > 0) {
		uint32_t parent = (index - 1) / CHILDREN;

		if (!precedes(entry, &heap->entries[parent]))
			break;
		put(heap, index, &heap->entries[parent]);
		index = parent;
	}
	put(heap, index, entry);
}

/* Put the entry at the free place `index`, or as far below it as it belongs. */
static void sink(
	struct weiri_event_heap *heap, uint32_t index, const struct weiri_event_entry *entry)
{
	for (;;) {
		uint32_t child = index * CHILDREN + 1;

		if (child >= heap->count)
			break;
		child = least_child(heap, child);
		if (!precedes(&heap->entries[child], entry))
			break;
		put(heap, index, &heap->entries[child]);
		index = child;
	}
	put(heap, index, entry);
}

/* Fill the free place `index` with the last entry. */
static void fill(struct weiri_event_heap *heap, uint32_t index)
{
	struct weiri_event_entry last = heap->entries[--heap->count];

	if (index == heap->count)
		return;
	if (index > 0 && precedes(&last, &heap->entries[(index - 1) / CHILDREN]))
		rise(heap, index, &last);
	else
		sink(heap, index, &last);
}

static inline void fill_gap(struct weiri_event_heap *heap)
{
	if (heap->has_gap) {
		heap->has_gap = false;
		fill(heap, 0);
	}
}

void weiri_event_heap_init(struct weiri_event_heap *heap)
{
	*heap = (struct weiri_event_heap){ .entries = NULL };
}

void weiri_event_heap_destroy(struct weiri_event_heap *heap)
{
	free(heap->entries);
}

int weiri_event_heap_reserve(struct weiri_event_heap *heap, size_t count)
{
	size_t capacity = heap->capacity < CAPACITY_MIN ? CAPACITY_MIN : heap->capacity;
	struct weiri_event_entry *entries;

	if (count <= heap->capacity)
		return 0;
	if (count > WEIRI_EVENT_HEAP_MAX)
		return WEIR_ELIMIT;
	while (capacity < count)
		capacity *= 2;
	entries = realloc(heap->entries, capacity * sizeof(*entries));
	if (entries == NULL)
		return WEIR_ENOMEM;
	heap->entries = entries;
	heap->capacity = (uint32_t)capacity;
	return 0;
}

void weiri_event_heap_add(struct weiri_event_heap *heap, struct weiri_event *event, double key)
{
	struct weiri_event_entry entry = { weiri_event_rank(key), event->serial, event };

	if (heap->has_gap) {
		heap->has_gap = false;
		sink(heap, 0, &entry);
	} else {
		weiri_assert(heap->count < heap->capacity);
		rise(heap, heap->count++, &entry);
	}
}

const struct weiri_event_entry *weiri_event_heap_first(const struct weiri_event_heap *heap)
{
	if (heap->count <= heap->has_gap)
		return NULL;
	return &heap->entries[heap->has_gap ? least_child(heap, 1) : 0];
}

struct weiri_event *weiri_event_heap_take(struct weiri_event_heap *heap)
{
	fill_gap(heap);
	weiri_assert(heap->count > 0);
	heap->has_gap = true;
	return heap->entries[0].event;
}

void weiri_event_heap_remove(struct weiri_event_heap *heap, struct weiri_event *event)
{
	fill_gap(heap);
	weiri_assert(heap->entries[event->position].event == event);
	fill(heap, event->position);
}

struct weiri_event *weiri_event_heap_at(struct weiri_event_heap *heap, uint32_t index)
{
	fill_gap(heap);
	weiri_assert(index < heap->count);
	return heap->entries[index].event;
}

bool weiri_event_heap_check(const struct weiri_event_heap *heap)
{
	for (uint32_t i = heap->has_gap; i < heap->count; i++) {
		const struct weiri_event_entry *entry = &heap->entries[i];
		uint32_t parent = i == 0 ? 0 : (i - 1) / CHILDREN;
		bool has_parent = i > 0 && !(heap->has_gap && parent == 0);

		if (entry->event->position != i || entry->event->serial != entry->serial)
			return false;
		if (has_parent && !precedes(&heap->entries[parent], entry))
			return false;
	}
	return heap->count <= heap->capacity;
}
