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

/* The item that comes next, NULL: none; and the value of one, taken out. */
struct weiri_store_node *weiri_store_lane_first(struct weiri_store_lane *lane);
void *weiri_store_lane_take(struct weiri_store *store, struct weiri_store_node *node);
void *weiri_store_node_value(const struct weiri_store_node *node);

/* An item that was pushed without a lane, before anything else is done to the store. */
void weiri_store_lane_put(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane);

/* Into another lane, where it belongs by its arrival. */
void weiri_store_lane_move(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane);

/* The oldest item of the store and the newest one, and the next newer one; NULL: none. */
struct weiri_store_node *weiri_store_oldest(struct weiri_store *store);
struct weiri_store_node *weiri_store_newest(struct weiri_store *store);
struct weiri_store_node *weiri_store_newer(struct weiri_store_node *node);
/* NULL: it was pushed without one. */
struct weiri_store_lane *weiri_store_lane_of(struct weiri_store_node *node);

static inline uint64_t weiri_store_lane_count(struct weiri_store_lane *lane)
{
	return weiri_load_acquire(&lane->count);
}

#endif
