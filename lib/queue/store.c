/* SPDX-License-Identifier: BSD-2-Clause */
/* What a store takes in, throws out and hands out. */
#include "queue/store_items.h"

#include <math.h>

#include <weir/error.h>

static bool is_plain(const struct weiri_store_options *options)
{
	return options->has_lanes && options->order == WEIRI_STORE_FIFO && options->bytes == 0 &&
	       !options->expires &&
	       (options->full == WEIRI_STORE_REFUSE || options->full == WEIRI_STORE_GROW);
}

int weiri_store_open(struct weiri_store *store, const struct weiri_store_options *options,
	const weir_allocator *allocator)
{
	store->options = *options;
	store->is_plain = is_plain(options);
	store->allocator = allocator;
	if (weiri_store_items_open(store) != 0)
		return WEIR_ENOMEM;
	store->mutex = &store->own_mutex;
	if (pthread_mutex_init(&store->own_mutex, NULL) != 0) {
		weiri_store_items_close(store);
		return WEIR_ESYSTEM;
	}
	return 0;
}

void weiri_store_close(struct weiri_store *store)
{
	weiri_store_items_close(store);
	(void)pthread_mutex_destroy(&store->own_mutex);
}

void weiri_store_use_mutex(struct weiri_store *store, pthread_mutex_t *mutex)
{
	store->mutex = mutex;
}

/*
 * Whether there is room for the item.  `replaced` is the one of the same key that
 * will go for it in any case, or NULL.
 */
static bool has_room(struct weiri_store *store, const struct weiri_store_item *item,
	const struct weiri_store_node *replaced)
{
	const struct weiri_store_options *options = &store->options;
	uint64_t count = weiri_store_count(store);
	uint64_t weight = weiri_store_weight(store);

	if (replaced != NULL) {
		count--;
		weight -= replaced->item.weight;
	}
	if (options->full != WEIRI_STORE_GROW && count + 1 > options->capacity)
		return false;
	return options->bytes == 0 || weight + item->weight <= options->bytes;
}

/* What would go next to make room for the item; NULL: nothing may. */
static struct weiri_store_node *victim_find(struct weiri_store *store,
	const struct weiri_store_item *item, const struct weiri_store_node *replaced)
{
	struct weiri_store_node *node = NULL;
	struct weiri_heap_node *first;

	if (weiri_store_evicts_oldest(store)) {
		node = store->loose.oldest;
		if (node != NULL && node == replaced)
			node = node->links[WEIRI_STORE_LOOSE].newer;
	} else if (weiri_store_evicts_lowest(store)) {
		first = weiri_heap_first(&store->by_lowest);
		if (first != NULL)
			node = WEIRI_STORE_NODE_OF(first, by_lowest);
		/* The newcomer stands behind its equals, so among equals it is
		 * the youngest, and the one to go. */
		if (node != NULL && !item->is_protected && node->item.rank <= item->rank)
			node = NULL;
	}
	return node;
}

/* Whether those that are less urgent than the item weigh at least `needed`. */
static bool lower_weigh(
	struct weiri_store *store, const struct weiri_store_item *item, uint64_t needed)
{
	const struct weiri_heap *heap = &store->by_lowest;
	size_t position = heap->count > 0 ? 0 : WEIRI_HEAP_NOWHERE;
	uint64_t weight = 0;

	while (position != WEIRI_HEAP_NOWHERE && weight < needed) {
		const struct weiri_store_node *node =
			WEIRI_STORE_NODE_OF(heap->nodes[position], by_lowest);
		bool is_lower = node->item.rank > item->rank;

		if (is_lower)
			weight += node->item.weight;
		position = weiri_heap_next(heap, position, is_lower);
	}
	return weight >= needed;
}

/* Whether the victims that there are would make room for the item's bytes.
 * Nothing may be thrown out for an item that is refused in the end. */
static bool bytes_could_fit(struct weiri_store *store, const struct weiri_store_item *item,
	const struct weiri_store_node *replaced)
{
	uint64_t weight = weiri_store_weight(store) + item->weight;
	uint64_t loose = store->weight_loose;

	if (replaced != NULL) {
		weight -= replaced->item.weight;
		loose -= replaced->item.weight;
	}
	if (weight <= store->options.bytes)
		return true;
	if (weight - loose > store->options.bytes)
		return false;
	return !weiri_store_evicts_lowest(store) || item->is_protected ||
	       lower_weigh(store, item, weight - store->options.bytes);
}

static bool accepts(struct weiri_store *store, const struct weiri_store_item *item,
	const struct weiri_store_node *replaced)
{
	if (has_room(store, item, replaced))
		return true;
	if (victim_find(store, item, replaced) == NULL)
		return false;
	/* One victim is enough for a place; for bytes it may take several. */
	return store->options.bytes == 0 || bytes_could_fit(store, item, replaced);
}

