/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extra: what only few messages have besides their header, so that the others pay
 * for nothing but a look at their flags.
 *
 * It stands at the end of the message's block, where it is found from the size of
 * the block alone, whatever the payload is: copied, wrapped or apart.
 *
 *   | header | payload ...  (or weiri_wrap)          | extra |
 *
 * A loan whose bytes leave no room for it is carried: another message, which has
 * one, stands for it, and wraps its bytes.
 */
#ifndef WEIRI_EXTRA_H
#define WEIRI_EXTRA_H

#include "core/message.h"
#include <weir/publisher.h>

struct weiri_ticket;

struct weiri_extra {
	double expires;              /* WEIR_FOREVER: never */
	struct weiri_ticket *ticket; /* of a confirm, with WEIRI_MESSAGE_TICKET */
};

/* Of a message with WEIRI_MESSAGE_EXTRA. */
static inline struct weiri_extra *weiri_message_extra(const struct weir_message *message)
{
	size_t room = WEIRI_POOL_PAYLOAD_MIN << message->size_class;

	return (struct weiri_extra *)(void *)((char *)(uintptr_t)(message + 1) + room -
					      sizeof(struct weiri_extra));
}

static inline bool weiri_message_has_extra(const struct weir_message *message)
{
	return (message->flags & WEIRI_MESSAGE_EXTRA) != 0;
}

/* When it expires. */
static inline double weiri_message_expires(const struct weir_message *message)
{
	return weiri_message_has_extra(message) ? weiri_message_extra(message)->expires
						: WEIR_FOREVER;
}

/* Whether a publish with these options needs messages with extras. */
static inline bool weiri_extra_is_asked_for(const weir_publish_options *options)
{
	return options->ttl != 0 || options->expires_at != 0 || options->confirm != NULL;
}

/* Give the message an extra, in which nothing is set; its block has room. */
void weiri_extra_begin(struct weir_message *message);

/* The loan with an extra, or a message that carries it; NULL: no memory.  Threads:
 * the publisher's. */
struct weir_message *weiri_extra_provide(struct weir_message *loan);

/* The message that was provided for the loan was not published: undo it. */
void weiri_extra_withdraw(struct weir_message *provided, struct weir_message *loan);

#endif
