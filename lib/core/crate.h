/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Crate: small messages for many subscriptions, which are counted and freed together.
 *
 * A message that many receivers get is counted down by each of them, with a locked
 * instruction on the message's own header, which goes from core to core for it.  So
 * messages that follow each other on a topic with many subscriptions share a count: they
 * are cut from one block of the publisher's pool, whose header counts for all of them.
 *
 *   block:  | header: references | message 0 | message 1 | ... | message 15 |
 *
 * A receiver, which mostly takes them one after the other, gives its references to one
 * crate back together, when it comes to the next one or has nothing to do.  So it only
 * reads the messages; the count is changed once per crate and receiver.
 *
 * The publisher, while it fills a crate, keeps its own count of what it hands out, and the
 * shared one stands at a bias that nobody can bring to zero.  Closing the crate, it puts
 * one in place of the other.
 *
 *   open:    references = bias                  ... receivers subtract what they are done with
 *   closed:  references = handed out - given back; at zero the block goes back to its pool
 *
 * One that is kept keeps the others' memory, 2 or 4 KiB.  Nothing else is shared: each can be
 * acknowledged, dead-lettered, kept as any message.  So that memory stays in proportion to
 * what is queued, crates are for queues that hold messages that followed each other: for
 * plain rings without acknowledgements, where nobody counts bytes, and not for some time
 * after one of the publisher's messages was dropped.
 */
#ifndef WEIRI_CRATE_H
#define WEIRI_CRATE_H

#include "base/debug.h"
#include "core/message.h"

/* Of larger messages the count is the least cost. */
#define WEIRI_CRATE_PAYLOAD_MAX 128

#define WEIRI_CRATE_MESSAGES 16

/* Messages of a publisher after a dropped one that go into none: a queue that takes one
 * now and then would hold a crate for each. */
#define WEIRI_CRATES_PAUSE 1024

/* A message as of weiri_pool_take, of at most WEIRI_CRATE_PAYLOAD_MAX bytes, in the crate that
 * is open; NULL: no memory.  Not in virtual time.  Threads: the publisher's. */
struct weir_message *weiri_crate_take(struct weiri_pool *pool, size_t size);

/* No more messages go into the open one, if any.  Threads: the publisher's. */
void weiri_crate_close(struct weiri_pool *pool);

/* So many references more to the message that the pool's publisher took last, so that its
 * crate is open still. */
static inline void weiri_crate_ref(
	struct weiri_pool *pool, struct weir_message *message, uint32_t count)
{
	weiri_assert(message->place == 0 || weiri_message_counting(message) == pool->crate.block);
	if (message->place != 0)
		pool->crate.references += count;
	else
		weiri_message_ref(message, count);
}

/* Give back what a receiver has collected of a crate. */
void weiri_crate_settle(struct weiri_pool_chain *chain);

/* All that it has collected. */
static inline void weiri_crate_chain_flush(struct weiri_pool_chain *chain)
{
	weiri_crate_settle(chain);
	weiri_pool_chain_flush(chain);
}

#endif