static struct weiri_store_node *replaced_find(
	struct weiri_store *store, const struct weiri_store_item *item)
{
	return weiri_store_conflates(store) ? weiri_store_key_find(store, item) : NULL;
}

bool weiri_store_accepts(struct weiri_store *store, const struct weiri_store_item *item)
{
	return accepts(store, item, replaced_find(store, item));
}

void weiri_store_evicted_more(struct weiri_store *store, struct weiri_store_evicted *evicted)
{
	evicted->count = 0;
	evicted->conflated = 0;
	while (evicted->rest != NULL && evicted->count < WEIRI_STORE_EVICTED_MAX) {
		struct weiri_store_node *node = evicted->rest;

		evicted->rest = node->next;
		evicted->values[evicted->count++] = node->item.value;
		weiri_store_node_rest(store, node);
	}
}

/* Throw out what has to go for the item; accepts() said that it is enough. */
static void evict(struct weiri_store *store, const struct weiri_store_item *item,
	const struct weiri_store_node *replaced, struct weiri_store_evicted *evicted)
{
	struct weiri_store_node **end = &evicted->rest;
	struct weiri_store_node *node;

	while (!has_room(store, item, replaced) &&
		(node = victim_find(store, item, replaced)) != NULL) {
		weiri_store_node_unlink(store, node);
		store->evicted++;
		if (evicted->count < WEIRI_STORE_EVICTED_MAX) {
			evicted->values[evicted->count++] = node->item.value;
			weiri_store_node_rest(store, node);
		} else {
			node->next = NULL;
			*end = node;
			end = &node->next;
		}
	}
}

/* There is room for the item, and a node is provided. */
static void add(struct weiri_store *store, const struct weiri_store_item *item,
	struct weiri_store_evicted *evicted)
{
	struct weiri_store_node *node = weiri_store_node_take(store);

	node->item = *item;
	weiri_store_node_link(store, node);
	if (store->options.has_lanes)
		evicted->unplaced = node;
}

/* The item into the place of one of its key. */
static enum weiri_store_result replace(struct weiri_store *store,
	const struct weiri_store_item *item, struct weiri_store_node *replaced,
	struct weiri_store_evicted *evicted)
{
	if (!accepts(store, item, replaced))
		return WEIRI_STORE_FULL;
	evicted->values[evicted->count++] = replaced->item.value;
	evicted->conflated++;
	store->conflated++;
	weiri_store_node_replace(store, replaced, item);
	evict(store, item, replaced, evicted);
	store->pushed++;
	return WEIRI_STORE_TAKEN;
}

enum weiri_store_result weiri_store_push(struct weiri_store *store,
	const struct weiri_store_item *item, struct weiri_store_evicted *evicted)
{
	struct weiri_store_node *replaced = replaced_find(store, item);
	bool fits;

	evicted->count = 0;
	evicted->conflated = 0;
	evicted->rest = NULL;
	evicted->unplaced = NULL;
	if (replaced != NULL)
		return replace(store, item, replaced, evicted);
	fits = has_room(store, item, NULL);
	if (!fits && !accepts(store, item, NULL))
		return WEIRI_STORE_FULL;
	if (weiri_store_prepare(store) != 0)
		return WEIRI_STORE_ENOMEM;
	if (!fits)
		evict(store, item, NULL, evicted);
	add(store, item, evicted);
	return WEIRI_STORE_TAKEN;
}

size_t weiri_store_pop(struct weiri_store *store, void **values, size_t count)
{
	size_t taken = 0;

	for (; taken < count && weiri_store_count(store) > 0; taken++) {
		struct weiri_store_node *node = store->queued.oldest;

		if (weiri_store_is_ranked(store))
			node = WEIRI_STORE_NODE_OF(weiri_heap_first(&store->by_rank), by_rank);
		weiri_store_node_unlink(store, node);
		values[taken] = node->item.value;
		weiri_store_node_rest(store, node);
	}
	return taken;
}

double weiri_store_expires_next(const struct weiri_store *store)
{
	const struct weiri_heap_node *first = weiri_heap_first(&store->by_expiry);

	return first != NULL ? first->key : (double)INFINITY;
}

size_t weiri_store_expire(struct weiri_store *store, double now, void **values, size_t count)
{
	size_t taken = 0;

	for (; taken < count; taken++) {
		struct weiri_heap_node *first = weiri_heap_first(&store->by_expiry);
		struct weiri_store_node *node;

		if (first == NULL || first->key > now)
			break;
		node = WEIRI_STORE_NODE_OF(first, by_expiry);
		weiri_store_node_unlink(store, node);
		store->expired++;
		values[taken] = node->item.value;
		weiri_store_node_rest(store, node);
	}
	return taken;
}
