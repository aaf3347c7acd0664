/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publisher: what one publishing thread has to itself (a pool, a place among the
 * readers of snapshots, a waiter, counters), bound to a topic; or, for publishes
 * by name, "floating": lent by the broker to one call at a time.
 */
#ifndef WEIRI_PUBLISHER_H
#define WEIRI_PUBLISHER_H

#include "core/broker.h"
#include "core/enqueue.h"
#include "core/message.h"
#include "core/room.h"
#include "flow/bucket.h"
#include <weir/publisher.h>

/* A subscription that was full and whose policy is to wait. */
struct weiri_blocked {
	struct weir_subscription *subscription; /* pinned; NULL once it is done */
	size_t pushed;                          /* of the messages of this publish */
	struct weiri_room_place place;
	struct weiri_reservation reservation; /* all or nothing: in its queue */
};

struct weir_publisher {
	struct weir_broker *broker;
	struct weiri_topic *topic; /* NULL: floating */
	struct weiri_pool *pool;
	struct weiri_reclaim_member *member;
	double timeout;
	weir_wait wait;
	uint32_t crates_pause;      /* so many messages more go into none (core/crate.h) */
	struct weiri_bucket bucket; /* its rate; 0: no limit */

	struct weiri_blocked *blocked; /* as many as any snapshot had that could block */
	size_t blocked_size;
	struct weiri_waiter waiter;
	struct weiri_topic *hooks_topic; /* where hooks may be due, held; or NULL */

	/* In the registry's list, under its lock; floating: also in the idle list. */
	struct weir_publisher *next;
	struct weir_publisher *previous;
	struct weir_publisher *next_idle;

	_Alignas(WEIRI_CACHE_LINE) struct weiri_publish_counters counters;
};

/* Floating publishers: taken for one call; NULL: no memory. */
struct weir_publisher *weiri_publisher_borrow(struct weir_broker *broker);
void weiri_publisher_give_back(struct weir_publisher *publisher);

/* Registry's lock held, nobody uses it any more: all but the broker's memory. */
void weiri_publisher_end(struct weir_publisher *publisher);

/* What the publish options say about the publish as a whole. */
struct weiri_publish_terms {
	double deadline; /* for waiting for room */
	bool want_fill;
	bool all_or_nothing;
	const weir_publish_options *special; /* if there is more to them; else NULL */
	const uint64_t *id;                  /* of the one message; NULL: none */
	bool until_closed;                   /* publish also while the broker drains */
	bool defers_hooks;                   /* weiri_publish_hooks will be called */
};

/* Whether the options are in range. */
bool weiri_publish_options_are_valid(const weir_publish_options *options);

/* Messages that a publish has taken: those that went out, or will. */
static inline uint64_t weiri_receipt_taken(const weir_receipt *receipt)
{
	return receipt->published + receipt->delayed;
}

/* Whether it is to be given to the caller.  A number without a message is that of the
 * first one with its id. */
static inline bool weiri_receipt_tells(const weir_receipt *receipt)
{
	return weiri_receipt_taken(receipt) > 0 || receipt->refused_by != 0 ||
	       receipt->sequence != 0;
}

static inline void weiri_receipt_give(weir_receipt *receipt, const weir_receipt *sum)
{
	if (receipt != NULL && weiri_receipt_tells(sum))
		*receipt = *sum;
}

/* A message with a copy of these bytes, not published yet: 0, or WEIR_EINVAL, WEIR_EFORK,
 * WEIR_ESHUTDOWN, WEIR_ENOMEM. */
int weiri_message_copy(struct weir_publisher *publisher, const void *data, size_t size,
	const weir_publish_options *options, struct weir_message **message);

/*
 * Put 1..WEIRI_PUBLISH_MAX messages, each with one reference, into the queues
 * that match the topic, and say what became of them in the receipt, which is
 * all zero before.
 *
 * Owner: the messages are taken if weiri_receipt_taken of it is not zero then.
 * Returns as weir_publish.
 */
#define WEIRI_PUBLISH_MAX 64
int weiri_publish(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt);

/* Call the on_slow hooks that a publish of this publisher has deferred. */
void weiri_publish_hooks(struct weir_publisher *publisher);

/* Those of a publish with these options, by this publisher. */
struct weiri_publish_terms weiri_publish_terms(
	struct weir_publisher *publisher, const weir_publish_options *options);

/*
 * Publish one message of this floating publisher on the topic of that correct
 * name, which is made if need be.  As weiri_publish; without a receipt it is 0
 * whenever the message was published.
 */
int weiri_publish_named(struct weir_publisher *publisher, const char *name,
	struct weir_message *message, const struct weiri_publish_terms *terms,
	weir_receipt *receipt);

#endif
