/* SPDX-License-Identifier: BSD-2-Clause */
/* Topics and their snapshots of subscriptions. */
#include "core/topic.h"

#include <stddef.h>
#include <string.h>

#include "core/broker.h"
#include "core/inline.h"
#include "core/subscription.h"
#include "delivery/dedupe.h"
#include <weir/error.h>

/* Topics that nobody subscribes to share this one; it is never written. */
static const struct weiri_snapshot snapshot_empty;

/* And so do removed topics this one. */
static const struct weiri_snapshot snapshot_removed;

static struct weiri_snapshot *shared(const struct weiri_snapshot *snapshot)
{
	return (struct weiri_snapshot *)(uintptr_t)snapshot;
}

bool weiri_snapshot_is_removed(const struct weiri_snapshot *snapshot)
{
	return snapshot == &snapshot_removed;
}

static void snapshot_free(struct weir_broker *broker, struct weiri_snapshot *snapshot)
{
	if (snapshot != NULL && snapshot != &snapshot_empty && snapshot != &snapshot_removed)
		weiri_deallocate(&broker->allocator, snapshot, snapshot->bytes);
}

static size_t snapshot_bytes(size_t count)
{
	return sizeof(struct weiri_snapshot) + count * sizeof(struct weir_subscription *);
}

static size_t topic_bytes(size_t name_length)
{
	return offsetof(struct weiri_topic, name) + name_length + 1;
}

struct weiri_topic *weiri_topic_open(
	struct weir_broker *broker, const char *name, size_t length, uint64_t hash)
{
	struct weiri_topic *topic =
		weiri_topic_memory_take(&broker->registry.topic_memory, topic_bytes(length));

	if (topic == NULL)
		return NULL;
	topic->broker = broker;
	topic->hash = hash;
	topic->name_length = (uint32_t)length;
	memcpy(topic->name, name, length);
	weiri_store_relaxed(&topic->references, 1);
	weiri_store_relaxed(&topic->snapshot, shared(&snapshot_empty));
	return topic;
}

void weiri_topic_ref(struct weiri_topic *topic)
{
	(void)weiri_add_relaxed(&topic->references, 1);
}

void weiri_topic_unref(struct weiri_topic *topic)
{
	/* T1 (pairs with itself): every use comes before the free. */
	if (weiri_sub_acq_rel(&topic->references, 1) != 1)
		return;
	snapshot_free(topic->broker, weiri_load_relaxed(&topic->snapshot));
	weiri_dedupe_close(weiri_load_relaxed(&topic->dedupe), &topic->broker->allocator);
	weiri_topic_memory_give(
		&topic->broker->registry.topic_memory, topic, topic_bytes(topic->name_length));
}

void weiri_publish_counters_add(
	struct weiri_publish_counters *sum, const struct weiri_publish_counters *counters)
{
	(void)weiri_add_relaxed(&sum->published, weiri_load_relaxed(&counters->published));
	(void)weiri_add_relaxed(&sum->matched, weiri_load_relaxed(&counters->matched));
	(void)weiri_add_relaxed(&sum->enqueued, weiri_load_relaxed(&counters->enqueued));
	(void)weiri_add_relaxed(&sum->dropped, weiri_load_relaxed(&counters->dropped));
}

static bool is_plain(const struct weir_subscription *subscription)
{
	return (subscription->is_simple ||
		       (subscription->is_dealt && !subscription->broker->clock->is_virtual)) &&
	       !subscription->is_watched;
}

/* Whether what it holds are mostly messages that followed each other, so that crates would not
 * keep much besides: not those few that it did not acknowledge, or that are one member's
 * share; and nobody counts the bytes. */
static bool is_dense(const struct weir_subscription *subscription)
{
	return subscription->is_simple && subscription->acks == NULL && !subscription->counts_bytes;
}

static void snapshot_append(struct weiri_snapshot *snapshot, struct weir_subscription *subscription)
{
	weiri_store_relaxed(&snapshot->subscriptions[snapshot->count], subscription);
	snapshot->is_plain = (snapshot->is_plain || snapshot->count == 0) && is_plain(subscription);
	snapshot->is_own = (snapshot->is_own || snapshot->count == 0) && subscription->is_simple &&
			   !subscription->has_wildcard;
	snapshot->is_dense = (snapshot->is_dense || snapshot->count == 0) && is_dense(subscription);
	snapshot->count++;
	if (weiri_subscription_can_block(subscription))
		snapshot->blocking++;
}

int weiri_topic_prepare(struct weiri_topic *topic, struct weir_subscription *added,
	const struct weir_subscription *removed)
{
	const struct weiri_snapshot *old = weiri_load_relaxed(&topic->snapshot);
	size_t bytes = snapshot_bytes(old->count + (added != NULL ? 1 : 0));
	struct weiri_snapshot *snapshot =
		weiri_allocate(&topic->broker->allocator, bytes, sizeof(void *));

	if (snapshot == NULL)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < old->count; i++) {
		struct weir_subscription *subscription = weiri_load_relaxed(&old->subscriptions[i]);

		if (subscription != NULL && subscription != removed)
			snapshot_append(snapshot, subscription);
	}
	if (added != NULL)
		snapshot_append(snapshot, added);
	snapshot->bytes = bytes;
	topic->prepared = snapshot;
	return 0;
}

void weiri_topic_prepare_removed(struct weiri_topic *topic)
{
	topic->prepared = shared(&snapshot_removed);
}

void weiri_topic_apply(struct weiri_topic *topic)
{
	struct weiri_snapshot *old = weiri_load_relaxed(&topic->snapshot);

	if (topic->prepared == NULL)
		return;
	/* S1 (pairs with S2 in publish): the snapshot and its subscriptions are
	 * complete before a publisher can find them. */
	weiri_store_release(&topic->snapshot, topic->prepared);
	weiri_store_relaxed(&topic->is_plain, topic->prepared->is_plain);
	weiri_store_relaxed(&topic->is_few,
		topic->prepared->is_plain && topic->prepared->count <= WEIRI_INLINE_TAKERS_MAX);
	weiri_store_relaxed(
		&topic->fills_crates, topic->prepared->is_plain && topic->prepared->is_dense &&
					      topic->prepared->count > WEIRI_INLINE_TAKERS_MAX);
	topic->prepared = old;
}

void weiri_topic_discard(struct weiri_topic *topic)
{
	snapshot_free(topic->broker, topic->prepared);
	topic->prepared = NULL;
}

static struct weir_subscription *_Atomic *place_find(
	struct weiri_topic *topic, const struct weir_subscription *subscription)
{
	struct weiri_snapshot *snapshot = weiri_load_relaxed(&topic->snapshot);

	for (size_t i = 0; i < snapshot->count; i++)
		if (weiri_load_relaxed(&snapshot->subscriptions[i]) == subscription)
			return &snapshot->subscriptions[i];
	return NULL;
}

void weiri_topic_erase(struct weiri_topic *topic, const struct weir_subscription *removed)
{
	struct weir_subscription *_Atomic *place = place_find(topic, removed);

	if (place != NULL)
		weiri_store_relaxed(place, NULL);
}

bool weiri_topic_has(struct weiri_topic *topic, const struct weir_subscription *subscription)
{
	return place_find(topic, subscription) != NULL;
}
