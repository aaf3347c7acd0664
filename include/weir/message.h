/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message: immutable bytes under a topic's name, shared by all who receive it.
 *
 * A message is reference-counted.  Three ways make one: weir_publish copies
 * bytes, weir_loan lends a buffer of the library's to write into, and
 * weir_message_wrap takes a buffer of the caller's together with the function
 * that frees it.  Receivers see a message through a weir_delivery, which holds
 * a reference until the next receive; weir_message_keep makes it last longer.
 */
#ifndef WEIR_MESSAGE_H
#define WEIR_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <weir/api.h>
#include <weir/clock.h>

WEIR_BEGIN_DECLS

typedef struct weir_message weir_message;

/* Frees what weir_message_wrap was given.  Called exactly once, from whichever
 * thread drops the last reference, with no lock of the library held; often that
 * is a receiver inside its next receive, or a publisher inside its publish.  It
 * may call weir, but not on the subscription or publisher of that call, and neither
 * weir_unsubscribe nor weir_broker_close. */
typedef void weir_free_function(void *context, void *data);

/* The bytes.  `weir_message_buffer` is for the owner of a loan that has not been
 * published yet, to write into; NULL for any other message (it is immutable).
 * Threads: any that holds a reference.  NULL gives NULL, or a size of 0. */
WEIR_API const void *weir_message_data(const weir_message *message);
WEIR_API size_t weir_message_size(const weir_message *message);
WEIR_API void *weir_message_buffer(weir_message *message);

/* The topic's name; valid as long as the reference to the message.  NULL before
 * the message is published. */
WEIR_API const char *weir_message_topic(const weir_message *message);

/* The number of the message within its topic: 1 for the first one published on
 * it.  0 before it is published. */
WEIR_API uint64_t weir_message_sequence(const weir_message *message);

/* When it was published, in seconds of the broker's clock, before any wait for
 * room; 0.0 unless the broker was opened with `timestamps`. */
WEIR_API double weir_message_timestamp(const weir_message *message);

/* Its priority, as given to publish: lower is more urgent, 0 by default. */
WEIR_API int32_t weir_message_priority(const weir_message *message);

/* Its key, as given to publish; 0 if it has none. */
WEIR_API uint64_t weir_message_key(const weir_message *message);

/* When it expires, by the broker's clock; WEIR_FOREVER: never. */
WEIR_API double weir_message_expires_at(const weir_message *message);

/*
 * weir_message_keep - hold a message beyond the delivery that brought it, and
 * beyond its subscription, its publisher and its broker.
 *
 * Threads: any that holds a reference.  Never blocks.
 * Owner: the caller has one reference more, to be given back with
 * weir_message_release.  A kept message keeps the broker's memory alive, and a small one
 * that several subscriptions got the block that it shares with 15 others, of 2 or 4 KiB.
 * Returns 0; WEIR_EINVAL: NULL.
 */
WEIR_API int weir_message_keep(weir_message *message);

/*
 * weir_message_release - give back one reference: a kept message, or a loan or
 * wrap that was not published.  NULL is fine.  May call the free function of a
 * wrapped buffer.
 *
 * Threads: any.  Never blocks.
 */
WEIR_API void weir_message_release(weir_message *message);

WEIR_END_DECLS

#endif
