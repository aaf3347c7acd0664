/* SPDX-License-Identifier: BSD-2-Clause */
/* One message to plain rings, and to lanes of groups. */
#include "core/publish_plain.h"

#include "base/always_inline.h"
#include "core/crate.h"

/* Returns its sequence. */
static uint64_t stamp(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message, bool is_sole)
{
	struct weir_broker *broker = publisher->broker;
	struct weiri_topic *topic = publisher->topic;
	uint64_t sequence;

	message->timestamp = broker->timestamps ? weiri_clock_now(broker->clock) : 0;
	sequence = weiri_topic_number(topic, 1, is_sole) + 1;
	message->sequence = sequence;
	message->topic = topic;
	message->flags |= WEIRI_MESSAGE_PUBLISHED;
	weiri_crate_ref(publisher->pool, message, (uint32_t)snapshot->count - 1);
	return sequence;
}

static inline bool push_one(struct weir_subscription *subscription, struct weir_message *message)
{
	return subscription->is_dealt ? weiri_enqueue_dealt(subscription, message)
				      : weiri_ring_push_one(&subscription->queue.ring, message);
}

static inline bool push_one_sole(
	struct weir_subscription *subscription, struct weir_message *message)
{
	return weiri_ring_push_one_sole(&subscription->queue.ring, message);
}

/* Returns the place where it stopped, at a queue that is full or at an empty place,
 * or the number of places. */
static WEIRI_ALWAYS_INLINE size_t snapshot_push(struct weiri_snapshot *snapshot,
	struct weir_message *message,
	bool (*push)(struct weir_subscription *subscription, struct weir_message *message))
{
	size_t count = snapshot->count;

	for (size_t i = 0; i < count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription == NULL || !push(subscription, message))
			return i;
	}
	return count;
}

static void counters_add(struct weir_publisher *publisher, size_t matched)
{
	struct weiri_publish_counters *counters = &publisher->counters;

	weiri_publish_counter_add(&counters->published, 1);
	weiri_publish_counter_add(&counters->matched, matched);
	weiri_publish_counter_add(&counters->enqueued, matched);
}

int weiri_publish_plain(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message, weir_receipt *receipt)
{
	const size_t count = snapshot->count;
	const bool is_sole = weiri_topic_is_sole(publisher->topic);
	uint64_t sequence = stamp(publisher, snapshot, message, is_sole);
	size_t pushed = is_sole && snapshot->is_own
				? snapshot_push(snapshot, message, push_one_sole)
				: snapshot_push(snapshot, message, push_one);

	if (pushed < count)
		return weiri_publish_resume(publisher, snapshot, message, pushed, receipt);
	weiri_publish_wake_plain(snapshot);
	counters_add(publisher, count);
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
	if (receipt != NULL)
		*receipt = (weir_receipt){
			.sequence = sequence,
			.published = 1,
			.matched = count,
			.enqueued = count,
		};
	return 0;
}
