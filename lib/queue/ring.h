/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring: a bounded first-in first-out queue of pointers, lock-free for any
 * number of pushers, with one popper and an exact capacity.
 *
 * Overview.  Both positions are free-running 64-bit counters, compared only by
 * difference and masked only on access.  A pusher reserves places by moving
 * `tail`, fills them, and marks each as filled in the place itself; the popper
 * takes filled places in order and moves `head`.  There is no commit in order:
 * a pusher that is preempted between reserving and filling holds up nobody but
 * the popper when it comes to that very place; the other pushers go on until
 * the ring is full.  (Two designs met here: the bounded queue of D. Vyukov,
 * 2010, whose sequence number per place this is, and the exact capacity by
 * comparing tail with head, as in ck_ring.)
 *
 *   place        0        1        2        3        4
 *   sequence   [ 6 ]    [ 2 ]    [ 3 ]    [ 4 ]    [ 0 ]     position + 1 when filled
 *                ^        ^                          ^
 *               tail     head: filled up to here   reserved, being filled
 *
 * Who may run with whom:
 *              push   pop    count/is_empty   has_room
 *   push       yes    yes    yes              yes
 *   pop               no     yes              yes
 *
 * Order: pushes of one thread pop in their order; push_many is one push.
 * Progress: push is lock-free; pop is wait-free.
 */
#ifndef WEIRI_RING_H
#define WEIRI_RING_H

#include <stddef.h>

#include "base/allocator.h"
#include "base/always_inline.h"
#include "base/atomics.h"

#define WEIRI_RING_CAPACITY_MAX ((size_t)1 << 20)

struct weiri_ring_place {
	_Atomic uint64_t sequence; /* position + 1 of what it was filled with last */
	void *value;
};

/* Beside a place: what is too large for it, in two lines of its own. */
struct weiri_ring_slot {
	_Alignas(WEIRI_CACHE_LINE) _Atomic uint64_t sequence; /* as a place's */
	uint32_t run;    /* slots that were filled at once, from this one on */
	uint32_t size;   /* of the bytes in each */
	uint64_t number; /* of this one; the others count on */
	uint64_t word;
	unsigned char bytes[96];
};

/* What a slot holds at most; and one of a run, which leaves its first line alone. */
#define WEIRI_RING_SLOT_BYTES     sizeof(((struct weiri_ring_slot *)NULL)->bytes)
#define WEIRI_RING_SLOT_RUN_BYTES ((size_t)WEIRI_CACHE_LINE)

/* The popper's copy of what a run's first slot says: that may be filled anew before the last
 * one is taken. */
struct weiri_ring_run {
	uint64_t end;    /* the position after its last one */
	uint64_t number; /* as it would be at position 0 */
	uint64_t word;
	uint32_t size;
};

struct weiri_ring {
	/* Set at the start, then only read. */
	struct weiri_ring_place *places;
	uint64_t mask;
	uint64_t capacity;
	size_t bytes;
	struct weiri_ring_slot *_Atomic slots; /* as many as places; or NULL, at first */

	/* The pushers' line. */
	_Alignas(WEIRI_CACHE_LINE) _Atomic uint64_t tail;
	_Atomic uint64_t head_seen;  /* a head that some pusher has seen; never ahead of head */
	_Atomic uint64_t voids_made; /* cancelled places that stay until passed */
	_Atomic uint64_t high_water; /* the most that a push has seen; the capacity if refused */

	/* The popper's line. */
	_Alignas(WEIRI_CACHE_LINE) _Atomic uint64_t head;
	_Atomic uint64_t voids_passed; /* cancelled places that it has passed */
	struct weiri_ring_run run;     /* the last one of several that it came to */
};

/*
 * Prepare a ring of `capacity` (1..WEIRI_RING_CAPACITY_MAX).  Returns 0, or
 * WEIR_ENOMEM.
 */
int weiri_ring_open(struct weiri_ring *ring, size_t capacity, const weir_allocator *allocator);
void weiri_ring_close(struct weiri_ring *ring, const weir_allocator *allocator);

/*
 * Append up to `count` values, as many as there is room for.  Returns how many,
 * 0 iff the ring was full at some moment during the call.
 * Owner: what was appended belongs to the ring, the rest to the caller.
 */
size_t weiri_ring_push(struct weiri_ring *ring, void *const *values, size_t count);

/* The value of a reserved place. */
static inline void weiri_ring_fill(struct weiri_ring *ring, uint64_t position, void *value)
{
	struct weiri_ring_place *place = &ring->places[position & ring->mask];

	place->value = value;
	/* W1 (pairs with R1 in pop): the value is there before the sequence that
	 * shows it.  Without it the popper could read the last lap's pointer: use
	 * after free. */
	weiri_store_release(&place->sequence, position + 1);
}

