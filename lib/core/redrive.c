/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending back what failed for good. */
#include "core/acks.h"
#include "core/dead_letter.h"
#include "core/subscription.h"

/* Ledger's mutex held: whether its owner takes a message back.  Who has been told that
 * a drain is over looked under the same mutex, so a drain that is not seen here has
 * told nobody. */
static int owner_check(struct weir_subscription *owner)
{
	uint32_t attention = owner != NULL ? weiri_load_acquire(&owner->attention)
					   : (uint32_t)WEIRI_ATTENTION_CLOSED;

	if (attention & WEIRI_ATTENTION_CLOSED)
		return WEIR_ENOENT;
	if (attention & (uint32_t)(WEIRI_ATTENTION_DRAINING | WEIRI_ATTENTION_SHUTDOWN))
		return WEIR_ESHUTDOWN;
	return 0;
}

/* A place in the window of where the letter came from. */
static int origin_reserve(struct weiri_ledger *ledger, const struct weiri_dead_letter *dead,
	struct weiri_token *token)
{
	struct weir_subscription *origin;
	int error;

	weiri_ledger_lock(ledger);
	origin = ledger->owner;
	if (origin != NULL && origin->id != dead->letter.subscription)
		origin = NULL;
	error = owner_check(origin);
	if (error == 0 && !weiri_ledger_has_room(ledger))
		error = WEIR_EFULL;
	if (error == 0) {
		*token =
			weiri_ledger_reserve(ledger, dead->wrap.context, dead->letter.redrives + 1);
		weiri_acks_enter(origin);
	}
	weiri_ledger_unlock(ledger);
	return error;
}

/* What was reserved is used, with a reference of its own, or not. */
static void origin_settle(struct weiri_ledger *ledger, struct weir_message *original,
	struct weiri_token token, bool is_kept)
{
	struct weir_subscription *origin;

	weiri_ledger_lock(ledger);
	origin = ledger->owner;
	weiri_ledger_settle_reserved(ledger, token, is_kept, weiri_acks_behind(origin));
	if (is_kept) {
		weiri_message_ref(original, 1);
		(void)weiri_add_relaxed(&origin->acks->redriven, 1);
		weiri_levels_match(origin->levels, original->priority, 1);
		weiri_acks_tell(origin);
	} else {
		weiri_acks_settled(origin, true);
	}
	weiri_ledger_unlock(ledger);
	weiri_acks_leave(origin);
}

static int letter_send_back(struct weir_broker *broker, const struct weiri_dead_letter *dead,
	const weir_delivery *delivery)
{
	struct weiri_ledger *ledger = weiri_ledgers_find(&broker->ledgers, dead->ledger);
	struct weiri_token token;
	int error = ledger != NULL ? origin_reserve(ledger, dead, &token) : WEIR_ENOENT;

	if (error != 0)
		return error;
	if (delivery->token_ledger != 0)
		error = weir_ack(delivery);
	origin_settle(ledger, dead->wrap.context, token, error == 0);
	return error;
}

int weir_redrive(const weir_delivery *delivery)
{
	struct weiri_dead_letter *dead;
	struct weir_message *message;
	int error;

	if (delivery == NULL || delivery->message == NULL)
		return WEIR_EINVAL;
	message = delivery->message;
	if (weiri_broker_forked(message->pool->broker))
		return WEIR_EFORK;
	dead = weiri_message_letter(message);
	if (dead == NULL)
		return WEIR_EINVAL;
	if (weiri_exchange_acq_rel(&dead->is_redriven, 1) != 0)
		return WEIR_ESTALE;
	/* Another thread may keep or release what this delivery is about. */
	weiri_message_ref_shared(message);
	error = letter_send_back(message->pool->broker, dead, delivery);
	if (error != 0)
		weiri_store_release(&dead->is_redriven, 0);
	weiri_message_unref(message, 1, NULL);
	return error;
}

int weir_redrive_parked(weir_subscription *subscription, size_t count_max, size_t *redriven)
{
	struct weiri_ledger *ledger;
	size_t count = 0;
	int error;

	if (subscription == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	if (subscription->acks == NULL)
		return WEIR_EINVAL;
	subscription = subscription->core;
	ledger = subscription->acks->ledger;
	weiri_ledger_lock(ledger);
	error = owner_check(subscription);
	if (error == WEIR_ENOENT)
		error = WEIR_ECLOSED;
	if (error == 0)
		count = weiri_ledger_unpark(ledger, count_max, weiri_acks_behind(subscription));
	if (count > 0)
		weiri_acks_tell(subscription);
	weiri_ledger_unlock(ledger);
	if (error == 0 && redriven != NULL)
		*redriven = count;
	return error;
}
