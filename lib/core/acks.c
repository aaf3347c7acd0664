/* SPDX-License-Identifier: BSD-2-Clause */
/* Handing out with a ledger, and what comes back. */
#include "core/acks.h"

#include "base/unset.h"
#include "core/confirm.h"
#include "core/dead_letter.h"
#include "core/enqueue.h"
#include "core/expiry.h"
#include "core/group.h"
#include "core/receiver.h"

/* Deadlines that are seen to before others may have the lock. */
#define DUE_PART 64

/* Seconds from which on a timeout may count from a rough time. */
#define TIMEOUT_LONG 1

/* Messages that a take finds expired before they are seen to. */
#define OVERDUE_MAX 4

uint64_t weiri_acks_discard(struct weir_subscription *subscription)
{
	struct weiri_acks *acks = subscription->acks;
	uint64_t count = 0;
	size_t cursor = 0;

	if (acks == NULL)
		return 0;
	weiri_ledger_lock(acks->ledger);
	weiri_ledger_disown(acks->ledger);
	weiri_ledger_unlock(acks->ledger);
	for (;; count++) {
		struct weir_message *message;

		weiri_ledger_lock(acks->ledger);
		message = weiri_ledger_take_any(acks->ledger, &cursor);
		weiri_ledger_unlock(acks->ledger);
		if (message == NULL)
			return count;
		weiri_message_settle(message, 1, false);
		weiri_levels_drop(subscription->levels, message->priority, 1);
		weiri_message_unref(message, 1, NULL);
	}
}

void weiri_acks_tell(struct weir_subscription *subscription)
{
	struct weiri_waiter *waiter;

	if (weiri_subscription_is_core(subscription)) {
		weiri_group_kick(subscription->group);
		weiri_clock_changed(subscription->broker->clock);
		return;
	}
	weiri_fence_full();
	waiter = weiri_load_acquire(&subscription->acks->armed);
	if (waiter != NULL)
		(void)weiri_waiter_notify(subscription->broker->clock, waiter);
	weiri_clock_changed(subscription->broker->clock);
}

uint64_t weiri_acks_behind(struct weir_subscription *subscription)
{
	return subscription->acks->taken + weiri_queue_count(&subscription->queue);
}

/* Handed out and not settled, those included that are on their way out or back. */
static size_t in_flight_count(const struct weiri_ledger *ledger)
{
	return ledger->used + ledger->leaving + ledger->parking.returning;
}

/* Ledger's mutex held, so that no message is between the queue and the window. */
static uint64_t count_locked(struct weir_subscription *subscription)
{
	const struct weiri_ledger *ledger = subscription->acks->ledger;

	return weiri_subscription_waiting(subscription) + in_flight_count(ledger);
}

/* Ledger's mutex held: a drain may have waited for the last message.  Who drains counts
 * with the mutex held, after it has set DRAINING: either it sees the message gone, or
 * this sees the flag. */
static void drained_tell(struct weir_subscription *subscription)
{
	if (weiri_load_acquire(&subscription->attention) & WEIRI_ATTENTION_DRAINING &&
		count_locked(subscription) == 0) {
		weiri_broker_drained(subscription->broker);
		weiri_acks_tell(subscription);
		if (weiri_subscription_is_core(subscription))
			weiri_group_tell_all(subscription->group);
	}
}

static void exhausted_drop(
	struct weir_subscription *subscription, const struct weiri_exhausted *exhausted)
{
	weir_drop reason = exhausted->reason == WEIRI_LEDGER_REJECTED ? WEIR_DROP_REJECTED
								      : WEIR_DROP_ATTEMPTS;
	void *value = exhausted->value;

	(void)weiri_add_relaxed(&subscription->dropped[reason], 1);
	weiri_levels_drop_all(subscription->levels, &value, 1);
	weiri_message_unref(value, 1, NULL);
}

/* Kept aside, or dropped for want of room; the text is kept with it, or freed. */
static void exhausted_park(
	struct weir_subscription *subscription, struct weiri_exhausted *exhausted)
{
	struct weiri_ledger *ledger = subscription->acks->ledger;
	bool is_parked;

	weiri_ledger_lock(ledger);
	is_parked = weiri_ledger_park(ledger, exhausted);
	weiri_ledger_unlock(ledger);
	if (is_parked)
		exhausted->error = NULL;
	else
		exhausted_drop(subscription, exhausted);
}

/* It is where it belongs. */
static void exhausted_left(
	struct weir_subscription *subscription, const struct weiri_exhausted *exhausted)
{
	struct weiri_ledger *ledger = subscription->acks->ledger;

