/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Items: what keeps the items of a store (queue/store.h): nodes, and the lists,
 * heaps and key table that they are in.  What is thrown out, and when, is store.c.
 *
 * All calls but open and close: with the store locked.
 */
#ifndef WEIRI_STORE_ITEMS_H
#define WEIRI_STORE_ITEMS_H

#include "queue/store_lanes.h"

struct weiri_store_links {
	struct weiri_store_node *older;
	struct weiri_store_node *newer;
};

/* What a plain store needs comes first, in one cache line. */
struct weiri_store_node {
	_Alignas(WEIRI_CACHE_LINE) struct weiri_store_links links[WEIRI_STORE_LISTS];
	struct weiri_store_node *next; /* idle, evicted, or of the bucket */
	struct weiri_store_lane *lane; /* or NULL */
	uint64_t serial;               /* of the arrival */
	struct weiri_store_item item;
	struct weiri_heap_node by_rank;
	struct weiri_heap_node by_lowest;
	struct weiri_heap_node by_expiry; /* in no heap if it never expires */
};

#define WEIRI_STORE_NODE_OF(heap_node, member)                             \
	((struct weiri_store_node *)(void *)((char *)(heap_node)-offsetof( \
		struct weiri_store_node, member)))

/* Under the mutex there is one writer: a load and a store will do. */
static inline void weiri_store_count_add(_Atomic uint64_t *counter, uint64_t count)
{
	weiri_store_release(counter, weiri_load_relaxed(counter) + count);
}

static inline bool weiri_store_is_ranked(const struct weiri_store *store)
{
	return store->options.order == WEIRI_STORE_RANKED;
}

static inline bool weiri_store_evicts_oldest(const struct weiri_store *store)
{
	return store->options.full == WEIRI_STORE_EVICT_OLDEST ||
	       store->options.full == WEIRI_STORE_CONFLATE;
}

static inline bool weiri_store_evicts_lowest(const struct weiri_store *store)
{
	return store->options.full == WEIRI_STORE_EVICT_LOWEST;
}

static inline bool weiri_store_conflates(const struct weiri_store *store)
{
	return store->options.full == WEIRI_STORE_CONFLATE;
}

/* Returns 0 or WEIR_ENOMEM; the options and the allocator are set. */
int weiri_store_items_open(struct weiri_store *store);
void weiri_store_items_close(struct weiri_store *store);

/* A node without an item, for which weiri_store_prepare has provided; or back. */
static inline struct weiri_store_node *weiri_store_node_take(struct weiri_store *store)
{
	struct weiri_store_node *node = store->idle;

	store->idle = node->next;
	return node;
}

static inline void weiri_store_node_rest(struct weiri_store *store, struct weiri_store_node *node)
{
	node->next = store->idle;
	store->idle = node;
}

/* The node into one of the lists, as the latest. */
static inline void weiri_store_list_append(
	struct weiri_store_list *list, enum weiri_store_lists which, struct weiri_store_node *node)
{
	node->links[which] = (struct weiri_store_links){ .older = list->newest };
	if (list->newest != NULL)
		list->newest->links[which].newer = node;
	else
		list->oldest = node;
	list->newest = node;
}

/* And out of it. */
static inline void weiri_store_list_remove(
	struct weiri_store_list *list, enum weiri_store_lists which, struct weiri_store_node *node)
{
	struct weiri_store_links *links = &node->links[which];

	if (links->older != NULL)
		links->older->links[which].newer = links->newer;
	else
		list->oldest = links->newer;
	if (links->newer != NULL)
		links->newer->links[which].older = links->older;
	else
		list->newest = links->older;
}

/* There is one more. */
static inline void weiri_store_arrival_count(struct weiri_store *store)
{
	uint64_t count = weiri_load_relaxed(&store->count) + 1;

	weiri_store_release(&store->count, count);
	if (count > store->high_water)
		store->high_water = count;
	store->pushed++;
}

/* The node into the heap by rank that it belongs into, if any, or out. */
void weiri_store_rank_add(struct weiri_store *store, struct weiri_store_node *node);
void weiri_store_rank_remove(struct weiri_store *store, struct weiri_store_node *node);

/* The node into a lane (queue/store_lanes.h), where it belongs, or out. */
void weiri_store_lane_enter(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane);
void weiri_store_lane_leave(struct weiri_store *store, struct weiri_store_node *node);

/* The node with its item into all that this store keeps, as the latest; or out. */
void weiri_store_node_link(struct weiri_store *store, struct weiri_store_node *node);
void weiri_store_node_unlink(struct weiri_store *store, struct weiri_store_node *node);

/* The item of that key that a newer one may replace; a protected one may not, and
 * stays beside the newer one.  NULL: none. */
struct weiri_store_node *weiri_store_key_find(
	struct weiri_store *store, const struct weiri_store_item *item);

/* The item into the place of one of the same key, and with its time of arrival:
 * so a key that changes all the time is delivered as soon as one that does not. */
void weiri_store_node_replace(struct weiri_store *store, struct weiri_store_node *node,
	const struct weiri_store_item *item);

#endif
