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

#include "core/enqueue.h"
#include "core/publisher.h"
#include "core/watermark.h"

#define YIELDS 20

/* Subscriptions that one publish can tell that they are slow; the next publish
 * tells the rest. */
#define SLOW_MAX 4

struct publish {
	struct weir_publisher *publisher;
	struct weir_message **messages;
	size_t count;
	double deadline;
	size_t blocked; /* noted and not done yet */
	size_t noted;   /* in publisher->blocked */
	int error;      /* what the publish will return */
	bool no_memory; /* a subscription refused it for a limit in bytes */
	bool want_fill;
	size_t slow_count;
	struct weir_subscription *slow[SLOW_MAX]; /* pinned; their hooks are to be called */
	weir_receipt receipt;
};

static void messages_unref(struct weir_message **messages, size_t count, uint32_t references)
{
	for (size_t i = 0; i < count; i++)
		weiri_message_unref(messages[i], references, NULL);
}

/* Messages[from..from + count] do not get into this queue. */
static void drop(struct publish *publish, struct weir_subscription *subscription, weir_drop reason,
	size_t from, size_t count)
{
	weiri_subscription_lose(subscription, reason, count, count);
	publish->receipt.dropped += count;
	messages_unref(publish->messages + from, count, 1);
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

static weir_drop refusal_reason(struct publish *publish, struct weir_subscription *subscription,
	const struct weiri_enqueued *enqueued)
{
	if (enqueued->no_memory) {
		publish->no_memory = true;
		return WEIR_DROP_MEMORY;
	}
	return subscription->overflow == WEIR_OVERFLOW_DROP_LOWEST ? WEIR_DROP_LOWEST
								   : WEIR_DROP_NEWEST;
}

static bool must_wait(struct weir_subscription *subscription, const struct weir_message *message,
	const struct weiri_enqueued *enqueued)
{
	return (subscription->overflow == WEIR_OVERFLOW_BLOCK ||
		       weiri_enqueue_protects(subscription, message)) &&
	       !enqueued->no_memory && weiri_enqueue_fits(subscription, message);
}

/*
 * Messages[from..] to one subscription, by its policy.  Returns the index of the
 * first that has to wait for room, or their count: all are settled.
 */
static size_t deliver(struct publish *publish, struct weir_subscription *subscription, size_t from)
{
	struct weiri_enqueued enqueued;

	while (from < publish->count) {
		weiri_enqueue(
			subscription, publish->messages + from, publish->count - from, &enqueued);
		publish->receipt.enqueued += enqueued.count;
		publish->receipt.evicted += enqueued.evicted;
		from += enqueued.count;
		if (from == publish->count)
			break;
		if (must_wait(subscription, publish->messages[from], &enqueued))
			break;
		drop(publish, subscription, refusal_reason(publish, subscription, &enqueued), from,
			1);
		from++;
	}
	return from;
}

/* What a publish is asked, or has promised, to do with a queue that got something. */
static void queue_look(struct publish *publish, struct weir_subscription *subscription)
{
	struct weiri_queue *queue = &subscription->queue;

	if (publish->want_fill && queue->capacity != SIZE_MAX) {
		double fill = (double)weiri_queue_count(queue) / (double)queue->capacity;

		if (fill > publish->receipt.fill)
			publish->receipt.fill = fill;
	}
	if (subscription->high_watermark != 0 && publish->slow_count < SLOW_MAX &&
		weiri_watermark_is_reached(subscription))
		publish->slow[publish->slow_count++] = subscription;
}

static void snapshot_push(struct publish *publish, struct weiri_snapshot *snapshot)
{
	size_t empty = 0;

	for (size_t i = 0; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);
		size_t settled;

		if (subscription == NULL) {
			empty++;
			continue;
		}
		settled = deliver(publish, subscription, 0);
		if (settled < publish->count)
			block_note(publish, subscription, settled);
		if (publish->want_fill || subscription->high_watermark != 0)
			queue_look(publish, subscription);
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
			(void)weiri_subscription_wake(subscription);
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
	size_t settled;

	if (is_closed(subscription)) {
		drop(publish, subscription, WEIR_DROP_CLOSED, blocked->pushed,
			publish->count - blocked->pushed);
		blocked_done(publish, blocked);
		return;
	}
	settled = deliver(publish, subscription, blocked->pushed);
	if (settled == blocked->pushed)
		return;
	weiri_fence_full(); /* M2 */
	(void)weiri_subscription_wake(subscription);
	blocked->pushed = settled;
	if (settled == publish->count)
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

/* Whether a try now would change anything for one of the noted ones. */
static bool blocked_may_go(struct publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;

	if (weiri_load_acquire(&publisher->broker->state) != WEIRI_BROKER_RUNNING)
		return true;
	for (size_t i = 0; i < publish->noted; i++) {
		struct weiri_blocked *blocked = &publisher->blocked[i];

		if (blocked->subscription != NULL &&
			(is_closed(blocked->subscription) ||
				weiri_enqueue_accepts(
					blocked->subscription, publish->messages[blocked->pushed])))
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
	bool is_shutdown = publish->error == WEIR_ESHUTDOWN;

	for (size_t i = 0; i < publish->noted; i++) {
		struct weiri_blocked *blocked = &publisher->blocked[i];
		size_t count = publish->count - blocked->pushed;

		if (blocked->subscription == NULL)
			continue;
		if (!is_shutdown)
			publish->receipt.timed_out += count;
		drop(publish, blocked->subscription,
			is_shutdown ? WEIR_DROP_CLOSED : WEIR_DROP_TIMEOUT, blocked->pushed, count);
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
	sum->evicted += receipt->evicted;
	sum->fill = receipt->fill;
}

static void counters_add(struct weir_publisher *publisher, const weir_receipt *receipt)
{
	counter_add(&publisher->counters.published, receipt->published);
	counter_add(&publisher->counters.matched, receipt->matched);
	counter_add(&publisher->counters.enqueued, receipt->enqueued);
	counter_add(&publisher->counters.dropped, receipt->dropped);
}

int weiri_publish(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt)
{
	struct publish publish = {
		.publisher = publisher,
		.messages = messages,
		.count = count,
		.deadline = terms->deadline,
		.want_fill = terms->want_fill,
	};
	int error = first_pass(&publish, topic);

	if (error != 0)
		return error;
	if (publish.blocked > 0) {
		second_pass(&publish);
		blocked_give_up(&publish);
		/* Q1 (pairs with the acquire in await, at close). */
		(void)weiri_sub_release(&publisher->broker->blocked, 1);
	}
	counters_add(publisher, &publish.receipt);
	receipt_add(receipt, &publish.receipt);
	for (size_t i = 0; i < publish.slow_count; i++)
		weiri_watermark_slow(publish.slow[i]);
	if (publish.error == 0 && publish.no_memory)
		return WEIR_ENOMEM;
	return publish.error;
}
