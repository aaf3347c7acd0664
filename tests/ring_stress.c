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
};

struct arena {
	struct weiri_ring ring;
	struct weiri_lanes *lanes; /* NULL: the ring */
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

static void *pusher_run(void *argument)
{
	struct pusher *pusher = argument;
	const uint64_t target = pusher->arena->target;

	while (pusher->pushed < target) {
		const uint64_t left = target - pusher->pushed;
		size_t count = 1 + (size_t)harness_random_below(&pusher->state, BATCH_MAX);
		size_t done;

		if (count > left)
			count = (size_t)left;
		if (pusher->arena->lanes != NULL)
			count = 1;
		if (harness_random_below(&pusher->state, 4) == 0)
			done = push_reserved(pusher);
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

/* Until all values of all pushers have come. */
static void pop_all(struct arena *arena, uint64_t *empty)
{
	uint64_t last[PUSHERS] = { 0 }, left = PUSHERS * arena->target;
	uint64_t state = harness_seed();
	void *values[16];

	while (left > 0) {
		const size_t count = pop(arena, values, 1 + harness_random_below(&state, 16));

		for (size_t i = 0; i < count; i++) {
			const uint64_t word = (uint64_t)(uintptr_t)values[i] - PUSHERS;

			CHECK_EQ(word / PUSHERS, last[word % PUSHERS] + 1);
			last[word % PUSHERS]++;
		}
		left -= count;
		*empty += count == 0;
		if (count == 0)
			(void)sched_yield();
	}
	/* A cancelled place may be left, but no value. */
	CHECK_EQ(pop(arena, values, 16), 0);
}

static void stress(size_t capacity, bool in_lanes, uint64_t values)
{
	struct fail_allocator memory = { 0 };
	weir_allocator allocator = fail_allocator_hook(&memory);
	static struct arena arena;
	pthread_t threads[PUSHERS];
	uint64_t full = 0, partial = 0, cancelled = 0, empty = 0;

	memset(&arena, 0, sizeof(arena));
	arena.target = values / PUSHERS;
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
	pop_all(&arena, &empty);
	for (unsigned int i = 0; i < PUSHERS; i++) {
		fixture_join(threads[i]);
		full += arena.pushers[i].full;
		partial += arena.pushers[i].partial;
		cancelled += arena.pushers[i].cancelled;
	}
	/* It would prove nothing if these had not happened. */
	CHECK(full > 0);
	CHECK(empty > 0);
	CHECK(cancelled > 0);
	CHECK(partial > 0 || capacity == 1 || in_lanes);
	CHECK(values > 10 * capacity);
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
	stress(1, false, harness_scaled(100000));
}

WEIR_TEST(ring_stress, three_places)
{
	stress(3, false, harness_scaled(300000));
}

WEIR_TEST(ring_stress, sixty_four_places)
{
	stress(64, false, harness_scaled(1000000));
}

WEIR_TEST(ring_stress, lanes_of_one_place)
{
	stress(1, true, harness_scaled(100000));
}

WEIR_TEST(ring_stress, lanes_of_fifty_places)
{
	stress(50, true, harness_scaled(500000));
}
