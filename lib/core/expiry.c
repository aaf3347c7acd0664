/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of messages whose time to live is over. */
#include "core/expiry.h"

#include "core/acks.h"
#include "core/confirm.h"
#include "core/dead_letter.h"
#include "core/enqueue.h"
#include "core/receiver.h"
#include "core/subscription.h"

/* One that no receiver has seen. */
static void loss_count(struct weir_subscription *subscription)
{
	if (weiri_add_relaxed(&subscription->lost, 1) == 0) {
		weiri_subscription_pin(subscription);
		weiri_subscription_tell_loss(subscription);
	}
}

struct weir_publisher *weiri_expire(
	struct weir_subscription *subscription, const struct weiri_exhausted *expired)
{
	struct weir_publisher *publisher = NULL;
	struct weir_message *message = expired->value;
	int32_t priority = message->priority;
	bool is_letter;

	weiri_message_settle(message, 1, false);
	if (expired->attempt == 0)
		loss_count(subscription);
	is_letter = subscription->dead_letter_expired &&
		    weiri_dead_letter_publish(subscription, expired, &publisher) == 0;
	if (expired->attempt == 0 || !is_letter)
		weiri_levels_drop(subscription->levels, priority, 1);
	if (!is_letter) {
		(void)weiri_add_relaxed(&subscription->expired, 1);
		weiri_message_unref(message, 1, NULL);
	}
	return publisher;
}

void weiri_expiry_begin(struct weir_subscription *subscription)
{
	if (subscription->dead_letter_expired)
		(void)weiri_add_relaxed(&subscription->expiring, 1);
}

void weiri_expiry_end(struct weir_subscription *subscription)
{
	/* X5 (pairs with X6 in weiri_subscription_count): the letters are in their
	 * queues before this says that there are none. */
	if (subscription->dead_letter_expired)
		(void)weiri_sub_release(&subscription->expiring, 1);
}

void weiri_expiry_count_taken(struct weir_subscription *subscription)
{
	/* X3 (pairs with X4 in statistics.c): the taking comes before the count of
	 * it, so what is read as delivered is never less than nothing. */
	(void)weiri_add_acq_rel(&subscription->expired_taken, 1);
}

size_t weiri_hand_over_extras(struct weir_subscription *subscription, void **messages, size_t count)
{
	double now = weiri_clock_now(subscription->broker->clock);
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		const struct weiri_exhausted expired = { .value = messages[i],
			.reason = WEIRI_LEDGER_EXPIRED };

		if (!weiri_message_is_expired(messages[i], now)) {
			/* Handed over is done with. */
			weiri_message_settle(messages[i], 1, true);
			messages[left++] = messages[i];
			continue;
		}
		weiri_expiry_count_taken(subscription->core);
		weiri_receiver_defer(subscription, weiri_expire(subscription->core, &expired));
	}
	return left;
}

/* ---- At once ---- */

/* Messages that leave at one time before they are seen to. */
#define EXPIRED_MAX 32

/* Up to `count_max` that have expired, out of the queue; the timer is set for the
 * rest. */
static size_t queue_take(struct weiri_expiry *expiry, void **messages, size_t count_max)
{
	struct weir_subscription *subscription = expiry->subscription;
	struct weiri_store *store = subscription->queue.store;
	double now = weiri_clock_now(subscription->broker->clock);
	size_t count;

	weiri_store_lock(store);
	count = weiri_store_expire(store, now, messages, count_max);
	expiry->time = WEIR_FOREVER;
	weiri_expiry_note(subscription, weiri_store_expires_next(store));
	weiri_store_unlock(store);
	weiri_dequeue_note(subscription, messages, count);
	return count;
}

/* Virtual time: the message that a receiver has left in its hand. */
static size_t hand_take(struct weir_subscription *subscription, void **messages)
{
	struct weir_message *hand = subscription->hand;

	if (hand == NULL)
		return 0;
	if (!weiri_message_is_expired(hand, weiri_clock_now(subscription->broker->clock))) {
		weiri_expiry_note(subscription, weiri_message_expires(hand));
		return 0;
	}
	subscription->hand = NULL;
	weiri_expiry_count_taken(subscription);
	messages[0] = hand;
	return 1;
}

/* Room was made: see to those who wait for that, as a receiver does. */
static void room_tell(struct weir_subscription *subscription)
{
	uint32_t attention;

	weiri_fence_full();
	attention = weiri_load_acquire(&subscription->attention);
	if (attention & WEIRI_ATTENTION_ROOM)
		weiri_room_tell(subscription);
	if (attention & WEIRI_ATTENTION_DRAINING && weiri_subscription_count(subscription) == 0) {
		weiri_broker_drained(subscription->broker);
		weiri_subscription_tell(subscription);
	}
	weiri_clock_changed(subscription->broker->clock);
}

/* The time has come: by the timer thread, or outside any process.  One call sees to
 * a part, for a hook of a dead letter's may end the subscription. */
static void expiry_due(struct weiri_timer *timer)
{
	struct weiri_expiry *expiry = (struct weiri_expiry *)(void *)timer;
	struct weir_subscription *subscription = expiry->subscription;
	struct weir_broker *broker = subscription->broker;
	struct weir_publisher *publisher = NULL;
	void *messages[EXPIRED_MAX];
	bool has_recovered;
	size_t count;

	/* In virtual time nothing else keeps it until the publisher is given back. */
	weiri_broker_ref(broker);
	weiri_acks_enter(subscription);
	weiri_expiry_begin(subscription);
	count = queue_take(expiry, messages, EXPIRED_MAX - 1);
	count += hand_take(subscription, messages + count);
	for (size_t i = 0; i < count; i++) {
		const struct weiri_exhausted expired = { .value = messages[i],
			.reason = WEIRI_LEDGER_EXPIRED };

		publisher = weiri_dead_letter_join(publisher, weiri_expire(subscription, &expired));
	}
	weiri_expiry_end(subscription);
	if (count > 0)
		room_tell(subscription);
	has_recovered = weiri_watermark_is_left(subscription);
	weiri_acks_leave(subscription);
	if (has_recovered)
		weiri_watermark_recovered(subscription);
	if (publisher != NULL)
		weiri_dead_letter_finish(publisher);
	weiri_broker_unref(broker);
}

int weiri_expiry_open(
	struct weir_subscription *subscription, const struct weir_subscription_options *options)
{
	struct weir_broker *broker = subscription->broker;
	struct weiri_expiry *expiry;
	int error;

	if (!options->expire_at_once)
		return 0;
	expiry = weiri_allocate(&broker->allocator, sizeof(*expiry), WEIRI_CACHE_LINE);
	if (expiry == NULL)
		return WEIR_ENOMEM;
	expiry->subscription = subscription;
	expiry->time = WEIR_FOREVER;
	error = weiri_timer_open(&broker->timers, &expiry->timer, expiry_due);
	if (error != 0) {
		weiri_deallocate(&broker->allocator, expiry, sizeof(*expiry));
		return error;
	}
	subscription->expiry = expiry;
	return 0;
}

void weiri_expiry_close(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;

	if (subscription->expiry == NULL)
		return;
	weiri_timer_close(&broker->timers, &subscription->expiry->timer);
	weiri_deallocate(&broker->allocator, subscription->expiry, sizeof(*subscription->expiry));
	subscription->expiry = NULL;
}

void weiri_expiry_note(struct weir_subscription *subscription, double time)
{
	struct weiri_expiry *expiry = subscription->expiry;

	if (expiry == NULL || time >= expiry->time)
		return;
	expiry->time = time;
	weiri_timer_start(&subscription->broker->timers, &expiry->timer, time);
}
