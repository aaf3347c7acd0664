/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_stress.c - many pushers and one popper on the rings alone: nothing is lost,
 * doubled or invented, and what one pusher pushed comes out in its order.
 */
#include <sched.h>
#include <string.h>

#include "fail_allocator.h"
#include "fixture.h"
#include "queue/lanes.h"
#include "queue/ring.h"

#define PUSHERS   4
#define BATCH_MAX 7
#define CLASSES   3

struct arena;

struct pusher {
	struct arena *arena;
	unsigned int index;
	uint64_t state;
	uint64_t pushed; /* values, numbered from 1 */
	/* What it met. */
	uint64_t full;
	uint64_t partial;
	uint64_t cancelled;
	uint64_t slots;
};

struct arena {
	struct weiri_ring ring;
	struct weiri_lanes *lanes; /* NULL: the ring */
	uint64_t slots_after;      /* values; 0: it gets no slots */
	uint64_t target;           /* values of each pusher */
	struct pusher pushers[PUSHERS];
};

/* A pusher's number and that of the value, in one word that is never NULL. */
static void *value_of(unsigned int pusher, uint64_t number)
{
	return (void *)(uintptr_t)(number * PUSHERS + pusher + PUSHERS);
}

static size_t push_batch(struct pusher *pusher, size_t count)
{
	struct arena *arena = pusher->arena;
	void *values[BATCH_MAX];

	for (size_t i = 0; i < count; i++)
		values[i] = value_of(pusher->index, pusher->pushed + 1 + i);
	if (arena->lanes == NULL)
		return weiri_ring_push(&arena->ring, values, count);
	return weiri_lanes_push(arena->lanes, values[0], (int32_t)(pusher->index % CLASSES));
}

/* Reserves one place and fills it, or now and then cancels it. */
static size_t push_reserved(struct pusher *pusher)
{
	struct arena *arena = pusher->arena;
	void *value = value_of(pusher->index, pusher->pushed + 1);
	const bool cancels = harness_random_below(&pusher->state, 3) == 0;
	uint64_t position;

	if (arena->lanes == NULL ? !weiri_ring_reserve(&arena->ring, &position)
				 : !weiri_lanes_reserve(arena->lanes))
		return 0;
	if (cancels) {
		pusher->cancelled++;
		if (arena->lanes == NULL)
			weiri_ring_cancel(&arena->ring, position);
		else
			weiri_lanes_cancel(arena->lanes);
		return 0;
	}
	if (arena->lanes == NULL)
		weiri_ring_fill(&arena->ring, position, value);
	else
		weiri_lanes_fill(arena->lanes, value, (int32_t)(pusher->index % CLASSES));
	return 1;
}

/* The same word in all of a slot, so that one that is overwritten shows it. */
static void slot_fill(unsigned char *bytes, size_t size, uint64_t word)
{
	for (size_t i = 0; i < size; i += sizeof(word))
		memcpy(bytes + i, &word, sizeof(word));
}

static uint64_t slot_read(const struct weiri_ring_slot_view *slot)
{
	uint64_t word, other;

	memcpy(&word, slot->bytes, sizeof(word));
	CHECK_EQ(word / PUSHERS, slot->number + 1);
	CHECK_EQ(slot->word, slot->size);
	for (size_t i = sizeof(word); i < slot->size; i += sizeof(word)) {
		memcpy(&other, slot->bytes + i, sizeof(other));
		CHECK_EQ(other, word);
	}
	return word;
}

/* A run of slots at the position, with what the pusher has next. */
static void run_fill(struct pusher *pusher, struct weiri_ring_slot *slots, uint64_t position,
	uint64_t number, size_t length)
{
	struct weiri_ring *ring = &pusher->arena->ring;
	const bool is_long = length > 1;
	const size_t size = is_long ? WEIRI_RING_SLOT_RUN_BYTES : WEIRI_RING_SLOT_BYTES;

	for (size_t i = 0; i < length; i++)
		slot_fill(weiri_ring_slot_bytes(ring, slots, position + i, is_long), size,
			(uint64_t)(uintptr_t)value_of(pusher->index, number + i));
	weiri_ring_slots_show(
		ring, slots, position, (uint32_t)length, (uint32_t)size, number, size);
}

/* As push_batch, into slots: one place by the short way, if that will do. */
static size_t push_slots(struct pusher *pusher, struct weiri_ring_slot *slots, size_t count)
{
	struct weiri_ring *ring = &pusher->arena->ring;
	uint64_t first;

	if (count > 1 || !weiri_ring_reserve_easily(ring, &first))
		count = weiri_ring_reserve_many(ring, count, &first);
	for (size_t i = 0, length; i < count; i += length) {
		length = 1 + (size_t)harness_random_below(&pusher->state, count - i);
		run_fill(pusher, slots, first + i, pusher->pushed + 1 + i, length);
	}
	pusher->slots += count;
	return count;
}

static void *pusher_run(void *argument)
{
	struct pusher *pusher = argument;
	const uint64_t target = pusher->arena->target;

	while (pusher->pushed < target) {
		const uint64_t left = target - pusher->pushed;
		struct weiri_ring_slot *slots = weiri_ring_slots(&pusher->arena->ring);
		size_t count = 1 + (size_t)harness_random_below(&pusher->state, BATCH_MAX);
		size_t done;

		if (count > left)
			count = (size_t)left;
		if (pusher->arena->lanes != NULL)
			count = 1;
		if (harness_random_below(&pusher->state, 4) == 0)
			done = push_reserved(pusher);
		else if (slots != NULL && harness_random_below(&pusher->state, 2) == 0)
			done = push_slots(pusher, slots, count);
		else
			done = push_batch(pusher, count);
		pusher->pushed += done;
		pusher->full += done == 0;
		pusher->partial += done > 0 && done < count;
		if (done == 0)
			(void)sched_yield();
	}
	return NULL;
}

