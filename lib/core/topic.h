/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topic: a name, its message counter, and the subscriptions that match it.
 *
 * The subscriptions stand in a snapshot: an array that a publisher reads without
 * a lock inside an epoch section (core/reclaim.h).  A subscription is added by
 * putting a new snapshot in the old one's place; one that leaves is replaced in
 * the same way or, when there is no memory for that, by NULL in its place, so
 * that leaving never fails.  Only holders of the registry's lock do either.
 *
 * References: the registry, each publisher bound to the topic, each pool, and
 * each message that was published by name.  The registry's lock is not needed
 * to hold or to drop one.
 */
#ifndef WEIRI_TOPIC_H
#define WEIRI_TOPIC_H

#include "base/allocator.h"
#include "base/atomics.h"

struct weir_broker;
struct weir_subscription;
struct weiri_dedupe;

/*
 * Who publishes.  As long as one bound publisher is the only one to do so, what only the
 * topic's publishers write (its sequence, and the tails of rings whose subscriptions have
 * no wildcard) is only its own, and is written without locked instructions, inside its
 * sections.  A second one, or the first publish by name, ends that for good, and waits
 * for a grace period before it publishes.
 */
enum {
	WEIRI_TOPIC_SOLE,
	WEIRI_TOPIC_SHARING, /* no section may begin to rely on it any more */
	WEIRI_TOPIC_SHARED,
};

struct weiri_snapshot {
	size_t count;    /* places, including empty ones */
	size_t bytes;    /* of this allocation */
	size_t blocking; /* subscriptions that can make a publisher wait */
	bool is_plain;   /* there are some, all as core/publish_plain.h wants them */
	bool is_own;     /* all are rings that no other topic's publishers push to */
	bool is_dense;   /* all hold what followed each other, and nobody counts bytes */
	struct weir_subscription *_Atomic subscriptions[];
};

/* Sums of what publishes on a topic did. */
struct weiri_publish_counters {
	_Atomic uint64_t published;
	_Atomic uint64_t matched;
	_Atomic uint64_t enqueued;
	_Atomic uint64_t dropped;
};

/* By the only one who adds to it. */
static inline void weiri_publish_counter_add(_Atomic uint64_t *counter, uint64_t count)
{
	/* One writer: a load and a store will do. */
	weiri_store_relaxed(counter, weiri_load_relaxed(counter) + count);
}

/* Two lines, if the name is short: what publishers read, and what they write. */
struct weiri_topic {
	struct weir_broker *broker;
	struct weiri_snapshot *_Atomic snapshot; /* never NULL */
	struct weiri_snapshot *prepared;         /* under the registry's lock, or NULL */
	uint64_t hash;
	struct weiri_dedupe *_Atomic dedupe; /* replaced as the snapshot is; or NULL */
	_Atomic uint32_t references;
	uint32_t publishers; /* open ones; under the registry's lock */
	uint32_t literals;   /* subscriptions to exactly this name; under the registry's lock */
	uint32_t name_length;
	_Atomic uint32_t sharing;
	_Atomic bool is_plain;     /* as the snapshot's, at a glance */
	_Atomic bool is_few;       /* likewise: plain, and messages may go inline (core/inline.h) */
	_Atomic bool fills_crates; /* likewise: plain and dense, and more than few (core/crate.h) */

	_Alignas(WEIRI_CACHE_LINE) _Atomic uint64_t sequence; /* of the last message */
	struct weiri_publish_counters counters; /* of closed publishers and publishes by name */
	char name[];
};

/* For a bound publisher, inside a section: whether there is no other one until its end. */
static inline bool weiri_topic_is_sole(struct weiri_topic *topic)
{
	return weiri_load_relaxed(&topic->sharing) == WEIRI_TOPIC_SOLE; /* I2 */
}

/* Take so many numbers; returns the one before them. */
static inline uint64_t weiri_topic_number(struct weiri_topic *topic, uint64_t count, bool is_sole)
{
	uint64_t before;

	if (!is_sole)
		return weiri_add_relaxed(&topic->sequence, count);
	before = weiri_load_relaxed(&topic->sequence);
	weiri_store_relaxed(&topic->sequence, before + count);
	return before;
}

/* A topic without subscriptions and with one reference; NULL: no memory. */
struct weiri_topic *weiri_topic_open(
	struct weir_broker *broker, const char *name, size_t length, uint64_t hash);

void weiri_topic_ref(struct weiri_topic *topic);

/* The last one frees it.  Threads: any. */
void weiri_topic_unref(struct weiri_topic *topic);

/* Add what a publish, or a publisher in its life, did.  Threads: any. */
void weiri_publish_counters_add(
	struct weiri_publish_counters *sum, const struct weiri_publish_counters *counters);

/*
 * Changing the subscriptions, with the registry's lock held.  prepare makes a
 * new snapshot (with `added`, or without `removed`) and returns 0 or
 * WEIR_ENOMEM; prepare_removed takes the one that stands for a removed topic.
 * apply exchanges it with the old one, which discard frees after a grace period;
 * discard alone forgets what was prepared.  Both do nothing if nothing is prepared.
 */
int weiri_topic_prepare(struct weiri_topic *topic, struct weir_subscription *added,
	const struct weir_subscription *removed);
void weiri_topic_prepare_removed(struct weiri_topic *topic);
void weiri_topic_apply(struct weiri_topic *topic);
void weiri_topic_discard(struct weiri_topic *topic);

/* Whether the topic was removed: only a publish by name can see that, having found
 * the topic before; it looks the name up again. */
bool weiri_snapshot_is_removed(const struct weiri_snapshot *snapshot);

/* Replace the subscription by an empty place.  Cannot fail. */
void weiri_topic_erase(struct weiri_topic *topic, const struct weir_subscription *removed);

/* Whether the subscription is in the topic's snapshot. */
bool weiri_topic_has(struct weiri_topic *topic, const struct weir_subscription *subscription);

#endif
