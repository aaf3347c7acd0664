/* SPDX-License-Identifier: BSD-2-Clause */
/* Lanes: order of classes, exact capacity, clamping; then with threads. */
#include <pthread.h>
#include <sched.h>

#include "fail_allocator.h"
#include "harness.h"
#include "queue/lanes.h"
#include "weir/error.h"

static weir_allocator allocator_of_libc(void)
{
	weir_allocator allocator = { 0 };

	weiri_allocator_complete(&allocator);
	return allocator;
}

/* A value that carries its class, who pushed it and in which order. */
static void *value_of(uint64_t class, uint64_t pusher, uint64_t number)
{
	return (void *)(uintptr_t)(class << 56 | pusher << 48 | (number + 1));
}

static uint64_t class_of(const void *value)
{
	return (uintptr_t)value >> 56;
}

static uint64_t pusher_of(const void *value)
{
	return (uintptr_t)value >> 48 & 0xff;
}

static uint64_t number_of(const void *value)
{
	return ((uintptr_t)value & 0xffffffffffff) - 1;
}

WEIR_TEST(lanes, hand_out_the_first_class_first_and_equals_in_order)
{
	weir_allocator allocator = allocator_of_libc();
	uint64_t random = harness_seed();

	for (size_t count = 1; count <= WEIRI_LANES_MAX; count++) {
		uint64_t pushed[WEIRI_LANES_MAX] = { 0 };
		uint64_t popped[WEIRI_LANES_MAX] = { 0 };
		struct weiri_lanes *lanes;
		void *values[100];
		uint64_t last = 0;

		CHECK_EQ(weiri_lanes_open(&lanes, count, 100, &allocator), 0);
		CHECK(weiri_lanes_is_empty(lanes));
		for (int i = 0; i < 100; i++) {
			uint64_t class = harness_random_below(&random, count);

			CHECK(weiri_lanes_push(
				lanes, value_of(class, 0, pushed[class]++), (int32_t) class));
			CHECK(!weiri_lanes_is_empty(lanes));
		}
		CHECK(!weiri_lanes_push(lanes, value_of(0, 0, 0), 0));
		CHECK_EQ(weiri_lanes_count(lanes), 100);
		CHECK_EQ(weiri_lanes_pop(lanes, values, 70), 70);
		CHECK_EQ(weiri_lanes_count(lanes), 30);
		CHECK_EQ(weiri_lanes_pop(lanes, values + 70, 100), 30);
		for (int i = 0; i < 100; i++) {
			CHECK(class_of(values[i]) >= last);
			last = class_of(values[i]);
			CHECK_EQ(number_of(values[i]), popped[last]++);
		}
		CHECK(weiri_lanes_is_empty(lanes));
		CHECK_EQ(weiri_load_relaxed(&lanes->high_water), 100);
		weiri_lanes_close(lanes, &allocator);
	}
}

WEIR_TEST(lanes, classes_that_are_none_count_as_the_nearest)
{
	static const struct {
		int32_t class;
		uint64_t lane;
	} cases[] = { { INT32_MIN, 0 }, { -1, 0 }, { 0, 0 }, { 31, 31 }, { 32, 31 },
		{ INT32_MAX, 31 } };
	weir_allocator allocator = allocator_of_libc();
	struct weiri_lanes *lanes;

	CHECK_EQ(weiri_lanes_open(&lanes, WEIRI_LANES_MAX, 4, &allocator), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		void *value = value_of(cases[i].lane, 0, i);
		void *found;

		CHECK(weiri_lanes_push(lanes, value, cases[i].class));
		CHECK_EQ(weiri_lanes_count(lanes), 1);
		CHECK_EQ(weiri_ring_pop(&lanes->rings[cases[i].lane], &found, 1), 1);
		CHECK(found == value);
		weiri_lanes_cancel(lanes);
	}
	weiri_lanes_close(lanes, &allocator);
}

WEIR_TEST(lanes, the_capacity_is_of_all_classes_together)
{
	weir_allocator allocator = allocator_of_libc();
	struct weiri_lanes *lanes;
	void *value;

	for (size_t capacity = 1; capacity < 20; capacity++) {
		CHECK_EQ(weiri_lanes_open(&lanes, 3, capacity, &allocator), 0);
		for (uint64_t round = 0; round < 50; round++) {
			for (uint64_t i = 0; i < capacity; i++)
				CHECK(weiri_lanes_push(
					lanes, value_of(0, 0, i), (int32_t)((i + round) % 3)));
			CHECK(!weiri_lanes_push(lanes, value_of(0, 0, 0), (int32_t)(round % 3)));
			for (uint64_t i = 0; i < capacity; i++)
				CHECK_EQ(weiri_lanes_pop(lanes, &value, 1), 1);
			CHECK_EQ(weiri_lanes_pop(lanes, &value, 1), 0);
		}
		weiri_lanes_close(lanes, &allocator);
	}
}

