/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message: header and payload in one block of a pool.
 *
 *   | header, 64 bytes                              | payload ...  |
 *   | references, priority, pool, next, topic, ...  | (data points |
 *   |                                               |  here, or at |
 *   |                                               |  the wrapped |
 *   |                                               |  buffer)     |
 *
 * While it is a loan the header is its publisher's alone; once pushed it is
 * read-only but for the reference count.  References: one per queue that holds
 * it or receiver that has it in hand, and one per weir_message_keep.  Several small
 * ones may lie in one block, and be counted together (crate.h).
 */
#ifndef WEIRI_MESSAGE_H
#define WEIRI_MESSAGE_H

#include "base/atomics.h"
#include "core/pool.h"
#include <weir/message.h>

enum {
	WEIRI_MESSAGE_PUBLISHED = 1,  /* no loan any more */
	WEIRI_MESSAGE_WRAPPED = 2,    /* data is the caller's; a weiri_wrap is in the payload */
	WEIRI_MESSAGE_LARGE = 4,      /* data is allocated by itself */
	WEIRI_MESSAGE_TOPIC_HELD = 8, /* holds its topic by itself */
	WEIRI_MESSAGE_HAS_KEY = 16,
	WEIRI_MESSAGE_DEAD_LETTER = 32, /* wrapped, and where it came from (dead_letter.c) */
	WEIRI_MESSAGE_EXTRA = 64,       /* has a weiri_extra (extra.h) */
	WEIRI_MESSAGE_TICKET = 128,     /* in which there is one (confirm.h) */
};

/* Those of a message that has more to free than its block. */
#define WEIRI_MESSAGE_OWNS                                                        \
	(WEIRI_MESSAGE_WRAPPED | WEIRI_MESSAGE_LARGE | WEIRI_MESSAGE_TOPIC_HELD | \
		WEIRI_MESSAGE_TICKET)

struct weir_message {
	_Atomic uint32_t references;
	int32_t priority;
	struct weiri_pool *pool;
	union {
		struct weir_message *next; /* in a list of bundles, or a dead list */
		uint64_t key;              /* while anybody has a reference */
	};
	struct weiri_topic *topic;
	uint64_t sequence;
	double timestamp;
	void *data;
	union {
		uint32_t size;
		uint32_t carried; /* of a free block: how many others it carries (pool.h) */
	};
	uint8_t size_class; /* of the pool */
	uint8_t flags;
	bool is_virtual; /* as the broker's clock */
	uint8_t place;   /* so many headers after its crate's; 0: it is in none */
};

_Static_assert(sizeof(struct weir_message) == WEIRI_CACHE_LINE, "the header is one cache line");

/* What it counts for where bytes are limited. */
static inline uint64_t weiri_message_weight(const struct weir_message *message)
{
	return (uint64_t)message->size + sizeof(*message);
}

struct weiri_wrap {
	weir_free_function *free_function;
	void *context;
};

static inline void *weiri_message_payload(struct weir_message *message)
{
	return message + 1;
}

/* Of a free block: those that it carries. */
static inline struct weir_message **weiri_message_bundle(struct weir_message *message)
{
	return weiri_message_payload(message);
}

static inline size_t weiri_message_block_bytes(unsigned int size_class)
{
	return sizeof(struct weir_message) + (WEIRI_POOL_PAYLOAD_MIN << size_class);
}

/* In the payload of that block, cut into such of this class. */
static inline struct weir_message *weiri_message_in_crate(
	struct weir_message *block, unsigned int size_class, unsigned int index)
{
	char *first = weiri_message_payload(block);

	return (void *)(first + index * weiri_message_block_bytes(size_class));
}

/* Where it is counted, and what is freed in the end: the block of its crate, or itself. */
static inline struct weir_message *weiri_message_counting(struct weir_message *message)
{
	return message - message->place;
}

/* Put it into the bundle that is being filled; whether there is room for it. */
static inline bool weiri_pool_chain_add(
	struct weiri_pool_chain *chain, struct weir_message *message)
{
	if (chain->room == 0 || chain->pool != message->pool ||
		chain->size_class != message->size_class)
		return false;
	weiri_message_bundle(chain->first)[chain->first->carried++] = message;
	chain->room--;
	chain->count++;
	return true;
}

/* For the pool's owner, which alone takes from it and gives back to it in this way: a
 * message without references, and without more to free, to its list itself. */
