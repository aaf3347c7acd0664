/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages into one subscription's queue. */
#include "core/enqueue.h"

#include "base/debug.h"
#include "core/confirm.h"
#include "core/expiry.h"
#include "core/group.h"
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
	const struct weir_subscription *subscription, const struct weir_message *message)
{
	bool has_key = (message->flags & WEIRI_MESSAGE_HAS_KEY) != 0;
	struct weir_clock *clock = subscription->broker->clock;
	int32_t rank = message->priority;

	if (subscription->class_last != INT32_MAX)
		rank = rank < 0 ? 0 : rank;
	if (rank > subscription->class_last)
		rank = subscription->class_last;
	return (struct weiri_store_item){
		.value = (void *)(uintptr_t)message,
		.rank = rank,
		.is_protected = protects(subscription, message),
		.weight = weiri_message_weight(message),
		.key = has_key ? message->key : (uint64_t)(uintptr_t)message->topic,
		.key_kind = has_key ? KEY_OF_USER : KEY_OF_TOPIC,
		.time = subscription->has_ageing ? weiri_clock_now(clock) : 0,
		.expires = weiri_message_expires(message),
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

	weiri_dequeue_note(subscription, evicted->values, evicted->count);
	if (weiri_subscription_lose(subscription, reason, evicted->count - evicted->conflated, 0))
		enqueued->is_first_loss = true;
	if (weiri_subscription_lose(subscription, WEIR_DROP_CONFLATED, evicted->conflated, 0))
		enqueued->is_first_loss = true;
	weiri_levels_drop_all(subscription->levels, evicted->values, evicted->count);
	enqueued->evicted += evicted->count;
	for (size_t i = 0; i < evicted->count; i++) {
		weiri_message_settle(evicted->values[i], 1, false);
		weiri_message_unref_later(evicted->values[i], 1, dead);
	}
}

/* Members of a group that are to know of messages; nothing is locked. */
static void waiters_notify(
	struct weir_subscription *subscription, struct weiri_waiter **waiters, size_t count)
{
	/* A member may have seen an empty lane before it was armed. */
	if (count > 0)
		weiri_fence_full(); /* M2 */
	for (size_t i = 0; i < count; i++)
		(void)weiri_waiter_notify(subscription->broker->clock, waiters[i]);
}

/* Push, with the store locked, which is unlocked then. */
static bool store_push_locked(struct weir_subscription *subscription,
	const struct weiri_store_item *item, struct weiri_enqueued *enqueued,
	struct weiri_message_dead *dead)
{
	struct weiri_store *store = subscription->queue.store;
	struct weiri_store_evicted evicted;
	enum weiri_store_result result = weiri_store_push(store, item, &evicted);
	struct weiri_waiter *waiters[1] = { NULL };

	if (evicted.count > 0)
		evicted_release(subscription, &evicted, enqueued, dead);
	while (evicted.rest != NULL) {
		weiri_store_evicted_more(store, &evicted);
		evicted_release(subscription, &evicted, enqueued, dead);
	}
	if (result == WEIRI_STORE_TAKEN && item->expires < WEIR_FOREVER)
		weiri_expiry_note(subscription, item->expires);
	/* One that took the place of another is in the lane of that. */
	if (evicted.unplaced != NULL)
		waiters[0] = weiri_group_assign(subscription->group, evicted.unplaced);
	weiri_store_unlock(store);
	waiters_notify(subscription, waiters, waiters[0] != NULL);
	/* A growing queue has room for a protected message once others have gone. */
	enqueued->no_memory = result == WEIRI_STORE_ENOMEM ||
			      (result == WEIRI_STORE_FULL && !item->is_protected &&
				      subscription->overflow == WEIR_OVERFLOW_UNBOUNDED);
	return result == WEIRI_STORE_TAKEN;
}

static bool store_push(struct weir_subscription *subscription, struct weir_message *message,
	struct weiri_enqueued *enqueued, struct weiri_message_dead *dead)
{
	struct weiri_store_item item = item_of(subscription, message);

	if (!bytes_take(subscription, item.weight)) {
		enqueued->no_memory = true;
		return false;
	}
	weiri_store_lock(subscription->queue.store);
	if (store_push_locked(subscription, &item, enqueued, dead))
		return true;
	bytes_return(subscription, item.weight);
	return false;
}

/* Whether it would go into the queue if that were empty. */
static bool fits(const struct weir_subscription *subscription, const struct weir_message *message)
{
	return subscription->capacity_bytes == 0 ||
	       weiri_message_weight(message) <= subscription->capacity_bytes;
}

/* Virtual time: a receiver stands in line, with an empty hand.  What no queue would
 * take in real time does not get there either. */
static bool can_hand_over(
	struct weir_subscription *subscription, const struct weir_message *message)
{
	return subscription->broker->clock->is_virtual && subscription->hand == NULL &&
	       subscription->group == NULL && weiri_subscription_is_waiting(subscription) &&
	       fits(subscription, message) &&
	       (subscription->acks == NULL || weiri_acks_have_room(subscription));
}

static void hand_over(struct weir_subscription *subscription, struct weir_message *message)
{
	(void)weiri_subscription_wake(subscription);
	subscription->hand = message;
	subscription->handed++;
	weiri_expiry_note(subscription, weiri_message_expires(message));
}

bool weiri_enqueue_dealt(struct weir_subscription *subscription, struct weir_message *message)
{
	struct weiri_store *store = subscription->queue.store;
	struct weiri_waiter *waiter = NULL;
	bool is_taken;

	weiri_store_lock(store);
	is_taken = weiri_store_lane_provide(store) == WEIRI_STORE_TAKEN &&
		   bytes_take(subscription, weiri_message_weight(message));
	if (is_taken)
		waiter = weiri_group_add(subscription->group, message);
	weiri_store_unlock(store);
	if (waiter != NULL)
		waiters_notify(subscription, &waiter, 1);
	if (is_taken)
		weiri_clock_changed(subscription->broker->clock);
	return is_taken;
}

/* Waiters that one turn with the lock may come across. */
#define WAITERS_MAX 8

static bool waiter_is_new(
	struct weiri_waiter *waiter, struct weiri_waiter *const *waiters, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (waiters[i] == waiter)
			return false;
	return waiter != NULL;
}

/* One turn with the lock of a group whose store is plain: up to `count` messages to its
 * members.  Returns how many. */
static size_t group_push_some(struct weir_subscription *subscription,
	struct weir_message **messages, size_t count, enum weiri_store_result *result)
{
	struct weiri_group *group = subscription->group;
	struct weiri_store *store = subscription->queue.store;
	struct weiri_waiter *waiters[WAITERS_MAX];
	size_t waiting = 0, done = 0;

	weiri_group_lock(group);
	while (done < count && waiting < WAITERS_MAX &&
		(*result = weiri_store_lane_provide(store)) == WEIRI_STORE_TAKEN) {
		struct weiri_waiter *waiter;

		if (!bytes_take(subscription, weiri_message_weight(messages[done]))) {
			*result = WEIRI_STORE_ENOMEM;
			break;
		}
		waiter = weiri_group_add(group, messages[done++]);
		if (waiter_is_new(waiter, waiters, waiting))
			waiters[waiting++] = waiter;
	}
	weiri_group_unlock(group);
	waiters_notify(subscription, waiters, waiting);
	return done;
}

static void group_push(struct weir_subscription *subscription, struct weir_message **messages,
	size_t count, struct weiri_enqueued *enqueued)
{
	enum weiri_store_result result = WEIRI_STORE_TAKEN;

	while (enqueued->count < count && result == WEIRI_STORE_TAKEN)
		enqueued->count += group_push_some(
			subscription, messages + enqueued->count, count - enqueued->count, &result);
	enqueued->no_memory = result == WEIRI_STORE_ENOMEM;
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
		return store_push(subscription, message, enqueued, dead);
	case WEIRI_QUEUE_RING:
		break;
	}
	return weiri_ring_push(&queue->ring, &value, 1) == 1;
}

