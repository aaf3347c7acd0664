/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive: the subscriber's side of the hot path, over a set of subscriptions:
 * one for weir_receive, several for weir_select.
 *
 * Waiting.  The receiver announces one waiter in `armed` of every subscription of
 * the set; whoever publishes to one of them first wins the step of the waiter's
 * state and wakes it.  Nothing is taken for a receiver before it runs (but into
 * its hand, in virtual time, by the one who won), so a wait that ends in another
 * way loses nothing.
 *
 * Who never sleeps is never woken.  To see an announcement a publisher has to pass a
 * full fence after its push, which waits until the message is out of its hands, for
 * every message.  So a receiver that has not slept in its last waits takes `sleeps`
 * back, and publishers neither fence nor look.  Before it sleeps again it sets it, and
 * passes a heavy fence:
 *   receiver:  sleeps = 1, heavy fence, announce, full fence, look at the queue
 *   publisher: push, light fence, look at sleeps; if it is set, full fence, look at
 *              the announcement
 * A publisher that saw it not yet set has pushed before the heavy fence, so the
 * receiver sees the message; one that saw it set does as it would without all this.
 */
#include <sched.h>

#include <ck_pr.h>

#include "core/crate.h"
#include "core/dead_letter.h"
#include "core/publisher.h"
#include "core/group.h"
#include "core/receive_plain.h"

#define YIELDS 20

/* So many looks in vain, and a receiver that spins has time for what can wait; in a
 * stream, or in the exchange of questions and answers, a message is there before. */
#define LOOKS_BUSY 32

/* So many waits without sleep, and the publishers are spared the look: enough to make
 * up for the heavy fence before the next sleep. */
#define WAITS_AWAKE 64

struct set {
	weir_subscription *const *subscriptions;
	size_t count;
	size_t first; /* where to look first */
	size_t found; /* what a message was taken from */
	bool is_fair;
	bool is_entered; /* by a direct receive, which has found nothing */
};

static struct weir_broker *broker_of(const struct set *set)
{
	return set->subscriptions[0]->broker;
}

/* Take up to `count_max` from the first of the set that has something. */
static bool set_take(struct set *set, size_t count_max)
{
	bool is_virtual = broker_of(set)->clock->is_virtual;

	/* What is in the hand was what the receiver was woken for. */
	for (size_t i = 0; is_virtual && i < set->count; i++)
		if (set->subscriptions[i]->hand != NULL)
			set->first = i;
	for (size_t k = 0; k < set->count; k++) {
		size_t i =
			set->first + k < set->count ? set->first + k : set->first + k - set->count;

		if (weiri_receiver_take(set->subscriptions[i], count_max) > 0) {
			set->found = i;
			if (set->is_fair)
				set->subscriptions[0]->select_next = (uint32_t)i + 1;
			return true;
		}
	}
	return false;
}

static bool wait_is_over(const struct set *set)
{
	size_t drained = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct weir_subscription *subscription = set->subscriptions[i];
		uint32_t attention = weiri_attention_read(subscription);

		if (weiri_receiver_has(subscription) || (attention & WEIRI_ATTENTION_STOP) != 0)
			return true;
		drained +=
			attention & WEIRI_ATTENTION_DRAINING && weiri_drain_is_over(subscription);
	}
	return drained == set->count;
}

/* Whether it is time to give up, looked at now and then. */
static bool is_late(const struct set *set, unsigned int looks, double deadline)
{
	return looks % 64 == 63 && deadline != WEIR_FOREVER &&
	       weiri_clock_now(broker_of(set)->clock) >= deadline;
}

/* Let the publishers have back what was received before. */
static void chains_flush(const struct set *set)
{
	for (size_t i = 0; i < set->count; i++)
		weiri_crate_chain_flush(&set->subscriptions[i]->chain);
}

/* Look again for a moment before sleeping; or without end, if the way to wait is
 * never to sleep.  Returns whether the wait is over, and not for its deadline. */
