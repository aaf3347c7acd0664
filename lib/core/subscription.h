/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscription: a filter, a ring, and the one who receives from it.
 *
 *   publishers --push--> [ queue ] --pop--> receiver
 *        |                                     |
 *        +--waits in `room` while full         +--waits in `waiter` while empty,
 *                                                 announced in `armed`
 *
 * Who touches what:
 *   queue        publishers push inside a section; the receiver alone pops, or
 *                whoever closes the subscription after the receiver has left
 *   armed        the receiver sets and clears it; publishers read it after a push
 *   attention    one word for all that the receiver must look at besides
 *                messages; zero in ordinary times, so it costs one load
 *   receiving    1 while a receive is under way
 *   pins         publishers that wait here, outside a section
 *
 * Who frees it: weir_unsubscribe, after receiving and pins have become zero.  In
 * virtual time it cannot wait for them (there is one thread), so there the last
 * one out frees it (`is_orphan`).
 */
#ifndef WEIRI_SUBSCRIPTION_H
#define WEIRI_SUBSCRIPTION_H

#include "base/always_inline.h"
#include "base/fence.h"
#include "core/acks.h"
#include "core/broker.h"
#include "core/levels.h"
#include "core/message.h"
#include "core/room.h"
#include "core/watermark.h"
#include "queue/queue.h"
#include <weir/subscription.h>

struct weir_subscription;
struct weiri_group;
struct weiri_group_member;

/* core/group.h: what a member held without acknowledgements is done with. */
void weiri_group_release(struct weir_subscription *subscription);

enum {
	WEIRI_ATTENTION_INTERRUPT = 1, /* weir_wake; goes with the receive that returns it */
	WEIRI_ATTENTION_ROOM = 2,      /* publishers stand in line */
	WEIRI_ATTENTION_DRAINING = 4,
	WEIRI_ATTENTION_SHUTDOWN = 8, /* the broker is closed */
	WEIRI_ATTENTION_CLOSED = 16,  /* unsubscribed */
};

struct weir_subscription {
	/* Set at the start, then only read (the list under the registry's lock). */
	struct weir_broker *broker;
	uint64_t id;
	weir_overflow overflow;
	weir_wait wait;
	/* A ring, in real time, and no receive publishes dead letters: pushing is all
	 * there is to a publish. */
	bool is_simple;
	bool is_plain; /* and so are all receives of one message (core/receive_plain.h) */
	/* A group's core, whose store is plain: messages go right into members' lanes. */
	bool is_dealt;
	bool has_wildcard;
	bool has_ageing;
	bool counts_bytes; /* its queue counts for the broker's limit in bytes */
	bool protect;      /* messages up to protect_priority are never dropped */
	bool is_watched;   /* by watermarks, or by levels */
	bool dead_letter_expired;
	int32_t protect_priority;
	int32_t class_last; /* of its priority classes; INT32_MAX: any priorities */
	uint32_t filter_length;
	uint64_t capacity_bytes; /* 0: no limit */
	uint64_t high_watermark; /* 0: none */
	uint64_t low_watermark;
	struct weiri_levels *levels; /* NULL: not counted */
	struct weiri_topic *literal; /* the topic of a filter without wildcards */
	struct weiri_acks *acks;     /* NULL: handing over is all */
	struct weiri_expiry *expiry; /* NULL: what has expired is noticed in its turn */
	/* In a group (core/group.h): that, and the subscription that messages come
	 * through; NULL, and itself. */
	struct weiri_group *group;
	struct weiri_group_member *member; /* NULL: it is no member of one */
	struct weir_subscription *core;
	char *dead_letter_topic; /* or NULL */
	size_t dead_letter_topic_size;
	struct weir_subscription *next;
	struct weir_subscription *previous;

	/* Written once or twice in its life. */
	struct weir_subscription *next_lossy; /* of the publish that lost its first message */
	struct weir_subscription *next_sink;
	_Atomic uint64_t delivered_last; /* plus 1, once discarding has begun; or 0 */

	/* Read by all, rarely written. */
	_Alignas(WEIRI_CACHE_LINE) _Atomic uint32_t attention;
	_Atomic uint32_t pins;
	struct weiri_waiter *_Atomic armed;
	/* Whether publishers have to look at `armed`: its receiver sleeps now and then.
	 * Written by the receiver, by the rules at the top of receive.c. */
	_Atomic bool sleeps;
	/* Virtual time: a message that finds the receiver in line goes into its
	 * hand, and takes no room in the queue. */
	struct weir_message *hand;
	uint64_t handed;          /* ever */
	_Atomic uint64_t lost;    /* messages that the receiver will never see */
	_Atomic uint64_t refused; /* of them: never in the queue */
	bool is_orphan;
	bool is_sink;              /* dead letters of others may come; set before DRAINING */
	bool is_stopped;           /* no publisher knows it any more; under the registry's lock */
	_Atomic uint32_t expiring; /* calls that make dead letters of expired ones */

	/* Written when something is lost: by reason. */
	_Alignas(WEIRI_CACHE_LINE) _Atomic uint64_t dropped[WEIR_DROP_REASONS];

	/* The receiver's. */
	_Alignas(WEIRI_CACHE_LINE) _Atomic uint32_t receiving;
	uint32_t held_count;
	uint32_t held_size;
	uint32_t waits_awake; /* since the last sleep: it was not needed for them */
	void **held;          /* what the last receive handed out */
	void *held_one;
	uint64_t lost_seen;              /* losses that the receiver was told of */
	struct weir_publisher *deferred; /* has hooks to call when the receive has left */
	uint32_t select_next;            /* where a fair select that begins with it looks first */
	/* For inline messages (core/inline.h): how many others are taken until it gets a
	 * pool (0: that was looked at, or never); that, or NULL; whether the last one was
	 * such a message, and, if the last take found nothing, whether that was for want of
	 * memory for the next one, which is in the queue still. */
	uint16_t inline_after;
	bool expects_inline;
	bool no_memory;
	struct weiri_pool *pool;
	struct weiri_pool_chain chain;

