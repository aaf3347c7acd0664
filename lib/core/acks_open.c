/* SPDX-License-Identifier: BSD-2-Clause */
/* Acknowledgements of a subscription: their options, their opening and end. */
#include "core/acks.h"

#include <math.h>

#include "core/subscription.h"

#define TIMEOUT_DEFAULT   30.0
#define IN_FLIGHT_DEFAULT 1024
#define ATTEMPTS_DEFAULT  5
#define FACTOR_DEFAULT    2.0
#define DELAY_MAX_DEFAULT 60.0

static bool is_share(double value)
{
	return value >= 0 && value <= 1;
}

static bool backoff_is_valid(const weir_subscription_options *options)
{
	return weiri_duration_is_valid(options->redelivery_delay) &&
	       isfinite(options->redelivery_delay) &&
	       (options->redelivery_factor == 0 ||
		       (options->redelivery_factor >= 1 && isfinite(options->redelivery_factor))) &&
	       weiri_duration_is_valid(options->redelivery_delay_max) &&
	       isfinite(options->redelivery_delay_max) && is_share(options->redelivery_jitter);
}

bool weiri_acks_options_are_valid(
	const struct weir_broker *broker, const weir_subscription_options *options)
{
	if (options->ack == WEIR_ACK_NONE)
		return options->ack_timeout == 0 && !options->ack_timeout_from_publish &&
		       !options->ack_timeout_once && options->max_in_flight == 0 &&
		       options->max_attempts == 0 && !options->redeliver_to_back &&
		       options->redelivery_delay == 0 && options->redelivery_factor == 0 &&
		       options->redelivery_delay_max == 0 && options->redelivery_jitter == 0 &&
		       options->park_max == 0;
	return (unsigned int)options->ack <= WEIR_ACK_AUTO &&
	       weiri_duration_is_valid(options->ack_timeout) &&
	       (!options->ack_timeout_from_publish || broker->timestamps) &&
	       options->max_in_flight <= WEIR_CAPACITY_MAX && backoff_is_valid(options) &&
	       options->park_max <= WEIR_CAPACITY_MAX &&
	       (options->park_max == 0 || options->dead_letter_topic == NULL);
}

static struct weiri_ledger_options ledger_options(
	const struct weir_subscription *subscription, const weir_subscription_options *options)
{
	return (struct weiri_ledger_options){
		.window = options->max_in_flight != 0 ? options->max_in_flight : IN_FLIGHT_DEFAULT,
		.is_once_timed = options->ack_timeout_once,
		.is_to_back = options->redeliver_to_back,
		.attempts_max = options->max_attempts != 0 ? options->max_attempts :
							     ATTEMPTS_DEFAULT,
		.parking = options->park_max,
		.backoff = {
			.first = options->redelivery_delay,
			.factor = options->redelivery_factor != 0 ? options->redelivery_factor :
								    FACTOR_DEFAULT,
			.maximum = options->redelivery_delay_max != 0 ?
					   options->redelivery_delay_max :
					   DELAY_MAX_DEFAULT,
			.jitter = options->redelivery_jitter,
		},
		.seed = subscription->id,
	};
}

void weiri_acks_handed_free(struct weiri_acks *acks, const weir_allocator *allocator)
{
	if (acks->handed != &acks->handed_one)
		weiri_deallocate(
			allocator, acks->handed, acks->handed_size * sizeof(*acks->handed));
}

static struct weiri_acks *acks_make(
	const weir_allocator *allocator, const weir_subscription_options *options)
{
	struct weiri_acks *acks = weiri_allocate(allocator, sizeof(*acks), WEIRI_CACHE_LINE);

	if (acks == NULL)
		return NULL;
	acks->handed = &acks->handed_one;
	acks->handed_size = 1;
	acks->mode = options->ack;
	acks->timeout = options->ack_timeout != 0 ? options->ack_timeout : TIMEOUT_DEFAULT;
	acks->is_from_publish = options->ack_timeout_from_publish;
	return acks;
}

static void acks_free(const weir_allocator *allocator, struct weiri_acks *acks)
{
	weiri_acks_handed_free(acks, allocator);
	weiri_deallocate(allocator, acks, sizeof(*acks));
}

int weiri_acks_open(
	struct weir_subscription *subscription, const weir_subscription_options *options)
{
	struct weir_broker *broker = subscription->broker;
	struct weiri_ledger_options ledger = ledger_options(subscription, options);
	struct weiri_acks *acks;
	int error;

	if (options->ack == WEIR_ACK_NONE)
		return 0;
	acks = acks_make(&broker->allocator, options);
	if (acks == NULL)
		return WEIR_ENOMEM;
	error = weiri_ledgers_lend(&broker->ledgers, &broker->timers, &broker->allocator,
		weiri_acks_due, &acks->ledger);
	if (error != 0)
		goto fail_lend;
	/* First: a timer of the ledger's last owner may still come, and finds this one. */
	subscription->acks = acks;
	error = weiri_ledger_own(acks->ledger, subscription, &ledger);
	if (error != 0)
		goto fail_own;
	return 0;

fail_own:
	subscription->acks = NULL;
	weiri_ledgers_give_back(&broker->ledgers, acks->ledger);
fail_lend:
	acks_free(&broker->allocator, acks);
	return error;
}

int weiri_acks_open_member(struct weir_subscription *subscription)
{
	const weir_allocator *allocator = &subscription->broker->allocator;
	const struct weiri_acks *core = subscription->core->acks;
	struct weiri_acks *acks;

	if (core == NULL)
		return 0;
	acks = weiri_allocate(allocator, sizeof(*acks), WEIRI_CACHE_LINE);
	if (acks == NULL)
		return WEIR_ENOMEM;
	acks->ledger = core->ledger;
	acks->mode = core->mode;
	acks->timeout = core->timeout;
	acks->is_from_publish = core->is_from_publish;
	acks->handed = &acks->handed_one;
	acks->handed_size = 1;
	subscription->acks = acks;
	return 0;
}

void weiri_acks_close_member(struct weir_subscription *subscription)
{
	if (subscription->acks != NULL)
		acks_free(&subscription->broker->allocator, subscription->acks);
	subscription->acks = NULL;
}

void weiri_acks_close(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;
	struct weiri_acks *acks = subscription->acks;

	if (acks == NULL)
		return;
	/* That of a subscription that failed to open still has its owner, and an
	 * old token or timer may look at it. */
	weiri_ledger_lock(acks->ledger);
	weiri_ledger_disown(acks->ledger);
	weiri_ledger_unlock(acks->ledger);
	weiri_ledger_clean(acks->ledger);
	weiri_ledgers_give_back(&broker->ledgers, acks->ledger);
	acks_free(&broker->allocator, acks);
	subscription->acks = NULL;
}
