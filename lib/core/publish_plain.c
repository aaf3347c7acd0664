/* SPDX-License-Identifier: BSD-2-Clause */
/* One message to plain rings, and to lanes of groups. */
#include "core/publish_plain.h"

#include "core/publish.h"

/* What becomes of it in the end, if no queue was full. */
struct outcome {
	uint64_t sequence;
	uint64_t matched;
	uint64_t empty; /* places of the snapshot without a subscription */
};

static void stamp(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message, struct outcome *outcome)
{
	struct weir_broker *broker = publisher->broker;
	struct weiri_topic *topic = publisher->topic;

	message->timestamp = broker->timestamps ? weiri_clock_now(broker->clock) : 0;
	outcome->sequence = weiri_add_relaxed(&topic->sequence, 1) + 1;
	message->sequence = outcome->sequence;
	message->topic = topic;
	message->flags |= WEIRI_MESSAGE_PUBLISHED;
	weiri_message_ref(message, (uint32_t)snapshot->count - 1);
}

static inline bool push_one(struct weir_subscription *subscription, struct weir_message *message)
{
	return subscription->is_dealt ? weiri_enqueue_dealt(subscription, message)
				      : weiri_ring_push_one(&subscription->queue.ring, message);
}

/* Returns where it stopped, at a queue that is full, or the number of places. */
static size_t snapshot_push(
	struct weiri_snapshot *snapshot, struct weir_message *message, struct outcome *outcome)
{
	size_t count = snapshot->count;

	for (size_t i = 0; i < count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription == NULL)
			outcome->empty++;
		else if (!push_one(subscription, message))
			return i;
	}
	outcome->matched = count - outcome->empty;
	return count;
}

/* Whether any of the receivers may have gone to sleep. */
static bool snapshot_sleeps(struct weiri_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription != NULL && weiri_load_relaxed(&subscription->sleeps))
			return true;
	}
	return false;
}

/* See the top of receive.c. */
static void snapshot_wake(struct weiri_snapshot *snapshot)
{
	/* M4 (pairs with M3): the light half; where there is no heavy one, all sleep. */
	weiri_fence_compiler();
	if (!snapshot_sleeps(snapshot))
		return;
	weiri_fence_full(); /* M2 */
	weiri_publish_wake_all(snapshot);
}

static void counters_add(struct weir_publisher *publisher, const struct outcome *outcome)
{
	struct weiri_publish_counters *counters = &publisher->counters;

	weiri_publish_counter_add(&counters->published, 1);
	weiri_publish_counter_add(&counters->matched, outcome->matched);
	weiri_publish_counter_add(&counters->enqueued, outcome->matched);
}

int weiri_publish_plain(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message, weir_receipt *receipt)
{
	struct outcome outcome = { 0 };
	size_t pushed;

	stamp(publisher, snapshot, message, &outcome);
	pushed = snapshot_push(snapshot, message, &outcome);
	if (pushed < snapshot->count)
		return weiri_publish_resume(
			publisher, snapshot, message, pushed, outcome.empty, receipt);
	snapshot_wake(snapshot);
	counters_add(publisher, &outcome);
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
	if (outcome.empty > 0)
		weiri_message_unref(message, (uint32_t)outcome.empty, NULL);
	if (receipt != NULL)
		*receipt = (weir_receipt){
			.sequence = outcome.sequence,
			.published = 1,
			.matched = outcome.matched,
			.enqueued = outcome.matched,
		};
	return 0;
}
