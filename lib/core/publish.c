/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publish: the publisher's side of the hot path.
 *
 * First pass, inside a section: push to every subscription of the snapshot, one
 * full fence, wake those that wait.  Subscriptions that are full and whose
 * policy is to wait are pinned and noted.
 *
 * Second pass, only if some were noted: outside the section look, yield, then
 * stand in line at all of them (core/room.h) until each has taken the messages
 * or the deadline comes.  Each try is a short section of its own.
 *
 * References: a message starts with one for each place of the snapshot; what is
 * not put into a queue is given back.
 */
#include <sched.h>

#include <ck_pr.h>

#include "core/publisher.h"
#include "core/subscription.h"

#define YIELDS 20

struct publish {
	struct weir_publisher *publisher;
	struct weir_message **messages;
	size_t count;
	double deadline;
	size_t blocked; /* noted and not done yet */
	size_t noted;   /* in publisher->blocked */
	int error;      /* what the publish will return */
	weir_receipt receipt;
};

static void messages_unref(struct weir_message **messages, size_t count, uint32_t references)
{
	for (size_t i = 0; i < count; i++)
		weiri_message_unref(messages[i], references, NULL);
}

/* Messages[pushed..] do not get into this queue. */
static void drop(struct publish *publish, struct weir_subscription *subscription,
	_Atomic uint64_t *counter, size_t pushed)
{
	size_t count = publish->count - pushed;

	if (weiri_add_relaxed(counter, count) == 0)
		weiri_log(&subscription->broker->log, WEIR_LOG_WARNING,
			"subscription to %s: first message lost, %llu are queued",
			subscription->filter,
			(unsigned long long)weiri_ring_count(&subscription->ring));
	publish->receipt.dropped += count;
	messages_unref(publish->messages + pushed, count, 1);
}

static void block_note(
	struct publish *publish, struct weir_subscription *subscription, size_t pushed)
{
	struct weiri_blocked *blocked = &publish->publisher->blocked[publish->noted++];

	weiri_subscription_pin(subscription);
	blocked->subscription = subscription;
	blocked->pushed = pushed;
	blocked->place.waiter = &publish->publisher->waiter;
	publish->blocked++;
}

/* Up to what the queue takes of messages[from..]; returns how many. */
static size_t push(struct publish *publish, struct weir_subscription *subscription, size_t from)
{
	size_t pushed =
		weiri_ring_push(&subscription->ring, (void *const *)(publish->messages + from),
			publish->count - from, weiri_load_relaxed(&subscription->handed));

	publish->receipt.enqueued += pushed;
	return pushed;
}

/* After a push and a full fence (M2, pairs with M1 in receive): wake whoever
 * waits for it. */
static void receiver_wake(struct weir_subscription *subscription)
{
	if (weiri_subscription_wake(subscription) && subscription->broker->clock->is_virtual)
		weiri_store_relaxed(&subscription->handed, 1);
}

static void overflow(struct publish *publish, struct weir_subscription *subscription, size_t pushed)
{
	switch (subscription->overflow) {
	case WEIR_OVERFLOW_BLOCK:
		block_note(publish, subscription, pushed);
		break;
	case WEIR_OVERFLOW_DROP_NEWEST:
		drop(publish, subscription, &subscription->dropped_newest, pushed);
		break;
	}
}

static void snapshot_push(struct publish *publish, struct weiri_snapshot *snapshot)
{
	size_t empty = 0;

	for (size_t i = 0; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);
		size_t pushed;

		if (subscription == NULL) {
			empty++;
			continue;
		}
		pushed = push(publish, subscription, 0);
		if (pushed < publish->count)
			overflow(publish, subscription, pushed);
	}
	publish->receipt.matched = (snapshot->count - empty) * publish->count;
	if (empty > 0)
		messages_unref(publish->messages, publish->count, (uint32_t)empty);
}

static void snapshot_wake(struct weiri_snapshot *snapshot)
{
	weiri_fence_full(); /* M2 */
	for (size_t i = 0; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription != NULL)
			receiver_wake(subscription);
	}
}

/* Room to note all that could block.  Outside of steady state only. */
static int blocked_reserve(struct weir_publisher *publisher, size_t size)
{
	const weir_allocator *allocator = &publisher->broker->allocator;
	struct weiri_blocked *blocked;

	if (size <= publisher->blocked_size)
		return 0;
	blocked = weiri_allocate(allocator, size * sizeof(*blocked), sizeof(void *));
	if (blocked == NULL)
		return WEIR_ENOMEM;
	weiri_deallocate(allocator, publisher->blocked, publisher->blocked_size * sizeof(*blocked));
	publisher->blocked = blocked;
	publisher->blocked_size = size;
	return 0;
}

