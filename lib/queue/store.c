/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue under a mutex: arrival list, rank heaps, key table. */
#include "queue/store.h"

#include <weir/error.h>

#define SLAB_NODES    64
#define BUCKETS_FIRST 64

struct weiri_store_node {
	struct weiri_store_item item;
	struct weiri_store_node *older;
	struct weiri_store_node *newer; /* also: the next idle one */
	struct weiri_store_node *next_of_bucket;
	struct weiri_heap_node by_rank;
	struct weiri_heap_node by_lowest;
};

struct weiri_store_slab {
	struct weiri_store_slab *next;
	struct weiri_store_node nodes[SLAB_NODES];
};

#define NODE_OF(heap_node, member)                                         \
	((struct weiri_store_node *)(void *)((char *)(heap_node)-offsetof( \
		struct weiri_store_node, member)))

static bool is_ranked(const struct weiri_store *store)
{
	return store->options.order == WEIRI_STORE_RANKED;
}

static bool evicts_lowest(const struct weiri_store *store)
{
	return store->options.full == WEIRI_STORE_EVICT_LOWEST;
}

static bool conflates(const struct weiri_store *store)
{
	return store->options.full == WEIRI_STORE_CONFLATE;
}

/* Protected items are never dropped, so nothing replaces them either. */
static bool has_key(const struct weiri_store *store, const struct weiri_store_item *item)
{
	return conflates(store) && !item->is_protected;
}

int weiri_store_open(struct weiri_store *store, const struct weiri_store_options *options,
	const weir_allocator *allocator)
{
	store->options = *options;
	store->allocator = allocator;
	if (conflates(store)) {
		store->bucket_count = BUCKETS_FIRST;
		while (store->bucket_count < options->capacity)
			store->bucket_count *= 2;
		store->buckets = weiri_allocate(
			allocator, store->bucket_count * sizeof(*store->buckets), sizeof(void *));
		if (store->buckets == NULL)
			return WEIR_ENOMEM;
	}
	if (pthread_mutex_init(&store->mutex, NULL) != 0) {
		weiri_deallocate(
			allocator, store->buckets, store->bucket_count * sizeof(*store->buckets));
		return WEIR_ESYSTEM;
	}
	return 0;
}

void weiri_store_close(struct weiri_store *store)
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
	(void)pthread_mutex_destroy(&store->mutex);
}

void weiri_store_lock(struct weiri_store *store)
{
	(void)pthread_mutex_lock(&store->mutex);
}

void weiri_store_unlock(struct weiri_store *store)
{
	(void)pthread_mutex_unlock(&store->mutex);
}

/* Nodes come in slabs, with room for them in the heaps, and stay with the store:
 * in steady state nothing is allocated. */
static int nodes_add(struct weiri_store *store)
{
	size_t count = store->node_count + SLAB_NODES;
	struct weiri_store_slab *slab;

	if ((is_ranked(store) && weiri_heap_reserve(&store->by_rank, count, store->allocator)) ||
		(evicts_lowest(store) &&
			weiri_heap_reserve(&store->by_lowest, count, store->allocator)))
		return WEIR_ENOMEM;
	slab = weiri_allocate(store->allocator, sizeof(*slab), WEIRI_CACHE_LINE);
	if (slab == NULL)
		return WEIR_ENOMEM;
	slab->next = store->slabs;
	store->slabs = slab;
	store->node_count = count;
	for (size_t i = 0; i < SLAB_NODES; i++) {
		slab->nodes[i].newer = store->idle;
		store->idle = &slab->nodes[i];
	}
	return 0;
}

static struct weiri_store_node **bucket_of(struct weiri_store *store, uint64_t key)
{
	/* Keys are the user's or addresses: spread them (Knuth's multiplier). */
	return &store->buckets[(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
			       (store->bucket_count - 1)];
}

static struct weiri_store_node *key_find(
	struct weiri_store *store, const struct weiri_store_item *item)
{
	struct weiri_store_node *node = *bucket_of(store, item->key);