static void enqueue_rest(struct weir_subscription *subscription, struct weir_message **messages,
	size_t count, struct weiri_enqueued *enqueued, struct weiri_message_dead *dead)
{
	size_t handed = enqueued->count;

	if (subscription->queue.kind == WEIRI_QUEUE_RING)
		enqueued->count += weiri_ring_push(&subscription->queue.ring,
			(void *const *)(messages + handed), count - handed);
	else if (subscription->is_dealt)
		group_push(subscription, messages, count, enqueued);
	else
		while (enqueued->count < count &&
			push(subscription, messages[enqueued->count], enqueued, dead))
			enqueued->count++;
	if (enqueued->count > handed)
		weiri_clock_changed(subscription->broker->clock);
}

void weiri_enqueue(struct weir_subscription *subscription, struct weir_message **messages,
	size_t count, struct weiri_enqueued *enqueued, struct weiri_message_dead *dead)
{
	*enqueued = (struct weiri_enqueued){ 0 };
	if (can_hand_over(subscription, messages[0])) {
		hand_over(subscription, messages[0]);
		enqueued->count = 1;
	}
	if (enqueued->count < count)
		enqueue_rest(subscription, messages, count, enqueued, dead);
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
	/* One that would not fit into an empty queue would wait for ever. */
	return fits(subscription, message) &&
	       (subscription->overflow == WEIR_OVERFLOW_BLOCK || protects(subscription, message));
}

