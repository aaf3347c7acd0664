/* SPDX-License-Identifier: BSD-2-Clause */
/* The heap against a plain array, with every operation at every position. */
#include <stdlib.h>

#include "harness.h"
#include "queue/heap.h"
#include "weir/error.h"

#define NODES 64

struct bed {
	weir_allocator allocator;
	struct weiri_heap heap;
	struct weiri_heap_node nodes[NODES];
	bool is_in[NODES];
	uint64_t random;
};

static void bed_open(struct bed *bed)
{
	*bed = (struct bed){ .random = harness_seed() };
	weiri_allocator_complete(&bed->allocator);
	CHECK_EQ(weiri_heap_reserve(&bed->heap, NODES, &bed->allocator), 0);
	for (int i = 0; i < NODES; i++)
		bed->nodes[i].position = WEIRI_HEAP_NOWHERE;
}

static bool is_before(const struct weiri_heap_node *a, const struct weiri_heap_node *b)
{
	return a->key < b->key || (a->key == b->key && a->serial < b->serial);
}

/* Every node knows its place, no child precedes its parent, the first is the least
 * of those that are in. */
static void check(struct bed *bed)
{
	const struct weiri_heap_node *least = NULL;
	size_t count = 0;

	for (size_t i = 0; i < NODES; i++) {
		if (!bed->is_in[i]) {
			CHECK(bed->nodes[i].position == WEIRI_HEAP_NOWHERE);
			continue;
		}
		CHECK(bed->heap.nodes[bed->nodes[i].position] == &bed->nodes[i]);
		if (least == NULL || is_before(&bed->nodes[i], least))
			least = &bed->nodes[i];
		count++;
	}
	CHECK_EQ(bed->heap.count, count);
	for (size_t i = 1; i < count; i++)
		CHECK(!is_before(bed->heap.nodes[i], bed->heap.nodes[(i - 1) / 2]));
	CHECK(weiri_heap_first(&bed->heap) == least);
}

/* Values without ties in (key, serial), but with many in the key. */
static void add_one(struct bed *bed, size_t i, uint64_t serial)
{
	bed->nodes[i].key = (double)harness_random_below(&bed->random, 8);
	bed->nodes[i].serial = serial;
	weiri_heap_add(&bed->heap, &bed->nodes[i]);
	bed->is_in[i] = true;
}

static void remove_one(struct bed *bed, size_t i)
{
	weiri_heap_remove(&bed->heap, &bed->nodes[i]);
	bed->is_in[i] = false;
}

WEIR_TEST(heap, random_additions_and_removals_agree_with_a_plain_array)
{
	uint64_t serial = 0, removed_first = 0, removed_last = 0, removed_inner = 0;
	struct bed bed;

	bed_open(&bed);
	for (uint64_t step = 0; step < harness_scaled(50000); step++) {
		size_t i = harness_random_below(&bed.random, NODES);

		if (!bed.is_in[i]) {
			add_one(&bed, i, serial++);
		} else {
			removed_first += bed.nodes[i].position == 0;
			removed_last += bed.nodes[i].position + 1 == bed.heap.count;
			removed_inner += bed.nodes[i].position > 0 &&
					 bed.nodes[i].position + 1 < bed.heap.count;
			remove_one(&bed, i);
		}
		check(&bed);
	}
	CHECK(removed_first > 0 && removed_last > 0 && removed_inner > 0);
	weiri_heap_close(&bed.heap, &bed.allocator);
}

WEIR_TEST(heap, hands_out_equals_in_the_order_of_their_serials)
{
	struct bed bed;

	bed_open(&bed);
	for (size_t i = 0; i < NODES; i++)
		add_one(&bed, i, 1000 - i);
	for (size_t i = 0; i < NODES; i++) {
		struct weiri_heap_node *first = weiri_heap_first(&bed.heap);
		struct weiri_heap_node *next;

		remove_one(&bed, (size_t)(first - bed.nodes));
		next = weiri_heap_first(&bed.heap);
		CHECK(next == NULL || is_before(first, next));
	}
	CHECK(weiri_heap_first(&bed.heap) == NULL);
	weiri_heap_close(&bed.heap, &bed.allocator);
}

WEIR_TEST(heap, a_walk_sees_all_that_is_not_below_what_it_leaves_out)
{
	uint64_t serial = 0;
	struct bed bed;

	bed_open(&bed);
	for (uint64_t round = 0; round < harness_scaled(2000); round++) {
		double limit = (double)harness_random_below(&bed.random, 9);
		size_t size = harness_random_below(&bed.random, NODES + 1);
		size_t expected = 0, seen = 0, looked = 0;

		for (size_t i = 0; i < size; i++) {
			add_one(&bed, i, serial++);
			expected += bed.nodes[i].key < limit;
		}
		for (size_t at = size > 0 ? 0 : WEIRI_HEAP_NOWHERE; at != WEIRI_HEAP_NOWHERE;
			looked++) {
			bool is_below = bed.heap.nodes[at]->key < limit;

			seen += is_below;
			at = weiri_heap_next(&bed.heap, at, is_below);
		}
		CHECK_EQ(seen, expected);
		CHECK(looked <= 2 * expected + 1);
		for (size_t i = 0; i < size; i++)
			remove_one(&bed, i);
	}
	weiri_heap_close(&bed.heap, &bed.allocator);
}

static void *allocate_nothing(void *context, size_t size, size_t alignment)
{
	(void)context;
	(void)size;
	(void)alignment;
	return NULL;
}

static void deallocate_never(void *context, void *memory, size_t size)
{
	(void)context;
	(void)memory;
	(void)size;
	harness_fail(__FILE__, __LINE__, "nothing was allocated, and %zu bytes came back", size);
}

WEIR_TEST(heap, without_memory_stays_as_it_was)
{
	static const weir_allocator none = { .allocate = allocate_nothing,
		.deallocate = deallocate_never };
	struct bed bed;

	bed_open(&bed);
	for (size_t i = 0; i < NODES; i++)
		add_one(&bed, i, i);
	CHECK_EQ(weiri_heap_reserve(&bed.heap, NODES, &none), 0);
	CHECK_EQ(weiri_heap_reserve(&bed.heap, NODES + 1, &none), WEIR_ENOMEM);
	check(&bed);
	CHECK_EQ(weiri_heap_reserve(&bed.heap, NODES + 1, &bed.allocator), 0);
	check(&bed);
	weiri_heap_close(&bed.heap, &bed.allocator);
}
