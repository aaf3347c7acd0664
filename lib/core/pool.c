/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks for messages: free lists, the returned chain, the end of a pool. */
#include "core/pool.h"

#include "base/prefetch.h"
#include "core/broker.h"
#include "core/crate.h"
#include "core/message.h"
#include "core/topic.h"

/* Small blocks are cut from slabs, of a few blocks and about one size at first, and of about
 * the other in the end, so that a publisher that sends little is small. */
#define SLAB_BLOCKS_FIRST 4
#define SLAB_BYTES_FIRST  ((size_t)4 << 10)
#define SLAB_BYTES        ((size_t)16 << 10)

/* So many takes before its own a block is fetched into the publisher's cache. */
#define PREFETCH_AHEAD 3

/* Of larger payloads only the first line. */
#define PREFETCH_PAYLOAD_MAX 1024

/* Returned bundles that are sorted in at once. */
#define BUNDLES_AT_ONCE 8

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

static uint64_t bundles_count(const struct weir_message *bundle)
{
	uint64_t count = 0;

	for (; bundle != NULL; bundle = bundle->next)
		count += 1 + bundle->carried;
	return count;
}

void weiri_pool_abandon(struct weiri_pool *pool)
{
	struct weir_message *returned;

	weiri_crate_close(pool);
	/* B2, as below. */
	returned = weiri_exchange_acq_rel(&pool->returned, abandoned_mark(pool));
	pool->is_abandoned = true;
	pool->taken_back += bundles_count(pool->pending) + bundles_count(returned);
	out_add(pool, (int64_t)(pool->taken - pool->taken_back));
}

/* A header, and the first line of what follows it. */
static void block_prefetch(struct weir_message *message)
{
	weiri_prefetch_write(message);
	weiri_prefetch_write(message + 1);
}

/* ... and the other lines, of a payload that is likely to be copied in as a whole. */
static void payload_prefetch(struct weir_message *message, unsigned int size_class)
{
	const size_t payload = class_payload(size_class);

	if (payload > PREFETCH_PAYLOAD_MAX)
		return;
	for (size_t i = WEIRI_CACHE_LINE; i < payload; i += WEIRI_CACHE_LINE)
		weiri_prefetch_write((char *)weiri_message_payload(message) + i);
}

static void bundle_add(struct weiri_pool *pool, struct weir_message *bundle)
{
	bundle->next = pool->free[bundle->size_class];
	pool->free[bundle->size_class] = bundle;
}

/* A single block. */
static void block_add(struct weiri_pool *pool, struct weir_message *message)
{
	message->carried = 0;
	bundle_add(pool, message);
}

/* Sort some of what was returned into the free lists; whether there was any.  Not all at
 * once: a publisher whose receivers gave back one by one would stop for a line of each. */
static bool returned_take_back(struct weiri_pool *pool)
{
	bool is_more;

	/* B2 (pairs with B1 in chain_flush): the receivers' last use of a block
	 * comes before its next one. */
	if (pool->pending == NULL)
		pool->pending = weiri_exchange_acquire(&pool->returned, NULL);
	is_more = pool->pending != NULL;
	for (int i = 0; i < BUNDLES_AT_ONCE && pool->pending != NULL; i++) {
		struct weir_message *bundle = pool->pending;

		pool->pending = bundle->next;
		if (pool->pending != NULL)
			block_prefetch(pool->pending);
		pool->taken_back += 1 + bundle->carried;
		bundle_add(pool, bundle);
	}
	return is_more;
}

static size_t blocks_in(size_t bytes, size_t block)
{
	return block < bytes ? bytes / block : 1;
}

/* Twice as many blocks as in the last slab of this size. */
static size_t slab_count(struct weiri_pool *pool, unsigned int size_class, size_t block)
{
	size_t most = blocks_in(SLAB_BYTES, block);
	size_t first = blocks_in(SLAB_BYTES_FIRST, block);
	size_t count = (first < SLAB_BLOCKS_FIRST ? first : SLAB_BLOCKS_FIRST)
		       << pool->slabs_added[size_class];

	if (count >= most)
		return most;
	pool->slabs_added[size_class]++;
	return count;
}

static void slab_add(struct weiri_pool *pool, unsigned int size_class)
{
	size_t block = weiri_message_block_bytes(size_class);
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
		block_add(pool, message);
	}
}

/* The next blocks were last in a receiver's cache: have them on their way here. */
static void next_prefetch(struct weir_message *bundle)
{
	struct weir_message *ahead =
		bundle->carried >= PREFETCH_AHEAD
			? weiri_message_bundle(bundle)[bundle->carried - PREFETCH_AHEAD]
			: bundle->next;

	if (ahead == NULL)
		return;
	block_prefetch(ahead);
	payload_prefetch(ahead, bundle->size_class);
}

static struct weir_message *block_take(struct weiri_pool *pool, unsigned int size_class)
{
	struct weir_message *bundle;

	while (pool->free[size_class] == NULL && returned_take_back(pool))
		;
	if (pool->free[size_class] == NULL)
		slab_add(pool, size_class);
	bundle = pool->free[size_class];
	if (bundle == NULL)
		return NULL;
	pool->taken++;
	next_prefetch(bundle);
	if (bundle->carried > 0)
		return weiri_message_bundle(bundle)[--bundle->carried];
	pool->free[size_class] = bundle->next;
	return bundle;
}

/* A block without a message in it, back to the list it came from. */
static void block_put_back(struct weiri_pool *pool, struct weir_message *message)
{
	block_add(pool, message);
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
	chain->room = 0;
}

/* Begin a bundle with this message. */
static void chain_extend(struct weiri_pool_chain *chain, struct weir_message *message)
{
	if (chain->pool != message->pool ||
		chain->count + 1 + WEIRI_POOL_BUNDLE_MAX > WEIRI_POOL_CHAIN_MAX)
		weiri_pool_chain_flush(chain);
	chain->pool = message->pool;
	if (chain->count == 0)
		chain->last = message;
	message->next = chain->count == 0 ? NULL : chain->first;
	message->carried = 0;
	chain->first = message;
	chain->room = WEIRI_POOL_BUNDLE_MAX;
	chain->size_class = message->size_class;
	chain->count++;
}

/* Virtual time: give back to the free list itself. */
static void give_at_once(struct weiri_pool *pool, struct weir_message *message)
{
	if (pool->is_abandoned) {
		out_add(pool, -1);
		return;
	}
	block_add(pool, message);
	pool->taken_back++;
}

void weiri_pool_give(struct weir_message *message, struct weiri_pool_chain *chain)
{
	struct weiri_pool_chain single = { .pool = message->pool };

	if (message->is_virtual) {
		give_at_once(message->pool, message);
	} else if (chain == NULL) {
		chain_extend(&single, message);
		weiri_pool_chain_flush(&single);
	} else if (!weiri_pool_chain_add(chain, message)) {
		chain_extend(chain, message);
	}
}
