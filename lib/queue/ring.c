/* SPDX-License-Identifier: BSD-2-Clause */
/* The bounded lock-free ring. */
#include "queue/ring.h"

#include <weir/error.h>

static size_t power_of_two_from(size_t least)
{
	size_t power = 1;

	while (power < least)
		power <<= 1;
	return power;
}

int weiri_ring_open(struct weiri_ring *ring, size_t capacity, const weir_allocator *allocator)
{
	size_t places = power_of_two_from(capacity);
	size_t bytes = places * sizeof(struct weiri_ring_place);

	ring->places = weiri_allocate(allocator, bytes, WEIRI_CACHE_LINE);
	if (ring->places == NULL)
		return WEIR_ENOMEM;
	ring->bytes = bytes;
	ring->mask = places - 1;
	ring->capacity = capacity;
	return 0;
}

int weiri_ring_slots_open(struct weiri_ring *ring, const weir_allocator *allocator)
{
	struct weiri_ring_slot *slots =
		weiri_allocate(allocator, weiri_ring_slots_bytes(ring), WEIRI_CACHE_LINE);

	if (slots == NULL)
		return WEIR_ENOMEM;
	ring->run.end = weiri_load_relaxed(&ring->head);
	/* G1 (pairs with G2): they are blank before a pusher sees them.  Without it what
	 * was in that memory could look like filled slots, or overwrite some. */
	weiri_store_release(&ring->slots, slots);
	return 0;
}

void weiri_ring_close(struct weiri_ring *ring, const weir_allocator *allocator)
{
	weiri_deallocate(allocator, weiri_load_relaxed(&ring->slots), weiri_ring_slots_bytes(ring));
	weiri_deallocate(allocator, ring->places, ring->bytes);
}

/*
 * The head as far as this pusher has to know it: what some pusher saw before
 * if that leaves room, the true one otherwise.
 *
 * H1 (store of head in pop) pairs with H2 here: a popper is done with a place
 * before the head that licenses overwriting it.  Pushers hand what they saw to
 * each other through head_seen, so that word carries the order on (H3 to H4).
 * Without any of them a pusher could overwrite a value that is being read.
 * head_seen may go backwards when two pushers store at once; that only costs
 * another look.
 */
static uint64_t head_refresh(struct weiri_ring *ring)
{
	uint64_t head = weiri_load_acquire(&ring->head); /* H2 */

	weiri_store_release(&ring->head_seen, head); /* H3 */
	return head;
}

/*
 * High water is exact, and costs a look at the popper's line only when the
 * stale head suggests a new record.  `used` counts what is in the ring after
 * the push.
 */
static void high_water_note(struct weiri_ring *ring, uint64_t tail, uint64_t head)
{
	uint64_t high = weiri_load_relaxed(&ring->high_water);
	uint64_t used = tail - head;

	if (used <= high)
		return;
	used = tail - head_refresh(ring);
	while (used > high && !weiri_cas_weak_relaxed(&ring->high_water, &high, used))
		;
}

/* Reserve up to `count` places; returns how many, *first is the position of the
 * first one. */
static size_t places_reserve(struct weiri_ring *ring, size_t count, uint64_t *first)
{
	uint64_t limit = ring->capacity;
	/* Acquire, so that the head is not read before the tail: a head that is
	 * older than the tail could make the ring look full that never was. */
	uint64_t tail = weiri_load_acquire(&ring->tail);
	uint64_t head = weiri_load_acquire(&ring->head_seen); /* H4 */

	for (;;) {
		/* A tail read before a head may be behind it: then `used` is
		 * negative, and the tail is read again. */
		int64_t used = (int64_t)(tail - head);
		uint64_t room;

		if (used < 0) {
			tail = weiri_load_acquire(&ring->tail);
			continue;
		}
		room = (uint64_t)used < limit ? limit - (uint64_t)used : 0;
		if (room < count) {
			uint64_t fresh = head_refresh(ring);

			if (fresh != head) {
				head = fresh;
				continue;
			}
			if (room == 0) {
				weiri_store_relaxed(&ring->high_water, limit);
				return 0;
			}
		}
		if (room > count)
			room = count;
		/* The places are handed over by their sequence (W1), the
		 * licence to use them came by head; acquire as above. */
		if (weiri_cas_weak_acquire(&ring->tail, &tail, tail + room)) {
			*first = tail;
			high_water_note(ring, tail + room, head);
			return (size_t)room;
		}
	}
}

size_t weiri_ring_push(struct weiri_ring *ring, void *const *values, size_t count)
{
	uint64_t position;
	size_t reserved = places_reserve(ring, count, &position);

	for (size_t i = 0; i < reserved; i++)
		weiri_ring_fill(ring, position + i, values[i]);
	return reserved;
}

size_t weiri_ring_reserve_many(struct weiri_ring *ring, size_t count, uint64_t *first)
{
	return places_reserve(ring, count, first);
}

bool weiri_ring_reserve(struct weiri_ring *ring, uint64_t *position)
{
	return places_reserve(ring, 1, position) == 1;
}

void weiri_ring_cancel(struct weiri_ring *ring, uint64_t position)
{
	uint64_t tail = position + 1;

	/* The last place goes back; others come to the popper as void.  A pusher
	 * that has read the higher tail fails to move it and looks again. */
	if (weiri_cas_acq_rel(&ring->tail, &tail, position))
		return;
	(void)weiri_add_relaxed(&ring->voids_made, 1);
	weiri_ring_fill(ring, position, NULL);
}

size_t weiri_ring_pop(struct weiri_ring *ring, void **values, size_t count)
{
	uint64_t first = weiri_load_relaxed(&ring->head);
	uint64_t head = first;
	size_t taken = 0;

	for (; taken < count; head++) {
		struct weiri_ring_place *place = &ring->places[head & ring->mask];

		if (weiri_load_acquire(&place->sequence) != head + 1) /* R1 */
			break;
		if (place->value != NULL)
			values[taken++] = place->value;
	}
	if (head == first)
		return 0;
	if (head - first > taken)
		weiri_store_relaxed(&ring->voids_passed,
			weiri_load_relaxed(&ring->voids_passed) + (head - first - taken));
	weiri_store_release(&ring->head, head); /* H1 */
	return taken;
}

void *weiri_ring_pop_behind(struct weiri_ring *ring)
{
	void *value = NULL;

	(void)weiri_ring_pop(ring, &value, 1);
	return value;
}
