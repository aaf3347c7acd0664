/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Enqueue: messages into the queue of one subscription, by the queue's kind.
 */
#ifndef WEIRI_ENQUEUE_H
#define WEIRI_ENQUEUE_H

#include "core/subscription.h"

struct weiri_enqueued {
	size_t count;       /* taken; the rest was refused */
	size_t evicted;     /* older messages thrown out for them */
	bool no_memory;     /* refused for a limit of the broker or for want of memory */
	bool is_first_loss; /* an evicted message is the first that the subscription lost */
};

/*
 * Put up to `count` messages into the queue, throwing older ones out if that is
 * the policy; stops at the first that is refused.
 *
 * Threads: any, inside a section or with the subscription pinned.
 * Owner: one reference of each message that is taken is the queue's; evicted
 * messages go to `dead`.
 */
void weiri_enqueue(struct weir_subscription *subscription, struct weir_message **messages,
	size_t count, struct weiri_enqueued *enqueued, struct weiri_message_dead *dead);

/* The same for one message and a subscription that `is_dealt`.  Whether it was taken. */
bool weiri_enqueue_dealt(struct weir_subscription *subscription, struct weir_message *message);

/* Whether the queue would take the message now. */
bool weiri_enqueue_accepts(struct weir_subscription *subscription, struct weir_message *message);

/* Whether, by the policy, the publisher of a message that is refused is to wait. */
bool weiri_enqueue_may_wait(
	struct weir_subscription *subscription, const struct weir_message *message);

/*
 * A place that a message will take for sure, or will not need: reserve, then
 * commit or cancel, all in one section and by one thread.  A store stays locked
 * in between, so subscriptions are reserved in the order of their ids.
 */
struct weiri_reservation {
	bool is_hand;      /* in the hand of a receiver that waits */
	uint64_t position; /* in the ring */
};

/* Returns 0; WEIR_EFULL; WEIR_ENOMEM: no memory, or a limit in bytes of the broker. */
int weiri_reserve(struct weir_subscription *subscription, const struct weir_message *message,
	struct weiri_reservation *reservation);
void weiri_reserve_commit(struct weir_subscription *subscription, struct weir_message *message,
	const struct weiri_reservation *reservation, struct weiri_enqueued *enqueued,
	struct weiri_message_dead *dead);
/* Whether a reservation could succeed now; takes nothing. */
bool weiri_reserve_could(struct weir_subscription *subscription, struct weir_message *message);
void weiri_reserve_cancel(struct weir_subscription *subscription,
	const struct weir_message *message, const struct weiri_reservation *reservation);

/* Messages have left the queue: their bytes no longer count. */
void weiri_dequeue_note(
	struct weir_subscription *subscription, void *const *messages, size_t count);

#endif