static bool wait_spin(const struct set *set, double deadline)
{
	struct weir_broker *broker = broker_of(set);
	weir_wait wait = set->subscriptions[0]->wait;

	for (unsigned int i = 0; wait == WEIR_WAIT_SPIN || i < broker->spins; i++) {
		if (wait_is_over(set))
			return true;
		if (wait == WEIR_WAIT_SPIN && is_late(set, i, deadline))
			return false;
		if (i == LOOKS_BUSY)
			chains_flush(set);
		ck_pr_stall();
	}
	/* Where it did not spin for so long. */
	chains_flush(set);
	for (unsigned int i = 0; wait == WEIR_WAIT_YIELD || i < YIELDS; i++) {
		if (wait_is_over(set))
			return true;
		if (wait == WEIR_WAIT_YIELD && is_late(set, i, deadline))
			return false;
		(void)sched_yield();
	}
	return false;
}

static void set_arm(const struct set *set, struct weiri_waiter *waiter)
{
	for (size_t i = 0; i < set->count; i++)
		weiri_receiver_arm(set->subscriptions[i], waiter);
}

static bool set_is_armed(const struct set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!weiri_receiver_is_armed(set->subscriptions[i]))
			return false;
	return true;
}

/* A wait ended without sleep. */
static void awake_note(const struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct weir_subscription *subscription = set->subscriptions[i];

		if (++subscription->waits_awake != WAITS_AWAKE ||
			!subscription->broker->fence_asymmetric)
			continue;
		/* A publisher that still sees the old value only looks in vain. */
		weiri_store_relaxed(&subscription->sleeps, false);
	}
}

/* Have publishers look, from now on. */
static void sleep_announce(const struct set *set)
{
	bool is_news = false;

	for (size_t i = 0; i < set->count; i++) {
		struct weir_subscription *subscription = set->subscriptions[i];

		subscription->waits_awake = 0;
		if (weiri_load_relaxed(&subscription->sleeps))
			continue;
		weiri_store_relaxed(&subscription->sleeps, true);
		is_news = true;
	}
	/* M3 (pairs with M4 in publish_plain): see above.  Without it a publisher's
	 * push and its look could fall on both sides of all that the receiver does. */
	if (is_news)
		weiri_fence_heavy(broker_of(set)->fence_asymmetric);
}

static int wait_park(const struct set *set, double deadline)
{
	struct weiri_waiter *waiter = set->subscriptions[0]->waiter;
	int error = 0;

	/* M1: `armed` and the waiter's state are visible before the look at the
	 * queues (the fence in arm); a publisher pushes, passes a full fence and
	 * looks at them (M2 in publish).  One of the two sees the other. */
	chains_flush(set);
	sleep_announce(set);
	set_arm(set, waiter);
	weiri_clock_arm(broker_of(set)->clock, waiter);
	if (!set_is_armed(set) || wait_is_over(set))
		(void)weiri_waiter_disarm(waiter);
	else
		error = weiri_clock_park(broker_of(set)->clock, waiter, deadline);
	set_arm(set, NULL);
	return error;
}

/* Wait until there may be a message or a reason to stop. */
static int message_wait(const struct set *set, double deadline)
{
	weir_wait wait = set->subscriptions[0]->wait;

	if (!broker_of(set)->clock->is_virtual && wait != WEIR_WAIT_PARK) {
		if (wait_spin(set, deadline)) {
			awake_note(set);
			return 0;
		}
		if (wait == WEIR_WAIT_SPIN || wait == WEIR_WAIT_YIELD)
			return WEIR_ETIMEDOUT;
	}
	return wait_park(set, deadline);
}

/* The queues are empty: what `attention` says about going on. */
static int empty_check(const struct set *set, bool may_wait)
{
	size_t drained = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct weir_subscription *subscription = set->subscriptions[i];
		uint32_t attention = weiri_attention_read(subscription);

		if (attention & WEIRI_ATTENTION_END)
			return weiri_attention_error(attention);
		if (subscription->no_memory)
			return WEIR_ENOMEM;
		/* Cancelled places were passed without a message to show it. */
		if (weiri_attention_read(subscription->core) & WEIRI_ATTENTION_ROOM)
			weiri_room_tell(subscription->core);
		if (attention & WEIRI_ATTENTION_INTERRUPT && may_wait) {
			weiri_attention_clear(subscription, WEIRI_ATTENTION_INTERRUPT);
			return WEIR_EINTR;
		}
		if (attention & WEIRI_ATTENTION_DRAINING && weiri_drain_is_over(subscription))
			drained++;
	}
	if (drained == set->count) {
		/* It may be this look that passed the last places, void ones. */
		weiri_broker_drained(broker_of(set));
		return WEIR_ESHUTDOWN;
	}
	return may_wait ? 0 : WEIR_EAGAIN;
}

