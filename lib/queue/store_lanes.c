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
	struct weiri_store_links *links = &node->links[WEIRI_STORE_QUEUED];
	struct weiri_store_node *older;

	while (newer != NULL && newer->serial < node->serial)
		newer = newer->links[WEIRI_STORE_QUEUED].newer;
	older = newer != NULL ? newer->links[WEIRI_STORE_QUEUED].older : lane->list.newest;
	for (; older != NULL && older->serial > node->serial;
		older = older->links[WEIRI_STORE_QUEUED].older)
		newer = older;
	lane->cursor = newer;
	if (newer == NULL) {
		weiri_store_list_append(&lane->list, WEIRI_STORE_QUEUED, node);
		return;
	}
	links->newer = newer;
	links->older = newer->links[WEIRI_STORE_QUEUED].older;
	newer->links[WEIRI_STORE_QUEUED].older = node;
	if (links->older != NULL)
		links->older->links[WEIRI_STORE_QUEUED].newer = node;
	else
		lane->list.oldest = node;
}

/* The node as the one that came last. */
static void lane_append(struct weiri_store_lane *lane, struct weiri_store_node *node)
{
	weiri_store_list_append(&lane->list, WEIRI_STORE_QUEUED, node);
	node->lane = lane;
	weiri_store_count_add(&lane->count, 1);
}

void weiri_store_lane_enter(
	struct weiri_store *store, struct weiri_store_node *node, struct weiri_store_lane *lane)
{
	if (lane->list.newest == NULL || lane->list.newest->serial < node->serial) {
		lane_append(lane, node);
	} else {
		lane_insert(lane, node);
		node->lane = lane;
		weiri_store_count_add(&lane->count, 1);
	}
	weiri_store_rank_add(store, node);
}

/* The node out of the lists of its lane. */
static void lane_remove(struct weiri_store_node *node)
{
	struct weiri_store_lane *lane = node->lane;

	if (lane->cursor == node)
		lane->cursor = node->links[WEIRI_STORE_QUEUED].newer;
	weiri_store_list_remove(&lane->list, WEIRI_STORE_QUEUED, node);
	weiri_store_count_add(&lane->count, UINT64_MAX);
}

void weiri_store_lane_leave(struct weiri_store *store, struct weiri_store_node *node)
{
	lane_remove(node);
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

void weiri_store_lane_add(struct weiri_store *store, struct weiri_store_lane *lane, void *value)
{
	struct weiri_store_node *node = weiri_store_node_take(store);

	node->item.value = value;
	node->serial = ++store->serial;
	lane_append(lane, node);
	weiri_store_arrival_count(store);
}

struct weiri_store_node *weiri_store_lane_lowest(const struct weiri_store_lane *lane)
{
	struct weiri_heap_node *first = weiri_heap_first(&lane->by_rank);

	return first != NULL ? WEIRI_STORE_NODE_OF(first, by_rank) : NULL;
}

void *weiri_store_lane_take(struct weiri_store *store, struct weiri_store_node *node)
{
	void *value = node->item.value;

	if (store->is_plain) {
		lane_remove(node);
		weiri_store_count_add(&store->count, UINT64_MAX);
	} else {
		weiri_store_node_unlink(store, node);
	}
	weiri_store_node_rest(store, node);
	return value;
}

/* Those that are at the head, at once. */
static size_t plain_pop(
	struct weiri_store *store, struct weiri_store_lane *lane, void **values, size_t count)
{
	struct weiri_store_node *node = lane->list.oldest;
	size_t taken = 0;

	while (node != NULL && taken < count) {
		struct weiri_store_node *newer = node->links[WEIRI_STORE_QUEUED].newer;

		values[taken++] = node->item.value;
		weiri_store_node_rest(store, node);
		node = newer;
	}
	lane->cursor = NULL;
	lane->list.oldest = node;
	if (node != NULL)
		node->links[WEIRI_STORE_QUEUED].older = NULL;
	else
		lane->list.newest = NULL;
	weiri_store_count_add(&lane->count, 0 - (uint64_t)taken);
	weiri_store_count_add(&store->count, 0 - (uint64_t)taken);
	return taken;
}

size_t weiri_store_lane_pop(
	struct weiri_store *store, struct weiri_store_lane *lane, void **values, size_t count)
{
	struct weiri_store_node *node;
	size_t taken = 0;

	if (store->is_plain)
		return plain_pop(store, lane, values, count);
	while (taken < count && (node = weiri_store_lane_first(lane)) != NULL)
		values[taken++] = weiri_store_lane_take(store, node);
	return taken;
}

void *weiri_store_node_value(const struct weiri_store_node *node)
{
	return node->item.value;
}

struct weiri_store_node *weiri_store_lane_oldest(const struct weiri_store_lane *lane)
{
	return lane->list.oldest;
}

struct weiri_store_node *weiri_store_lane_newer(const struct weiri_store_node *node)
{
	return node->links[WEIRI_STORE_QUEUED].newer;
}

struct weiri_store_lane *weiri_store_lane_of(const struct weiri_store_node *node)
{
	return node->lane;
}
