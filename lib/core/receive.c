/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive: the subscriber's side of the hot path.
 *
 * Entering and leaving.  `receiving` tells whoever closes the subscription that a
 * receive is under way.  Its partner words are set almost never, so this side
 * uses the light fence and the closing side the heavy one:
 *   receiver: receiving = 1, light fence, look at attention
 *   closer:   attention |= CLOSED, heavy fence, look at receiving
 * At least one sees the other.  The receiver leaves by storing 0 and touches
 * nothing after it, for the closer may free everything then.
 *
 * After taking, the receiver must see publishers that came to wait, and a drain
 * that waits for empty queues; the same pattern with head and attention.
 */
#include <sched.h>

#include <ck_pr.h>

#include "core/enqueue.h"

#define YIELDS 20

/* Bits that end a receive, whatever is queued. */
#define ATTENTION_END (WEIRI_ATTENTION_CLOSED | WEIRI_ATTENTION_SHUTDOWN)

/* Bits that end a wait. */
#define ATTENTION_STOP (ATTENTION_END | WEIRI_ATTENTION_DRAINING | WEIRI_ATTENTION_INTERRUPT)

static uint32_t attention_read(struct weir_subscription *subscription)
{
	return weiri_load_acquire(&subscription->attention);
}

static int end_error(uint32_t attention)
{
	return attention & WEIRI_ATTENTION_CLOSED ? WEIR_ECLOSED : WEIR_ESHUTDOWN;
}

static void receiver_leave(struct weir_subscription *subscription)
{
	bool is_virtual = subscription->broker->clock->is_virtual;

	/* V1 (pairs with the acquire in await): all that the receive did
	 * comes before what the closer does next. */
	weiri_store_release(&subscription->receiving, 0);
	if (is_virtual)
		weiri_subscription_orphan_check(subscription);
}

static int receiver_enter(struct weir_subscription *subscription)
{
	uint32_t attention;

	if (weiri_load_relaxed(&subscription->receiving) != 0)
		return WEIR_EBUSY;
	weiri_store_relaxed(&subscription->receiving, 1);
	weiri_fence_light(subscription->broker->fence_asymmetric);
	attention = attention_read(subscription);
	if ((attention & ATTENTION_END) == 0)
		return 0;
	receiver_leave(subscription);
	return end_error(attention);
}

void weiri_subscription_held_release(struct weir_subscription *subscription)
{
	for (uint32_t i = 0; i < subscription->held_count; i++)
		weiri_message_unref(subscription->held[i], 1, &subscription->chain);
	subscription->held_count = 0;
}

/* Room for handing out `count_max` at once; without memory for it, as many as
 * there was room for before. */
static size_t held_reserve(struct weir_subscription *subscription, size_t count_max)
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

static size_t messages_take(struct weir_subscription *subscription, size_t count_max)
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
	subscription->held_count = (uint32_t)taken;
	weiri_dequeue_note(subscription, subscription->held + from_hand, taken - from_hand);
	return taken;
}

static bool wait_is_over(struct weir_subscription *subscription)
{
	return !weiri_queue_is_empty(&subscription->queue) ||
	       (attention_read(subscription) & ATTENTION_STOP) != 0;
}

/* Look again for a moment before sleeping, or without end for SPIN. */
static bool wait_spin(struct weir_subscription *subscription, double deadline)
{
	struct weir_broker *broker = subscription->broker;
	bool is_endless = subscription->wait == WEIR_WAIT_SPIN;

	for (unsigned int i = 0; is_endless || i < broker->spins; i++) {
		if (wait_is_over(subscription))
			return true;
		if (is_endless && i % 64 == 63 && deadline != WEIR_FOREVER &&
			weiri_clock_now(broker->clock) >= deadline)
			return false;
		ck_pr_stall();
	}
	for (unsigned int i = 0; i < YIELDS; i++) {
		if (wait_is_over(subscription))
			return true;
		(void)sched_yield();
	}
	return false;
}

static int wait_park(struct weir_subscription *subscription, double deadline)
{
	struct weiri_waiter *waiter = &subscription->waiter;
	int error = 0;

	/* M1: `armed` and the waiter's state are visible before the look at the
	 * ring (the fence in arm); a publisher pushes, passes a full fence and
	 * looks at them (M2 in publish).  One of the two sees the other. */
	weiri_store_release(&subscription->armed, waiter);
	weiri_waiter_arm(waiter);
	if (wait_is_over(subscription))
		(void)weiri_waiter_disarm(waiter);
	else
		error = weiri_clock_park(subscription->broker->clock, waiter, deadline);
	weiri_store_relaxed(&subscription->armed, NULL);
	return error;
}

