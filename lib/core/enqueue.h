/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Enqueue: messages into the queue of one subscription, by the queue's kind.
 */
#ifndef WEIRI_ENQUEUE_H
#define WEIRI_ENQUEUE_H

#include "core/subscription.h"

struct weiri_enqueued {
	size_t count;   /* taken; the rest was refused */
	size_t evicted; /* older messages thrown out for them */
	bool no_memory; /* refused for a limit of the broker or for want of memory */
};

/*
 * Put up to `count` messages into the queue, throwing older ones out if that is
 * the policy; stops at the first that is refused.
 *
 * Threads: any, inside a section or with the subscription pinned.
 * Owner: one reference of each message that is taken is the queue's.
 */
void weiri_enqueue(struct weir_subscription *subscription, struct weir_message **messages,
	size_t count, struct weiri_enqueued *enqueued);

/* Whether the queue would take the message now. */
bool weiri_enqueue_accepts(struct weir_subscription *subscription, struct weir_message *message);

/* Whether the message would fit into the queue if it were empty. */
bool weiri_enqueue_fits(struct weir_subscription *subscription, const struct weir_message *message);

/* Whether the policy must not drop it. */
bool weiri_enqueue_protects(
	const struct weir_subscription *subscription, const struct weir_message *message);

/* Messages have left the queue: their bytes no longer count. */
void weiri_dequeue_note(
	struct weir_subscription *subscription, void *const *messages, size_t count);

#endif