	while (node != NULL &&
		(node->item.key != item->key || node->item.key_kind != item->key_kind))
		node = node->next_of_bucket;
	return node;
}

static void key_remove(struct weiri_store *store, struct weiri_store_node *node)
{
	struct weiri_store_node **link = bucket_of(store, node->item.key);

	while (*link != node)
		link = &(*link)->next_of_bucket;
	*link = node->next_of_bucket;
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

static void node_link(struct weiri_store *store, struct weiri_store_node *node)
{
	uint64_t serial = ++store->serial;

	node->older = store->newest;
	node->newer = NULL;
	if (store->newest != NULL)
		store->newest->newer = node;
	else
		store->oldest = node;
	store->newest = node;
	if (is_ranked(store)) {
		node->by_rank.key = rank_key(store, &node->item);
		node->by_rank.serial = serial;
		weiri_heap_add(&store->by_rank, &node->by_rank);
	}
	if (evicts_lowest(store) && !node->item.is_protected) {
		node->by_lowest.key = -(double)node->item.rank;
		node->by_lowest.serial = UINT64_MAX - serial;
		weiri_heap_add(&store->by_lowest, &node->by_lowest);
	}
	if (has_key(store, &node->item)) {
		struct weiri_store_node **bucket = bucket_of(store, node->item.key);

		node->next_of_bucket = *bucket;
		*bucket = node;
	}
	store->weight += node->item.weight;
	weiri_store_release(&store->count, weiri_load_relaxed(&store->count) + 1);
}

/* Out of everything and idle; returns its value. */
static void *node_unlink(struct weiri_store *store, struct weiri_store_node *node)
{
	if (node->older != NULL)
		node->older->newer = node->newer;
	else
		store->oldest = node->newer;
	if (node->newer != NULL)
		node->newer->older = node->older;
	else
		store->newest = node->older;
	if (is_ranked(store))
		weiri_heap_remove(&store->by_rank, &node->by_rank);
	if (evicts_lowest(store) && !node->item.is_protected)
		weiri_heap_remove(&store->by_lowest, &node->by_lowest);
	if (has_key(store, &node->item))
		key_remove(store, node);
	store->weight -= node->item.weight;
	weiri_store_release(&store->count, weiri_load_relaxed(&store->count) - 1);
	node->newer = store->idle;
	store->idle = node;
	return node->item.value;
}

static bool has_room(struct weiri_store *store, const struct weiri_store_item *item, uint64_t count,
	uint64_t weight)
{
	const struct weiri_store_options *options = &store->options;

	if (options->full != WEIRI_STORE_GROW && count + 1 > options->capacity)
		return false;
	return options->bytes == 0 || weight + item->weight <= options->bytes;
}

/* What would have to go to make room for the item, or NULL: it is refused. */
static struct weiri_store_node *victim_find(
	struct weiri_store *store, const struct weiri_store_item *item)
{
	struct weiri_store_node *node;
	struct weiri_heap_node *first;

	switch (store->options.full) {
	case WEIRI_STORE_EVICT_OLDEST:
	case WEIRI_STORE_CONFLATE:
		for (node = store->oldest; node != NULL && node->item.is_protected;)
			node = node->newer;
		return node;
	case WEIRI_STORE_EVICT_LOWEST:
		first = weiri_heap_first(&store->by_lowest);
		if (first == NULL)
			return NULL;
		node = NODE_OF(first, by_lowest);
		/* The newcomer stands behind its equals, so among equals it is
		 * the youngest, and the one to go. */
		return item->is_protected || node->item.rank > item->rank ? node : NULL;
	case WEIRI_STORE_REFUSE:
	case WEIRI_STORE_GROW:
		break;
	}
	return NULL;
}

static void evicted_add(struct weiri_store *store, struct weiri_store_evicted *evicted,
	struct weiri_store_node *node)
{
	evicted->values[evicted->count++] = node_unlink(store, node);
}

/* Throw out what has to go for the item; accepts() said that it is enough. */
static void evict(struct weiri_store *store, const struct weiri_store_item *item,
	struct weiri_store_evicted *evicted)
{
	while (!has_room(store, item, weiri_store_count(store), store->weight)) {
		if (evicted->count == WEIRI_STORE_EVICTED_MAX) {
			evicted->is_more = true;
			return;
		}
		evicted_add(store, evicted, victim_find(store, item));
		store->evicted++;
	}
}

/* Whether the victims there are would make room for the item's bytes.  Nothing
 * may be thrown out for an item that is refused in the end. */
static bool bytes_could_fit(struct weiri_store *store, const struct weiri_store_item *item)
{
	uint64_t weight = store->weight;
	const struct weiri_store_node *node;

	for (node = store->oldest; node != NULL; node = node->newer) {
		bool must_stay =
			node->item.is_protected || (evicts_lowest(store) && !item->is_protected &&
							   node->item.rank <= item->rank);

		if (!must_stay)
			weight -= node->item.weight;
		if (weight + item->weight <= store->options.bytes)
			return true;
	}
	return false;
}

/* The queued item of the same key. */
static struct weiri_store_node *conflated_find(
	struct weiri_store *store, const struct weiri_store_item *item)
{
	return has_key(store, item) ? key_find(store, item) : NULL;
}

/* Whether the new item may have the place of the other one. */
static bool place_fits(const struct weiri_store *store, const struct weiri_store_node *node,
	const struct weiri_store_item *item)
{
	return store->options.bytes == 0 ||
	       store->weight - node->item.weight + item->weight <= store->options.bytes;
}

bool weiri_store_accepts(struct weiri_store *store, const struct weiri_store_item *item)
{
	const struct weiri_store_node *same = conflated_find(store, item);

	if ((same != NULL && place_fits(store, same, item)) ||
		has_room(store, item, weiri_store_count(store), store->weight))
		return true;
	if (victim_find(store, item) == NULL)
		return false;
	/* One victim is enough for a place; for bytes it may take several. */
	return store->options.bytes == 0 || bytes_could_fit(store, item);
}

/* The newer value takes the place of the older one of its key: so a key that
 * changes all the time is delivered as soon as one that does not. */
static void conflate(struct weiri_store *store, struct weiri_store_node *node,
	const struct weiri_store_item *item, struct weiri_store_evicted *evicted)
{
	evicted->values[evicted->count++] = node->item.value;
	evicted->conflated++;
	store->weight = store->weight - node->item.weight + item->weight;
	node->item = *item;
	store->conflated++;
	store->pushed++;
}

enum weiri_store_result weiri_store_push(struct weiri_store *store,
	const struct weiri_store_item *item, struct weiri_store_evicted *evicted)
{
	struct weiri_store_node *node = conflated_find(store, item);

	evicted->count = 0;
	evicted->conflated = 0;
	evicted->is_more = false;
	if (node != NULL && place_fits(store, node, item)) {
		conflate(store, node, item, evicted);
		return WEIRI_STORE_TAKEN;
	}
	if (!weiri_store_accepts(store, item))
		return WEIRI_STORE_FULL;
	if (store->idle == NULL && nodes_add(store) != 0)
		return WEIRI_STORE_ENOMEM;
	/* The larger value needs more than the place of the one it replaces. */
	if (node != NULL) {
		evicted_add(store, evicted, node);
		evicted->conflated++;
		store->conflated++;
	}
	evict(store, item, evicted);
	if (evicted->is_more)
		return WEIRI_STORE_FULL;
	node = store->idle;
	store->idle = node->newer;
	node->item = *item;
	node_link(store, node);
	store->pushed++;
	if (weiri_store_count(store) > store->high_water)
		store->high_water = weiri_store_count(store);
	return WEIRI_STORE_TAKEN;
}

size_t weiri_store_pop(struct weiri_store *store, void **values, size_t count)
{
	size_t taken = 0;

	for (; taken < count && store->oldest != NULL; taken++) {
		struct weiri_store_node *node = store->oldest;

		if (is_ranked(store))
			node = NODE_OF(weiri_heap_first(&store->by_rank), by_rank);
		values[taken] = node_unlink(store, node);
	}
	return taken;
}
