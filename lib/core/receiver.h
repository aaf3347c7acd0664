/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receiver: what one receive does with one subscription: enter, take, leave.
 *
 * Entering and leaving.  `receiving` tells whoever closes the subscription that a
 * receive is under way.  Its partner words are set almost never, so this side
 * uses the light fence and the closing side the heavy one:
 *   receiver: receiving = 1, light fence, look at attention
 *   closer:   attention |= CLOSED, heavy fence, look at receiving
 * At least one sees the other.  The receiver leaves by storing 0 and touches
 * nothing after it, for the closer may free everything then.
 *
 * After taking, the receiver must see publishers that came to wait, and a drain
 * that waits for empty queues; the same pattern with the queue and attention.
 */
#ifndef WEIRI_RECEIVER_H
#define WEIRI_RECEIVER_H

#include <stddef.h>
#include <string.h>

#include "base/always_inline.h"
#include "base/prefetch.h"
#include "core/extra.h"
#include "core/inline.h"
#include "core/subscription.h"

/* Bits of attention that end a receive, whatever is queued. */
#define WEIRI_ATTENTION_END ((uint32_t)(WEIRI_ATTENTION_CLOSED | WEIRI_ATTENTION_SHUTDOWN))

/* Bits that end a wait. */
#define WEIRI_ATTENTION_STOP (WEIRI_ATTENTION_END | (uint32_t)WEIRI_ATTENTION_INTERRUPT)

static inline uint32_t weiri_attention_read(struct weir_subscription *subscription)
{
	return weiri_load_acquire(&subscription->attention);
}

/* The error that the END bits stand for. */
int weiri_attention_error(uint32_t attention);

static inline void weiri_receiver_leave(struct weir_subscription *subscription)
{
	bool is_virtual = subscription->broker->clock->is_virtual;

	/* V1 (pairs with the acquire in await): all that the receive did
	 * comes before what the closer does next. */
	weiri_store_release(&subscription->receiving, 0);
	if (is_virtual)
		weiri_subscription_orphan_check(subscription);
}

/* The end of a receive that finds END bits; the error that they stand for. */
int weiri_receiver_refuse(struct weir_subscription *subscription, uint32_t attention);

/* Begin a receive: what the last one handed out is released.  Returns 0,
 * WEIR_EBUSY, WEIR_ECLOSED or WEIR_ESHUTDOWN. */
static WEIRI_ALWAYS_INLINE int weiri_receiver_enter(struct weir_subscription *subscription)
{
	uint32_t attention;

	/* Acquire: what the receive before it, perhaps by another thread, left. */
	if (weiri_load_acquire(&subscription->receiving) != 0)
		return WEIR_EBUSY;
	weiri_store_relaxed(&subscription->receiving, 1);
	weiri_fence_light(subscription->broker->fence_asymmetric);
	attention = weiri_attention_read(subscription);
	if ((attention & WEIRI_ATTENTION_END) == 0) {
		weiri_subscription_held_release(subscription);
		return 0;
	}
	return weiri_receiver_refuse(subscription, attention);
}

size_t weiri_receiver_reserve_more(struct weir_subscription *subscription, size_t count_max);

/* weiri_subscription_held_release, where it is rare. */
void weiri_receiver_release_many(struct weir_subscription *subscription);

/* Room for handing out `count_max` at once; without memory for it, as many as
 * there was room for before. */
static inline size_t weiri_receiver_reserve(
	struct weir_subscription *subscription, size_t count_max)
{
	return count_max <= subscription->held_size
		       ? count_max
		       : weiri_receiver_reserve_more(subscription, count_max);
}

/* Take up to `count` from the queue itself; returns how many.  The subscription is no
 * member of a group. */
size_t weiri_dequeue(struct weir_subscription *subscription, void **messages, size_t count);

/* weiri_receiver_take for one message, where none came first. */
size_t weiri_receiver_take_mixed(struct weir_subscription *subscription);

