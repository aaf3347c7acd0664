/* SPDX-License-Identifier: BSD-2-Clause */
/* Nodes, lists of arrival, rank heaps, key table. */
#include "queue/store_items.h"

#include <math.h>

#include "base/random.h"
#include <weir/error.h>

#define SLAB_NODES    64
#define BUCKETS_FIRST 64

struct weiri_store_slab {
	struct weiri_store_slab *next;
	struct weiri_store_node nodes[SLAB_NODES];
};

int weiri_store_items_open(struct weiri_store *store)
{
	if (!weiri_store_conflates(store))
		return 0;
	store->bucket_count = BUCKETS_FIRST;
	while (store->bucket_count < store->options.capacity)
		store->bucket_count *= 2;
	store->buckets = weiri_allocate(
		store->allocator, store->bucket_count * sizeof(*store->buckets), sizeof(void *));
	return store->buckets != NULL ? 0 : WEIR_ENOMEM;
}

void weiri_store_items_close(struct weiri_store *store)
{
	while (store->slabs != NULL) {
		struct weiri_store_slab *slab = store->slabs;

		store->slabs = slab->next;
		weiri_deallocate(store->allocator, slab, sizeof(*slab));
	}
	weiri_heap_close(&store->by_rank, store->allocator);
	weiri_heap_close(&store->by_lowest, store->allocator);
	weiri_heap_close(&store->by_expiry, store->allocator);
	weiri_deallocate(
		store->allocator, store->buckets, store->bucket_count * sizeof(*store->buckets));
}

/* Nodes come in slabs, with room for them in the heaps, and stay with the store:
 * in steady state nothing is allocated. */
static int nodes_add(struct weiri_store *store)
{
	size_t count = store->node_count + SLAB_NODES;
	struct weiri_store_slab *slab;

	for (struct weiri_store_lane *lane = store->lanes; lane != NULL; lane = lane->next)
		if (weiri_heap_reserve(&lane->by_rank, count, store->allocator) != 0)
			return WEIR_ENOMEM;
	if ((weiri_store_is_ranked(store) && !store->options.has_lanes &&
		    weiri_heap_reserve(&store->by_rank, count, store->allocator)) ||
		(weiri_store_evicts_lowest(store) &&
			weiri_heap_reserve(&store->by_lowest, count, store->allocator)) ||
		(store->options.expires &&
			weiri_heap_reserve(&store->by_expiry, count, store->allocator)))
		return WEIR_ENOMEM;
	slab = weiri_allocate(store->allocator, sizeof(*slab), WEIRI_CACHE_LINE);
	if (slab == NULL)
		return WEIR_ENOMEM;
	slab->next = store->slabs;
	store->slabs = slab;
	store->node_count = count;
	for (size_t i = 0; i < SLAB_NODES; i++)
		weiri_store_node_rest(store, &slab->nodes[i]);
	return 0;
}

int weiri_store_prepare(struct weiri_store *store)
{
	return store->idle != NULL ? 0 : nodes_add(store);
}

static struct weiri_store_node **bucket_of(struct weiri_store *store, uint64_t key)
{
	uint64_t mixed = weiri_random_mix(key ^ store->options.secret);

	return &store->buckets[mixed & (store->bucket_count - 1)];
}

struct weiri_store_node *weiri_store_key_find(
	struct weiri_store *store, const struct weiri_store_item *item)
{
	struct weiri_store_node *node = *bucket_of(store, item->key);

	while (node != NULL &&
		(node->item.key != item->key || node->item.key_kind != item->key_kind))
		node = node->next;
	return node;
}

static void key_add(struct weiri_store *store, struct weiri_store_node *node)
{
	struct weiri_store_node **bucket = bucket_of(store, node->item.key);

	node->next = *bucket;
	*bucket = node;
}

static void key_remove(struct weiri_store *store, struct weiri_store_node *node)
{
	struct weiri_store_node **link = bucket_of(store, node->item.key);

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
}

/*
 * With ageing an item of rank r counts as one of rank 0 that came r * ageing
 * seconds later.  So an item is overtaken only by items of rank q that come less
 * than (r - q) * ageing seconds after it: that is the bound on starvation, and
 * the order never has to be computed again as time goes by.
 */
static double rank_key(const struct weiri_store *store, const struct weiri_store_item *item)
{
	if (store->options.ageing > 0)
		return item->time + (double)item->rank * store->options.ageing;
	return (double)item->rank;
}

