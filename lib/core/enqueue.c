/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages into one subscription's queue. */
#include "core/enqueue.h"

#include "core/topic.h"

enum {
	KEY_OF_USER,
	KEY_OF_TOPIC
};

static bool protects(
	const struct weir_subscription *subscription, const struct weir_message *message)
{
	return subscription->protect && message->priority <= subscription->protect_priority;
}

static struct weiri_store_item item_of(
	struct weir_subscription *subscription, struct weir_message *message)
{
	bool has_key = (message->flags & WEIRI_MESSAGE_HAS_KEY) != 0;
	struct weir_clock *clock = subscription->broker->clock;

	return (struct weiri_store_item){
		.value = message,
		.rank = message->priority,
		.is_protected = protects(subscription, message),
		.weight = weiri_message_weight(message),
		.key = has_key ? message->key : (uint64_t)(uintptr_t)message->topic,
		.key_kind = has_key ? KEY_OF_USER : KEY_OF_TOPIC,
		.time = subscription->has_ageing ? weiri_clock_now(clock) : 0,
	};
}

/* The broker's bytes: taken before the message goes in, so that the limit holds
 * however many publishers come at once. */
static bool bytes_take(struct weir_subscription *subscription, uint64_t weight)
{
	struct weir_broker *broker = subscription->broker;
	uint64_t queued = weiri_load_relaxed(&broker->queued_bytes);

	if (!subscription->counts_bytes)
		return true;
	do {
		if (queued + weight > broker->capacity_bytes)
			return false;
	} while (!weiri_cas_weak_relaxed(&broker->queued_bytes, &queued, queued + weight));
	return true;
}

static void bytes_return(struct weir_subscription *subscription, uint64_t weight)
{
	if (subscription->counts_bytes)
		(void)weiri_sub_relaxed(&subscription->broker->queued_bytes, weight);
}

void weiri_dequeue_note(struct weir_subscription *subscription, void *const *messages, size_t count)
{
	uint64_t weight = 0;

	if (!subscription->counts_bytes)
		return;
	for (size_t i = 0; i < count; i++)
		weight += weiri_message_weight(messages[i]);
	bytes_return(subscription, weight);
}

/* Locked: what a push threw out is lost. */
static void evicted_release(struct weir_subscription *subscription,
	const struct weiri_store_evicted *evicted, struct weiri_enqueued *enqueued,
	struct weiri_message_dead *dead)
{
	weir_drop reason = subscription->overflow == WEIR_OVERFLOW_DROP_LOWEST ? WEIR_DROP_LOWEST
									       : WEIR_DROP_OLDEST;

	if (evicted->count == 0)
		return;
	weiri_dequeue_note(subscription, evicted->values, evicted->count);
	if (weiri_subscription_lose(subscription, reason, evicted->count - evicted->conflated, 0))
		enqueued->is_first_loss = true;
	if (weiri_subscription_lose(subscription, WEIR_DROP_CONFLATED, evicted->conflated, 0))
		enqueued->is_first_loss = true;
	enqueued->evicted += evicted->count;
	for (size_t i = 0; i < evicted->count; i++)
		weiri_message_unref_later(evicted->values[i], 1, dead);
}

/* Push, with the store locked, which is unlocked then. */
static bool store_push_locked(struct weir_subscription *subscription, struct weir_message *message,
	struct weiri_enqueued *enqueued, struct weiri_message_dead *dead)
{
	struct weiri_store *store = subscription->queue.store;
	struct weiri_store_item item = item_of(subscription, message);
	enum weiri_store_result result = WEIRI_STORE_ENOMEM;
	struct weiri_store_evicted evicted;

	if (bytes_take(subscription, item.weight)) {
		do {
			result = weiri_store_push(store, &item, &evicted);
			evicted_release(subscription, &evicted, enqueued, dead);
		} while (evicted.is_more);
		if (result != WEIRI_STORE_TAKEN)
			bytes_return(subscription, item.weight);
	}
	weiri_store_unlock(store);
	enqueued->no_memory =
		result == WEIRI_STORE_ENOMEM ||
		(result == WEIRI_STORE_FULL && subscription->overflow == WEIR_OVERFLOW_UNBOUNDED);
	return result == WEIRI_STORE_TAKEN;
}

/* Virtual time: a receiver stands in line, with an empty hand. */
static bool can_hand_over(struct weir_subscription *subscription)
{
	return subscription->broker->clock->is_virtual && subscription->hand == NULL &&
	       weiri_subscription_is_waiting(subscription);
}

static bool hand_over(struct weir_subscription *subscription, struct weir_message *message)
{
	if (!can_hand_over(subscription))
		return false;
	(void)weiri_subscription_wake(subscription);
	subscription->hand = message;
	subscription->handed++;
	return true;
}

