/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain publish: what nearly every publish is, in a straight line.  One message,
 * without options, by a publisher without a rate, to subscriptions whose queues are
 * plain rings, or the lanes of a group whose store is plain, and that nobody watches
 * (`is_plain` of the snapshot).
 *
 * It does what an ordinary publish does (core/publish.h), in the same order, and becomes
 * one at the first queue that is full, and at the first place that is empty.
 */
#ifndef WEIRI_PUBLISH_PLAIN_H
#define WEIRI_PUBLISH_PLAIN_H

#include "core/publish.h"

/* If the publisher's next message can be published so: its topic's snapshot, inside a
 * section that has begun.  Else NULL, and nothing was done. */
static inline struct weiri_snapshot *weiri_publish_plain_begin(struct weir_publisher *publisher)
{
	struct weir_broker *broker = publisher->broker;
	struct weiri_snapshot *snapshot;

	if (!weiri_load_relaxed(&publisher->topic->is_plain) || publisher->bucket.rate != 0)
		return NULL;
	weiri_reclaim_begin(publisher->member);
	snapshot = weiri_load_acquire(&publisher->topic->snapshot); /* S2 */
	if (snapshot->is_plain && snapshot->blocking <= publisher->blocked_size &&
		weiri_load_acquire(&broker->state) == WEIRI_BROKER_RUNNING)
		return snapshot;
	weiri_reclaim_end(&broker->registry.reclaim, publisher->member);
	return NULL;
}

/* Publish it, and end the section.  Takes the message, and returns as weir_publish;
 * `receipt` may be NULL. */
int weiri_publish_plain(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message, weir_receipt *receipt);

/* Whether any of the receivers may have gone to sleep. */
static inline bool weiri_publish_sleeps(struct weiri_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription != NULL && weiri_load_relaxed(&subscription->sleeps))
			return true;
	}
	return false;
}

/* After the pushes to all of a plain snapshot: wake the receivers that wait; see the top of
 * receive.c. */
static inline void weiri_publish_wake_plain(struct weiri_snapshot *snapshot)
{
	/* M4 (pairs with M3): the light half. */
	weiri_fence_compiler();
	if (!weiri_publish_sleeps(snapshot))
		return;
	weiri_fence_full(); /* M2 */
	weiri_publish_wake_all(snapshot);
}

#endif
