/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs of a receiver on a delivery: each finds the ledger by its number, and
 * the ledger says whether the token still fits. */
#include <math.h>

#include "core/acks.h"
#include "core/subscription.h"

static struct weiri_token token_of(const weir_delivery *delivery)
{
	return (struct weiri_token){ delivery->token_index, delivery->token_generation };
}

/* The ledger that a delivery is in, or an error. */
static int ledger_find(const weir_delivery *delivery, struct weiri_ledger **ledger)
{
	if (delivery == NULL || delivery->broker == NULL || delivery->token_ledger == 0)
		return WEIR_EINVAL;
	if (weiri_broker_forked(delivery->broker))
		return WEIR_EFORK;
	*ledger = weiri_ledgers_find(&delivery->broker->ledgers, delivery->token_ledger);
	return *ledger != NULL ? 0 : WEIR_ESTALE;
}

int weir_ack(const weir_delivery *delivery)
{
	struct weiri_message_dead dead = { NULL };
	struct weiri_ledger *ledger;
	struct weiri_token token;
	size_t acknowledged;
	int error = ledger_find(delivery, &ledger);

	if (error != 0)
		return error;
	token = token_of(delivery);
	acknowledged = weiri_acks_acknowledge(ledger, &token, 1, &dead);
	weiri_message_dead_free(&dead);
	return acknowledged == 1 ? 0 : WEIR_ESTALE;
}

#define BATCH_PART 64

int weir_ack_batch(const weir_delivery *deliveries, size_t count, size_t *acknowledged)
{
	struct weiri_message_dead dead = { NULL };
	struct weiri_token tokens[BATCH_PART];
	struct weiri_ledger *ledger;
	size_t sum = 0;
	int error = count == 0 ? WEIR_EINVAL : ledger_find(deliveries, &ledger);

	for (size_t i = 0; error == 0 && i < count; i++)
		if (deliveries[i].broker != deliveries[0].broker ||
			deliveries[i].token_ledger != deliveries[0].token_ledger)
			error = WEIR_EINVAL;
	if (error != 0)
		return error;
	for (size_t done = 0; done < count;) {
		size_t part = 0;

		for (; part < BATCH_PART && done < count; part++)
			tokens[part] = token_of(&deliveries[done++]);
		sum += weiri_acks_acknowledge(ledger, tokens, part, &dead);
	}
	weiri_message_dead_free(&dead);
	if (acknowledged != NULL)
		*acknowledged = sum;
	return sum == count ? 0 : WEIR_ESTALE;
}

int weir_ack_up_to(const weir_delivery *delivery, size_t *acknowledged)
{
	struct weiri_message_dead dead = { NULL };
	struct weiri_ledger *ledger;
	struct weiri_token token;
	const void *holder;
	size_t part, sum;
	int error = ledger_find(delivery, &ledger);

	if (error != 0)
		return error;
	token = token_of(delivery);
	weiri_ledger_lock(ledger);
	holder = weiri_ledger_holder(ledger, token);
	weiri_ledger_unlock(ledger);
	sum = weiri_acks_acknowledge(ledger, &token, 1, &dead);
	/* In parts, for others want the lock too. */
	for (part = sum; part > 0; sum += part) {
		part = weiri_acks_acknowledge_earlier(
			ledger, holder, token.generation, BATCH_PART, &dead);
		weiri_message_dead_free(&dead);
	}
	if (sum == 0)
		return WEIR_ESTALE;
	if (acknowledged != NULL)
		*acknowledged = sum;
	return 0;
}

/* Give a message back, and see to it if that was its last attempt.  The text is taken. */
static int give_back(
	struct weiri_ledger *ledger, const weir_delivery *delivery, struct weiri_returned *returned)
{
	struct weir_subscription *subscription;
	struct weiri_exhausted exhausted;
	int error = WEIR_ESTALE;
	bool was_full;

	returned->now = weiri_clock_now(delivery->broker->clock);
	weiri_ledger_lock(ledger);
	subscription = ledger->owner;
	was_full = weiri_ledger_is_full(ledger);
	if (subscription != NULL) {
		returned->behind = weiri_acks_behind(subscription);
		error = weiri_ledger_give_back(ledger, token_of(delivery), returned, &exhausted);
	}
	if (error == 1) {
		weiri_acks_enter(subscription);
		weiri_acks_settled(subscription, was_full);
	} else if (error == 0) {
		weiri_acks_tell(subscription);
	}
	weiri_ledger_unlock(ledger);
	if (error == WEIR_ESTALE)
		weiri_text_free(&delivery->broker->allocator, returned->error);
	if (error != 1)
		return error;
	weiri_acks_exhausted(subscription, &exhausted);
	return 0;
}

static char *reason_copy(const weir_delivery *delivery, const char *reason)
{
	return weiri_text_copy(&delivery->broker->allocator, reason, WEIR_REASON_SIZE);
}

int weir_nack(const weir_delivery *delivery, double delay, const char *reason)
{
	struct weiri_returned returned = { .delay = delay, .is_counted = true };
	struct weiri_ledger *ledger;
	int error;

	if (!weiri_duration_is_valid(delay) || !isfinite(delay))
		return WEIR_EINVAL;
	error = ledger_find(delivery, &ledger);
	if (error != 0)
		return error;
	returned.error = reason_copy(delivery, reason);
	return give_back(ledger, delivery, &returned);
}

int weir_release(const weir_delivery *delivery, double delay)
{
	struct weiri_returned returned = { .delay = delay };
	struct weiri_ledger *ledger;
	int error;

	if (!weiri_duration_is_valid(delay) || !isfinite(delay))
		return WEIR_EINVAL;
	error = ledger_find(delivery, &ledger);
	return error != 0 ? error : give_back(ledger, delivery, &returned);
}

int weir_reject(const weir_delivery *delivery, const char *reason)
{
	struct weir_subscription *subscription;
	struct weiri_exhausted exhausted;
	struct weiri_ledger *ledger;
	bool was_full;
	char *text;
	int error = ledger_find(delivery, &ledger);

	if (error != 0)
		return error;
	text = reason_copy(delivery, reason);
	weiri_ledger_lock(ledger);
	subscription = ledger->owner;
	was_full = weiri_ledger_is_full(ledger);
	error = weiri_ledger_reject(ledger, token_of(delivery), text, &exhausted);
	if (error == 0) {
		weiri_acks_enter(subscription);
		weiri_acks_settled(subscription, was_full);
	}
	weiri_ledger_unlock(ledger);
	if (error != 0) {
		weiri_text_free(&delivery->broker->allocator, text);
		return error;
	}
	weiri_acks_exhausted(subscription, &exhausted);
	return 0;
}

int weir_extend(const weir_delivery *delivery, double duration)
{
	struct weir_subscription *subscription;
	struct weiri_ledger *ledger;
	int error;

	if (!weiri_duration_is_valid(duration))
		return WEIR_EINVAL;
	error = ledger_find(delivery, &ledger);
	if (error != 0)
		return error;
	weiri_ledger_lock(ledger);
	subscription = ledger->owner;
	if (subscription != NULL && duration == 0)
		duration = subscription->acks->timeout;
	error = weiri_ledger_extend(
		ledger, token_of(delivery), weiri_clock_now(delivery->broker->clock) + duration);
	weiri_ledger_unlock(ledger);
	return error;
}