static size_t pop(struct arena *arena, void **values, size_t count)
{
	return arena->lanes == NULL ? weiri_ring_pop(&arena->ring, values, count)
				    : weiri_lanes_pop(arena->lanes, values, count);
}

/* What comes next in slots. */
static size_t slots_take(struct weiri_ring *ring, void **values, size_t count)
{
	size_t taken = 0;

	for (; taken < count; taken++) {
		const struct weiri_ring_slot_view slot = weiri_ring_slot_next(ring, taken);

		if (slot.bytes == NULL)
			break;
		values[taken] = (void *)(uintptr_t)slot_read(&slot);
	}
	if (taken > 0)
		weiri_ring_slots_pass(ring, taken);
	return taken;
}

/* The ring gets slots when some values have come. */
static void slots_consider(struct arena *arena, uint64_t left, const weir_allocator *allocator)
{
	if (arena->slots_after != 0 && weiri_ring_slots(&arena->ring) == NULL &&
		PUSHERS * arena->target - left >= arena->slots_after)
		CHECK_EQ(weiri_ring_slots_open(&arena->ring, allocator), 0);
}

/* Until all values of all pushers have come. */
static void pop_all(struct arena *arena, const weir_allocator *allocator, uint64_t *empty)
{
	uint64_t last[PUSHERS] = { 0 }, left = PUSHERS * arena->target;
	uint64_t state = harness_seed();
	void *values[16];

	while (left > 0) {
		const size_t most = 1 + harness_random_below(&state, 16);
		size_t count = slots_take(&arena->ring, values, most);

		if (count < most)
			count += pop(arena, values + count, most - count);
		for (size_t i = 0; i < count; i++) {
			const uint64_t word = (uint64_t)(uintptr_t)values[i] - PUSHERS;

			CHECK_EQ(word / PUSHERS, last[word % PUSHERS] + 1);
			last[word % PUSHERS]++;
		}
		left -= count;
		*empty += count == 0;
		if (count == 0)
			(void)sched_yield();
		slots_consider(arena, left, allocator);
	}
	/* A cancelled place may be left, but no value. */
	CHECK_EQ(pop(arena, values, 16), 0);
	CHECK_EQ(slots_take(&arena->ring, values, 16), 0);
}

static void stress(size_t capacity, bool in_lanes, bool has_slots, uint64_t values)
{
	struct fail_allocator memory = { 0 };
	weir_allocator allocator = fail_allocator_hook(&memory);
	static struct arena arena;
	pthread_t threads[PUSHERS];
	uint64_t full = 0, partial = 0, cancelled = 0, empty = 0, slots = 0;

	memset(&arena, 0, sizeof(arena));
	arena.target = values / PUSHERS;
	arena.slots_after = has_slots ? values / 20 : 0;
	if (in_lanes)
		CHECK_EQ(weiri_lanes_open(&arena.lanes, CLASSES, capacity, &allocator), 0);
	else
		CHECK_EQ(weiri_ring_open(&arena.ring, capacity, &allocator), 0);
	for (unsigned int i = 0; i < PUSHERS; i++) {
		arena.pushers[i] = (struct pusher){
			.arena = &arena, .index = i, .state = harness_seed() + 1 + i
		};
		threads[i] = fixture_thread(pusher_run, &arena.pushers[i]);
	}
	pop_all(&arena, &allocator, &empty);
	for (unsigned int i = 0; i < PUSHERS; i++) {
		fixture_join(threads[i]);
		full += arena.pushers[i].full;
		partial += arena.pushers[i].partial;
		cancelled += arena.pushers[i].cancelled;
		slots += arena.pushers[i].slots;
	}
	/* It would prove nothing if these had not happened. */
	CHECK(full > 0);
	CHECK(empty > 0);
	CHECK(cancelled > 0);
	CHECK(partial > 0 || capacity == 1 || in_lanes);
	CHECK(values > 10 * capacity);
	CHECK((slots > values / 10) == has_slots);
	if (in_lanes) {
		CHECK_EQ(weiri_lanes_count(arena.lanes), 0);
		CHECK_EQ(weiri_load_relaxed(&arena.lanes->high_water), capacity);
		weiri_lanes_close(arena.lanes, &allocator);
	} else {
		CHECK_EQ(weiri_ring_count(&arena.ring), 0);
		CHECK_EQ(weiri_load_relaxed(&arena.ring.high_water), capacity);
		weiri_ring_close(&arena.ring, &allocator);
	}
	fail_allocator_check_empty(&memory);
}

WEIR_TEST(ring_stress, one_place)
{
	stress(1, false, false, harness_scaled(100000));
}

WEIR_TEST(ring_stress, three_places)
{
	stress(3, false, false, harness_scaled(300000));
}

WEIR_TEST(ring_stress, sixty_four_places)
{
	stress(64, false, false, harness_scaled(1000000));
}

WEIR_TEST(ring_stress, one_place_and_its_slot)
{
	stress(1, false, true, harness_scaled(100000));
}

WEIR_TEST(ring_stress, three_places_and_their_slots)
{
	stress(3, false, true, harness_scaled(200000));
}

WEIR_TEST(ring_stress, fifty_places_and_their_slots)
{
	stress(50, false, true, harness_scaled(500000));
}

WEIR_TEST(ring_stress, lanes_of_one_place)
{
	stress(1, true, false, harness_scaled(100000));
}

WEIR_TEST(ring_stress, lanes_of_fifty_places)
{
	stress(50, true, false, harness_scaled(500000));
}
