/* SPDX-License-Identifier: BSD-2-Clause */
/* The lanes of a store. */
#include "queue/store_items.h"
#include <weir/error.h>

int weiri_store_lane_open(struct weiri_store *store, struct weiri_store_lane *lane)
{
	*lane = (struct weiri_store_lane){ .is_ranked = weiri_store_is_ranked(store) };
	if (!lane->is_ranked)
		return 0;
	if (weiri_heap_reserve(&lane->by_rank, store->node_count, store->allocator) != 0)
		return WEIR_ENOMEM;
	lane->next = store->lanes;
	store->lanes = lane;
	return 0;
}

void weiri_store_lane_close(struct weiri_store *store, struct weiri_store_lane *lane)
{
	struct weiri_store_lane **link = &store->lanes;

	if (!lane->is_ranked)
		return;
	while (*link != lane)
		link = &(*link)->next;
	*link = lane->next;
	weiri_heap_close(&lane->by_rank, store->allocator);
}

/* Where it belongs by its arrival: looked for from the cursor, in both directions. */
static void lane_insert(struct weiri_store_lane *lane, struct weiri_store_node *node)
{
	struct weiri_store_node *newer = lane->cursor != NULL ? lane->cursor : lane->list.oldest;
	struct weiri_store_links *links = &node->links[WEIRI_STORE_LANE];
	struct weiri_store_node *older;

	while (newer != NULL && newer->serial < node->serial)
		newer = newer->links[WEIRI_STORE_LANE].newer;
	older = newer != NULL ? newer->links[WEIRI_STORE_LANE].older : lane->list.newest;
	for (; older != NULL && older->serial > node->serial;
		older = older->links[WEIRI_STORE_LANE].older)
		newer = older;
	lane->cursor = newer;
	if (newer == NULL) {
		weiri_store_list_append(&lane->list, WEIRI_STORE_LANE, node);
		return;
	}
	links->newer = newer;
	links->older = newer->links[WEIRI_STORE_LANE].older;
	newer->links[WEIRI_STORE_LANE].older = node;
	if (links->older != NULL)
		links->older->links[WEIRI_STORE_LANE].newer = node;
	else
		lane->list.oldest = node;
}

void weiri_store_lane_enter(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane)
{
	if (lane->list.newest == NULL || lane->list.newest->serial < node->serial)
		weiri_store_list_append(&lane->list, WEIRI_STORE_LANE, node);
	else
		lane_insert(lane, node);
	node->lane = lane;
	weiri_store_count_add(&lane->count, 1);
	weiri_store_rank_add(store, node);
}

void weiri_store_lane_leave(struct weiri_store *store, struct weiri_store_node *node)
{
	struct weiri_store_lane *lane = node->lane;

	if (lane->cursor == node)
		lane->cursor = node->links[WEIRI_STORE_LANE].newer;
	weiri_store_list_remove(&lane->list, WEIRI_STORE_LANE, node);
	weiri_store_count_add(&lane->count, UINT64_MAX);
	weiri_store_rank_remove(store, node);
}

void weiri_store_lane_put(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane)
{
	weiri_store_lane_enter(store, node, lane);
}

void weiri_store_lane_move(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane)
{
	weiri_store_lane_leave(store, node);
	weiri_store_lane_enter(store, node, lane);
}

struct weiri_store_node *weiri_store_lane_first(struct weiri_store_lane *lane)
{
	struct weiri_heap_node *first;

	if (!lane->is_ranked)
		return lane->list.oldest;
	first = weiri_heap_first(&lane->by_rank);
	return first != NULL ? WEIRI_STORE_NODE_OF(first, by_rank) : NULL;
}

void *weiri_store_lane_take(struct weiri_store *store, struct weiri_store_node *node)
{
	void *value = node->item.value;

	weiri_store_node_unlink(store, node);
	weiri_store_node_rest(store, node);
	return value;
}

void *weiri_store_node_value(const struct weiri_store_node *node)
{
	return node->item.value;
}

struct weiri_store_node *weiri_store_oldest(struct weiri_store *store)
{
	return store->lists[WEIRI_STORE_ALL].oldest;
}

struct weiri_store_node *weiri_store_newest(struct weiri_store *store)
{
	return store->lists[WEIRI_STORE_ALL].newest;
}

struct weiri_store_node *weiri_store_newer(struct weiri_store_node *node)
{
	return node->links[WEIRI_STORE_ALL].newer;
}

struct weiri_store_lane *weiri_store_lane_of(struct weiri_store_node *node)
{
	return node->lane;
}