/* Wait until there may be a message or a reason to stop. */
static int message_wait(struct weir_subscription *subscription, double deadline)
{
	bool is_virtual = subscription->broker->clock->is_virtual;

	weiri_pool_chain_flush(&subscription->chain);
	if (!is_virtual && subscription->wait != WEIR_WAIT_PARK) {
		if (wait_spin(subscription, deadline))
			return 0;
		if (subscription->wait == WEIR_WAIT_SPIN)
			return WEIR_ETIMEDOUT;
	}
	return wait_park(subscription, deadline);
}

/* The queue is empty: what `attention` says about going on. */
static int empty_check(struct weir_subscription *subscription, bool may_wait)
{
	uint32_t attention = attention_read(subscription);

	if (attention & ATTENTION_END)
		return end_error(attention);
	if (attention & WEIRI_ATTENTION_DRAINING && weiri_subscription_count(subscription) == 0)
		return WEIR_ESHUTDOWN;
	if (!may_wait)
		return WEIR_EAGAIN;
	if (attention & WEIRI_ATTENTION_INTERRUPT) {
		weiri_attention_clear(subscription, WEIRI_ATTENTION_INTERRUPT);
		return WEIR_EINTR;
	}
	return 0;
}

/* Take at least one message, waiting if need be; *has_waited tells. */
static int messages_await(
	struct weir_subscription *subscription, size_t count_max, double timeout, bool *has_waited)
{
	double deadline = 0;

	for (bool is_first = true;; is_first = false) {
		int error;

		if (messages_take(subscription, count_max) > 0)
			return 0;
		error = empty_check(subscription, timeout > 0);
		if (error != 0)
			return error;
		if (is_first)
			deadline = weiri_clock_deadline(subscription->broker->clock, timeout);
		*has_waited = true;
		error = message_wait(subscription, deadline);
		if (error != 0)
			return messages_take(subscription, count_max) > 0 ? 0 : error;
	}
}

/* Messages were taken: see to those who wait for that. */
static void taken_note(struct weir_subscription *subscription)
{
	uint32_t attention;

	/* Pairs with the heavy fences in room.c and broker.c. */
	weiri_fence_light(subscription->broker->fence_asymmetric);
	attention = attention_read(subscription);
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

static void deliveries_fill(struct weir_subscription *subscription, weir_delivery *deliveries)
{
	uint64_t missed = missed_since(subscription);

	for (uint32_t i = 0; i < subscription->held_count; i++) {
		struct weir_message *message = subscription->held[i];

		deliveries[i] = (weir_delivery){
			.data = message->data,
			.size = message->size,
			.message = message,
			.missed = i == 0 ? missed : 0,
			.attempt = 1,
		};
	}
}

int weir_receive_batch(weir_subscription *subscription, weir_delivery *deliveries, size_t count_max,
	double timeout, size_t *count)
{
	bool has_waited = false;
	bool has_recovered = false;
	struct weir_clock *clock;
	int error;

	if (subscription == NULL || deliveries == NULL || count == NULL || count_max == 0 ||
		!weiri_duration_is_valid(timeout))
		return WEIR_EINVAL;
	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	error = receiver_enter(subscription);
	if (error != 0)
		return error;
	clock = subscription->broker->clock;
	weiri_subscription_held_release(subscription);
	error = messages_await(
		subscription, held_reserve(subscription, count_max), timeout, &has_waited);
	if (error == 0) {
		taken_note(subscription);
		deliveries_fill(subscription, deliveries);
		*count = subscription->held_count;
		has_recovered = weiri_watermark_is_left(subscription);
	}
	receiver_leave(subscription);
	if (has_recovered)
		weiri_watermark_recovered(subscription);
	/* A message that was waited for came with a wake-up, which has let
	 * others run already. */
	if (error == 0 && !has_waited)
		weiri_clock_give_way(clock);
	else if (error == WEIR_EAGAIN)
		weiri_clock_pause(clock);
	return error;
}

int weir_receive(weir_subscription *subscription, weir_delivery *delivery, double timeout)
{
	size_t count;

	return weir_receive_batch(subscription, delivery, 1, timeout, &count);
}
