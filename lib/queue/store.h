/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Store: a queue under a mutex, for all that a ring cannot do: order by rank,
 * throw out what is in the middle, keep one per key, count bytes, grow.
 *
 * Overview.  Every item is in a list in order of arrival.  Delivering in order
 * of arrival takes the list's head.  Delivering by rank takes the first of a
 * heap by (rank, arrival).  Evicting the oldest takes the head of a second list,
 * of those that may be evicted; evicting the lowest the first of a second heap by
 * (rank descending, arrival descending): the youngest of the least urgent.
 * Conflating finds the item of a key in a hash table.  A store has only the
 * parts that it needs.
 *
 *   arrival:  [a3] - [b1] - [a1] - [c2]            deliver FIFO: a3
 *   by rank:  b1 a1 c2 a3                          deliver ranked: b1
 *   eviction: a3 c2 a1 b1                          evict lowest: a3
 *
 * A store that is asked to also has a heap by expiry, from which items are taken when
 * their time has come, wherever else they stand.
 *
 * Cost: O(log items) with a heap, else O(1); but EVICT_LOWEST under a limit in
 * bytes looks at all that might go before it refuses.  An item is refused without
 * anything having been evicted for it.
 *
 * "Full" means: a further item of that weight would exceed the capacity in items
 * or in bytes.  An item that is in somebody's hand is no longer in the store.
 *
 * Lanes.  A store with lanes (queue/store_lanes.h) has no order of delivery of its own:
 * each item is in one lane, and is taken from there.  Room, bytes and eviction stay
 * those of the whole.  If that is all about room in items, it is "plain" and there is
 * a shorter way in, weiri_store_lane_add.
 *
 * Threads: any, each call takes the mutex, but for those marked "locked".  No
 * call of the user's happens inside: what falls out is handed back to the caller.
 */
#ifndef WEIRI_STORE_H
#define WEIRI_STORE_H

#include <pthread.h>

#include "base/atomics.h"
#include "queue/heap.h"

enum weiri_store_order {
	WEIRI_STORE_FIFO,
	WEIRI_STORE_RANKED,
};

enum weiri_store_full {
	WEIRI_STORE_REFUSE,       /* the new item */
	WEIRI_STORE_EVICT_OLDEST, /* first in, whatever its rank */
	WEIRI_STORE_EVICT_LOWEST, /* or refuse the new one if it is that */
	WEIRI_STORE_CONFLATE,     /* the item of the same key goes; none: as EVICT_OLDEST */
	WEIRI_STORE_GROW,         /* never full but in bytes: then refuse */
};

struct weiri_store_options {
	enum weiri_store_order order;
	enum weiri_store_full full;
	size_t capacity; /* items; not for GROW */
	uint64_t bytes;  /* 0: no limit */
	double ageing;   /* ranked: seconds that one step of rank is worth; 0: none */
	bool expires;    /* items may be taken by their expiry */
	uint64_t secret; /* CONFLATE: so that a stranger's keys cannot be made to collide */
	bool has_lanes;
};

/* What is queued: a pointer and what the store needs to know about it. */
struct weiri_store_item {
	void *value;
	uint64_t weight; /* bytes */
	uint64_t key;    /* for CONFLATE, together with key_kind */
	double time;     /* of arrival, for ageing */
	double expires;  /* INFINITY: never; only for a store that `expires` */
	int32_t rank;
	uint8_t key_kind;
	bool is_protected; /* never evicted */
};

enum weiri_store_result {
	WEIRI_STORE_TAKEN,
	WEIRI_STORE_FULL,   /* refused for want of room */
	WEIRI_STORE_ENOMEM, /* refused for want of memory */
};

struct weiri_store_node;

/* What became of a push: values that it threw out, and what is to go into a lane. */
#define WEIRI_STORE_EVICTED_MAX 8
struct weiri_store_evicted {
	size_t count;                      /* of the values here */
	size_t conflated;                  /* of them: made way for a newer one of its key */
	struct weiri_store_node *rest;     /* there are more: weiri_store_evicted_more */
	struct weiri_store_node *unplaced; /* for weiri_store_lane_put; NULL: nothing is */
	void *values[WEIRI_STORE_EVICTED_MAX];
};

