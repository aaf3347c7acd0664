/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks for messages: free lists, the returned chain, the end of a pool. */
#include "core/pool.h"

#include "base/prefetch.h"
#include "core/broker.h"
#include "core/message.h"
#include "core/topic.h"

/* Small blocks are cut from slabs, of a few blocks at first, and of about this
 * size in the end, so that a publisher that sends little is small. */
#define SLAB_BLOCKS_FIRST 4
#define SLAB_BYTES        ((size_t)16 << 10)

/* The mark on the chain of a pool that was let go: an address that no message has. */
static struct weir_message *abandoned_mark(struct weiri_pool *pool)
{
	return (void *)pool;
}

static size_t class_payload(unsigned int size_class)
{
	return WEIRI_POOL_PAYLOAD_MIN << size_class;
}

static unsigned int class_for(size_t size)
{
	unsigned int size_class = 0;

	while (class_payload(size_class) < size)
		size_class++;
	return size_class;
}

struct weiri_pool *weiri_pool_open(struct weir_broker *broker, struct weiri_topic *topic)
{
	struct weiri_pool *pool =
		weiri_allocate(&broker->allocator, sizeof(*pool), WEIRI_CACHE_LINE);

	if (pool == NULL)
		return NULL;
	weiri_broker_ref(broker);
	pool->broker = broker;
	if (topic != NULL)
		weiri_topic_ref(topic);
	pool->topic = topic;
	return pool;
}

static void pool_free(struct weiri_pool *pool)
{
	struct weir_broker *broker = pool->broker;
	struct weiri_topic *topic = pool->topic;

	while (pool->slabs != NULL) {
		struct weiri_pool_slab *slab = pool->slabs;

		pool->slabs = slab->next;
		weiri_deallocate(&broker->allocator, slab, slab->bytes);
	}
	weiri_deallocate(&broker->allocator, pool, sizeof(*pool));
	if (topic != NULL)
		weiri_topic_unref(topic);
	weiri_broker_unref(broker);
}

/* Add to what is out, once abandoned; at zero the pool goes.  It is below zero
 * while messages come back between the mark and the publisher's own addition, so
 * zero comes once, and the caller must not touch the pool after this. */
static void out_add(struct weiri_pool *pool, int64_t count)
{
	/* O1 (pairs with itself): all other uses of the pool come before the
	 * last one's, which frees it. */
	if (weiri_add_acq_rel(&pool->out, count) + count == 0)
		pool_free(pool);
}

void weiri_pool_abandon(struct weiri_pool *pool)
{
	/* B2, as below. */
	struct weir_message *message =
		weiri_exchange_acq_rel(&pool->returned, abandoned_mark(pool));

	pool->is_abandoned = true;
	for (; message != NULL; message = message->next)
		pool->taken_back++;
	out_add(pool, (int64_t)(pool->taken - pool->taken_back));
}

/* Sort the returned chain into the free lists. */
static void returned_take_back(struct weiri_pool *pool)
{
	/* B2 (pairs with B1 in chain_flush): the receivers' last use of a block
	 * comes before its next one. */
	struct weir_message *message = weiri_exchange_acquire(&pool->returned, NULL);

	while (message != NULL) {
		struct weir_message *next = message->next;

		message->next = pool->free[message->size_class];
		pool->free[message->size_class] = message;
		pool->taken_back++;
		message = next;
	}
}

/* Twice as many blocks as in the last slab of this size. */
static size_t slab_count(struct weiri_pool *pool, unsigned int size_class, size_t block)
{
	size_t most = block < SLAB_BYTES ? SLAB_BYTES / block : 1;
	size_t count = (size_t)SLAB_BLOCKS_FIRST << pool->slabs_added[size_class];

	if (count >= most)
		return most;
	pool->slabs_added[size_class]++;
	return count;
}

