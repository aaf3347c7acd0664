/* SPDX-License-Identifier: BSD-2-Clause */
/* Entering, taking from and leaving one subscription. */
#include "core/receiver.h"

#include "core/enqueue.h"

int weiri_attention_error(uint32_t attention)
{
	return attention & WEIRI_ATTENTION_CLOSED ? WEIR_ECLOSED : WEIR_ESHUTDOWN;
}

void weiri_receiver_leave(struct weir_subscription *subscription)
{
	bool is_virtual = subscription->broker->clock->is_virtual;

	/* V1 (pairs with the acquire in await): all that the receive did
	 * comes before what the closer does next. */
	weiri_store_release(&subscription->receiving, 0);
	if (is_virtual)
		weiri_subscription_orphan_check(subscription);
}

int weiri_receiver_enter(struct weir_subscription *subscription)
{
	uint32_t attention;

	/* Acquire: what the receive before it, perhaps by another thread, left. */
	if (weiri_load_acquire(&subscription->receiving) != 0)
		return WEIR_EBUSY;
	weiri_store_relaxed(&subscription->receiving, 1);
	weiri_fence_light(subscription->broker->fence_asymmetric);
	attention = weiri_attention_read(subscription);
	if ((attention & WEIRI_ATTENTION_END) == 0) {
		weiri_subscription_held_release(subscription);
		return 0;
	}
	weiri_receiver_leave(subscription);
	return weiri_attention_error(attention);
}

void weiri_subscription_held_release(struct weir_subscription *subscription)
{
	if (subscription->acks != NULL)
		weiri_acks_auto(subscription);
	for (uint32_t i = 0; i < subscription->held_count; i++)
		weiri_message_unref(subscription->held[i], 1, &subscription->chain);
	subscription->held_count = 0;
}

size_t weiri_receiver_reserve(struct weir_subscription *subscription, size_t count_max)
{
	const weir_allocator *allocator = &subscription->broker->allocator;
	void **held;

	if (count_max > WEIR_BATCH_MAX)
		count_max = WEIR_BATCH_MAX;
	if (count_max <= subscription->held_size)
		return count_max;
	held = weiri_allocate(allocator, count_max * sizeof(*held), sizeof(*held));
	if (held == NULL)
		return subscription->held_size;
	if (subscription->held != &subscription->held_one)
		weiri_deallocate(
			allocator, subscription->held, subscription->held_size * sizeof(*held));
	subscription->held = held;
	subscription->held_size = count_max;
	return count_max;
}

static size_t plain_take(struct weir_subscription *subscription, size_t count_max)
{
	size_t from_hand = 0;
	size_t taken;

	if (subscription->hand != NULL) {
		subscription->held[from_hand++] = subscription->hand;
		subscription->hand = NULL;
	}
	taken = from_hand;
	if (taken < count_max)
		taken += weiri_queue_pop(
			&subscription->queue, subscription->held + taken, count_max - taken);
	weiri_dequeue_note(subscription, subscription->held + from_hand, taken - from_hand);
	return taken;
}

size_t weiri_receiver_take(struct weir_subscription *subscription, size_t count_max)
{
	size_t taken = subscription->acks != NULL ? weiri_acks_take(subscription, count_max)
						  : plain_take(subscription, count_max);

	subscription->held_count = (uint32_t)taken;
	return taken;
}

bool weiri_receiver_has(struct weir_subscription *subscription)
{
	if (subscription->acks != NULL)
		return weiri_acks_can_take(subscription);
	return !weiri_queue_is_empty(&subscription->queue) || subscription->hand != NULL;
}

void weiri_receiver_arm(struct weir_subscription *subscription, struct weiri_waiter *waiter)
{
	struct weiri_acks *acks = subscription->acks;

	if (acks != NULL) {
		weiri_store_release(&acks->armed, waiter);
		/* With a full window a new message is no news; what is settled
		 * tells the receiver then. */
		if (waiter != NULL && !weiri_acks_have_room(subscription))
			return;
	}
	weiri_store_release(&subscription->armed, waiter);
}

bool weiri_receiver_is_armed(struct weir_subscription *subscription)
{
	/* Room that came after the look in arm told nobody, for the waiter was not
	 * armed; room that comes after this look does. */
	return subscription->acks == NULL || weiri_load_relaxed(&subscription->armed) != NULL ||
	       !weiri_acks_have_room(subscription);
}

/* Messages were taken: see to those who wait for that. */
static void taken_note(struct weir_subscription *subscription)
{
	uint32_t attention;

	/* Pairs with the heavy fences in room.c and broker.c. */
	weiri_fence_light(subscription->broker->fence_asymmetric);
	attention = weiri_attention_read(subscription);
	if (attention & WEIRI_ATTENTION_ROOM)
		weiri_room_tell(subscription);
	if (attention & WEIRI_ATTENTION_DRAINING && weiri_subscription_count(subscription) == 0)
		weiri_broker_drained(subscription->broker);
}

static uint64_t missed_since(struct weir_subscription *subscription)
{
	uint64_t lost = weiri_load_relaxed(&subscription->lost);
	uint64_t missed = lost - subscription->lost_seen;

	subscription->lost_seen = lost;
	return missed;
}

static void message_describe(struct weir_message *message, weir_delivery *delivery)
{
	delivery->data = message->data;
	delivery->size = message->size;
	delivery->message = message;
}

void weiri_receiver_hand_out(struct weir_subscription *subscription, weir_delivery *deliveries)
{
	uint64_t missed = missed_since(subscription);

	taken_note(subscription);
	for (uint32_t i = 0; i < subscription->held_count; i++) {
		deliveries[i] = (weir_delivery){
			.missed = i == 0 ? missed : 0,
			.attempt = 1,
			.deadline = WEIR_FOREVER,
		};
		if (subscription->acks != NULL)
			weiri_acks_describe(subscription, i, &deliveries[i]);
		else
			message_describe(subscription->held[i], &deliveries[i]);
	}
}
