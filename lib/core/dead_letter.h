/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dead letter: a message that failed for good, published again on the topic that
 * its subscription names for that.
 *
 * The dead letter shares the bytes of the original, which it holds; what happened
 * to it stands behind its header.  It is published without waiting for room, for
 * the timer thread may be the one that does it.
 */
#ifndef WEIRI_DEAD_LETTER_H
#define WEIRI_DEAD_LETTER_H

#include "core/message.h"
#include <weir/acknowledge.h>

struct weiri_exhausted;
struct weir_publisher;
struct weir_subscription;

/* In the payload of the dead letter; the strings of `letter` follow. */
struct weiri_dead_letter {
	struct weiri_wrap wrap; /* first, as in every wrapped message; its context: the original */
	weir_dead_letter letter;
	uint32_t ledger;              /* the failing subscription's, or 0 */
	_Atomic uint32_t is_redriven; /* sent back, or about to be: by one of all who got it */
	char text[];
};

/* Of a message; NULL: it is no dead letter. */
static inline struct weiri_dead_letter *weiri_message_letter(struct weir_message *message)
{
	return message->flags & WEIRI_MESSAGE_DEAD_LETTER ? weiri_message_payload(message) : NULL;
}

/* Publish a message that failed for good to the subscription's dead-letter topic,
 * which there is, by a publisher that is borrowed for it, and count it.  Returns 0:
 * the reference is taken; else the error of the publish, and it is the caller's.
 * *publisher, if not NULL, is to be given to weiri_dead_letter_finish when nothing of
 * the subscription is in use any more, for that calls the hooks of those that got the
 * letter.  No lock held, no section open. */
int weiri_dead_letter_publish(struct weir_subscription *subscription,
	const struct weiri_exhausted *exhausted, struct weir_publisher **publisher);
void weiri_dead_letter_finish(struct weir_publisher *publisher);

/* Two of them of one subscription, or NULL, become one, and the other is given back. */
struct weir_publisher *weiri_dead_letter_join(
	struct weir_publisher *first, struct weir_publisher *second);

#endif
