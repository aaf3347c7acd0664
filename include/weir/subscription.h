/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscription: a filter, a bounded queue, an overflow policy.
 *
 * Filters: a topic's name, in which a token may be '*' (exactly one token) and
 * the last token may be '>' (one token or more).  A '*' or '>' that is not a
 * whole token, and a '>' that is not the last one, is refused.
 */
#ifndef WEIR_SUBSCRIPTION_H
#define WEIR_SUBSCRIPTION_H

#include <weir/publisher.h>

WEIR_BEGIN_DECLS

#define WEIR_CAPACITY_MAX ((size_t)1 << 20)

typedef struct weir_subscription weir_subscription;

/* What a full queue does with a message that comes. */
typedef enum weir_overflow {
	/* Holds the publisher until there is room or its deadline passes. */
	WEIR_OVERFLOW_BLOCK = 0,
	/* Refuses the new message; receipt and counters tell. */
	WEIR_OVERFLOW_DROP_NEWEST = 1,
} weir_overflow;

/* Every zero field means its default. */
typedef struct weir_subscription_options {
	size_t capacity; /* messages that wait at most, exact, 1..WEIR_CAPACITY_MAX; 0 = 1024 */
	weir_overflow overflow;
	weir_wait wait;       /* how a receive waits */
	uint64_t reserved[8]; /* must be 0 */
} weir_subscription_options;

/* One hand-over of one message to one receiver. */
typedef struct weir_delivery {
	const void *data;
	size_t size;
	weir_message *message;
	/* Messages that this subscription lost since its previous delivery. */
	uint64_t missed;
	uint32_t attempt; /* 1 for the first hand-over of this message */
	uint32_t reserved[7];
} weir_delivery;

/*
 * weir_subscribe - a new subscription.  When it has returned, the next publish
 * on a matching topic, from any thread, is delivered to it (promise P6).
 *
 * Threads: any.  Blocks for other calls that change topics or subscriptions, and
 * until the publishes under way on topics that match have done their hand-over.
 * Cost: O(1) for a filter without wildcards, O(topics) for one with.
 * Owner: the caller, who ends it with weir_unsubscribe.
 * Returns 0; WEIR_EINVAL: NULL, a bad filter, an option out of range; WEIR_ENOMEM;
 * WEIR_ELIMIT: subscriptions_max exist, or topics_max (a filter without
 * wildcards makes its topic); WEIR_ESHUTDOWN.
 */
WEIR_API int weir_subscribe(weir_subscription **subscription, weir_broker *broker,
	const char *filter, const weir_subscription_options *options);

/*
 * weir_unsubscribe - end a subscription.  When it has returned, nothing of it
 * runs: no publisher touches it, publishers that were blocked on it have gone
 * on, a thread that was in a receive on it has left with WEIR_ECLOSED (promise
 * P7).  Deliveries of it that were not kept are gone.  What was queued is
 * discarded and counted as WEIR_DROP_CLOSED, in `last` (the subscription's final
 * statistics, may be NULL) and in the broker's sums.
 *
 * Threads: any, once, also while another one receives from it or publishes.
 * Blocks as weir_subscribe, and until a receive under way has left.
 * Returns 0; WEIR_EINVAL: NULL.
 */
WEIR_API int weir_unsubscribe(weir_subscription *subscription, weir_subscription_statistics *last);

/*
 * weir_receive - take the next message, waiting for one up to `timeout` seconds
 * (0 = do not wait, WEIR_FOREVER).
 *
 * Threads: one at a time per subscription; a second one at once gets WEIR_EBUSY.
 * Owner: the delivery and its bytes are valid until the next receive on this
 * subscription or its end; weir_message_keep(delivery->message) makes the
 * message last longer.
 * Returns 0; WEIR_EAGAIN: none there, with a timeout of 0; WEIR_ETIMEDOUT;
 * WEIR_EINTR: weir_wake; WEIR_ESHUTDOWN: the broker is closed, or is draining
 * and nothing is left here; WEIR_ECLOSED: unsubscribed meanwhile; WEIR_EINVAL:
 * NULL, a timeout that is negative or not a number; WEIR_EDEADLK: virtual time,
 * would wait outside a simulated process.  `delivery` is untouched on failure.
 */
WEIR_API int weir_receive(weir_subscription *subscription, weir_delivery *delivery, double timeout);

/*
 * weir_receive_batch - take up to `count_max` messages that are there, waiting
 * for the first one only.  `count` gets how many were taken, at least 1.
 *
 * As weir_receive; all deliveries of the batch are valid until the next receive.
 * WEIR_EINVAL also: count_max is 0.
 */
WEIR_API int weir_receive_batch(weir_subscription *subscription, weir_delivery *deliveries,
	size_t count_max, double timeout, size_t *count);

/*
 * weir_wake - make a receiver return WEIR_EINTR: the one that waits now, or else
 * the next that would have to wait (once, however many wakes came before it).
 * A receive that finds a message is not interrupted.
 *
 * Threads: any, at once; not after weir_unsubscribe.  Never blocks.
 * Returns 0; WEIR_EINVAL: NULL.
 */
WEIR_API int weir_wake(weir_subscription *subscription);

/* The filter it was opened with; owned by the subscription.  NULL gives NULL. */
WEIR_API const char *weir_subscription_filter(const weir_subscription *subscription);

WEIR_END_DECLS

#endif
