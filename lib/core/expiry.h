/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expiry: messages whose time to live is over.
 *
 * What comes out of a queue, or up for another attempt, passes weiri_hand_over_look
 * or weiri_message_is_expired before a receiver gets it, so none is handed out at
 * its time or later.
 *
 * A subscription with `expire_at_once` also has them taken out of its queue, a
 * store, which keeps a heap by expiry, by a timer: the broker's timer thread, or an
 * event of the simulation.  The timer is moved only to earlier times; one that
 * finds nothing is set anew.
 */
#ifndef WEIRI_EXPIRY_H
#define WEIRI_EXPIRY_H

#include "core/extra.h"
#include "delivery/ledger.h"

struct weir_subscription;
struct weir_subscription_options;

/* What a subscription with `expire_at_once` has for it. */
struct weiri_expiry {
	struct weiri_timer timer; /* first: found from it */
	struct weir_subscription *subscription;
	double time; /* what it is started for; WEIR_FOREVER: nothing.  Under the store's mutex */
};

/* Returns 0, WEIR_ENOMEM, WEIR_ELIMIT or WEIR_ESYSTEM; nothing if not asked for. */
int weiri_expiry_open(
	struct weir_subscription *subscription, const struct weir_subscription_options *options);

/* Nothing of it runs any more.  No lock held, no section open; nothing if there is none. */
void weiri_expiry_close(struct weir_subscription *subscription);

/* A message that expires then is in the queue, whose store is locked, or in the hand. */
void weiri_expiry_note(struct weir_subscription *subscription, double time);

static inline bool weiri_message_is_expired(const struct weir_message *message, double now)
{
	return weiri_message_has_extra(message) && weiri_message_extra(message)->expires <= now;
}

/*
 * A message has expired in this subscription, before it was handed out (with no
 * attempts) or between attempts: to the dead-letter topic, or away; counted.  The
 * subscription's reference is taken.
 * Returns what is to be given to weiri_dead_letter_finish, as weiri_dead_letter_publish
 * does, or NULL.
 * Threads: any; no lock held, no section open, the subscription cannot go.
 */
struct weir_publisher *weiri_expire(
	struct weir_subscription *subscription, const struct weiri_exhausted *expired);

/* Around taking messages out of the queue of a subscription whose expired ones become
 * dead letters: until the end a drain counts it as not empty. */
void weiri_expiry_begin(struct weir_subscription *subscription);
void weiri_expiry_end(struct weir_subscription *subscription);

/* One was taken out of the queue, or the hand, by the receiver or in its place, and
 * will not be handed out.  After the taking. */
void weiri_expiry_count_taken(struct weir_subscription *subscription);

/* weiri_hand_over_look from the first of them that has an extra. */
size_t weiri_hand_over_extras(
	struct weir_subscription *subscription, void **messages, size_t count);

/* Messages are about to be handed out by a receive without acknowledgements: those
 * that have expired are taken out.  Returns how many are left.  No lock held. */
static inline size_t weiri_hand_over_look(
	struct weir_subscription *subscription, void **messages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (weiri_message_has_extra(messages[i]))
			return i + weiri_hand_over_extras(subscription, messages + i, count - i);
	return count;
}

#endif
