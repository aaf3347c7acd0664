/* SPDX-License-Identifier: BSD-2-Clause */
/* The first pass of a publish, and what every publish comes to. */
#include "core/publish.h"

#include <math.h>

#include "base/always_inline.h"
#include "base/unset.h"
#include "core/confirm.h"
#include "core/crate.h"
#include "core/identity.h"
#include "core/special.h"

/* So many places of the snapshot have no use, or no more use, for messages.  Inside a
 * section: they are freed after it. */
static void shares_end(
	struct weiri_publish *publish, size_t from, size_t count, uint32_t shares, bool is_good)
{
	for (size_t i = from; i < from + count; i++) {
		weiri_message_settle(publish->messages[i], shares, is_good);
		weiri_message_unref_later(publish->messages[i], shares, &publish->dead);
	}
}

void weiri_publish_note_loss(struct weiri_publish *publish, struct weir_subscription *subscription)
{
	weiri_subscription_pin(subscription);
	subscription->next_lossy = publish->lossy;
	publish->lossy = subscription;
}

void weiri_publish_drop(struct weiri_publish *publish, struct weir_subscription *subscription,
	weir_drop reason, size_t from, size_t count)
{
	if (weiri_subscription_lose(subscription, reason, count, count))
		weiri_publish_note_loss(publish, subscription);
	weiri_levels_drop(subscription->levels, publish->priority, count);
	publish->receipt->dropped += count;
	/* A queue that has gone holds nothing. */
	if (reason != WEIR_DROP_CLOSED)
		publish->publisher->crates_pause = WEIRI_CRATES_PAUSE;
	shares_end(publish, from, count, 1, false);
}

static weir_drop refusal_reason(struct weiri_publish *publish,
	struct weir_subscription *subscription, const struct weiri_enqueued *enqueued)
{
	if (enqueued->no_memory) {
		publish->no_memory = true;
		return WEIR_DROP_MEMORY;
	}
	return subscription->overflow == WEIR_OVERFLOW_DROP_LOWEST ? WEIR_DROP_LOWEST
								   : WEIR_DROP_NEWEST;
}

size_t weiri_publish_deliver(
	struct weiri_publish *publish, struct weir_subscription *subscription, size_t from)
{
	struct weiri_enqueued enqueued;

	while (from < publish->count) {
		weiri_enqueue(subscription, publish->messages + from, publish->count - from,
			&enqueued, &publish->dead);
		if (enqueued.is_first_loss)
			weiri_publish_note_loss(publish, subscription);
		publish->receipt->enqueued += enqueued.count;
		publish->receipt->evicted += enqueued.evicted;
		from += enqueued.count;
		if (from == publish->count)
			break;
		if (!enqueued.no_memory &&
			weiri_enqueue_may_wait(subscription, publish->messages[from]))
			break;
		weiri_publish_drop(publish, subscription,
			refusal_reason(publish, subscription, &enqueued), from, 1);
		from++;
	}
	return from;
}

static double fill_of(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;
	double fill = weiri_queue_fill(&subscription->queue);

	if (subscription->counts_bytes)
		fill = fmax(fill, (double)weiri_load_relaxed(&broker->queued_bytes) /
					  (double)broker->capacity_bytes);
	return fill;
}

void weiri_publish_look(struct weiri_publish *publish, struct weir_subscription *subscription)
{
	if (publish->want_fill)
		publish->receipt->fill = fmax(publish->receipt->fill, fill_of(subscription));
	if (subscription->high_watermark != 0)
		publish->has_watermarks = true;
	weiri_levels_match(subscription->levels, publish->priority, publish->count);
}

/* To the places from `first` on; none of those before it was empty. */
static void snapshot_push(
	struct weiri_publish *publish, struct weiri_snapshot *snapshot, size_t first)
{
	size_t empty = 0;

	for (size_t i = first; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);
		size_t settled;

		if (subscription == NULL) {
			empty++;
			continue;
		}
		if (subscription->is_simple && publish->count == 1 &&
			weiri_ring_push_one(&subscription->queue.ring, publish->messages[0])) {
			publish->receipt->enqueued++;
		} else if (subscription->is_dealt && publish->count == 1 &&
			   weiri_enqueue_dealt(subscription, publish->messages[0])) {
			publish->receipt->enqueued++;
		} else {
			settled = weiri_publish_deliver(publish, subscription, 0);
			if (settled < publish->count)
				weiri_blocked_note(publish, subscription, settled);
		}
		if (publish->want_fill || subscription->is_watched)
			weiri_publish_look(publish, subscription);
	}
	publish->receipt->matched = (snapshot->count - empty) * publish->count;
	if (empty > 0)
		shares_end(publish, 0, publish->count, (uint32_t)empty, true);
}

