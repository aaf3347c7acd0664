/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain receive: what nearly every receive is, in a straight line.  One message, from a
 * plain ring in real time, without acknowledgements or watermarks, where the kernel
 * has asymmetric fences (`is_plain` of the subscription).
 *
 * It does what an ordinary receive does (core/receive.c), in the same order, and becomes
 * one where nothing is queued.
 */
#ifndef WEIRI_RECEIVE_PLAIN_H
#define WEIRI_RECEIVE_PLAIN_H

#include "core/receiver.h"
#include <weir/error.h>

/* The receive has begun, and found nothing so far. */
#define WEIRI_RECEIVE_EMPTY 1

/* Before anybody receives from it: whether all its receives of one message are plain. */
static inline bool weiri_receive_is_plain(const struct weir_subscription *subscription)
{
	return subscription->is_simple && subscription->acks == NULL &&
	       subscription->high_watermark == 0 && subscription->broker->fence_asymmetric;
}

/* Returns as weir_receive, or WEIRI_RECEIVE_EMPTY: then it is not left. */
static WEIRI_ALWAYS_INLINE int weiri_receive_plain(
	struct weir_subscription *subscription, weir_delivery *delivery)
{
	struct weir_message *message;
	uint32_t attention;
	uint64_t lost;

	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	/* As in weiri_receiver_enter. */
	if (weiri_load_acquire(&subscription->receiving) != 0)
		return WEIR_EBUSY;
	weiri_store_relaxed(&subscription->receiving, 1);
	weiri_fence_light(true);
	attention = weiri_attention_read(subscription);
	if (attention & WEIRI_ATTENTION_END)
		return weiri_receiver_refuse(subscription, attention);
	if (subscription->held_count == 1)
		weiri_message_unref_held(
			subscription->held[0], &subscription->chain, subscription->pool);
	else if (subscription->held_count > 1)
		weiri_receiver_release_many(subscription);

	if (weiri_receiver_take_one(subscription) == 0)
		return WEIRI_RECEIVE_EMPTY;

	/* As in weiri_receiver_hand_out. */
	lost = weiri_load_relaxed(&subscription->lost);
	weiri_fence_light(true);
	attention = weiri_attention_read(subscription);
	if (attention != 0)
		weiri_receiver_attend(subscription, attention);
	message = subscription->held[0];
	weiri_delivery_begin(delivery, message);
	delivery->data = message->data;
	delivery->size = message->size;
	delivery->missed = lost - subscription->lost_seen;
	subscription->lost_seen = lost;
	/* V1, as in weiri_receiver_leave. */
	weiri_store_release(&subscription->receiving, 0);
	return 0;
}

#endif