/* For pushers: whether there is room for one, unless others take it first. */
static inline bool weiri_ring_has_room(struct weiri_ring *ring)
{
	uint64_t tail = weiri_load_relaxed(&ring->tail);

	return tail - weiri_load_relaxed(&ring->head_seen) < ring->capacity ||
	       tail - weiri_load_acquire(&ring->head) < ring->capacity;
}

/* One place, in the ordinary case: neither full nor a new high water (that is never above
 * the capacity); else see places_reserve.  A tail that is behind the head makes a difference
 * beyond all bounds. */
static inline bool weiri_ring_reserve_easily(struct weiri_ring *ring, uint64_t *position)
{
	uint64_t tail = weiri_load_relaxed(&ring->tail);
	uint64_t head = weiri_load_acquire(&ring->head_seen); /* H4 */

	*position = tail;
	return tail - head < weiri_load_relaxed(&ring->high_water) &&
	       weiri_cas_weak_acquire(&ring->tail, position, tail + 1);
}

/* The same for a pusher that has nobody beside it. */
static inline bool weiri_ring_reserve_sole(struct weiri_ring *ring, uint64_t *position)
{
	uint64_t tail = weiri_load_relaxed(&ring->tail);
	uint64_t head = weiri_load_acquire(&ring->head_seen); /* H4 */

	*position = tail;
	if (tail - head >= weiri_load_relaxed(&ring->high_water))
		return false;
	weiri_store_relaxed(&ring->tail, tail + 1);
	return true;
}

/* One value; whether there was room. */
static inline bool weiri_ring_push_one(struct weiri_ring *ring, void *value)
{
	uint64_t position;

	if (!weiri_ring_reserve_easily(ring, &position))
		return weiri_ring_push(ring, &value, 1) == 1;
	weiri_ring_fill(ring, position, value);
	return true;
}

/*
 * For a pusher that has nobody beside it, for as long as it has not: the same without a
 * locked instruction, which would wait until all that was stored before is out of the
 * processor's hands.  The tail is all that pushers have in common, and it is their own.
 */
static inline bool weiri_ring_push_one_sole(struct weiri_ring *ring, void *value)
{
	uint64_t position;

	if (!weiri_ring_reserve_sole(ring, &position))
		return weiri_ring_push(ring, &value, 1) == 1;
	weiri_ring_fill(ring, position, value);
	return true;
}

/*
 * One place for a value that comes later, or does not: reserve returns false if
 * the ring was full; then either fill or cancel.  Until that the popper waits at
 * the place.  A cancelled place that others have followed stays taken until the
 * popper has passed it.  Threads: as push.
 */
bool weiri_ring_reserve(struct weiri_ring *ring, uint64_t *position);
void weiri_ring_cancel(struct weiri_ring *ring, uint64_t position);

/* The same for up to `count` places in a row; returns how many, as push. */
size_t weiri_ring_reserve_many(struct weiri_ring *ring, size_t count, uint64_t *first);

/*
 * Slots: values that are bytes, not pointers.  They stand in the ring in the order of
 * their places, but beside these, in an array of their own that the popper adds when it
 * likes.  A pusher that finds slots may reserve a place, fill its slot instead, and
 * show it.  The popper has to look for both.
 *
 * A run is some slots in a row that one pusher fills and shows at once.  Only the first
 * says so; of each other one only the second line is touched, by either side.
 *
 *   slot    [ sequence run=3 .. |  bytes ]  [ -     |  bytes ]  [ -     |  bytes ]
 */

/* Add them.  Returns 0 or WEIR_ENOMEM.  Threads: the popper. */
int weiri_ring_slots_open(struct weiri_ring *ring, const weir_allocator *allocator);

static inline size_t weiri_ring_slots_bytes(const struct weiri_ring *ring)
{
	return (ring->mask + 1) * sizeof(struct weiri_ring_slot);
}

/* For pushers; NULL: there are none. */
static inline struct weiri_ring_slot *weiri_ring_slots(struct weiri_ring *ring)
{
	return weiri_load_acquire(&ring->slots); /* G2 */
}

/* For pushers: where the bytes go of a reserved place's slot. */
static inline unsigned char *weiri_ring_slot_bytes(const struct weiri_ring *ring,
	struct weiri_ring_slot *slots, uint64_t position, bool is_long)
{
	unsigned char *bytes = slots[position & ring->mask].bytes;

	return is_long ? bytes + WEIRI_RING_SLOT_BYTES - WEIRI_RING_SLOT_RUN_BYTES : bytes;
}