WEIR_TEST(lanes, a_reserved_place_counts_until_it_is_filled_or_cancelled)
{
	weir_allocator allocator = allocator_of_libc();
	struct weiri_lanes *lanes;
	void *value;

	CHECK_EQ(weiri_lanes_open(&lanes, 2, 2, &allocator), 0);
	CHECK(weiri_lanes_reserve(lanes));
	CHECK(weiri_lanes_reserve(lanes));
	CHECK(!weiri_lanes_reserve(lanes));
	CHECK(weiri_lanes_is_empty(lanes));
	weiri_lanes_cancel(lanes);
	CHECK(weiri_lanes_push(lanes, value_of(1, 0, 0), 1));
	weiri_lanes_fill(lanes, value_of(0, 0, 0), 0);
	CHECK_EQ(weiri_lanes_pop(lanes, &value, 1), 1);
	CHECK_EQ(class_of(value), 0);
	CHECK_EQ(weiri_lanes_pop(lanes, &value, 1), 1);
	CHECK_EQ(class_of(value), 1);
	weiri_lanes_close(lanes, &allocator);
}

WEIR_TEST(lanes, without_memory_for_one_class_leave_nothing_behind)
{
	struct fail_allocator memory = { 0 };
	weir_allocator allocator = fail_allocator_hook(&memory);
	struct weiri_lanes *lanes;

	for (uint64_t nth = 1; nth <= 5; nth++) {
		fail_allocator_arm(&memory, nth, false);
		CHECK_EQ(weiri_lanes_open(&lanes, 4, 8, &allocator), WEIR_ENOMEM);
		fail_allocator_check_empty(&memory);
	}
	fail_allocator_arm(&memory, 0, false);
	CHECK_EQ(weiri_lanes_open(&lanes, 4, 8, &allocator), 0);
	weiri_lanes_close(lanes, &allocator);
	fail_allocator_check_empty(&memory);
}

/* ---- With threads ---- */

#define PUSHERS  3
#define CLASSES  32
#define CAPACITY 7

struct shared {
	struct weiri_lanes *lanes;
	uint64_t count; /* for each pusher to push */
	_Atomic uint64_t refusals;
};

struct pusher {
	struct shared *shared;
	uint64_t index;
	pthread_t thread;
};

static void *push_all(void *argument)
{
	struct pusher *pusher = argument;
	struct shared *shared = pusher->shared;
	uint64_t random = harness_seed() + pusher->index;
	uint64_t numbers[CLASSES] = { 0 };

	for (uint64_t i = 0; i < shared->count; i++) {
		uint64_t class = harness_random_below(&random, CLASSES);
		void *value = value_of(class, pusher->index, numbers[class]++);

		while (!weiri_lanes_push(shared->lanes, value, (int32_t) class)) {
			(void)weiri_add_relaxed(&shared->refusals, 1);
			(void)sched_yield();
		}
	}
	return NULL;
}

WEIR_TEST(lanes, lose_nothing_and_keep_order_under_many_pushers)
{
	weir_allocator allocator = allocator_of_libc();
	struct shared shared = { .count = harness_scaled(100000) };
	struct pusher pushers[PUSHERS];
	uint64_t next[PUSHERS][CLASSES] = { { 0 } };
	uint64_t empty = 0;

	CHECK_EQ(weiri_lanes_open(&shared.lanes, CLASSES, CAPACITY, &allocator), 0);
	for (uint64_t i = 0; i < PUSHERS; i++) {
		pushers[i] = (struct pusher){ .shared = &shared, .index = i };
		CHECK_EQ(pthread_create(&pushers[i].thread, NULL, push_all, &pushers[i]), 0);
	}
	for (uint64_t taken = 0; taken < PUSHERS * shared.count;) {
		void *values[4];
		size_t count = weiri_lanes_pop(shared.lanes, values, 4);

		CHECK(weiri_lanes_count(shared.lanes) <= CAPACITY);
		for (size_t i = 0; i < count; i++)
			CHECK_EQ(number_of(values[i]),
				next[pusher_of(values[i])][class_of(values[i])]++);
		taken += count;
		if (count == 0) {
			empty++;
			(void)sched_yield();
		}
	}
	for (uint64_t i = 0; i < PUSHERS; i++)
		CHECK_EQ(pthread_join(pushers[i].thread, NULL), 0);
	CHECK(weiri_lanes_is_empty(shared.lanes));
	CHECK_EQ(weiri_lanes_count(shared.lanes), 0);
	CHECK(empty > 0 && weiri_load_relaxed(&shared.refusals) > 0);
	weiri_lanes_close(shared.lanes, &allocator);
}
