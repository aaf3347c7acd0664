/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lanes of a store: parts that its items are dealt into, each with the store's order
 * of delivery within itself.
 *
 *   store:   [1] [2] [3] [4] [5]        room, bytes, eviction
 *   lane a:  [1] [4]                    deliver: 1
 *   lane b:  [2] [3] [5]                deliver: 2
 *
 * Moving an item keeps its place by arrival: items that are moved in order of arrival
 * are merged into a lane in one walk, along its cursor.
 *
 * A lane that was not opened, all zero, is a parking place: in order of arrival, also
 * in a store by rank.  All calls: with the store locked.  Owner: lanes are the
 * caller's, and empty when they go.
 */
#ifndef WEIRI_STORE_LANES_H
#define WEIRI_STORE_LANES_H

#include "queue/store.h"

struct weiri_store_lane {
	struct weiri_store_list list;
	struct weiri_store_node *cursor; /* where one was moved in last */
	_Atomic uint64_t count;          /* written with the store locked */
	bool is_ranked;
	void *owner; /* the caller's */
	struct weiri_heap by_rank;
	struct weiri_store_lane *next; /* of the store's ranked ones */
};

/* Returns 0 or WEIR_ENOMEM. */
int weiri_store_lane_open(struct weiri_store *store, struct weiri_store_lane *lane);
void weiri_store_lane_close(struct weiri_store *store, struct weiri_store_lane *lane);

/* The first by rank of a lane that has ranks; NULL: none. */
struct weiri_store_node *weiri_store_lane_lowest(const struct weiri_store_lane *lane);

/* The item that comes next, NULL: none; and the value of one, taken out. */
static inline struct weiri_store_node *weiri_store_lane_first(const struct weiri_store_lane *lane)
{
	return lane->is_ranked ? weiri_store_lane_lowest(lane) : lane->list.oldest;
}

void *weiri_store_lane_take(struct weiri_store *store, struct weiri_store_node *node);

/* The next ones, up to `count`, taken out; returns how many. */
size_t weiri_store_lane_pop(
	struct weiri_store *store, struct weiri_store_lane *lane, void **values, size_t count);
void *weiri_store_node_value(const struct weiri_store_node *node);

/* An item that was pushed, before anything else is done to the store. */
void weiri_store_lane_put(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane);

/* A plain store has lanes in order of arrival, and refuses what it has no place for. */
static inline bool weiri_store_is_plain(const struct weiri_store *store)
{
	return store->is_plain;
}

/* For a plain store, instead of weiri_store_push: whether there is a place for one more
 * value, and then the value into that place, as the latest.  Its weight does not count. */
static inline enum weiri_store_result weiri_store_lane_provide(struct weiri_store *store)
{
	if (store->options.full != WEIRI_STORE_GROW &&
		weiri_load_relaxed(&store->count) >= store->options.capacity)
		return WEIRI_STORE_FULL;
	if (store->idle == NULL && weiri_store_prepare(store) != 0)
		return WEIRI_STORE_ENOMEM;
	return WEIRI_STORE_TAKEN;
}

void weiri_store_lane_add(struct weiri_store *store, struct weiri_store_lane *lane, void *value);

/* Into another lane, where it belongs by its arrival. */
void weiri_store_lane_move(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane);

/* The item of the lane that came first, and the next one that came after it; NULL: none. */
struct weiri_store_node *weiri_store_lane_oldest(const struct weiri_store_lane *lane);
struct weiri_store_node *weiri_store_lane_newer(const struct weiri_store_node *node);
struct weiri_store_lane *weiri_store_lane_of(const struct weiri_store_node *node);

static inline uint64_t weiri_store_lane_count(struct weiri_store_lane *lane)
{
	return weiri_load_acquire(&lane->count);
}

#endif
