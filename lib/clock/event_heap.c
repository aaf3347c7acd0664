/* SPDX-License-Identifier: BSD-2-Clause */
/* event_heap.c - see event_heap.h. */
#include "clock/event_heap.h"

#include <stdlib.h>

#include "base/atomics.h"
#include "base/debug.h"
#include "base/prefetch.h"
#include <weir/error.h>

#define CHILDREN     4
#define CAPACITY_MIN 16

static inline bool precedes(const struct weiri_event_entry *a, const struct weiri_event_entry *b)
{
	return weiri_event_key_precedes(&a->key, &b->key);
}

void weiri_event_prefetch(struct weiri_event *event)
{
	weiri_prefetch_write(event);
	weiri_prefetch_write((char *)event + WEIRI_CACHE_LINE);
	weiri_prefetch_write((char *)event + 2 * (size_t)WEIRI_CACHE_LINE);
}

static inline void put(
	struct weiri_event_heap *heap, uint32_t index, const struct weiri_event_entry *entry)
{
	struct weiri_event_seat *seat = &heap->seats[entry->number];

	heap->entries[index] = *entry;
	seat->position = index;
	if (index <= CHILDREN)
		weiri_event_prefetch(seat->event);
}

/* The least of the children that begin at `child`, of which there is one or more. */
static inline uint32_t least_child(
	const struct weiri_event_entry *entries, uint32_t child, uint32_t count)
{
	uint32_t least = child;

	if (child + CHILDREN <= count) {
		uint32_t a = child + precedes(&entries[child + 1], &entries[child]);
		uint32_t b = child + 2 + precedes(&entries[child + 3], &entries[child + 2]);

		return a + (b - a) * precedes(&entries[b], &entries[a]);
	}
	while (++child < count) {
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
	const uint32_t count = heap->count;
	uint32_t child;

	while ((child = index * CHILDREN + 1) < count) {
		child = least_child(heap->entries, child, count);
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
	free(heap->seats);
}

/* More seats, all of them free. */
static void seats_add(struct weiri_event_heap *heap, uint32_t capacity)
{
	for (uint32_t number = capacity; number-- > heap->capacity;) {
		heap->seats[number].next = heap->free;
		heap->free = number;
	}
	heap->capacity = capacity;
}

static uint32_t seat_take(struct weiri_event_heap *heap, struct weiri_event *event)
{
	uint32_t number = heap->free;

	weiri_assert(number < heap->capacity);
	heap->free = heap->seats[number].next;
	heap->seats[number].event = event;
	event->number = number;
	return number;
}

static void seat_leave(struct weiri_event_heap *heap, uint32_t number)
{
	heap->seats[number].next = heap->free;
	heap->free = number;
}

int weiri_event_heap_reserve(struct weiri_event_heap *heap, size_t count)
{
	size_t capacity = heap->capacity < CAPACITY_MIN ? CAPACITY_MIN : heap->capacity;
	struct weiri_event_entry *entries;
	struct weiri_event_seat *seats;

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
	seats = realloc(heap->seats, capacity * sizeof(*seats));
	if (seats == NULL)
		return WEIR_ENOMEM;
	heap->seats = seats;
	seats_add(heap, (uint32_t)capacity);
	return 0;
}

void weiri_event_heap_add(struct weiri_event_heap *heap, struct weiri_event *event, double key)
{
	struct weiri_event_entry entry = { { weiri_event_rank(key), event->serial },
		seat_take(heap, event) };

	if (heap->has_gap) {
		heap->has_gap = false;
		sink(heap, 0, &entry);
	} else {
		weiri_assert(heap->count < heap->capacity);
		rise(heap, heap->count++, &entry);
	}
}

const struct weiri_event_key *weiri_event_heap_first(const struct weiri_event_heap *heap)
{
	if (heap->count <= heap->has_gap)
		return NULL;
	return &heap->entries[heap->has_gap ? least_child(heap->entries, 1, heap->count) : 0].key;
}

struct weiri_event *weiri_event_heap_take(struct weiri_event_heap *heap)
{
	uint32_t number;

	fill_gap(heap);
	weiri_assert(heap->count > 0);
	heap->has_gap = true;
	number = heap->entries[0].number;
	seat_leave(heap, number);
	return heap->seats[number].event;
}

void weiri_event_heap_remove(struct weiri_event_heap *heap, struct weiri_event *event)
{
	fill_gap(heap);
	weiri_assert(heap->seats[event->number].event == event);
	seat_leave(heap, event->number);
	fill(heap, heap->seats[event->number].position);
}

struct weiri_event *weiri_event_heap_at(struct weiri_event_heap *heap, uint32_t index)
{
	fill_gap(heap);
	weiri_assert(index < heap->count);
	return heap->seats[heap->entries[index].number].event;
}

bool weiri_event_heap_check(const struct weiri_event_heap *heap)
{
	for (uint32_t i = heap->has_gap; i < heap->count; i++) {
		const struct weiri_event_entry *entry = &heap->entries[i];
		uint32_t parent = i == 0 ? 0 : (i - 1) / CHILDREN;
		bool has_parent = i > 0 && !(heap->has_gap && parent == 0);

		const struct weiri_event_seat *seat = &heap->seats[entry->number];

		if (seat->position != i || seat->event->number != entry->number ||
			seat->event->serial != entry->key.serial)
			return false;
		if (has_parent && !precedes(&heap->entries[parent], entry))
			return false;
	}
	return heap->count <= heap->capacity;
}
