/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lanes of a store: random operations, each compared with a plain table that does the
 * same by looking at everything.
 */
#include "queue/store_lanes.h"

#include <string.h>

#include "base/random.h"
#include <weir/error.h>

#include "harness.h"

#define ITEMS    4096
#define LANES    4 /* the last one is a parking place */
#define CAPACITY 48
#define STEPS    30000

/* The table: where each item is, NOWHERE if it is out. */
#define NOWHERE LANES
struct row {
	int lane;
	int32_t rank;
};

static struct row rows[ITEMS];
static size_t row_count;
static struct weiri_store store;
static struct weiri_store_lane lanes[LANES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* What the lane is to deliver next. */
static size_t next_of(int lane, bool is_ranked)
{
	size_t next = ITEMS;

	for (size_t i = 0; i < row_count; i++)
		if (rows[i].lane == lane &&
			(next == ITEMS || (is_ranked && rows[i].rank < rows[next].rank)))
			next = i;
	return next;
}

static size_t count_of(int lane)
{
	size_t count = 0;

	for (size_t i = 0; i < row_count; i++)
		count += rows[i].lane == lane;
	return count;
}

static size_t row_of(const void *value)
{
	return (size_t)((const struct row *)value - rows);
}

static void lanes_check(bool is_ranked)
{
	size_t sum = 0;

	for (int i = 0; i < LANES; i++) {
		struct weiri_store_node *first = weiri_store_lane_first(&lanes[i]);
		size_t next = next_of(i, is_ranked && i < LANES - 1);

		CHECK_EQ(weiri_store_lane_count(&lanes[i]), count_of(i));
		CHECK_EQ(first != NULL ? row_of(weiri_store_node_value(first)) : ITEMS, next);
		sum += count_of(i);
	}
	CHECK_EQ(weiri_store_count(&store), sum);
}

static void push(uint64_t random)
{
	struct row *row = &rows[row_count];
	struct weiri_store_evicted evicted;
	struct weiri_store_item item = { .value = row, .weight = 1 };

	if (row_count == ITEMS)
		return;
	row->lane = (int)(random % LANES);
	row->rank = (int32_t)(random >> 8) & 7;
	item.rank = row->rank;
	row_count++;
	CHECK_EQ(weiri_store_push(&store, &item, &evicted), WEIRI_STORE_TAKEN);
	weiri_store_lane_put(&store, evicted.unplaced, &lanes[row->lane]);
	for (size_t i = 0; i < evicted.count; i++)
		rows[row_of(evicted.values[i])].lane = NOWHERE;
}

static void take(int lane)
{
	struct weiri_store_node *first = weiri_store_lane_first(&lanes[lane]);

	if (first != NULL)
		rows[row_of(weiri_store_lane_take(&store, first))].lane = NOWHERE;
}

/* Everything of one lane into the others, as when a member leaves. */
static void deal(int lane, uint64_t random)
{
	struct weiri_store_node *node = weiri_store_lane_oldest(&lanes[lane]);

	while (node != NULL) {
		struct weiri_store_node *newer = weiri_store_lane_newer(node);
		int to = (int)((random = weiri_random_mix(random)) % LANES);

		CHECK(weiri_store_lane_of(node) == &lanes[lane]);
		rows[row_of(weiri_store_node_value(node))].lane = to;
		weiri_store_lane_move(&store, node, &lanes[to]);
		node = newer;
	}
}

static void random_operations(enum weiri_store_order order)
{
	const struct weiri_store_options options = { .order = order,
		.full = WEIRI_STORE_EVICT_OLDEST,
		.capacity = CAPACITY,
		.has_lanes = true };
	struct weiri_random random = weiri_random_stream(harness_seed(), 0);
	weir_allocator allocator = { 0 };

	weiri_allocator_complete(&allocator);
	memset(&store, 0, sizeof(store));
	memset(lanes, 0, sizeof(lanes));
	row_count = 0;
	CHECK_EQ(weiri_store_open(&store, &options, &allocator), 0);
	weiri_store_use_mutex(&store, &mutex);
	for (int i = 0; i < LANES - 1; i++)
		CHECK_EQ(weiri_store_lane_open(&store, &lanes[i]), 0);
	weiri_store_lock(&store);
	CHECK(pthread_mutex_trylock(&mutex) != 0);
	for (int i = 0; i < STEPS && row_count < ITEMS; i++) {
		uint64_t draw = weiri_random_next(&random);

		if (draw % 16 == 0)
			deal((int)((draw >> 8) % LANES), draw);
		else if (draw % 16 < 9)
			push(draw >> 8);
		else
			take((int)((draw >> 8) % LANES));
		if (i % 7 == 0)
			lanes_check(order == WEIRI_STORE_RANKED);
	}
	CHECK(store.evicted > 0);
	for (int i = 0; i < LANES; i++)
		while (weiri_store_lane_first(&lanes[i]) != NULL)
			take(i);
	weiri_store_unlock(&store);
	for (int i = 0; i < LANES; i++)
		CHECK_EQ(weiri_store_lane_count(&lanes[i]), 0);
	for (int i = 0; i < LANES - 1; i++)
		weiri_store_lane_close(&store, &lanes[i]);
	CHECK(store.lanes == NULL);
	weiri_store_close(&store);
}

WEIR_TEST(store_lanes, deliver_in_order_of_arrival_whatever_was_moved)
{
	random_operations(WEIRI_STORE_FIFO);
}

WEIR_TEST(store_lanes, deliver_by_rank_whatever_was_moved)
{
	random_operations(WEIRI_STORE_RANKED);
}