/* The bytes of `run` slots in a row are there, `size` in each, and this belongs to them.  If
 * it is more than one, all of them are `is_long`. */
static inline void weiri_ring_slots_show(const struct weiri_ring *ring,
	struct weiri_ring_slot *slots, uint64_t position, uint32_t run, uint32_t size,
	uint64_t number, uint64_t word)
{
	struct weiri_ring_slot *slot = &slots[position & ring->mask];

	slot->run = run;
	slot->size = size;
	slot->number = number;
	slot->word = word;
	/* W1, as for a place. */
	weiri_store_release(&slot->sequence, position + 1);
}

/* What a filled slot holds. */
struct weiri_ring_slot_view {
	const unsigned char *bytes; /* NULL: it is none */
	uint32_t size;
	uint64_t number;
	uint64_t word;
};

/* One of the run that the popper is in. */
static inline struct weiri_ring_slot_view weiri_ring_run_view(
	const struct weiri_ring *ring, struct weiri_ring_slot *slots, uint64_t position)
{
	return (struct weiri_ring_slot_view){
		.bytes = weiri_ring_slot_bytes(ring, slots, position, true),
		.size = ring->run.size,
		.number = ring->run.number + position,
		.word = ring->run.word,
	};
}

/* For the popper: what comes after `ahead` others that do, if that is a slot.  The bytes are
 * the popper's until it passes on.  Calls go up from 0; what was found is passed, all but
 * perhaps the last one, before they begin with 0 again. */
static WEIRI_ALWAYS_INLINE struct weiri_ring_slot_view weiri_ring_slot_next(
	struct weiri_ring *ring, size_t ahead)
{
	struct weiri_ring_slot *slots = weiri_load_relaxed(&ring->slots);
	uint64_t position = weiri_load_relaxed(&ring->head) + ahead;
	struct weiri_ring_run *run = &ring->run;
	const struct weiri_ring_slot *slot;

	if (slots == NULL)
		return (struct weiri_ring_slot_view){ .bytes = NULL };
	slot = &slots[position & ring->mask];
	if ((int64_t)(run->end - position) > 0)
		return weiri_ring_run_view(ring, slots, position);
	if (weiri_load_acquire(&slot->sequence) != position + 1) /* R1 */
		return (struct weiri_ring_slot_view){ .bytes = NULL };
	if (slot->run == 1)
		return (struct weiri_ring_slot_view){
			.bytes = slot->bytes,
			.size = slot->size,
			.number = slot->number,
			.word = slot->word,
		};
	*run = (struct weiri_ring_run){
		.end = position + slot->run,
		.number = slot->number - position,
		.word = slot->word,
		.size = slot->size,
	};
	return weiri_ring_run_view(ring, slots, position);
}

/* `count` slots, which were next, are done with. */
static inline void weiri_ring_slots_pass(struct weiri_ring *ring, size_t count)
{
	weiri_store_release(&ring->head, weiri_load_relaxed(&ring->head) + count); /* H1 */
}

/* Take up to `count` values, up to the first slot; returns how many.  0 also while the
 * first one is still being filled in by its pusher. */
size_t weiri_ring_pop(struct weiri_ring *ring, void **values, size_t count);

/* weiri_ring_pop_one where a void place comes first. */
void *weiri_ring_pop_behind(struct weiri_ring *ring);

/* One value, or NULL; as weiri_ring_pop. */
static inline void *weiri_ring_pop_one(struct weiri_ring *ring)
{
	uint64_t head = weiri_load_relaxed(&ring->head);
	struct weiri_ring_place *place = &ring->places[head & ring->mask];
	void *value;

	if (weiri_load_acquire(&place->sequence) != head + 1) /* R1 */
		return NULL;
	value = place->value;
	if (value == NULL)
		return weiri_ring_pop_behind(ring);
	weiri_store_release(&ring->head, head + 1); /* H1 */
	return value;
}

/* Values in the ring, those being filled included: exact if nobody pushes or pops
 * meanwhile, and never more than the capacity. */
static inline uint64_t weiri_ring_count(struct weiri_ring *ring)
{
	/* Head first: it cannot overtake a tail that is read later. */
	uint64_t head = weiri_load_acquire(&ring->head);
	uint64_t count = weiri_load_acquire(&ring->tail) - head;

	return count < ring->capacity ? count : ring->capacity;
}

/* For the popper: whether nothing comes next, in its place or its slot. */
static inline bool weiri_ring_is_empty(struct weiri_ring *ring)
{
	uint64_t head = weiri_load_relaxed(&ring->head);

	return weiri_ring_slot_next(ring, 0).bytes == NULL &&
	       weiri_load_acquire(&ring->places[head & ring->mask].sequence) != head + 1;
}

#endif