static void messages_stamp(struct publish *publish, struct weiri_topic *topic, size_t places)
{
	struct weir_broker *broker = publish->publisher->broker;
	double now = broker->timestamps ? weiri_clock_now(broker->clock) : 0;
	uint64_t sequence = weiri_add_relaxed(&topic->sequence, publish->count);

	publish->receipt.sequence = sequence + publish->count;
	for (size_t i = 0; i < publish->count; i++) {
		struct weir_message *message = publish->messages[i];

		message->topic = topic;
		message->sequence = ++sequence;
		message->timestamp = now;
		message->flags |= WEIRI_MESSAGE_PUBLISHED;
		weiri_store_relaxed(&message->references, (uint32_t)places);
	}
}

/* The first pass.  Not 0: nothing was published. */
static int first_pass(struct publish *publish, struct weiri_topic *topic)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_broker *broker = publisher->broker;
	struct weiri_snapshot *snapshot;
	int error;

	weiri_reclaim_begin(publisher->member);
	snapshot = weiri_load_acquire(&topic->snapshot); /* S2 */
	error = blocked_reserve(publisher, snapshot->blocking);
	if (weiri_load_acquire(&broker->state) != WEIRI_BROKER_RUNNING)
		error = WEIR_ESHUTDOWN;
	if (error == 0) {
		publish->receipt.published = publish->count;
		/* Without subscriptions the reference is the publisher's own. */
		messages_stamp(publish, topic, snapshot->count > 0 ? snapshot->count : 1);
		if (snapshot->count > 0) {
			snapshot_push(publish, snapshot);
			snapshot_wake(snapshot);
		} else {
			messages_unref(publish->messages, publish->count, 1);
		}
	}
	if (publish->blocked > 0)
		(void)weiri_add_relaxed(&broker->blocked, 1);
	weiri_reclaim_end(&broker->registry.reclaim, publisher->member);
	return error;
}

static void blocked_done(struct publish *publish, struct weiri_blocked *blocked)
{
	struct weir_subscription *subscription = blocked->subscription;

	weiri_room_leave(subscription, &blocked->place);
	blocked->subscription = NULL;
	publish->blocked--;
	weiri_subscription_unpin(subscription);
}

static bool is_closed(struct weir_subscription *subscription)
{
	return (weiri_load_acquire(&subscription->attention) & WEIRI_ATTENTION_CLOSED) != 0;
}

/* Another try at one of the noted ones, inside a section. */
static void blocked_try(struct publish *publish, struct weiri_blocked *blocked)
{
	struct weir_subscription *subscription = blocked->subscription;
	size_t pushed;

	if (is_closed(subscription)) {
		drop(publish, subscription, &subscription->dropped_closed, blocked->pushed);
		blocked_done(publish, blocked);
		return;
	}
	pushed = push(publish, subscription, blocked->pushed);
	if (pushed == 0)
		return;
	weiri_fence_full(); /* M2 */
	receiver_wake(subscription);
	blocked->pushed += pushed;
	if (blocked->pushed == publish->count)
		blocked_done(publish, blocked);
}

static void blocked_try_all(struct publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_broker *broker = publisher->broker;

	weiri_reclaim_begin(publisher->member);
	if (weiri_load_acquire(&broker->state) != WEIRI_BROKER_RUNNING)
		publish->error = WEIR_ESHUTDOWN;
	for (size_t i = 0; i < publish->noted && publish->error == 0; i++)
		if (publisher->blocked[i].subscription != NULL)
			blocked_try(publish, &publisher->blocked[i]);
	weiri_reclaim_end(&broker->registry.reclaim, publisher->member);
}

/* Something has changed for one of the noted ones since the last try. */
static bool blocked_may_go(struct publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;

	if (weiri_load_acquire(&publisher->broker->state) != WEIRI_BROKER_RUNNING)
		return true;
	for (size_t i = 0; i < publish->noted; i++) {
		struct weir_subscription *subscription = publisher->blocked[i].subscription;

		if (subscription != NULL &&
			(weiri_subscription_has_room(subscription) || is_closed(subscription)))
			return true;
	}
	return false;
}