	weiri_text_free(&subscription->broker->allocator, exhausted->error);
	weiri_ledger_lock(ledger);
	weiri_ledger_left(ledger);
	drained_tell(subscription);
	weiri_ledger_unlock(ledger);
}

void weiri_acks_exhausted(struct weir_subscription *subscription, struct weiri_exhausted *exhausted)
{
	struct weir_broker *broker = subscription->broker;
	struct weir_publisher *publisher = NULL;

	weiri_message_settle(exhausted->value, 1, false);
	/* In virtual time nothing else keeps it until the publisher is given back. */
	weiri_broker_ref(broker);
	if (subscription->dead_letter_topic == NULL)
		exhausted_park(subscription, exhausted);
	else if (weiri_dead_letter_publish(subscription, exhausted, &publisher) != 0)
		exhausted_drop(subscription, exhausted);
	exhausted_left(subscription, exhausted);
	weiri_acks_leave(subscription);
	if (publisher != NULL)
		weiri_dead_letter_finish(publisher);
	weiri_broker_unref(broker);
}

/* Ledger's mutex held: some of what is due.  Returns 0: that was all; 1: there may be
 * more; 2: one failed for good, and there may be more. */
static int due_collect(struct weir_subscription *subscription, struct weiri_exhausted *exhausted)
{
	struct weiri_ledger *ledger = subscription->acks->ledger;
	double now = weiri_clock_now(subscription->broker->clock);
	bool has_news = false;
	int result = 1;

	for (int part = 0; part < DUE_PART && result == 1; part++) {
		bool is_ready = false;

		result = weiri_ledger_expire_next(
			ledger, now, weiri_acks_behind(subscription), &is_ready, exhausted);
		/* In a group what is queued may go to others than the one that was late. */
		has_news = has_news || is_ready || result == 2 ||
			   (result == 1 && subscription->group != NULL);
	}
	if (has_news)
		weiri_acks_tell(subscription);
	return result;
}

void weiri_acks_due(struct weiri_ledger *ledger)
{
	bool is_virtual = ledger->timers->clock->is_virtual;
	struct weir_subscription *subscription;
	struct weiri_exhausted exhausted;
	int result;

	do {
		weiri_ledger_lock(ledger);
		subscription = ledger->owner;
		result = subscription != NULL ? due_collect(subscription, &exhausted) : 0;
		if (result == 2)
			weiri_acks_enter(subscription);
		weiri_ledger_unlock(ledger);
		if (result == 2)
			weiri_acks_exhausted(subscription, &exhausted);
	} while (result != 0 && !is_virtual);
}

/* Room for describing as many hand-overs as can be held. */
static size_t handed_reserve(struct weir_subscription *subscription, size_t count_max)
{
	const weir_allocator *allocator = &subscription->broker->allocator;
	struct weiri_acks *acks = subscription->acks;
	struct weiri_handed *handed;

	if (count_max <= acks->handed_size)
		return count_max;
	handed = weiri_allocate(allocator, count_max * sizeof(*handed), WEIRI_CACHE_LINE);
	if (handed == NULL)
		return acks->handed_size;
	weiri_acks_handed_free(acks, allocator);
	acks->handed = handed;
	acks->handed_size = count_max;
	return count_max;
}

/* What time-outs count from.  A long one may end a tick later. */
static double time_handed(const struct weir_subscription *subscription)
{
	const struct weiri_acks *acks = subscription->acks;
	struct weir_clock *clock = subscription->broker->clock;

	return acks->timeout >= TIMEOUT_LONG && !acks->is_from_publish
		       ? weiri_clock_now_roughly(clock)
		       : weiri_clock_now(clock);
}

/* By exact time, which few messages need. */
static bool is_expired(
	const struct weir_subscription *subscription, const struct weir_message *message)
{
	return weiri_message_has_extra(message) &&
	       weiri_message_is_expired(message, weiri_clock_now(subscription->broker->clock));
}

static double deadline_of(
	const struct weiri_acks *acks, const struct weir_message *message, double now, size_t turn)
{
	double deadline = message->timestamp + acks->timeout;

	/* One that comes too late for its time has none: it would time out in the
	 * receiver's hand at once. */
	if (acks->is_from_publish)
		return deadline > now ? deadline : WEIR_FOREVER;
	return now + (double)(turn + 1) * acks->timeout;
}

static struct weir_message *new_take(struct weir_subscription *subscription)
{
	struct weir_message *message = subscription->hand;
	void *value;

	if (subscription->member != NULL)
		return weiri_group_new_take(subscription);
	if (message != NULL) {
		subscription->hand = NULL;
		return message;
	}
	if (weiri_dequeue(subscription, &value, 1) == 0)
		return NULL;
	subscription->acks->taken++;
	weiri_dequeue_note(subscription, &value, 1);
	return value;
}

