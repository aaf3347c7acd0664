/* SPDX-License-Identifier: BSD-2-Clause */
/* The second pass of a publish: waiting for room where the policy is to wait. */
#include <sched.h>

#include <ck_pr.h>

#include "core/publish.h"

#define YIELDS 20

/* A pause is about 10 ns, in which a receiver takes less than one message. */
#define QUEUED_FOR_A_PAUSE 8
#define PAUSES_MAX         128

int weiri_blocked_reserve_more(struct weir_publisher *publisher, size_t size)
{
	const weir_allocator *allocator = &publisher->broker->allocator;
	struct weiri_blocked *blocked;

	blocked = weiri_allocate(allocator, size * sizeof(*blocked), sizeof(void *));
	if (blocked == NULL)
		return WEIR_ENOMEM;
	weiri_deallocate(allocator, publisher->blocked, publisher->blocked_size * sizeof(*blocked));
	publisher->blocked = blocked;
	publisher->blocked_size = size;
	return 0;
}

void weiri_blocked_note(
	struct weiri_publish *publish, struct weir_subscription *subscription, size_t pushed)
{
	struct weiri_blocked *blocked = &publish->publisher->blocked[publish->noted++];

	weiri_subscription_pin(subscription);
	blocked->subscription = subscription;
	blocked->pushed = pushed;
	blocked->place.waiter = &publish->publisher->waiter;
	publish->blocked++;
}

void weiri_blocked_done(struct weiri_publish *publish, struct weiri_blocked *blocked)
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
static void blocked_try(struct weiri_publish *publish, struct weiri_blocked *blocked)
{
	struct weir_subscription *subscription = blocked->subscription;
	size_t settled;

	if (is_closed(subscription)) {
		weiri_publish_drop(publish, subscription, WEIR_DROP_CLOSED, blocked->pushed,
			publish->count - blocked->pushed);
		weiri_blocked_done(publish, blocked);
		return;
	}
	settled = weiri_publish_deliver(publish, subscription, blocked->pushed);
	if (settled == blocked->pushed)
		return;
	weiri_fence_full(); /* M2 */
	(void)weiri_subscription_wake(subscription);
	blocked->pushed = settled;
	if (settled == publish->count)
		weiri_blocked_done(publish, blocked);
}

static void blocked_try_all(struct weiri_publish *publish)
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
	/* Now, and not at the end: what this holds may be waited for. */
	weiri_publish_aftermath(publish);
}

/* Whether a try now would change anything for one of the noted ones. */
static bool blocked_may_go(struct weiri_publish *publish)
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
static int blocked_park(struct weiri_publish *publish, double look)
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

/* How long a publisher that spins leaves the queues alone before it looks again, in
 * pauses.  A look takes the line of the receiver's position away from it; and one
 * that has many messages before it does not wait for the next one.  So it is no longer
 * than what the shortest of the queues will do for, eight times over. */
static unsigned int pauses_before_look(struct weiri_publish *publish)
{
	uint64_t least = QUEUED_FOR_A_PAUSE * PAUSES_MAX;

	for (size_t i = 0; i < publish->noted; i++) {
		struct weir_subscription *subscription =
			publish->publisher->blocked[i].subscription;

		if (subscription != NULL && weiri_queue_count(&subscription->queue) < least)
			least = weiri_queue_count(&subscription->queue);
	}
	return least < QUEUED_FOR_A_PAUSE ? 1 : (unsigned int)(least / QUEUED_FOR_A_PAUSE);
}

static void look_await(unsigned int pauses)
{
	while (pauses-- > 0)
		ck_pr_stall();
}

int weiri_blocked_wait(struct weiri_publish *publish, unsigned int tries, double *pause)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_broker *broker = publisher->broker;
	struct weir_clock *clock = broker->clock;
	unsigned int pauses, spins;
	double look;
	int error;

	if (clock->is_virtual)
		return blocked_park(publish, WEIR_FOREVER);
	pauses = pauses_before_look(publish);
	spins = (broker->spins + pauses - 1) / pauses;
	if (publisher->wait == WEIR_WAIT_SPIN ||
		(publisher->wait != WEIR_WAIT_PARK && tries < spins)) {
		look_await(pauses);
		return 0;
	}
	if (publisher->wait == WEIR_WAIT_YIELD ||
		(publisher->wait == WEIR_WAIT_SPIN_THEN_PARK && tries < spins + YIELDS)) {
		(void)sched_yield();
		return 0;
	}
	look = weiri_clock_now(clock) + *pause;
	error = blocked_park(publish, look);
	*pause = *pause * 2 < WEIRI_ROOM_LOOK_LAST ? *pause * 2 : WEIRI_ROOM_LOOK_LAST;
	/* The look's time has come, not the deadline's: try again. */
	return error == WEIR_ETIMEDOUT && look < publish->deadline ? 0 : error;
}

/* What is still not in a queue will not get there. */
static void blocked_give_up(struct weiri_publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;
	bool is_shutdown = publish->error == WEIR_ESHUTDOWN;

	for (size_t i = 0; i < publish->noted; i++) {
		struct weiri_blocked *blocked = &publisher->blocked[i];
		size_t count = publish->count - blocked->pushed;

		if (blocked->subscription == NULL)
			continue;
		if (!is_shutdown)
			publish->receipt->timed_out += count;
		weiri_publish_drop(publish, blocked->subscription,
			is_shutdown ? WEIR_DROP_CLOSED : WEIR_DROP_TIMEOUT, blocked->pushed, count);
		weiri_blocked_done(publish, blocked);
	}
}

void weiri_publish_second_pass(struct weiri_publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_clock *clock = publisher->broker->clock;
	double pause = WEIRI_ROOM_LOOK_FIRST;

	for (unsigned int tries = 0; publish->blocked > 0 && publish->error == 0; tries++) {
		if (publish->deadline != WEIR_FOREVER &&
			publish->deadline <= weiri_clock_now(clock))
			publish->error = WEIR_ETIMEDOUT;
		else
			publish->error = weiri_blocked_wait(publish, tries, &pause);
		if (publish->error == 0 || publish->error == WEIR_ETIMEDOUT) {
			int error = publish->error;

			publish->error = 0;
			blocked_try_all(publish);
			if (publish->error == 0 && publish->blocked > 0)
				publish->error = error;
		}
	}
	blocked_give_up(publish);
}
