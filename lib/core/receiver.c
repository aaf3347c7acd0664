/* SPDX-License-Identifier: BSD-2-Clause */
/* Entering, taking from and leaving one subscription. */
#include "core/receiver.h"

#include "core/dead_letter.h"
#include "core/enqueue.h"
#include "core/expiry.h"
#include "core/group.h"
#include "core/publisher.h"

int weiri_attention_error(uint32_t attention)
{
	return attention & WEIRI_ATTENTION_CLOSED ? WEIR_ECLOSED : WEIR_ESHUTDOWN;
}

int weiri_receiver_refuse(struct weir_subscription *subscription, uint32_t attention)
{
	/* Others of a group may wait until a member is done with what it got last. */
	if (subscription->member != NULL)
		weiri_subscription_held_release(subscription);
	weiri_receiver_leave(subscription);
	return weiri_attention_error(attention);
}

void weiri_receiver_release_many(struct weir_subscription *subscription)
{
	weiri_subscription_held_release(subscription);
}

size_t weiri_receiver_reserve_more(struct weir_subscription *subscription, size_t count_max)
{
	const weir_allocator *allocator = &subscription->broker->allocator;
	void **held;

	if (count_max > WEIR_BATCH_MAX)
		count_max = WEIR_BATCH_MAX;
	if (count_max <= subscription->held_size)
		return count_max;
	held = weiri_allocate(allocator, count_max * sizeof(*held), sizeof(*held));
	if (held == NULL || (subscription->member != NULL &&
				    weiri_group_held_reserve(subscription, count_max) != 0)) {
		weiri_deallocate(allocator, held, count_max * sizeof(*held));
		return subscription->held_size;
	}
	if (subscription->held != &subscription->held_one)
		weiri_deallocate(
			allocator, subscription->held, subscription->held_size * sizeof(*held));
	subscription->held = held;
	subscription->held_size = (uint32_t)count_max;
	return count_max;
}

/* In virtual time nobody pushes meanwhile, so the count tells without a look at the
 * places, which with many subscriptions are in nobody's cache. */
static bool queue_is_empty(struct weir_subscription *subscription)
{
	return subscription->broker->clock->is_virtual
		       ? weiri_queue_count(&subscription->queue) == 0
		       : weiri_queue_is_empty(&subscription->queue);
}

/* One that has slots: inline messages, others and cancelled places follow each other. */
static size_t mixed_take(struct weir_subscription *subscription, void **messages, size_t count)
{
	struct weiri_queue *queue = &subscription->queue;
	size_t taken = 0;

	do {
		size_t others = 0;

		taken += weiri_inline_take(subscription, messages + taken, count - taken);
		if (taken < count)
			others = weiri_queue_pop(queue, messages + taken, count - taken);
		taken += others;
		subscription->expects_inline = others == 0;
	} while (taken < count && !subscription->no_memory && !weiri_queue_is_empty(queue));
	return taken;
}

size_t weiri_dequeue(struct weir_subscription *subscription, void **messages, size_t count)
{
	size_t taken;

	if (subscription->pool != NULL)
		return mixed_take(subscription, messages, count);
	taken = weiri_queue_pop(&subscription->queue, messages, count);
	if (taken > 0)
		weiri_inline_consider(subscription);
	return taken;
}

size_t weiri_receiver_take_mixed(struct weir_subscription *subscription)
{
	/* Others than were expected, or cancelled places were passed, or no memory: now,
	 * not in an earlier receive. */
	subscription->no_memory = false;
	return weiri_queue_is_empty(&subscription->queue)
		       ? 0
		       : weiri_receiver_take_any(subscription, 1);
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
	if (taken < count_max && !queue_is_empty(subscription))
		taken += weiri_dequeue(subscription, subscription->held + taken, count_max - taken);
	weiri_dequeue_note(subscription, subscription->held + from_hand, taken - from_hand);
	return taken;
}

/* The same, until one is left that may be handed out. */
static size_t good_take(struct weir_subscription *subscription, size_t count_max)
{
	size_t taken, left;

	weiri_expiry_begin(subscription);
	do {
		taken = plain_take(subscription, count_max);
		left = weiri_hand_over_look(subscription, subscription->held, taken);
	} while (left == 0 && taken > 0);
	weiri_expiry_end(subscription);
	return left;
}

size_t weiri_receiver_take_special(struct weir_subscription *subscription, void *message)
{
	subscription->held[0] = message;
	subscription->held_count =
		(uint32_t)weiri_hand_over_look(subscription, subscription->held, 1);
	return subscription->held_count == 1 ? 1 : weiri_receiver_take_any(subscription, 1);
}

size_t weiri_receiver_take_any(struct weir_subscription *subscription, size_t count_max)
{
	size_t taken;

	subscription->no_memory = false;
	if (subscription->acks != NULL)
		taken = weiri_acks_take(subscription, count_max);
	else if (subscription->member != NULL)
		taken = weiri_group_take(subscription, count_max);
	else
		taken = good_take(subscription, count_max);
	subscription->held_count = (uint32_t)taken;
	return taken;
}

void weiri_receiver_defer(struct weir_subscription *subscription, struct weir_publisher *publisher)
{
	subscription->deferred = weiri_dead_letter_join(subscription->deferred, publisher);
}

bool weiri_receiver_has(struct weir_subscription *subscription)
{
	if (subscription->member != NULL)
		return weiri_group_has(subscription);
	if (subscription->acks != NULL)
		return weiri_acks_can_take(subscription);
	return subscription->hand != NULL || !queue_is_empty(subscription);
}

void weiri_receiver_arm(struct weir_subscription *subscription, struct weiri_waiter *waiter)
{
	struct weiri_acks *acks = subscription->acks;

	if (subscription->member != NULL) {
		weiri_group_arm(subscription, waiter);
		return;
	}
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
	return subscription->acks == NULL || subscription->member != NULL ||
	       weiri_load_relaxed(&subscription->armed) != NULL ||
	       !weiri_acks_have_room(subscription);
}

void weiri_receiver_attend(struct weir_subscription *subscription, uint32_t attention)
{
	if (attention & WEIRI_ATTENTION_ROOM)
		weiri_room_tell(subscription);
	if ((attention & WEIRI_ATTENTION_DRAINING) == 0 ||
		weiri_subscription_count(subscription) > 0)
		return;
	weiri_broker_drained(subscription->broker);
	if (!weiri_subscription_is_core(subscription))
		return;
	weiri_group_lock(subscription->group);
	weiri_group_tell_all(subscription->group);
	weiri_group_unlock(subscription->group);
}