/* What a take found. */
struct take {
	double now;     /* may be rough */
	size_t count;   /* handed out */
	size_t expired; /* come up too late for that; in `overdue` */
	struct weiri_exhausted overdue[OVERDUE_MAX];
};

static void handed_note(
	struct weir_subscription *subscription, size_t turn, struct weir_message *message)
{
	/* The receiver's own reference: another may settle the message while this
	 * one still reads it. */
	weiri_message_ref(message, 1);
	subscription->held[turn] = message;
}

/* Ledger's mutex held: the returned message that comes next. */
static void returned_take(struct weir_subscription *subscription, struct take *take)
{
	struct weiri_acks *acks = subscription->acks;
	struct weir_message *message = weiri_ledger_ready_value(acks->ledger);

	if (is_expired(subscription, message)) {
		weiri_ledger_ready_drop(acks->ledger, &take->overdue[take->expired++]);
		return;
	}
	weiri_ledger_hand_out_again(acks->ledger,
		take->now + (double)(take->count + 1) * acks->timeout, &acks->handed[take->count]);
	handed_note(subscription, take->count++, message);
}

/* Ledger's mutex held: whether a returned message comes before what is queued. */
static bool returned_is_next(struct weir_subscription *subscription)
{
	const struct weiri_acks *acks = subscription->acks;

	if (subscription->member != NULL)
		return weiri_group_has_ready(subscription);
	/* How many are queued is on the publishers' line: asked for only if it matters. */
	return weiri_ledger_may_have_ready(acks->ledger) &&
	       weiri_ledger_has_ready(
		       acks->ledger, acks->taken, weiri_queue_count(&subscription->queue));
}

/* Ledger's mutex held.  Whether there was one, which is handed out or has expired. */
static bool one_take(struct weir_subscription *subscription, struct take *take)
{
	struct weiri_acks *acks = subscription->acks;
	struct weir_message *message;

	if (returned_is_next(subscription)) {
		returned_take(subscription, take);
		return true;
	}
	if (!weiri_ledger_has_room(acks->ledger))
		return false;
	message = new_take(subscription);
	if (message == NULL)
		return false;
	if (is_expired(subscription, message)) {
		weiri_expiry_count_taken(subscription->core);
		weiri_ledger_leave(acks->ledger);
		take->overdue[take->expired++] = (struct weiri_exhausted){ .value = message,
			.reason = WEIRI_LEDGER_EXPIRED };
		return true;
	}
	weiri_ledger_hand_out(acks->ledger, message,
		deadline_of(acks, message, take->now, take->count), &acks->handed[take->count]);
	handed_note(subscription, take->count++, message);
	return true;
}

size_t weiri_acks_take(struct weir_subscription *subscription, size_t count_max)
{
	struct weiri_ledger *ledger = subscription->acks->ledger;
	WEIRI_UNSET struct take take;

	count_max = handed_reserve(subscription, count_max);
	take.count = 0;
	do {
		take.now = time_handed(subscription);
		take.expired = 0;
		weiri_ledger_lock(ledger);
		if (subscription->member == NULL || weiri_group_take_begin(subscription))
			while (take.count < count_max && take.expired < OVERDUE_MAX &&
				one_take(subscription, &take))
				;
		/* The window has room for other members of a group. */
		if (take.expired > 0 && subscription->member != NULL)
			weiri_group_kick(subscription->group);
		weiri_ledger_unlock(ledger);
		for (size_t i = 0; i < take.expired; i++) {
			weiri_receiver_defer(
				subscription, weiri_expire(subscription->core, &take.overdue[i]));
			exhausted_left(subscription->core, &take.overdue[i]);
		}
	} while (take.count == 0 && take.expired > 0);
	if (subscription->member != NULL)
		weiri_group_taken(subscription, take.count);
	return take.count;
}

bool weiri_acks_can_take(struct weir_subscription *subscription)
{
	struct weiri_acks *acks = subscription->acks;
	uint64_t queued = weiri_queue_count(&subscription->queue);
	bool can;

	weiri_ledger_lock(acks->ledger);
	can = weiri_ledger_has_ready(acks->ledger, acks->taken, queued) ||
	      (weiri_ledger_has_room(acks->ledger) &&
		      (subscription->hand != NULL || !weiri_queue_is_empty(&subscription->queue)));
	weiri_ledger_unlock(acks->ledger);
	return can;
}

bool weiri_acks_have_room(struct weir_subscription *subscription)
{
	struct weiri_acks *acks = subscription->acks;
	bool have;

	weiri_ledger_lock(acks->ledger);
	have = weiri_ledger_has_room(acks->ledger);
	weiri_ledger_unlock(acks->ledger);
	return have;
}

