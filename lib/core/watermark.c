/* SPDX-License-Identifier: BSD-2-Clause */
/* Hooks at the high and the low watermark of a queue. */
#include "core/watermark.h"

#include "core/subscription.h"

enum {
	STATE_CALM,
	STATE_SLOW_CALL,
	STATE_SLOW,
	STATE_CALM_CALL,
};

static bool state_step(struct weiri_watermark *watermark, uint32_t from, uint32_t to)
{
	return weiri_load_relaxed(&watermark->state) == from &&
	       weiri_cas_acq_rel(&watermark->state, &from, to);
}

/* The hook will be called: the subscription stays, and close waits. */
static void claim(struct weir_subscription *subscription)
{
	weiri_subscription_pin(subscription);
	(void)weiri_add_relaxed(&subscription->broker->inside, 1);
}

static void unclaim(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;
	bool is_virtual = broker->clock->is_virtual;

	/* The broker outlasts its own word: in real time close waits for it. */
	if (is_virtual)
		weiri_broker_ref(broker);
	weiri_subscription_unpin(subscription);
	(void)weiri_sub_release(&broker->inside, 1);
	if (is_virtual)
		weiri_broker_unref(broker);
}

bool weiri_watermark_is_reached(struct weir_subscription *subscription)
{
	struct weiri_watermark *watermark = &subscription->watermark;
	struct weir_broker *broker = subscription->broker;
	double now;

	if (subscription->high_watermark == 0 ||
		weiri_load_relaxed(&watermark->state) != STATE_CALM ||
		weiri_queue_count(&subscription->queue) < subscription->high_watermark)
		return false;
	now = weiri_clock_now(broker->clock);
	if (!state_step(watermark, STATE_CALM, STATE_SLOW_CALL))
		return false;
	if (now - watermark->told < watermark->interval) {
		weiri_store_release(&watermark->state, STATE_CALM);
		return false;
	}
	watermark->told = now;
	claim(subscription);
	return true;
}

/* The step to CALM_CALL, if the queue is at the low watermark. */
static bool low_is_reached(struct weir_subscription *subscription)
{
	return weiri_load_relaxed(&subscription->watermark.state) == STATE_SLOW &&
	       weiri_queue_count(&subscription->queue) <= subscription->low_watermark &&
	       state_step(&subscription->watermark, STATE_SLOW, STATE_CALM_CALL);
}

bool weiri_watermark_is_left(struct weir_subscription *subscription)
{
	if (subscription->high_watermark == 0)
		return false;
	/* Y1: the queue's count before the look at the state; the other side
	 * writes the state and then looks at the count (Y2).  One of the two
	 * finds the queue low in state SLOW. */
	weiri_fence_full();
	if (!low_is_reached(subscription))
		return false;
	claim(subscription);
	return true;
}

/* Calls the hook and makes the step out of the *_CALL state. */
static void hook_call(struct weir_subscription *subscription,
	void (*hook)(void *, struct weir_subscription *, uint64_t), uint32_t next)
{
	struct weiri_watermark *watermark = &subscription->watermark;

	weiri_store_relaxed(&watermark->caller, (uintptr_t)pthread_self());
	if (hook != NULL)
		hook(watermark->context, subscription, weiri_queue_count(&subscription->queue));
	weiri_store_relaxed(&watermark->caller, 0);
	weiri_store_release(&watermark->state, next);
}

bool weiri_watermark_is_caller(struct weir_subscription *subscription)
{
	/* Only the thread itself can have stored its own name. */
	return weiri_load_relaxed(&subscription->watermark.caller) == (uintptr_t)pthread_self();
}

void weiri_watermark_slow(struct weir_subscription *subscription)
{
	hook_call(subscription, subscription->watermark.on_slow, STATE_SLOW);
	/* The queue may have emptied meanwhile, and the receiver, who found the
	 * state not SLOW yet, does not come back to an empty queue.  A hook that
	 * has unsubscribed is the last one. */
	weiri_fence_full(); /* Y2 */
	if (!subscription->is_orphan && low_is_reached(subscription))
		hook_call(subscription, subscription->watermark.on_recovered, STATE_CALM);
	unclaim(subscription);
}

void weiri_watermark_recovered(struct weir_subscription *subscription)
{
	hook_call(subscription, subscription->watermark.on_recovered, STATE_CALM);
	unclaim(subscription);
}
