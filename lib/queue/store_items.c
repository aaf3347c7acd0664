/* SPDX-License-Identifier: BSD-2-Clause */
/* Nodes, lists of arrival, rank heaps, key table. */
#include "queue/store_items.h"

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
	weiri_deallocate(
		store->allocator, store->buckets, store->bucket_count * sizeof(*store->buckets));
}

void weiri_store_node_rest(struct weiri_store *store, struct weiri_store_node *node)
{
	node->next = store->idle;
	store->idle = node;
}

/* Nodes come in slabs, with room for them in the heaps, and stay with the store:
 * in steady state nothing is allocated. */
static int nodes_add(struct weiri_store *store)
{
	size_t count = store->node_count + SLAB_NODES;
	struct weiri_store_slab *slab;

	if ((weiri_store_is_ranked(store) &&
		    weiri_heap_reserve(&store->by_rank, count, store->allocator)) ||
		(weiri_store_evicts_lowest(store) &&
			weiri_heap_reserve(&store->by_lowest, count, store->allocator)))
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

struct weiri_store_node *weiri_store_node_take(struct weiri_store *store)
{
	struct weiri_store_node *node = store->idle;

	store->idle = node->next;
	return node;
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

static void list_append(
	struct weiri_store *store, enum weiri_store_lists which, struct weiri_store_node *node)
{
	struct weiri_store_list *list = &store->lists[which];

	node->links[which] = (struct weiri_store_links){ .older = list->newest };
	if (list->newest != NULL)
		list->newest->links[which].newer = node;
	else
		list->oldest = node;
	list->newest = node;
}

static void list_remove(
	struct weiri_store *store, enum weiri_store_lists which, struct weiri_store_node *node)
{
	struct weiri_store_list *list = &store->lists[which];
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

/* Under the mutex there is one writer: a load and a store will do. */
static void count_add(_Atomic uint64_t *counter, uint64_t count)
{
	weiri_store_release(counter, weiri_load_relaxed(counter) + count);
}

static void rank_add(struct weiri_store *store, struct weiri_store_node *node)
{
	node->by_rank.key = rank_key(store, &node->item);
	weiri_heap_add(&store->by_rank, &node->by_rank);
}

/* Into what there is for those that may be thrown out. */
static void loose_add(struct weiri_store *store, struct weiri_store_node *node)
{
	if (weiri_store_evicts_oldest(store))
		list_append(store, WEIRI_STORE_LOOSE, node);
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
		list_remove(store, WEIRI_STORE_LOOSE, node);
	if (weiri_store_evicts_lowest(store))
		weiri_heap_remove(&store->by_lowest, &node->by_lowest);
	if (weiri_store_conflates(store))
		key_remove(store, node);
	store->weight_loose -= node->item.weight;
}

void weiri_store_node_link(struct weiri_store *store, struct weiri_store_node *node)
{
	store->serial++;
	list_append(store, WEIRI_STORE_ALL, node);
	if (weiri_store_is_ranked(store)) {
		node->by_rank.serial = store->serial;
		rank_add(store, node);
	}
	if (!node->item.is_protected)
		loose_add(store, node);
	count_add(&store->weight, node->item.weight);
	count_add(&store->count, 1);
}

void weiri_store_node_unlink(struct weiri_store *store, struct weiri_store_node *node)
{
	list_remove(store, WEIRI_STORE_ALL, node);
	if (weiri_store_is_ranked(store))
		weiri_heap_remove(&store->by_rank, &node->by_rank);
	if (!node->item.is_protected)
		loose_remove(store, node);
	count_add(&store->weight, 0 - node->item.weight);
	count_add(&store->count, UINT64_MAX);
}

void weiri_store_node_replace(struct weiri_store *store, struct weiri_store_node *node,
	const struct weiri_store_item *item)
{
	double time = node->item.time;

	if (weiri_store_is_ranked(store))
		weiri_heap_remove(&store->by_rank, &node->by_rank);
	if (item->is_protected)
		loose_remove(store, node);
	else
		store->weight_loose += item->weight - node->item.weight;
	count_add(&store->weight, item->weight - node->item.weight);
	node->item = *item;
	node->item.time = time;
	if (weiri_store_is_ranked(store))
		rank_add(store, node);
}
