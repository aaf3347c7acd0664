/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages that share a block and its count. */
#include "core/crate.h"

#include "base/prefetch.h"

/* So many takes before its own a message is fetched into the publisher's cache. */
#define PREFETCH_AHEAD 3

/* More than there can be references to the messages of a crate. */
#define BIAS ((uint32_t)1 << 30)

void weiri_crate_close(struct weiri_pool *pool)
{
	struct weiri_crate *crate = &pool->crate;

	if (crate->block == NULL)
		return;
	if (weiri_message_references_give_back(crate->block, BIAS - crate->references))
		weiri_pool_give_own(pool, crate->block);
	crate->block = NULL;
}

static bool crate_open(struct weiri_pool *pool)
{
	struct weiri_crate *crate = &pool->crate;
	size_t bytes = WEIRI_CRATE_MESSAGES * weiri_message_block_bytes(crate->size_class);
	struct weir_message *block = weiri_pool_take(pool, bytes);

	if (block == NULL)
		return false;
	weiri_store_relaxed(&block->references, BIAS);
	crate->block = block;
	crate->used = 0;
	crate->references = 0;
	return true;
}

/* Those that come next were last in receivers' caches: have one on its way here. */
static void ahead_prefetch(struct weiri_pool *pool)
{
	const struct weiri_crate *crate = &pool->crate;
	unsigned int ahead = crate->used + PREFETCH_AHEAD;
	struct weir_message *block = crate->block;
	struct weir_message *message;

	if (ahead >= WEIRI_CRATE_MESSAGES) {
		ahead -= WEIRI_CRATE_MESSAGES;
		block = weiri_pool_next(pool, block->size_class);
		if (block == NULL)
			return;
	}
	message = weiri_message_in_crate(block, crate->size_class, ahead);
	weiri_prefetch_write(message);
	weiri_prefetch_write(message + 1);
}

/* Headers and payloads are whole lines, so the distance from one header to another can be
 * told in headers. */
_Static_assert(WEIRI_POOL_PAYLOAD_MIN % sizeof(struct weir_message) == 0, "in whole lines");
_Static_assert(WEIRI_CRATE_MESSAGES *(WEIRI_CRATE_PAYLOAD_MAX / sizeof(struct weir_message) + 1) <=
		       UINT8_MAX,
	"the last message of a crate can tell where that is");

struct weir_message *weiri_crate_take(struct weiri_pool *pool, size_t size)
{
	struct weiri_crate *crate = &pool->crate;
	struct weir_message *message;

	if (size > WEIRI_POOL_PAYLOAD_MIN && crate->size_class == 0) {
		/* From now on: sizes that vary are not to close one crate after another. */
		weiri_crate_close(pool);
		crate->size_class = 1;
	}
	if (crate->block != NULL && crate->used == WEIRI_CRATE_MESSAGES)
		weiri_crate_close(pool);
	if (crate->block == NULL && !crate_open(pool))
		return NULL;
	ahead_prefetch(pool);
	message = weiri_message_in_crate(crate->block, crate->size_class, crate->used++);
	crate->references++;
	message->priority = 0;
	message->pool = pool;
	message->key = 0;
	message->data = weiri_message_payload(message);
	message->size = (uint32_t)size;
	message->size_class = crate->size_class;
	message->flags = 0;
	message->is_virtual = false;
	message->place = (uint8_t)(message - crate->block);
	return message;
}

void weiri_crate_settle(struct weiri_pool_chain *chain)
{
	struct weir_message *block = chain->crate;

	if (block == NULL)
		return;
	chain->crate = NULL;
	weiri_message_unref(block, chain->crate_references, chain);
}
