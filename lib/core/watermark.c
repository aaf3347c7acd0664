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

bool weiri_watermark_is_reached(struct weir_subscription *subscription)
{
	struct weiri_watermark *watermark = &subscription->watermark;
	double now;

	if (weiri_load_relaxed(&watermark->state) != STATE_CALM ||
		weiri_queue_count(&subscription->queue) < subscription->high_watermark)
		return false;
	now = weiri_clock_now(subscription->broker->clock);
	if (!state_step(watermark, STATE_CALM, STATE_SLOW_CALL))
		return false;
	if (now - watermark->told < watermark->interval) {
		weiri_store_release(&watermark->state, STATE_CALM);
		return false;
	}
	watermark->told = now;
	weiri_subscription_pin(subscription);
	return true;
}

bool weiri_watermark_is_left(struct weir_subscription *subscription)
{
	if (subscription->high_watermark == 0 ||
		weiri_load_relaxed(&subscription->watermark.state) != STATE_SLOW ||
		weiri_queue_count(&subscription->queue) > subscription->low_watermark ||
		!state_step(&subscription->watermark, STATE_SLOW, STATE_CALM_CALL))
		return false;
	weiri_subscription_pin(subscription);
	return true;
}

/* Calls the hook and makes the step out of the *_CALL state. */
static void hook_call(struct weir_subscription *subscription,
	void (*hook)(void *, struct weir_subscription *, uint64_t), uint32_t next)
{
	struct weiri_watermark *watermark = &subscription->watermark;

	watermark->caller = pthread_self();
	/* L1 (pairs with L2): the caller's name before the word that says so. */
	weiri_store_release(&watermark->is_calling, 1);
	if (hook != NULL)
		hook(watermark->context, subscription, weiri_queue_count(&subscription->queue));
	weiri_store_release(&watermark->is_calling, 0);
	weiri_store_release(&watermark->state, next);
}

bool weiri_watermark_is_caller(struct weir_subscription *subscription)
{
	struct weiri_watermark *watermark = &subscription->watermark;

	return weiri_load_acquire(&watermark->is_calling) != 0 && /* L2 */
	       pthread_equal(watermark->caller, pthread_self()) != 0;
}

void weiri_watermark_slow(struct weir_subscription *subscription)
{
	hook_call(subscription, subscription->watermark.on_slow, STATE_SLOW);
	/* The queue may have emptied meanwhile, and the receiver, who found the
	 * state not SLOW yet, does not come back to an empty queue. */
	if (weiri_watermark_is_left(subscription))
		weiri_watermark_recovered(subscription);
	weiri_subscription_unpin(subscription);
}

void weiri_watermark_recovered(struct weir_subscription *subscription)
{
	hook_call(subscription, subscription->watermark.on_recovered, STATE_CALM);
	weiri_subscription_unpin(subscription);
}
