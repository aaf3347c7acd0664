/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of messages whose time to live is over. */
#include "core/expiry.h"

#include "core/acks.h"
#include "core/dead_letter.h"
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
			messages[left++] = messages[i];
			continue;
		}
		weiri_expiry_count_taken(subscription);
		weiri_receiver_defer(subscription, weiri_expire(subscription, &expired));
	}
	return left;
}