/* weiri_receiver_take for a subscription of any kind. */
size_t weiri_receiver_take_any(struct weir_subscription *subscription, size_t count_max);

/* The same where this message, which has an extra, was just taken. */
size_t weiri_receiver_take_special(struct weir_subscription *subscription, void *message);

/* weiri_receiver_take for one message of a simple subscription without acknowledgements. */
static WEIRI_ALWAYS_INLINE size_t weiri_receiver_take_one(struct weir_subscription *subscription)
{
	void *value;

	if (subscription->expects_inline && weiri_inline_take_one(subscription)) {
		subscription->held_count = 1;
		return 1;
	}
	value = weiri_ring_pop_one(&subscription->queue.ring);
	if (value == NULL) {
		subscription->held_count = 0;
		return subscription->pool == NULL ? 0 : weiri_receiver_take_mixed(subscription);
	}
	weiri_inline_consider(subscription);
	weiri_prefetch_read((const struct weir_message *)value + 1);
	if (weiri_message_has_extra(value))
		return weiri_receiver_take_special(subscription, value);
	subscription->held[0] = value;
	subscription->held_count = 1;
	return 1;
}

/* Take up to `count_max` messages that are there, and that have not expired; returns
 * how many. */
static WEIRI_ALWAYS_INLINE size_t weiri_receiver_take(
	struct weir_subscription *subscription, size_t count_max)
{
	if (count_max > 1 || !subscription->is_simple || subscription->acks != NULL)
		return weiri_receiver_take_any(subscription, count_max);
	return weiri_receiver_take_one(subscription);
}

/* See to those who wait for what was taken, as far as `attention` says. */
void weiri_receiver_attend(struct weir_subscription *subscription, uint32_t attention);

/* A delivery of the message, without data, that needs no acknowledgement.  Not by an
 * initializer: compilers clear all of it for that first. */
static inline void weiri_delivery_begin(weir_delivery *delivery, struct weir_message *message)
{
	const size_t token = offsetof(weir_delivery, token_ledger);

	delivery->message = message;
	delivery->missed = 0;
	delivery->deadline = WEIR_FOREVER;
	delivery->attempt = 1;
	memset((char *)delivery + token, 0, sizeof(*delivery) - token);
}

/* Fill in deliveries of what was taken, and see to those who wait for room. */
static inline void weiri_receiver_hand_out(
	struct weir_subscription *subscription, weir_delivery *deliveries)
{
	uint64_t lost = weiri_load_relaxed(&subscription->lost);
	uint32_t attention;

	/* Pairs with the heavy fences in room.c and broker.c. */
	weiri_fence_light(subscription->broker->fence_asymmetric);
	attention = weiri_attention_read(subscription);
	if (attention != 0)
		weiri_receiver_attend(subscription, attention);
	for (uint32_t i = 0; i < subscription->held_count; i++) {
		struct weir_message *message = subscription->held[i];

		weiri_delivery_begin(&deliveries[i], message);
		if (subscription->acks != NULL) {
			weiri_acks_describe(subscription, i, &deliveries[i]);
		} else {
			deliveries[i].data = message->data;
			deliveries[i].size = message->size;
		}
	}
	deliveries[0].missed = lost - subscription->lost_seen;
	subscription->lost_seen = lost;
}

/* A publisher whose dead letter was published by this receive: its hooks are called
 * when the receive has left, for one may end the subscription.  NULL is fine. */
void weiri_receiver_defer(struct weir_subscription *subscription, struct weir_publisher *publisher);

/* Whether there is something to take. */
bool weiri_receiver_has(struct weir_subscription *subscription);

/* Announce the waiter of a receiver to those who may bring something; NULL: no more. */
void weiri_receiver_arm(struct weir_subscription *subscription, struct weiri_waiter *waiter);

/* After it, and after the waiter was armed: whether all who may bring something know
 * of it.  If not, the wait is begun anew. */
bool weiri_receiver_is_armed(struct weir_subscription *subscription);

#endif