uint64_t weiri_acks_count(struct weir_subscription *subscription)
{
	uint64_t count;

	weiri_ledger_lock(subscription->acks->ledger);
	count = count_locked(subscription);
	weiri_ledger_unlock(subscription->acks->ledger);
	return count;
}

void weiri_acks_enter(struct weir_subscription *subscription)
{
	weiri_subscription_pin(subscription);
	/* A close has to wait too: what follows may borrow a publisher.  In
	 * virtual time it cannot wait. */
	if (!subscription->broker->clock->is_virtual)
		(void)weiri_add_relaxed(&subscription->broker->inside, 1);
}

void weiri_acks_leave(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;
	bool is_virtual = broker->clock->is_virtual;

	weiri_subscription_unpin(subscription);
	/* E1 (pairs with the acquire in await, at close): the last use of the broker. */
	if (!is_virtual)
		(void)weiri_sub_release(&broker->inside, 1);
}

void weiri_acks_settled(struct weir_subscription *subscription, bool was_full)
{
	if (was_full || subscription->group != NULL)
		weiri_acks_tell(subscription);
	drained_tell(subscription);
}

size_t weiri_acks_acknowledge(struct weiri_ledger *ledger, const struct weiri_token *tokens,
	size_t count, struct weiri_message_dead *dead)
{
	struct weir_subscription *subscription;
	size_t acknowledged = 0;
	bool was_full;

	weiri_ledger_lock(ledger);
	subscription = ledger->owner;
	was_full = weiri_ledger_is_full(ledger);
	for (size_t i = 0; i < count; i++) {
		struct weir_message *message = weiri_ledger_acknowledge(ledger, tokens[i]);

		if (message == NULL)
			continue;
		weiri_message_settle(message, 1, true);
		weiri_message_unref_later(message, 1, dead);
		acknowledged++;
	}
	if (acknowledged > 0)
		weiri_acks_settled(subscription, was_full);
	weiri_ledger_unlock(ledger);
	return acknowledged;
}

size_t weiri_acks_acknowledge_earlier(struct weiri_ledger *ledger, const void *holder,
	uint64_t generation, size_t count, struct weiri_message_dead *dead)
{
	struct weir_message *message;
	size_t acknowledged = 0;
	bool was_full;

	weiri_ledger_lock(ledger);
	was_full = weiri_ledger_is_full(ledger);
	while (acknowledged < count &&
		(message = weiri_ledger_acknowledge_earlier(ledger, holder, generation)) != NULL) {
		weiri_message_settle(message, 1, true);
		weiri_message_unref_later(message, 1, dead);
		acknowledged++;
	}
	if (acknowledged > 0)
		weiri_acks_settled(ledger->owner, was_full);
	weiri_ledger_unlock(ledger);
	return acknowledged;
}

void weiri_acks_auto(struct weir_subscription *subscription)
{
	struct weiri_acks *acks = subscription->acks;
	struct weiri_message_dead dead = { NULL };

	if (acks->mode != WEIR_ACK_AUTO)
		return;
	for (uint32_t i = 0; i < subscription->held_count; i++)
		(void)weiri_acks_acknowledge(acks->ledger, &acks->handed[i].token, 1, &dead);
	weiri_message_dead_free(&dead);
}

void weiri_acks_describe(
	struct weir_subscription *subscription, size_t index, weir_delivery *delivery)
{
	const struct weiri_handed *handed = &subscription->acks->handed[index];
	struct weir_message *message = handed->value;

	delivery->data = message->data;
	delivery->size = message->size;
	delivery->message = message;
	delivery->attempt = handed->attempt;
	delivery->deadline = handed->deadline;
	delivery->broker = subscription->broker;
	delivery->token_ledger = subscription->acks->ledger->number;
	delivery->token_index = handed->token.index;
	delivery->token_generation = handed->token.generation;
}

void weiri_acks_statistics_read(
	struct weir_subscription *subscription, weir_subscription_statistics *statistics)
{
	struct weiri_acks *acks = subscription->acks;

	weiri_ledger_lock(acks->ledger);
	statistics->acknowledged = acks->ledger->sums.acknowledged;
	statistics->redelivered = acks->ledger->sums.handed_again;
	statistics->timeouts = acks->ledger->sums.timeouts;
	statistics->lateness_max = acks->ledger->sums.late_max;
	statistics->lateness_sum = acks->ledger->sums.late_sum;
	statistics->in_flight = in_flight_count(acks->ledger);
	statistics->parked = acks->ledger->parking.count - acks->ledger->parking.returning;
	statistics->redriven = weiri_load_relaxed(&acks->redriven);
	statistics->matched += statistics->redriven;
	weiri_ledger_unlock(acks->ledger);
}
