/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event_heap.h - events in the order of (key, serial).
 *
 * A heap of four children a node, in one array.  Keys and serials lie in the
 * array itself, and so that an event can be removed in O(log n), its position is
 * kept in another, at a number that the event has while it is in the heap.  So
 * finding a place, and making one, touches no event: each lies in the memory of
 * its process, far from the others.
 *
 * Adding needs room that was reserved, and then cannot fail: whoever makes an
 * event that may be in the heap reserves its place once.
 *
 * Taking the first event leaves a gap on top, which the next one to be added
 * fills: a process that sleeps again and again costs one way down the heap,
 * not one down and one up.
 *
 * Threads: one at a time.  Nothing blocks.
 */
#ifndef WEIRI_CLOCK_EVENT_HEAP_H
#define WEIRI_CLOCK_EVENT_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What the virtual clock orders.  Its owner contains it. */
struct weiri_event {
	double time;                         /* when it is due */
	uint64_t serial;                     /* of its scheduling: no two events have the same */
	uint32_t number;                     /* in a heap or a lane, while it is there */
	uint8_t kind;                        /* enum weiri_event_kind */
	uint8_t place;                       /* enum weiri_event_place: which set it is in */
	uint8_t lane;                        /* of a queue (event_queue.h), while it is there */
	double priority;                     /* of its process under WEIR_SCHEDULE_PCT */
	struct weiri_event *previous, *next; /* in the list of those that are due */
};

/* A double as an integer of the same order, which is compared without
 * branches: of a positive number the bits grow with it, and its sign is to be
 * above; of a negative one they shrink. */
static inline uint64_t weiri_event_rank(double key)
{
	uint64_t bits;

	memcpy(&bits, &key, sizeof(bits));
	return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

/* What events are ordered by. */
struct weiri_event_key {
	uint64_t rank;
	uint64_t serial;
};

/* Which of two is first is as good as random, so a branch would be guessed wrong
 * half the time: this compiles to none. */
static inline bool weiri_event_key_precedes(
	const struct weiri_event_key *a, const struct weiri_event_key *b)
{
#ifdef __SIZEOF_INT128__
	__extension__ typedef unsigned __int128 wide;

	return ((wide)a->rank << 64 | a->serial) < ((wide)b->rank << 64 | b->serial);
#else
	return (a->rank < b->rank) | ((a->rank == b->rank) & (a->serial < b->serial));
#endif
}

struct weiri_event_entry {
	struct weiri_event_key key;
	uint32_t number;
};

/* By number. */
struct weiri_event_seat {
	struct weiri_event *event;
	uint32_t position; /* of its entry */
	uint32_t next;     /* while it is free: the next free one */
};

struct weiri_event_heap {
	struct weiri_event_entry *entries;
	struct weiri_event_seat *seats;
	uint32_t count; /* with the gap, if there is one */
	uint32_t capacity;
	uint32_t free; /* the first free seat */
	bool has_gap;  /* entries[0] was taken and is not filled yet */
};

#define WEIRI_EVENT_HEAP_MAX (UINT32_MAX / 8)

/* Have an event, and what lies behind it in its owner, brought near: it is soon to be
 * taken. */
void weiri_event_prefetch(struct weiri_event *event);

void weiri_event_heap_init(struct weiri_event_heap *heap);
void weiri_event_heap_destroy(struct weiri_event_heap *heap);

/* Make room for `count` events in all.  Returns 0, WEIR_ENOMEM, or WEIR_ELIMIT
 * for more than WEIRI_EVENT_HEAP_MAX. */
int weiri_event_heap_reserve(struct weiri_event_heap *heap, size_t count);

static inline uint32_t weiri_event_heap_count(const struct weiri_event_heap *heap)
{
	return heap->count - heap->has_gap;
}

/* Add an event that is in no heap; its place in the order is (key, its serial).
 * `key` is not NaN, and 0 and -0 are different keys. */
void weiri_event_heap_add(struct weiri_event_heap *heap, struct weiri_event *event, double key);

/* The key of the first event, NULL if there is none; valid until the next change.
 * Looks at no event, and leaves a gap as it is. */
const struct weiri_event_key *weiri_event_heap_first(const struct weiri_event_heap *heap);

/* Take the first event out; the heap is not empty. */
struct weiri_event *weiri_event_heap_take(struct weiri_event_heap *heap);

/* Take out an event that is in it. */
void weiri_event_heap_remove(struct weiri_event_heap *heap, struct weiri_event *event);

/* The event at a place of the array below the count: an arbitrary one, but the
 * same one whenever the same has been done to the heap before. */
struct weiri_event *weiri_event_heap_at(struct weiri_event_heap *heap, uint32_t index);

/* Whether everything is where it has to be; for tests. */
bool weiri_event_heap_check(const struct weiri_event_heap *heap);

#endif /* WEIRI_CLOCK_EVENT_HEAP_H */