/* Take at least one message, waiting if need be; *has_waited tells. */
static int messages_await(struct set *set, size_t count_max, double timeout, bool *has_waited)
{
	double deadline = 0;

	while (!set_take(set, count_max)) {
		int error = empty_check(set, timeout > 0);

		if (error != 0)
			return error;
		if (!*has_waited)
			deadline = weiri_clock_deadline(broker_of(set)->clock, timeout);
		*has_waited = true;
		error = message_wait(set, deadline);
		if (error != 0)
			return set_take(set, count_max) ? 0 : error;
	}
	return 0;
}

static int set_enter(const struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		int error = weiri_receiver_enter(set->subscriptions[i]);

		if (error != 0) {
			while (i-- > 0)
				weiri_receiver_leave(set->subscriptions[i]);
			return error;
		}
	}
	return 0;
}

/* The publishers whose hooks are to be called, in a list. */
static struct weir_publisher *deferred_take(const struct set *set)
{
	struct weir_publisher *first = NULL;

	for (size_t i = 0; i < set->count; i++) {
		struct weir_publisher *publisher = set->subscriptions[i]->deferred;

		if (publisher == NULL)
			continue;
		set->subscriptions[i]->deferred = NULL;
		publisher->next_idle = first;
		first = publisher;
	}
	return first;
}

static void deferred_finish(struct weir_publisher *publisher)
{
	while (publisher != NULL) {
		struct weir_publisher *next = publisher->next_idle;

		weiri_dead_letter_finish(publisher);
		publisher = next;
	}
}

/* The end of a receive on the set, inside which a message was found or, with an
 * error, was not. */
static void set_finish(
	const struct set *set, int error, bool has_waited, weir_delivery *deliveries, size_t *count)
{
	struct weir_clock *clock = broker_of(set)->clock;
	struct weir_publisher *deferred = deferred_take(set);
	struct weir_subscription *recovered = NULL;

	if (error == 0) {
		struct weir_subscription *found = set->subscriptions[set->found];

		*count = found->held_count;
		weiri_receiver_hand_out(found, deliveries);
		if (weiri_watermark_is_left(found))
			recovered = found;
	}
	for (size_t i = 0; i < set->count; i++) {
		if (set->subscriptions[i]->member != NULL)
			weiri_group_pass(set->subscriptions[i]);
		weiri_receiver_leave(set->subscriptions[i]);
	}
	if (recovered != NULL)
		weiri_watermark_recovered(recovered);
	deferred_finish(deferred);
	/* A message that was waited for came with a wake-up, which has let
	 * others run already. */
	if (error == 0 && !has_waited)
		weiri_clock_give_way(clock);
	else if (error == WEIR_EAGAIN)
		weiri_clock_pause(clock);
}

/* The receive: all checks of the arguments are done. */
static int set_receive(
	struct set *set, size_t count_max, double timeout, weir_delivery *deliveries, size_t *count)
{
	bool has_waited = false;
	int error = 0;

	if (weiri_broker_forked(broker_of(set)))
		return WEIR_EFORK;
	if (!set->is_entered)
		error = set_enter(set);
	if (error != 0)
		return error;
	if (set->is_fair && set->subscriptions[0]->select_next < set->count)
		set->first = set->subscriptions[0]->select_next;
	error = messages_await(set, weiri_receiver_reserve(set->subscriptions[0], count_max),
		timeout, &has_waited);
	set_finish(set, error, has_waited, deliveries, count);
	return error;
}

/* On one subscription, which may have been entered already. */
static int one_receive(struct weir_subscription *subscription, bool is_entered, size_t count_max,
	double timeout, weir_delivery *deliveries, size_t *count)
{
	struct set set = {
		.subscriptions = &subscription,
		.count = 1,
		.is_entered = is_entered,
	};

	return set_receive(&set, count_max, timeout, deliveries, count);
}