static void slab_add(struct weiri_pool *pool, unsigned int size_class)
{
	size_t block = sizeof(struct weir_message) + class_payload(size_class);
	size_t count = slab_count(pool, size_class, block);
	size_t bytes = WEIRI_CACHE_LINE + count * block;
	struct weiri_pool_slab *slab =
		weiri_allocate(&pool->broker->allocator, bytes, WEIRI_CACHE_LINE);
	char *memory;

	if (slab == NULL)
		return;
	memory = (char *)slab + WEIRI_CACHE_LINE;
	slab->next = pool->slabs;
	slab->bytes = bytes;
	pool->slabs = slab;
	for (size_t i = count; i-- > 0;) {
		struct weir_message *message = (void *)(memory + i * block);

		message->pool = pool;
		message->size_class = (uint8_t)size_class;
		message->is_virtual = pool->broker->clock->is_virtual;
		message->next = pool->free[size_class];
		pool->free[size_class] = message;
	}
}

/* A header, and the first line of what follows it. */
static void block_prefetch(struct weir_message *message)
{
	weiri_prefetch_write(message);
	weiri_prefetch_write(message + 1);
}

static struct weir_message *block_take(struct weiri_pool *pool, unsigned int size_class)
{
	struct weir_message *message;

	if (pool->free[size_class] == NULL)
		returned_take_back(pool);
	if (pool->free[size_class] == NULL)
		slab_add(pool, size_class);
	message = pool->free[size_class];
	if (message == NULL)
		return NULL;
	pool->free[size_class] = message->next;
	pool->taken++;
	/* The next one was last in a receiver's cache: have it on its way here. */
	if (message->next != NULL)
		block_prefetch(message->next);
	return message;
}

/* A block without a message in it, back to the list it came from. */
static void block_put_back(struct weiri_pool *pool, struct weir_message *message)
{
	message->next = pool->free[message->size_class];
	pool->free[message->size_class] = message;
	pool->taken--;
}

/* `room` is what the block is to hold, unless that is too large for any. */
static struct weir_message *take(struct weiri_pool *pool, size_t size, size_t room)
{
	bool is_large = room > WEIRI_POOL_PAYLOAD_MAX;
	struct weir_message *message = block_take(pool, is_large ? 0 : class_for(room));

	if (message == NULL)
		return NULL;
	message->data = weiri_message_payload(message);
	if (is_large) {
		message->data =
			weiri_allocate_raw(&pool->broker->allocator, size, WEIRI_CACHE_LINE);
		if (message->data == NULL) {
			block_put_back(pool, message);
			return NULL;
		}
	}
	weiri_store_relaxed(&message->references, 1);
	message->priority = 0;
	message->key = 0;
	message->size = (uint32_t)size;
	message->flags = is_large ? WEIRI_MESSAGE_LARGE : 0;
	return message;
}

struct weir_message *weiri_pool_take(struct weiri_pool *pool, size_t size)
{
	return take(pool, size, size);
}

struct weir_message *weiri_pool_take_for_extra(struct weiri_pool *pool, size_t size, size_t extra)
{
	return take(pool, size, size + extra);
}

void weiri_pool_chain_flush(struct weiri_pool_chain *chain)
{
	struct weiri_pool *pool = chain->pool;
	struct weir_message *head;

	if (chain->count == 0)
		return;
	head = weiri_load_relaxed(&pool->returned);
	do {
		if (head == abandoned_mark(pool)) {
			out_add(pool, -(int64_t)chain->count);
			break;
		}
		chain->last->next = head;
	} while (!weiri_cas_weak_release(&pool->returned, &head, chain->first)); /* B1 */
	chain->count = 0;
}

/* Virtual time: give back to the free list itself. */
static void give_at_once(struct weiri_pool *pool, struct weir_message *message)
{
	if (pool->is_abandoned) {
		out_add(pool, -1);
		return;
	}
	message->next = pool->free[message->size_class];
	pool->free[message->size_class] = message;
	pool->taken_back++;
}

void weiri_pool_give(struct weir_message *message, struct weiri_pool_chain *chain)
{
	struct weiri_pool_chain single = { .pool = message->pool };

	if (message->is_virtual) {
		give_at_once(message->pool, message);
		return;
	}
	if (chain == NULL)
		chain = &single;
	if (chain->pool != message->pool) {
		weiri_pool_chain_flush(chain);
		chain->pool = message->pool;
	}
	if (chain->count == 0)
		chain->last = message;
	message->next = chain->count == 0 ? NULL : chain->first;
	chain->first = message;
	chain->count++;
	if (chain == &single || chain->count == WEIRI_POOL_CHAIN_MAX)
		weiri_pool_chain_flush(chain);
}
