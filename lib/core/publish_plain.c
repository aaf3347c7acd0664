/* SPDX-License-Identifier: BSD-2-Clause */
/* One message to plain rings, and to lanes of groups. */
#include "core/publish_plain.h"

#include "core/publish.h"

/* Returns its sequence. */
static uint64_t stamp(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message)
{
	struct weir_broker *broker = publisher->broker;
	struct weiri_topic *topic = publisher->topic;
	uint64_t sequence;

	message->timestamp = broker->timestamps ? weiri_clock_now(broker->clock) : 0;
	sequence = weiri_add_relaxed(&topic->sequence, 1) + 1;
	message->sequence = sequence;
	message->topic = topic;
	message->flags |= WEIRI_MESSAGE_PUBLISHED;
	weiri_message_ref(message, (uint32_t)snapshot->count - 1);
	return sequence;
}

static inline bool push_one(struct weir_subscription *subscription, struct weir_message *message)
{
	return subscription->is_dealt ? weiri_enqueue_dealt(subscription, message)
				      : weiri_ring_push_one(&subscription->queue.ring, message);
}

/* Returns the place where it stopped, at a queue that is full or at an empty place,
 * or the number of places. */
static size_t snapshot_push(struct weiri_snapshot *snapshot, struct weir_message *message)
{
	size_t count = snapshot->count;

	for (size_t i = 0; i < count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription == NULL || !push_one(subscription, message))
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
	uint64_t sequence = stamp(publisher, snapshot, message);
	size_t pushed = snapshot_push(snapshot, message);

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