static bool push(struct weir_subscription *subscription, struct weir_message *message,
	struct weiri_enqueued *enqueued, struct weiri_message_dead *dead)
{
	struct weiri_queue *queue = &subscription->queue;
	void *value = message;

	switch (queue->kind) {
	case WEIRI_QUEUE_LANES:
		return weiri_lanes_push(queue->lanes, message, message->priority);
	case WEIRI_QUEUE_STORE:
		weiri_store_lock(queue->store);
		return store_push_locked(subscription, message, enqueued, dead);
	case WEIRI_QUEUE_RING:
		break;
	}
	return weiri_ring_push(&queue->ring, &value, 1) == 1;
}

void weiri_enqueue(struct weir_subscription *subscription, struct weir_message **messages,
	size_t count, struct weiri_enqueued *enqueued, struct weiri_message_dead *dead)
{
	*enqueued = (struct weiri_enqueued){ 0 };
	if (hand_over(subscription, messages[0]))
		enqueued->count = 1;
	if (subscription->queue.kind == WEIRI_QUEUE_RING) {
		size_t handed = enqueued->count;

		enqueued->count += weiri_ring_push(&subscription->queue.ring,
			(void *const *)(messages + handed), count - handed);
		return;
	}
	while (enqueued->count < count &&
		push(subscription, messages[enqueued->count], enqueued, dead))
		enqueued->count++;
}

bool weiri_enqueue_accepts(struct weir_subscription *subscription, struct weir_message *message)
{
	struct weiri_queue *queue = &subscription->queue;
	struct weiri_store_item item;
	bool accepts;

	if (queue->kind != WEIRI_QUEUE_STORE)
		return weiri_queue_count(queue) < queue->capacity;
	item = item_of(subscription, message);
	weiri_store_lock(queue->store);
	accepts = weiri_store_accepts(queue->store, &item);
	weiri_store_unlock(queue->store);
	return accepts;
}

bool weiri_enqueue_may_wait(
	struct weir_subscription *subscription, const struct weir_message *message)
{
	bool fits = subscription->capacity_bytes == 0 ||
		    weiri_message_weight(message) <= subscription->capacity_bytes;

	/* One that would not fit into an empty queue would wait for ever. */
	return fits &&
	       (subscription->overflow == WEIR_OVERFLOW_BLOCK || protects(subscription, message));
}

static bool store_reserve(struct weir_subscription *subscription, struct weir_message *message)
{
	struct weiri_store *store = subscription->queue.store;
	struct weiri_store_item item = item_of(subscription, message);

	weiri_store_lock(store);
	if (weiri_store_accepts(store, &item))
		return true;
	weiri_store_unlock(store);
	return false;
}

bool weiri_reserve(struct weir_subscription *subscription, struct weir_message *message,
	struct weiri_reservation *reservation)
{
	struct weiri_queue *queue = &subscription->queue;

	/* Nothing comes in between in virtual time. */
	if (subscription->broker->clock->is_virtual)
		return can_hand_over(subscription) || weiri_enqueue_accepts(subscription, message);
	switch (queue->kind) {
	case WEIRI_QUEUE_LANES:
		return weiri_lanes_reserve(queue->lanes);
	case WEIRI_QUEUE_STORE:
		return store_reserve(subscription, message);
	case WEIRI_QUEUE_RING:
		break;
	}
	return weiri_ring_reserve(&queue->ring, &reservation->position);
}

void weiri_reserve_commit(struct weir_subscription *subscription, struct weir_message *message,
	const struct weiri_reservation *reservation, struct weiri_enqueued *enqueued,
	struct weiri_message_dead *dead)
{
	struct weiri_queue *queue = &subscription->queue;

	if (subscription->broker->clock->is_virtual) {
		weiri_enqueue(subscription, &message, 1, enqueued, dead);
		return;
	}
	*enqueued = (struct weiri_enqueued){ .count = 1 };
	switch (queue->kind) {
	case WEIRI_QUEUE_RING:
		weiri_ring_fill(&queue->ring, reservation->position, message);
		break;
	case WEIRI_QUEUE_LANES:
		weiri_lanes_fill(queue->lanes, message, message->priority);
		break;
	case WEIRI_QUEUE_STORE:
		enqueued->count = store_push_locked(subscription, message, enqueued, dead) ? 1 : 0;
		break;
	}
}

void weiri_reserve_cancel(
	struct weir_subscription *subscription, const struct weiri_reservation *reservation)
{
	struct weiri_queue *queue = &subscription->queue;

	if (subscription->broker->clock->is_virtual)
		return;
	switch (queue->kind) {
	case WEIRI_QUEUE_RING:
		weiri_ring_cancel(&queue->ring, reservation->position);
		break;
	case WEIRI_QUEUE_LANES:
		weiri_lanes_cancel(queue->lanes);
		break;
	case WEIRI_QUEUE_STORE:
		weiri_store_unlock(queue->store);
		break;
	}
}