/* The store is left locked if it is reserved. */
static int store_reserve(struct weir_subscription *subscription, const struct weir_message *message)
{
	struct weiri_store *store = subscription->queue.store;
	struct weiri_store_item item = item_of(subscription, message);
	int error = 0;

	if (!bytes_take(subscription, item.weight))
		return WEIR_ENOMEM;
	weiri_store_lock(store);
	if (!weiri_store_accepts(store, &item))
		error = WEIR_EFULL;
	else if (weiri_store_prepare(store) != 0)
		error = WEIR_ENOMEM;
	if (error != 0) {
		weiri_store_unlock(store);
		bytes_return(subscription, item.weight);
	}
	return error;
}

/* In virtual time nothing comes in between, so to look is enough, and leaves
 * nothing behind if it is cancelled. */
static bool place_reserve(
	struct weir_subscription *subscription, struct weiri_reservation *reservation)
{
	struct weiri_queue *queue = &subscription->queue;

	if (subscription->broker->clock->is_virtual)
		return weiri_queue_count(queue) < queue->capacity;
	if (queue->kind == WEIRI_QUEUE_LANES)
		return weiri_lanes_reserve(queue->lanes);
	return weiri_ring_reserve(&queue->ring, &reservation->position);
}

int weiri_reserve(struct weir_subscription *subscription, const struct weir_message *message,
	struct weiri_reservation *reservation)
{
	reservation->is_hand = can_hand_over(subscription, message);
	if (reservation->is_hand)
		return 0;
	if (subscription->queue.kind == WEIRI_QUEUE_STORE)
		return store_reserve(subscription, message);
	return place_reserve(subscription, reservation) ? 0 : WEIR_EFULL;
}

static void group_commit(struct weir_subscription *subscription, struct weir_message *message)
{
	struct weiri_waiter *waiter = weiri_group_add(subscription->group, message);

	weiri_store_unlock(subscription->queue.store);
	waiters_notify(subscription, &waiter, waiter != NULL);
}

void weiri_reserve_commit(struct weir_subscription *subscription, struct weir_message *message,
	const struct weiri_reservation *reservation, struct weiri_enqueued *enqueued,
	struct weiri_message_dead *dead)
{
	struct weiri_queue *queue = &subscription->queue;
	struct weiri_store_item item;
	bool is_taken = true;

	*enqueued = (struct weiri_enqueued){ .count = 1 };
	if (reservation->is_hand) {
		/* Also if it stands in line no more: a select at several of the
		 * publish's subscriptions is woken by the first. */
		hand_over(subscription, message);
	} else if (subscription->is_dealt) {
		group_commit(subscription, message);
	} else if (queue->kind == WEIRI_QUEUE_STORE) {
		item = item_of(subscription, message);
		is_taken = store_push_locked(subscription, &item, enqueued, dead);
	} else if (subscription->broker->clock->is_virtual) {
		is_taken = push(subscription, message, enqueued, dead);
	} else if (queue->kind == WEIRI_QUEUE_LANES) {
		weiri_lanes_fill(queue->lanes, message, message->priority);
	} else {
		weiri_ring_fill(&queue->ring, reservation->position, message);
	}
	weiri_assert(is_taken);
	(void)is_taken;
}

/* A place that was held is free again: the receiver may have fallen asleep before
 * what came behind it, and publishers may have come to wait for room. */
static void cancelled_tell(struct weir_subscription *subscription)
{
	weiri_fence_full();
	(void)weiri_subscription_wake(subscription);
	if (weiri_load_acquire(&subscription->attention) & WEIRI_ATTENTION_ROOM)
		weiri_room_tell(subscription);
}

bool weiri_reserve_could(struct weir_subscription *subscription, struct weir_message *message)
{
	return can_hand_over(subscription, message) || weiri_enqueue_accepts(subscription, message);
}

void weiri_reserve_cancel(struct weir_subscription *subscription,
	const struct weir_message *message, const struct weiri_reservation *reservation)
{
	struct weiri_queue *queue = &subscription->queue;

	if (reservation->is_hand)
		return;
	if (queue->kind == WEIRI_QUEUE_STORE) {
		weiri_store_unlock(queue->store);
		bytes_return(subscription, weiri_message_weight(message));
	} else if (subscription->broker->clock->is_virtual) {
		return;
	} else if (queue->kind == WEIRI_QUEUE_LANES) {
		weiri_lanes_cancel(queue->lanes);
		cancelled_tell(subscription);
	} else {
		weiri_ring_cancel(&queue->ring, reservation->position);
		cancelled_tell(subscription);
	}
}