static inline void wake(struct weiri_publish *publish, struct weiri_snapshot *snapshot)
{
	if (!publish->publisher->broker->clock->is_virtual)
		weiri_fence_full(); /* M2 */
	weiri_publish_wake_all(snapshot);
}

void weiri_publish_wake(struct weiri_publish *publish, struct weiri_snapshot *snapshot)
{
	wake(publish, snapshot);
}

static WEIRI_ALWAYS_INLINE void stamp(struct weiri_publish *publish, size_t references)
{
	struct weir_broker *broker = publish->publisher->broker;
	double now = broker->timestamps ? weiri_clock_now(broker->clock) : 0;
	uint64_t sequence = publish->id != NULL
				    ? publish->receipt->sequence - 1
				    : weiri_add_relaxed(&publish->topic->sequence, publish->count);

	publish->receipt->sequence = sequence + publish->count;
	for (size_t i = 0; i < publish->count; i++) {
		struct weir_message *message = publish->messages[i];

		message->topic = publish->topic;
		message->sequence = ++sequence;
		message->timestamp = now;
		message->flags |= WEIRI_MESSAGE_PUBLISHED;
		if (message->flags & WEIRI_MESSAGE_TICKET)
			weiri_ticket_stamp(
				weiri_message_ticket(message), sequence, (uint32_t)references);
		weiri_message_ref(message, (uint32_t)references - 1);
	}
}

void weiri_publish_stamp(struct weiri_publish *publish, size_t references)
{
	stamp(publish, references);
}

static void counters_add(struct weir_publisher *publisher, const weir_receipt *receipt)
{
	weiri_publish_counter_add(&publisher->counters.published, receipt->published);
	weiri_publish_counter_add(&publisher->counters.matched, receipt->matched);
	weiri_publish_counter_add(&publisher->counters.enqueued, receipt->enqueued);
	weiri_publish_counter_add(&publisher->counters.dropped, receipt->dropped);
}

void weiri_publish_aftermath(struct weiri_publish *publish)
{
	/* First what holds a pin: a free function may wait for it. */
	while (publish->lossy != NULL) {
		struct weir_subscription *subscription = publish->lossy;

		publish->lossy = subscription->next_lossy;
		weiri_subscription_tell_loss(subscription);
	}
	weiri_message_dead_free(&publish->dead);
}

static inline void section_end(struct weiri_publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_broker *broker = publisher->broker;

	/* What close reads after a grace period, or after `inside` is zero. */
	if (publish->blocked > 0 || publish->dead.first != NULL || publish->lossy != NULL) {
		(void)weiri_add_relaxed(&broker->inside, 1);
		publish->is_inside = true;
	}
	if (publish->blocked == 0)
		counters_add(publisher, publish->receipt);
	weiri_reclaim_end(&broker->registry.reclaim, publisher->member);
}

void weiri_publish_section_end(struct weiri_publish *publish)
{
	section_end(publish);
}

void weiri_publish_leave(struct weiri_publish *publish)
{
	weiri_publish_aftermath(publish);
	/* Q1 (pairs with the acquire in await, at close). */
	if (publish->is_inside)
		(void)weiri_sub_release(&publish->publisher->broker->inside, 1);
	publish->is_inside = false;
}

/* The first pass.  Not 0: nothing was published. */
static int first_pass(struct weiri_publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_broker *broker = publisher->broker;
	struct weiri_snapshot *snapshot;
	int error;

	weiri_reclaim_begin(publisher->member);
	snapshot = weiri_load_acquire(&publish->topic->snapshot); /* S2 */
	error = weiri_blocked_reserve(publisher, snapshot->blocking);
	if (weiri_snapshot_is_removed(snapshot))
		error = WEIR_ENOENT;
	if (weiri_load_acquire(&broker->state) >
		(publish->until_closed ? WEIRI_BROKER_DRAINING : WEIRI_BROKER_RUNNING))
		error = WEIR_ESHUTDOWN;
	if (error == 0 && publish->id != NULL)
		error = weiri_identity_enter(publish);
	if (error == 0) {
		publish->receipt->published = publish->count;
		/* Without subscriptions the reference is the publisher's own. */
		stamp(publish, snapshot->count > 0 ? snapshot->count : 1);
		if (snapshot->count > 0) {
			snapshot_push(publish, snapshot, 0);
			wake(publish, snapshot);
		} else {
			shares_end(publish, 0, publish->count, 1, true);
		}
	}
	section_end(publish);
	return error;
}