static inline void weiri_pool_give_own(struct weiri_pool *pool, struct weir_message *message)
{
	message->carried = 0;
	message->next = pool->free[message->size_class];
	pool->free[message->size_class] = message;
	pool->taken_back++;
}

/* What the next take gets, if it is there already; or NULL. */
static inline struct weir_message *weiri_pool_next(struct weiri_pool *pool, unsigned int size_class)
{
	struct weir_message *bundle = pool->free[size_class];

	return bundle == NULL || bundle->carried == 0
		       ? bundle
		       : weiri_message_bundle(bundle)[bundle->carried - 1];
}

/* For the same: a message that will not have a priority, of at most twice the smallest
 * payload, by best the one that was given back last; or NULL: no memory. */
static inline struct weir_message *weiri_pool_take_own(struct weiri_pool *pool, size_t size)
{
	struct weir_message **list = &pool->free[size > WEIRI_POOL_PAYLOAD_MIN ? 1 : 0];
	struct weir_message *message = *list;

	if (message == NULL || message->carried > 0)
		return weiri_pool_take(pool, size);
	*list = message->next;
	pool->taken++;
	weiri_store_relaxed(&message->references, 1);
	message->key = 0;
	return message;
}

/* Messages whose last reference is gone and that are still to be freed, where
 * freeing, which may call the user, has to wait for a lock or a section to end. */
struct weiri_message_dead {
	struct weir_message *first;
};

/* Give back `count` references; if they were the last ones, note the message. */
void weiri_message_unref_later(
	struct weir_message *message, uint32_t count, struct weiri_message_dead *dead);

/* Free what was noted.  No lock held, no section open. */
void weiri_message_dead_free(struct weiri_message_dead *dead);

/* A message without references, as weiri_message_unref. */
void weiri_message_free(struct weir_message *message, struct weiri_pool_chain *chain);

/* One reference more, by someone who has one that others may use meanwhile.  Relaxed: with
 * that nothing can be lost. */
static inline void weiri_message_ref_shared(struct weir_message *message)
{
	(void)weiri_add_relaxed(&weiri_message_counting(message)->references, 1);
}

/* So many references more, by someone who has one for itself: if that is the only one,
 * nobody else can change the number meanwhile. */
static inline void weiri_message_ref(struct weir_message *message, uint32_t count)
{
	message = weiri_message_counting(message);
	if (weiri_load_acquire(&message->references) == 1)
		weiri_store_relaxed(&message->references, 1 + count);
	else
		(void)weiri_add_relaxed(&message->references, count);
}

/* Whether these were the last ones, of what is counted by itself. */
static inline bool weiri_message_references_give_back(struct weir_message *message, uint32_t count)
{
	/* C1: whoever finds that only its own references are left needs no
	 * atomic subtraction; acquire, because the others' reads of the message
	 * come before it is used again (they released by C2). */
	return weiri_load_acquire(&message->references) == count ||
	       weiri_sub_acq_rel(&message->references, count) == count; /* C2 */
}

/* Give back `count` references; the last one frees.  Threads: any; `chain` is
 * the calling receiver's or NULL. */
static inline void weiri_message_unref(
	struct weir_message *message, uint32_t count, struct weiri_pool_chain *chain)
{
	message = weiri_message_counting(message);
	if (weiri_message_references_give_back(message, count))
		weiri_message_free(message, chain);
}

/* core/crate.h: what the chain has collected of a crate is given back. */
void weiri_crate_settle(struct weiri_pool_chain *chain);

/* A receiver's one reference to a message of this crate, to be given back with others. */
static inline void weiri_crate_collect(struct weiri_pool_chain *chain, struct weir_message *crate)
{
	if (chain->crate != crate) {
		weiri_crate_settle(chain);
		chain->crate = crate;
		chain->crate_references = 0;
	}
	chain->crate_references++;
}

/* The same for a receiver's one reference: at best the message joins others of its
 * pool and size, which are on their way back already, and there is no more to free.
 * `own` is the receiver's own pool, or NULL. */
static inline void weiri_message_unref_held(
	struct weir_message *message, struct weiri_pool_chain *chain, struct weiri_pool *own)
{
	if (message->place != 0) {
		weiri_crate_collect(chain, weiri_message_counting(message));
		return;
	}
	if (!weiri_message_references_give_back(message, 1))
		return;
	if (message->pool == own)
		weiri_pool_give_own(own, message);
	else if ((message->flags & WEIRI_MESSAGE_OWNS) != 0 ||
		 !weiri_pool_chain_add(chain, message))
		weiri_message_free(message, chain);
}

#endif