/* Stand in line at all of them and sleep until told, or until `look`. */
static int blocked_park(struct publish *publish, double look)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_clock *clock = publisher->broker->clock;

	weiri_waiter_arm(&publisher->waiter);
	for (size_t i = 0; i < publish->noted; i++) {
		struct weiri_blocked *blocked = &publisher->blocked[i];

		if (blocked->subscription != NULL)
			weiri_room_join(blocked->subscription, &blocked->place);
	}
	/* Pairs with the light fence in receive: a receiver that takes from now
	 * on sees the line, or this thread sees what it took. */
	weiri_fence_heavy(publisher->broker->fence_asymmetric);
	if (blocked_may_go(publish)) {
		(void)weiri_waiter_disarm(&publisher->waiter);
		return 0;
	}
	return weiri_clock_park(
		clock, &publisher->waiter, look < publish->deadline ? look : publish->deadline);
}

/* One wait between two tries; `*pause` is after how long to look again. */
static int blocked_wait(struct publish *publish, unsigned int tries, double *pause)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_broker *broker = publisher->broker;
	struct weir_clock *clock = broker->clock;
	double look;
	int error;

	if (clock->is_virtual)
		return blocked_park(publish, WEIR_FOREVER);
	if (publisher->wait == WEIR_WAIT_SPIN ||
		(publisher->wait == WEIR_WAIT_SPIN_THEN_PARK && tries < broker->spins)) {
		ck_pr_stall();
		return 0;
	}
	if (publisher->wait == WEIR_WAIT_SPIN_THEN_PARK && tries < broker->spins + YIELDS) {
		(void)sched_yield();
		return 0;
	}
	look = weiri_clock_now(clock) + *pause;
	error = blocked_park(publish, look);
	*pause = *pause * 2 < WEIRI_ROOM_LOOK_LAST ? *pause * 2 : WEIRI_ROOM_LOOK_LAST;
	/* The look's time has come, not the deadline's: try again. */
	return error == WEIR_ETIMEDOUT && look < publish->deadline ? 0 : error;
}

/* The second pass. */
static void second_pass(struct publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_clock *clock = publisher->broker->clock;
	double pause = WEIRI_ROOM_LOOK_FIRST;

	for (unsigned int tries = 0; publish->blocked > 0 && publish->error == 0; tries++) {
		if (publish->deadline != WEIR_FOREVER &&
			publish->deadline <= weiri_clock_now(clock))
			publish->error = WEIR_ETIMEDOUT;
		else
			publish->error = blocked_wait(publish, tries, &pause);
		if (publish->error == 0 || publish->error == WEIR_ETIMEDOUT) {
			int error = publish->error;

			publish->error = 0;
			blocked_try_all(publish);
			if (publish->error == 0 && publish->blocked > 0)
				publish->error = error;
		}
	}
}

/* What is still not in a queue will not get there. */
static void blocked_give_up(struct publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;

	for (size_t i = 0; i < publish->noted; i++) {
		struct weiri_blocked *blocked = &publisher->blocked[i];
		struct weir_subscription *subscription = blocked->subscription;

		if (subscription == NULL)
			continue;
		if (publish->error == WEIR_ESHUTDOWN) {
			drop(publish, subscription, &subscription->dropped_closed, blocked->pushed);
		} else {
			publish->receipt.timed_out += publish->count - blocked->pushed;
			drop(publish, subscription, &subscription->dropped_timeout,
				blocked->pushed);
		}
		blocked_done(publish, blocked);
	}
}

static void counter_add(_Atomic uint64_t *counter, uint64_t count)
{
	/* One writer: a load and a store will do. */
	weiri_store_relaxed(counter, weiri_load_relaxed(counter) + count);
}

static void receipt_add(weir_receipt *sum, const weir_receipt *receipt)
{
	sum->sequence = receipt->sequence;
	sum->published += receipt->published;
	sum->matched += receipt->matched;
	sum->enqueued += receipt->enqueued;
	sum->dropped += receipt->dropped;
	sum->timed_out += receipt->timed_out;
}

int weiri_publish(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, double deadline, weir_receipt *receipt)
{
	struct publish publish = {
		.publisher = publisher,
		.messages = messages,
		.count = count,
		.deadline = deadline,
	};
	int error = first_pass(&publish, topic);

	if (error != 0)
		return error;
	if (publish.blocked > 0) {
		second_pass(&publish);
		blocked_give_up(&publish);
		/* Q1 (pairs with the acquire in await_zero, at close). */
		(void)weiri_sub_release(&publisher->broker->blocked, 1);
	}
	counter_add(&publisher->counters.published, publish.receipt.published);
	counter_add(&publisher->counters.matched, publish.receipt.matched);
	counter_add(&publisher->counters.enqueued, publish.receipt.enqueued);
	counter_add(&publisher->counters.dropped, publish.receipt.dropped);
	receipt_add(receipt, &publish.receipt);
	return publish.error;
}
