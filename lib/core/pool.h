/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pool: the blocks that one publisher's messages live in, without an allocation
 * in steady state.
 *
 * Overview.  The publisher takes blocks from free lists that only it touches.
 * Receivers give blocks back, from any thread, onto one shared chain; the
 * publisher takes that whole chain over when a free list is empty (one exchange,
 * so there is no ABA), and sorts it into the lists some bundles at a time.
 *
 * Bundles.  Lists and chains are of bundles: a free block that carries, in its
 * payload, the addresses of up to eight others of its size.
 *
 *   free:  [bundle: a b c] -> [bundle: d e f g h i j k] -> [bundle: ]
 *
 * Those that are carried need not be touched on their way back, so their lines stay
 * with the publisher, who alone writes to them; and it knows the next ones' addresses
 * without waiting for any of them, and has them fetched early.
 *
 * Blocks come in sizes of a header plus a power of two,
 * small ones cut from slabs.  A payload above the largest size is allocated by
 * itself and freed with its message, so that memory of that size does not linger.
 *
 * In virtual time there is one thread: a block goes straight to its free list, and
 * is the next to be used, while it is still in the cache.
 *
 * Life.  A pool outlives its publisher while any of its messages is held.
 * Nothing is counted for that on the hot path: the publisher counts what it
 * takes and what it takes back.  When it lets the pool go it puts a mark on the
 * chain, and the difference is what is still out; those who find the mark count
 * it down instead of giving back.  Whoever brings it to zero frees the pool, and
 * with it the pool's hold on the broker and on the topic.
 */
#ifndef WEIRI_POOL_H
#define WEIRI_POOL_H

#include "base/allocator.h"
#include "base/atomics.h"

struct weir_broker;
struct weir_message;
struct weiri_topic;

/* Payloads of 64 bytes to 128 KiB are pooled; 12 sizes, each a power of two. */
#define WEIRI_POOL_PAYLOAD_MIN ((size_t)64)
#define WEIRI_POOL_CLASSES     12
#define WEIRI_POOL_PAYLOAD_MAX (WEIRI_POOL_PAYLOAD_MIN << (WEIRI_POOL_CLASSES - 1))

struct weiri_pool_slab {
	struct weiri_pool_slab *next;
	size_t bytes;
};

/* The crate that its publisher fills (core/crate.h). */
struct weiri_crate {
	struct weir_message *block; /* NULL: none */
	uint32_t references;        /* to its messages, handed out in all */
	uint8_t used;               /* messages cut from it */
	uint8_t size_class;         /* of them, in this crate and the next ones */
};

struct weiri_pool {
	/* Set at the start, then only read, by all who give back. */
	struct weir_broker *broker;
	struct weiri_topic *topic; /* held while the pool lives; NULL: each message holds its own */

	/* The publisher's. */
	_Alignas(WEIRI_CACHE_LINE) struct weir_message *free[WEIRI_POOL_CLASSES];
	struct weir_message *pending; /* bundles that were returned, not sorted in yet */
	uint64_t taken;               /* messages handed out */
	uint64_t taken_back;          /* ... and found on the returned chain */
	struct weiri_crate crate;
	struct weiri_pool_slab *slabs;
	uint8_t slabs_added[WEIRI_POOL_CLASSES]; /* while they grow */
	bool is_abandoned;

	/* Shared with those who give back. */
	_Alignas(WEIRI_CACHE_LINE) struct weir_message *_Atomic returned;
	_Atomic int64_t out; /* once abandoned: messages still out; 0 before */
};

/* Blocks that one carries: as many addresses as the smallest payload holds. */
#define WEIRI_POOL_BUNDLE_MAX 8

/* A receiver passes on what it has collected at this many messages, four bundles:
 * enough to make the shared exchange rare, few enough not to starve the publisher. */
#define WEIRI_POOL_CHAIN_MAX (4 * (1 + WEIRI_POOL_BUNDLE_MAX))

/* Messages on their way back to one pool, collected by a receiver. */
struct weiri_pool_chain {
	struct weiri_pool *pool;
	struct weir_message *first; /* bundle, the one that is being filled */
	struct weir_message *last;
	struct weir_message *crate; /* to which it has some references to give back; or NULL */
	uint32_t crate_references;
	uint16_t count;     /* messages in all */
	uint8_t room;       /* in the first bundle */
	uint8_t size_class; /* ... of which it is; both only if count > 0 */
};

/* A pool that holds the broker, and the topic if there is one.  NULL: no memory.
 * Threads: any. */
struct weiri_pool *weiri_pool_open(struct weir_broker *broker, struct weiri_topic *topic);

/* The publisher lets go; the pool goes when its last message does. */
void weiri_pool_abandon(struct weiri_pool *pool);

/*
 * A message with room for `size` bytes, its data pointing at them, with one
 * reference, but no topic, sequence and time yet; NULL: no memory.  Threads: the publisher's.
 */
struct weir_message *weiri_pool_take(struct weiri_pool *pool, size_t size);

/* The same, with `extra` bytes of room at the end of the block. */
struct weir_message *weiri_pool_take_for_extra(struct weiri_pool *pool, size_t size, size_t extra);

/* A message whose last reference is gone, back to its pool, through the chain
 * if it is not NULL.  Threads: any; a chain is one receiver's. */
void weiri_pool_give(struct weir_message *message, struct weiri_pool_chain *chain);

/* Pass on what the chain has collected. */
void weiri_pool_chain_flush(struct weiri_pool_chain *chain);

#endif