/* The end of a direct receive on one that is not simple. */
static void direct_finish(struct weir_subscription *subscription)
{
	const struct set set = { .subscriptions = &subscription, .count = 1 };
	struct weir_publisher *deferred = deferred_take(&set);

	if (subscription->member != NULL)
		weiri_group_pass(subscription);
	weiri_receiver_leave(subscription);
	deferred_finish(deferred);
}

/* A receive on one subscription, in real time and without watermarks: if there is
 * something, the same without what that does not need. */
static inline int direct_receive(struct weir_subscription *subscription, size_t count_max,
	double timeout, weir_delivery *deliveries, size_t *count)
{
	int error;

	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	error = weiri_receiver_enter(subscription);
	if (error != 0)
		return error;
	count_max = weiri_receiver_reserve(subscription, count_max);
	/* Not left in between: whoever closes it may free it then. */
	if (weiri_receiver_take(subscription, count_max) == 0)
		return one_receive(subscription, true, count_max, timeout, deliveries, count);
	*count = subscription->held_count;
	weiri_receiver_hand_out(subscription, deliveries);
	if (subscription->is_simple)
		weiri_receiver_leave(subscription);
	else
		direct_finish(subscription);
	return 0;
}

static inline int receive(struct weir_subscription *subscription, weir_delivery *deliveries,
	size_t count_max, double timeout, size_t *count)
{
	if (!subscription->broker->clock->is_virtual && subscription->high_watermark == 0)
		return direct_receive(subscription, count_max, timeout, deliveries, count);
	return one_receive(subscription, false, count_max, timeout, deliveries, count);
}

int weir_receive_batch(weir_subscription *subscription, weir_delivery *deliveries, size_t count_max,
	double timeout, size_t *count)
{
	if (subscription == NULL || deliveries == NULL || count == NULL || count_max == 0 ||
		!weiri_duration_is_valid(timeout))
		return WEIR_EINVAL;
	return receive(subscription, deliveries, count_max, timeout, count);
}

static WEIRI_NEVER_INLINE int delivery_receive(
	struct weir_subscription *subscription, weir_delivery *delivery, double timeout)
{
	size_t count;

	return receive(subscription, delivery, 1, timeout, &count);
}

/* The same where the receive has begun, and found nothing. */
static WEIRI_NEVER_INLINE int delivery_await(
	struct weir_subscription *subscription, weir_delivery *delivery, double timeout)
{
	size_t count;

	return one_receive(subscription, true, 1, timeout, delivery, &count);
}

int weir_receive(weir_subscription *subscription, weir_delivery *delivery, double timeout)
{
	int error;

	if (subscription == NULL || delivery == NULL || !weiri_duration_is_valid(timeout))
		return WEIR_EINVAL;
	if (!subscription->is_plain)
		return delivery_receive(subscription, delivery, timeout);
	error = weiri_receive_plain(subscription, delivery);
	/* Not left in between: whoever closes it may free it then. */
	return error == WEIRI_RECEIVE_EMPTY ? delivery_await(subscription, delivery, timeout)
					    : error;
}

static bool set_is_valid(weir_subscription *const *subscriptions, size_t count)
{
	if (subscriptions == NULL || count == 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (subscriptions[i] == NULL ||
			subscriptions[i]->broker != subscriptions[0]->broker)
			return false;
	return true;
}

int weir_select(weir_subscription *const *subscriptions, size_t count, weir_select_mode mode,
	double timeout, weir_delivery *delivery, size_t *index)
{
	struct set set = { .subscriptions = subscriptions, .count = count };
	size_t taken;
	int error;

	if (!set_is_valid(subscriptions, count) || (unsigned int)mode > WEIR_SELECT_PRIORITY ||
		!weiri_duration_is_valid(timeout) || delivery == NULL || index == NULL)
		return WEIR_EINVAL;
	set.is_fair = mode == WEIR_SELECT_FAIR;
	error = set_receive(&set, 1, timeout, delivery, &taken);
	if (error != 0)
		return error;
	*index = set.found;
	return 0;
}