struct weiri_store_list {
	struct weiri_store_node *oldest;
	struct weiri_store_node *newest;
};

/* The lists that an item is in, in order of arrival. */
enum weiri_store_lists {
	WEIRI_STORE_QUEUED, /* the store's, or its lane's */
	WEIRI_STORE_LOOSE,  /* those that may be evicted; where the oldest goes */
	WEIRI_STORE_LISTS,
};

struct weiri_store {
	struct weiri_store_options options;
	bool is_plain; /* see queue/store_lanes.h */
	const weir_allocator *allocator;
	pthread_mutex_t own_mutex;
	pthread_mutex_t *mutex;  /* that one, or another's */
	_Atomic uint64_t count;  /* items; written under the mutex */
	_Atomic uint64_t weight; /* likewise */
	uint64_t weight_loose;   /* of those that may be evicted */
	uint64_t serial;         /* of the last arrival */
	uint64_t high_water;
	uint64_t pushed; /* items ever taken in */
	uint64_t evicted;
	uint64_t conflated;
	uint64_t expired;
	struct weiri_store_list queued; /* without lanes */
	struct weiri_store_list loose;
	struct weiri_store_lane *lanes; /* the ranked ones */
	struct weiri_heap by_rank;
	struct weiri_heap by_lowest;
	struct weiri_heap by_expiry;       /* those that do expire */
	struct weiri_store_node **buckets; /* by key, chained */
	size_t bucket_count;               /* a power of two */
	struct weiri_store_node *idle;     /* nodes without an item */
	struct weiri_store_slab *slabs;
	size_t node_count;
};

/* Returns 0, WEIR_ENOMEM or WEIR_ESYSTEM.  The allocator outlives the store. */
int weiri_store_open(struct weiri_store *store, const struct weiri_store_options *options,
	const weir_allocator *allocator);

/* The store is empty. */
void weiri_store_close(struct weiri_store *store);

/* Before anybody uses it: another mutex instead of its own. */
void weiri_store_use_mutex(struct weiri_store *store, pthread_mutex_t *mutex);

static inline void weiri_store_lock(struct weiri_store *store)
{
	(void)pthread_mutex_lock(store->mutex);
}

static inline void weiri_store_unlock(struct weiri_store *store)
{
	(void)pthread_mutex_unlock(store->mutex);
}

/*
 * Add an item, locked.  What had to go for it is in `evicted`; as long as that has
 * a rest, the caller releases the values and asks for more.
 * Owner: with TAKEN the value is the store's, what was evicted the caller's.
 */
enum weiri_store_result weiri_store_push(struct weiri_store *store,
	const struct weiri_store_item *item, struct weiri_store_evicted *evicted);

/* The next of the rest, locked. */
void weiri_store_evicted_more(struct weiri_store *store, struct weiri_store_evicted *evicted);

/* Locked: provide for the next push, which will need no memory.  Returns 0 or
 * WEIR_ENOMEM. */
int weiri_store_prepare(struct weiri_store *store);

/* Locked: whether push would take the item, throwing others out or not. */
bool weiri_store_accepts(struct weiri_store *store, const struct weiri_store_item *item);

/* Take up to `count` values in the order of delivery, locked; returns how many.  Not
 * with lanes. */
size_t weiri_store_pop(struct weiri_store *store, void **values, size_t count);

/* Take up to `count` values whose expiry is not after `now`, the earliest first,
 * locked; returns how many. */
size_t weiri_store_expire(struct weiri_store *store, double now, void **values, size_t count);

/* When the next item expires; INFINITY: none does.  Locked. */
double weiri_store_expires_next(const struct weiri_store *store);

/* Items, and bytes, in it; exact with the lock, else what was true at some moment. */
static inline uint64_t weiri_store_count(struct weiri_store *store)
{
	return weiri_load_acquire(&store->count);
}

static inline uint64_t weiri_store_weight(struct weiri_store *store)
{
	return weiri_load_relaxed(&store->weight);
}

#endif
