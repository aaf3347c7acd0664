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

#include "core/subscription.h"

/* Bits of attention that end a receive, whatever is queued. */
#define WEIRI_ATTENTION_END ((uint32_t)(WEIRI_ATTENTION_CLOSED | WEIRI_ATTENTION_SHUTDOWN))

/* Bits that end a wait. */
#define WEIRI_ATTENTION_STOP \
	(WEIRI_ATTENTION_END | (uint32_t)(WEIRI_ATTENTION_DRAINING | WEIRI_ATTENTION_INTERRUPT))

static inline uint32_t weiri_attention_read(struct weir_subscription *subscription)
{
	return weiri_load_acquire(&subscription->attention);
}

/* The error that the END bits stand for. */
int weiri_attention_error(uint32_t attention);

/* Begin a receive: what the last one handed out is released.  Returns 0,
 * WEIR_EBUSY, WEIR_ECLOSED or WEIR_ESHUTDOWN. */
int weiri_receiver_enter(struct weir_subscription *subscription);
void weiri_receiver_leave(struct weir_subscription *subscription);

/* Room for handing out `count_max` at once; without memory for it, as many as
 * there was room for before. */
size_t weiri_receiver_reserve(struct weir_subscription *subscription, size_t count_max);

/* Take up to `count_max` messages that are there; returns how many. */
size_t weiri_receiver_take(struct weir_subscription *subscription, size_t count_max);

/* Fill in deliveries of what was taken, and see to those who wait for room. */
void weiri_receiver_hand_out(struct weir_subscription *subscription, weir_delivery *deliveries);

/* Whether there is something to take. */
bool weiri_receiver_has(struct weir_subscription *subscription);

/* Announce the waiter of a receiver to those who may bring something; NULL: no more. */
void weiri_receiver_arm(struct weir_subscription *subscription, struct weiri_waiter *waiter);

/* After it, and after the waiter was armed: whether all who may bring something know
 * of it.  If not, the wait is begun anew. */
bool weiri_receiver_is_armed(struct weir_subscription *subscription);

#endif
