/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Confirm: tickets of messages whose publisher wants to know what becomes of them.
 *
 * A ticket counts shares: one for each subscription that the message matched, and one
 * of the publisher's until the publish is over.  Whoever ends a subscription's share
 * of a message says how (weiri_message_settle).  A good end takes the share away, and
 * the last one confirms; the first bad end fails the whole message at once.  So what
 * happens to a share after a bad end (a dead letter that is sent back and then
 * acknowledged) finds the outcome decided.
 *
 *   PENDING --last good end / bad end / deadline--> DECIDED --told--> TOLD
 *
 * With one timeout a confirm's deadlines come in the order of its tickets, so a list
 * and one timer do.  The timer also tells: shares end under locks of all kinds, and
 * the user is called with none.
 *
 * Who holds a ticket: its message and its publish (or the delayed one that stands for
 * it), and the list of those to be told.  Who holds a confirm: its owner, its tickets,
 * and a telling under way.  Locks: a confirm's mutex is taken under any other, and the
 * timers' under it.
 */
#ifndef WEIRI_CONFIRM_H
#define WEIRI_CONFIRM_H

#include "core/extra.h"
#include "core/message.h"
#include <weir/confirm.h>

struct weiri_ticket;

/* A ticket for the message, which has an extra, and is going to be published.  Returns
 * 0; WEIR_EINVAL: they are of different brokers; WEIR_ENOMEM, WEIR_ELIMIT or
 * WEIR_ESHUTDOWN. */
int weiri_confirm_begin(struct weir_confirm *confirm, uint64_t tag, struct weir_message *message);

/* It was not published: there was no ticket. */
void weiri_confirm_withdraw(struct weir_message *message);

/* That of a message; NULL: none. */
static inline struct weiri_ticket *weiri_message_ticket(const struct weir_message *message)
{
	return message->flags & WEIRI_MESSAGE_TICKET ? weiri_message_extra(message)->ticket : NULL;
}

/* The publish is over, or has failed for good; the ticket may be gone then.  NULL is
 * fine. */
void weiri_ticket_published(struct weiri_ticket *ticket, bool is_good);

/* The message is about to be put into so many queues. */
void weiri_ticket_stamp(struct weiri_ticket *ticket, uint64_t sequence, uint32_t shares);

/* `count` shares have ended. */
void weiri_ticket_settle(struct weiri_ticket *ticket, uint32_t count, bool is_good);

/* The message is gone.  No lock held. */
void weiri_ticket_release(struct weiri_ticket *ticket);

/* Shares of subscriptions in the message have ended, well or not.  While one of its
 * references is held.  Threads: any; any lock may be held, a section open. */
static inline void weiri_message_settle(
	const struct weir_message *message, uint32_t count, bool is_good)
{
	if (message->flags & WEIRI_MESSAGE_TICKET)
		weiri_ticket_settle(weiri_message_extra(message)->ticket, count, is_good);
}

struct weir_broker;

/* Registry's lock held, the broker is closed: waits return. */
void weiri_confirms_stop(struct weir_broker *broker);

/* After all queues were emptied: what has no outcome has failed, and is told.  No lock
 * held. */
void weiri_confirms_finish(struct weir_broker *broker);

#endif
