/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inline messages: small ones for one or two subscriptions, which travel in their rings
 * themselves.
 *
 * A message in a block of its publisher's pool costs two cores three lines: the place in
 * the ring, header, payload; and the receiver cannot ask for the last two before it has
 * the first.  A small one that only one subscription gets, or two, is copied into a slot of each
 * ring (queue/ring.h) instead, header and payload side by side, and from there into a
 * block of a pool of the receiver's own, which stays in its cache.  From then on it
 * is a message as any other.
 *
 *   publisher --copy--> slot of the ring --copy--> receiver's block --> the user
 *
 * Who does so.  The receiver adds the slots, and its pool, once it has taken some
 * messages: an idle subscription has neither.  Not everyone gets them: it must be
 * a plain ring, not too long, of one topic (the pool holds that, where other messages'
 * pools do), and the broker must have some of the memory left that it spends on this.  A
 * publisher uses what is there, if the queue has room, for loans too; else the message goes by
 * pointer, as do larger ones, those with options, those for more subscriptions, and for two all
 * batches and what a publisher sends that is not the topic's only one.
 *
 * Without memory for its block a message stays in the queue, and the receive fails.
 */
#ifndef WEIRI_INLINE_H
#define WEIRI_INLINE_H

#include "core/publisher.h"
#include "core/subscription.h"
#include "core/topic.h"

#define WEIRI_INLINE_MAX WEIRI_RING_SLOT_BYTES

/* For more, one message that all share is cheaper than a copy for each. */
#define WEIRI_INLINE_TAKERS_MAX 2

/* Have the subscription use them if it can, one day; before anybody knows it. */
void weiri_inline_prepare(struct weir_subscription *subscription, size_t capacity);

/* Add slots and pool, if it may have them and there is memory.  The receiver. */
void weiri_inline_open(struct weir_subscription *subscription);

/* Nobody uses the subscription any more, and its queue is empty. */
void weiri_inline_close(struct weir_subscription *subscription);

/* A message was taken that came by pointer: perhaps it is time for slots. */
static inline void weiri_inline_consider(struct weir_subscription *subscription)
{
	if (subscription->inline_after != 0 && --subscription->inline_after == 0)
		weiri_inline_open(subscription);
}

/* For publishers, inside a section: whether each of the subscriptions of a plain snapshot
 * takes inline messages, and there are few enough of them. */
static inline bool weiri_inline_is_open(struct weiri_snapshot *snapshot)
{
	if (snapshot->count > WEIRI_INLINE_TAKERS_MAX)
		return false;
	for (size_t i = 0; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription == NULL || weiri_ring_slots(&subscription->queue.ring) == NULL)
			return false;
	}
	return true;
}

/* If that is so, and all of them have room: publish one message of at most WEIRI_INLINE_MAX
 * bytes inside the section, and end that.  Else false, and nothing was done. */
bool weiri_inline_publish(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	const void *data, size_t size, weir_receipt *receipt);

/* The same for the first ones of `count`, where there is a single subscription; returns how
 * many. */
size_t weiri_inline_publish_batch(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	const weir_payload *payloads, size_t count, weir_receipt *receipt);

/* Take the next message into what is held, if it is an inline one; whether it is. */
bool weiri_inline_take_one(struct weir_subscription *subscription);

/* Take up to `count` inline messages that come next; returns how many. */
size_t weiri_inline_take(struct weir_subscription *subscription, void **messages, size_t count);

/* The same for throwing them away; returns how many. */
uint64_t weiri_inline_discard(struct weir_subscription *subscription);

#endif
