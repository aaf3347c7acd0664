/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acks: what a subscription with acknowledgements has besides its queue: a ledger
 * of what is handed out, and what becomes of messages that fail.
 *
 * Locks: the ledger's mutex, inside the registry's or alone.  Under it: queues are
 * popped, timers started, receivers woken.  Not under it: messages are released
 * and dead letters published, for that may call the user.
 */
#ifndef WEIRI_ACKS_H
#define WEIRI_ACKS_H

#include <weir/acknowledge.h>

#include "delivery/ledger.h"

struct weir_message;
struct weiri_message_dead;

struct weiri_acks {
	struct weiri_ledger *ledger;
	weir_ack_mode mode;
	double timeout;
	bool is_from_publish;
	uint64_t taken; /* out of the queue, ever; the receiver's, under the ledger's mutex */
	struct weiri_handed *handed; /* of the last receive, as many as held_size */
	size_t handed_size;
	struct weiri_handed handed_one;     /* for want of memory for more */
	_Atomic uint64_t redriven;          /* dead letters that came back */
	struct weiri_waiter *_Atomic armed; /* who waits for room in the window, too */
};

/* Whether the options about acknowledgements are in range. */
bool weiri_acks_options_are_valid(
	const struct weir_broker *broker, const weir_subscription_options *options);

/* Registry's lock held.  Acks for the subscription, if its options ask for any.
 * Returns 0, WEIR_ENOMEM, WEIR_ELIMIT or WEIR_ESYSTEM. */
int weiri_acks_open(
	struct weir_subscription *subscription, const weir_subscription_options *options);

/* The same for a member of a group, that hands out of the ledger of its core: where
 * there is one.  Returns 0 or WEIR_ENOMEM. */
int weiri_acks_open_member(struct weir_subscription *subscription);
void weiri_acks_close_member(struct weir_subscription *subscription);

/* Registry's lock held.  After weiri_acks_discard, or where nothing was received
 * yet; nothing if there are none. */
void weiri_acks_close(struct weir_subscription *subscription);

/* What was noted of the last receive. */
void weiri_acks_handed_free(struct weiri_acks *acks, const weir_allocator *allocator);

/* A timer of the ledger has come: by the timer thread, or outside any process, and then
 * it is about one entry. */
void weiri_acks_due(struct weiri_ledger *ledger);

/* Every token is stale from now on, and what was in flight is released; returns
 * how many that were.  No lock held. */
uint64_t weiri_acks_discard(struct weir_subscription *subscription);

/* The receiver's: take up to `count_max` messages, returned ones or new ones, as
 * far as the window allows, into held and handed; what has expired is left out. */
size_t weiri_acks_take(struct weir_subscription *subscription, size_t count_max);

/* Whether that would take any. */
bool weiri_acks_can_take(struct weir_subscription *subscription);

/* Whether the window has room for a new message. */
bool weiri_acks_have_room(struct weir_subscription *subscription);

/* Messages waiting for the receiver or for its acknowledgement. */
uint64_t weiri_acks_count(struct weir_subscription *subscription);

/* WEIR_ACK_AUTO: acknowledge what the last receive handed out. */
void weiri_acks_auto(struct weir_subscription *subscription);

/* Fill in a delivery of a message that is held, settled by now or not. */
void weiri_acks_describe(
	struct weir_subscription *subscription, size_t index, weir_delivery *delivery);

/* ---- For the verbs (acknowledge.c) ---- */

/* Ledger's mutex held: tell the receiver that it may take something now. */
void weiri_acks_tell(struct weir_subscription *subscription);

/* Ledger's mutex held: what a returned message that goes to the back stands behind. */
uint64_t weiri_acks_behind(struct weir_subscription *subscription);

/* Ledger's mutex held: messages were settled, in a window that was full or not. */
void weiri_acks_settled(struct weir_subscription *subscription, bool was_full);

/* Ledger's mutex held: an unsubscribe and a close wait from now on until the leave,
 * for which no lock is held.  In between, nothing of the user's runs that could
 * unsubscribe: it would wait for itself. */
void weiri_acks_enter(struct weir_subscription *subscription);
void weiri_acks_leave(struct weir_subscription *subscription);

/* A message failed for good: to the dead-letter topic, aside, or away.  No lock held, after
 * weiri_acks_enter, which ends here.  Value and text are taken. */
void weiri_acks_exhausted(
	struct weir_subscription *subscription, struct weiri_exhausted *exhausted);

/* Acknowledge up to `count` tokens of one ledger; the messages go to `dead`.
 * Returns how many were not stale. */
size_t weiri_acks_acknowledge(struct weiri_ledger *ledger, const struct weiri_token *tokens,
	size_t count, struct weiri_message_dead *dead);

/* Acknowledge up to `count` of the holder's hand-overs before that of this generation,
 * the earliest first.  Returns how many. */
size_t weiri_acks_acknowledge_earlier(struct weiri_ledger *ledger, const void *holder,
	uint64_t generation, size_t count, struct weiri_message_dead *dead);

/* Add to the statistics. */
void weiri_acks_statistics_read(
	struct weir_subscription *subscription, weir_subscription_statistics *statistics);

#endif