/* The next subscription of the topic that has reached its high watermark, pinned. */
static struct weir_subscription *slow_find(
	struct weir_publisher *publisher, struct weiri_topic *topic)
{
	struct weir_broker *broker = publisher->broker;
	struct weir_subscription *slow = NULL;
	struct weiri_snapshot *snapshot;
	bool is_closed;

	weiri_reclaim_begin(publisher->member);
	snapshot = weiri_load_acquire(&topic->snapshot); /* S2 */
	/* A close that has passed its grace period would not see the hook. */
	is_closed = weiri_load_acquire(&broker->state) == WEIRI_BROKER_CLOSED;
	for (size_t i = 0; !is_closed && i < snapshot->count && slow == NULL; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription != NULL && weiri_watermark_is_reached(subscription))
			slow = subscription;
	}
	weiri_reclaim_end(&broker->registry.reclaim, publisher->member);
	return slow;
}

static void hooks_call(struct weir_publisher *publisher, struct weiri_topic *topic)
{
	struct weir_subscription *slow;

	while ((slow = slow_find(publisher, topic)) != NULL)
		weiri_watermark_slow(slow);
}

void weiri_publish_hooks(struct weir_publisher *publisher)
{
	struct weiri_topic *topic = publisher->hooks_topic;

	publisher->hooks_topic = NULL;
	if (topic == NULL)
		return;
	hooks_call(publisher, topic);
	weiri_topic_unref(topic);
}

/* Field by field: an initializer clears what it does not name in wide stores across
 * the fields, and a load of one that two of them cover waits until both are in the
 * cache, behind the message's lines. */
static inline void publish_set(struct weiri_publish *publish, struct weir_publisher *publisher,
	struct weiri_topic *topic, struct weir_message **messages, size_t count,
	const struct weiri_publish_terms *terms, weir_receipt *receipt)
{
	publish->publisher = publisher;
	publish->topic = topic;
	publish->messages = messages;
	publish->count = count;
	publish->priority = messages[0]->priority;
	publish->deadline = terms->deadline;
	publish->blocked = 0;
	publish->noted = 0;
	publish->error = 0;
	publish->no_memory = false;
	publish->want_fill = terms->want_fill;
	publish->until_closed = terms->until_closed;
	publish->has_watermarks = false;
	publish->is_inside = false;
	publish->lossy = NULL;
	publish->dead.first = NULL;
	publish->receipt = receipt;
	publish->id = terms->id;
}

/* After the first pass, to the end. */
static int publish_finish(struct weiri_publish *publish, bool defers_hooks)
{
	struct weir_publisher *publisher = publish->publisher;

	if (publish->blocked > 0) {
		weiri_publish_aftermath(publish);
		weiri_publish_second_pass(publish);
		counters_add(publisher, publish->receipt);
	}
	if (publish->is_inside)
		weiri_publish_leave(publish);
	if (publish->has_watermarks && defers_hooks) {
		weiri_topic_ref(publish->topic);
		publisher->hooks_topic = publish->topic;
	} else if (publish->has_watermarks) {
		hooks_call(publisher, publish->topic);
	}
	if (publish->error == 0 && publish->no_memory)
		return WEIR_ENOMEM;
	return publish->error;
}

int weiri_publish_ordinary(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt)
{
	WEIRI_UNSET struct weiri_publish publish;
	int error;

	publish_set(&publish, publisher, topic, messages, count, terms, receipt);
	error = terms->all_or_nothing ? weiri_publish_all(&publish) : first_pass(&publish);
	if (error != 0) {
		weiri_publish_leave(&publish);
		return error;
	}
	return publish_finish(&publish, terms->defers_hooks);
}

int weiri_publish_resume(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message, size_t pushed, weir_receipt *receipt)
{
	struct weiri_publish_terms terms = weiri_publish_terms(publisher, NULL);
	weir_receipt sum = {
		.sequence = message->sequence,
		.published = 1,
		.enqueued = pushed,
	};
	struct weiri_publish publish;
	int error;

	publish_set(&publish, publisher, publisher->topic, &message, 1, &terms, &sum);
	snapshot_push(&publish, snapshot, pushed);
	wake(&publish, snapshot);
	section_end(&publish);
	error = publish_finish(&publish, false);
	if (receipt != NULL)
		*receipt = sum;
	return error;
}

int weiri_publish(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt)
{
	return terms->special == NULL
		       ? weiri_publish_ordinary(publisher, topic, messages, count, terms, receipt)
		       : weiri_publish_special(publisher, topic, messages, count, terms, receipt);
}