	struct weiri_waiter *waiter; /* the broker's; lent for the subscription's life */
	struct weiri_room room;
	struct weiri_watermark watermark;
	_Atomic uint64_t dead_lettered;
	_Atomic uint64_t expired;       /* and not dead-lettered */
	_Atomic uint64_t expired_taken; /* taken by the receiver, to be handed out to nobody */
	struct weiri_queue queue;
	char filter[];
};

/* One that is idle is to take no more than 1 KiB and its queue, all in all (W9 of the
 * benchmarks), and 128 bytes go to its filter, waiter and topics' snapshots. */
_Static_assert(sizeof(struct weir_subscription) <= 896, "an idle subscription is small");

static inline void weiri_attention_set(struct weir_subscription *subscription, uint32_t bits)
{
	(void)weiri_or_acq_rel(&subscription->attention, bits);
}

static inline void weiri_attention_clear(struct weir_subscription *subscription, uint32_t bits)
{
	(void)weiri_and_acq_rel(&subscription->attention, ~bits);
}

/* Wake the receiver if it waits.  Call it inside a section or with the
 * subscription pinned or locked.  The caller has passed a full fence since it
 * made the reason true.  Returns whether it was this call that woke it. */
bool weiri_subscription_wake(struct weir_subscription *subscription);

/* Whether the receiver is announced as waiting.  As weiri_subscription_wake. */
bool weiri_subscription_is_waiting(struct weir_subscription *subscription);

/* After bits were set in `attention`, and a heavy fence: wake the receiver and
 * the publishers in line, so that they see them. */
void weiri_subscription_tell(struct weir_subscription *subscription);

/* After SHUTDOWN or CLOSED and a grace period, when no receive is under way (or in virtual
 * time): release what is queued; returns how many.  Not with a lock held. */
uint64_t weiri_subscription_discard(struct weir_subscription *subscription);

/* Keep the subscription's memory while waiting outside a section; pin inside one. */
static inline void weiri_subscription_pin(struct weir_subscription *subscription)
{
	(void)weiri_add_relaxed(&subscription->pins, 1);
}

/* Tell the user of the first loss, and unpin.  No lock held, no section open. */
void weiri_subscription_tell_loss(struct weir_subscription *subscription);

/* Whether it can make a publisher wait. */
static inline bool weiri_subscription_can_block(const struct weir_subscription *subscription)
{
	return subscription->overflow == WEIR_OVERFLOW_BLOCK || subscription->protect;
}

/* The caller must not touch the subscription after it. */
void weiri_subscription_unpin(struct weir_subscription *subscription);

/* Virtual time: free the subscription if it is closed and nobody is inside. */
void weiri_subscription_orphan_check(struct weir_subscription *subscription);

/* Release what the last receive handed out.  The receiver, or whoever closes. */
static WEIRI_ALWAYS_INLINE void weiri_subscription_held_release(
	struct weir_subscription *subscription)
{
	if (subscription->acks != NULL)
		weiri_acks_auto(subscription);
	else if (subscription->member != NULL)
		weiri_group_release(subscription);
	for (uint32_t i = 0; i < subscription->held_count; i++)
		weiri_message_unref_held(
			subscription->held[i], &subscription->chain, subscription->pool);
	subscription->held_count = 0;
}

/* Subscriptions and cores: to the end, with all that is in it; `last` may be NULL.  No
 * lock held. */
void weiri_subscription_close(
	struct weir_subscription *subscription, weir_subscription_statistics *last);

/* Registry's lock held: make it known to nobody, and tell those who wait in it. */
void weiri_subscription_stop(struct weir_subscription *subscription);

/* A subscription that nobody knows yet, or NULL: *error says why.  A member of a group
 * has no queue to speak of; a core has group and acks already. */
struct weir_subscription *weiri_subscription_make(struct weir_broker *broker, const char *filter,
	size_t length, const weir_subscription_options *options, int *error);
void weiri_subscription_free(struct weir_subscription *subscription);

/* Threads: any. */
void weiri_subscription_statistics_read(
	struct weir_subscription *subscription, weir_subscription_statistics *statistics);

/* Messages waiting for the receiver, and those that are becoming dead letters, having
 * expired. */
static inline uint64_t weiri_subscription_waiting(struct weir_subscription *subscription)
{
	uint64_t queued = weiri_queue_count(&subscription->queue);

	/* X6: after the queue, so that what has left that is found in here. */
	return queued + weiri_load_acquire(&subscription->expiring) +
	       (subscription->hand != NULL ? 1 : 0);
}

/* Messages waiting for the receiver, or for its acknowledgement.  Not with the
 * ledger's mutex held. */
static inline uint64_t weiri_subscription_count(struct weir_subscription *subscription)
{
	subscription = subscription->core;
	if (subscription->acks != NULL)
		return weiri_acks_count(subscription);
	return weiri_subscription_waiting(subscription);
}

/* `count` messages are lost, for this reason; `refused` of them never were in
 * the queue.  Returns whether they are the first ones ever, which the caller sees
 * to being told (weiri_subscription_tell_loss).  Threads: any. */
bool weiri_subscription_lose(
	struct weir_subscription *subscription, weir_drop reason, uint64_t count, uint64_t refused);

#endif