/* The heap by rank that the node is, or would be, in; NULL: none. */
static struct weiri_heap *rank_heap(struct weiri_store *store, struct weiri_store_node *node)
{
	if (!weiri_store_is_ranked(store))
		return NULL;
	if (!store->options.has_lanes)
		return &store->by_rank;
	return node->lane->is_ranked ? &node->lane->by_rank : NULL;
}

void weiri_store_rank_add(struct weiri_store *store, struct weiri_store_node *node)
{
	struct weiri_heap *heap = rank_heap(store, node);

	if (heap == NULL)
		return;
	node->by_rank.key = rank_key(store, &node->item);
	node->by_rank.serial = node->serial;
	weiri_heap_add(heap, &node->by_rank);
}

void weiri_store_rank_remove(struct weiri_store *store, struct weiri_store_node *node)
{
	struct weiri_heap *heap = rank_heap(store, node);

	if (heap != NULL)
		weiri_heap_remove(heap, &node->by_rank);
}

/* Into what there is for those that may be thrown out. */
static void loose_add(struct weiri_store *store, struct weiri_store_node *node)
{
	if (weiri_store_evicts_oldest(store))
		weiri_store_list_append(&store->loose, WEIRI_STORE_LOOSE, node);
	if (weiri_store_evicts_lowest(store)) {
		node->by_lowest.key = -(double)node->item.rank;
		node->by_lowest.serial = UINT64_MAX - store->serial;
		weiri_heap_add(&store->by_lowest, &node->by_lowest);
	}
	if (weiri_store_conflates(store))
		key_add(store, node);
	store->weight_loose += node->item.weight;
}

static void loose_remove(struct weiri_store *store, struct weiri_store_node *node)
{
	if (weiri_store_evicts_oldest(store))
		weiri_store_list_remove(&store->loose, WEIRI_STORE_LOOSE, node);
	if (weiri_store_evicts_lowest(store))
		weiri_heap_remove(&store->by_lowest, &node->by_lowest);
	if (weiri_store_conflates(store))
		key_remove(store, node);
	store->weight_loose -= node->item.weight;
}

static bool expires(const struct weiri_store *store, const struct weiri_store_node *node)
{
	return store->options.expires && node->item.expires < (double)INFINITY;
}

static void expiry_add(struct weiri_store *store, struct weiri_store_node *node)
{
	if (!expires(store, node))
		return;
	node->by_expiry.key = node->item.expires;
	node->by_expiry.serial = store->serial;
	weiri_heap_add(&store->by_expiry, &node->by_expiry);
}

static void expiry_remove(struct weiri_store *store, struct weiri_store_node *node)
{
	if (expires(store, node))
		weiri_heap_remove(&store->by_expiry, &node->by_expiry);
}

void weiri_store_node_link(struct weiri_store *store, struct weiri_store_node *node)
{
	node->serial = ++store->serial;
	node->lane = NULL;
	if (!store->options.has_lanes) {
		weiri_store_list_append(&store->queued, WEIRI_STORE_QUEUED, node);
		weiri_store_rank_add(store, node);
	}
	if (!node->item.is_protected)
		loose_add(store, node);
	expiry_add(store, node);
	weiri_store_count_add(&store->weight, node->item.weight);
	weiri_store_arrival_count(store);
}

void weiri_store_node_unlink(struct weiri_store *store, struct weiri_store_node *node)
{
	if (store->options.has_lanes) {
		weiri_store_lane_leave(store, node);
	} else {
		weiri_store_list_remove(&store->queued, WEIRI_STORE_QUEUED, node);
		weiri_store_rank_remove(store, node);
	}
	if (!node->item.is_protected)
		loose_remove(store, node);
	expiry_remove(store, node);
	weiri_store_count_add(&store->weight, 0 - node->item.weight);
	weiri_store_count_add(&store->count, UINT64_MAX);
}

void weiri_store_node_replace(struct weiri_store *store, struct weiri_store_node *node,
	const struct weiri_store_item *item)
{
	double time = node->item.time;

	weiri_store_rank_remove(store, node);
	if (item->is_protected)
		loose_remove(store, node);
	else
		store->weight_loose += item->weight - node->item.weight;
	weiri_store_count_add(&store->weight, item->weight - node->item.weight);
	expiry_remove(store, node);
	node->item = *item;
	node->item.time = time;
	store->serial++;
	expiry_add(store, node);
	weiri_store_rank_add(store, node);
}
