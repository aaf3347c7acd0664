/* SPDX-License-Identifier: BSD-2-Clause */
/* The opening and the end of a subscription. */
#include "core/subscription.h"

#include <string.h>

#include "core/filter.h"

#define CAPACITY_DEFAULT 1024

static bool options_are_valid(const weir_subscription_options *options)
{
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i] != 0)
			return false;
	return options->capacity <= WEIR_CAPACITY_MAX &&
	       (unsigned int)options->overflow <= WEIR_OVERFLOW_DROP_NEWEST &&
	       (unsigned int)options->wait <= WEIR_WAIT_PARK;
}

static size_t subscription_bytes(size_t filter_length)
{
	return sizeof(struct weir_subscription) + filter_length + 1;
}

static void subscription_free(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;

	if (subscription->held != &subscription->held_one)
		weiri_deallocate(&broker->allocator, subscription->held,
			subscription->held_size * sizeof(void *));
	weiri_ring_close(&subscription->ring, &broker->allocator);
	weiri_room_close(&subscription->room);
	weiri_deallocate(
		&broker->allocator, subscription, subscription_bytes(subscription->filter_length));
	weiri_broker_unref(broker);
}

/* A subscription that nobody knows yet. */
static int subscription_make(struct weir_subscription **made, struct weir_broker *broker,
	const char *filter, size_t length, const weir_subscription_options *options)
{
	size_t capacity = options->capacity != 0 ? options->capacity : CAPACITY_DEFAULT;
	struct weir_subscription *subscription =
		weiri_allocate(&broker->allocator, subscription_bytes(length), WEIRI_CACHE_LINE);
	int error;

	if (subscription == NULL)
		return WEIR_ENOMEM;
	memcpy(subscription->filter, filter, length);
	subscription->filter_length = (uint32_t)length;
	subscription->broker = broker;
	subscription->overflow = options->overflow;
	subscription->wait = options->wait;
	subscription->held = &subscription->held_one;
	subscription->held_size = 1;
	subscription->waiter.operation = "receive";
	subscription->waiter.object = subscription->filter;
	error = weiri_ring_open(&subscription->ring, capacity, broker->clock->is_virtual ? 1 : 0,
		&broker->allocator);
	if (error != 0)
		goto fail_ring;
	error = weiri_room_open(&subscription->room);
	if (error != 0)
		goto fail_room;
	weiri_broker_ref(broker);
	*made = subscription;
	return 0;

fail_room:
	weiri_ring_close(&subscription->ring, &broker->allocator);
fail_ring:
	weiri_deallocate(&broker->allocator, subscription, subscription_bytes(length));
	return error;
}

int weir_subscribe(weir_subscription **subscription, weir_broker *broker, const char *filter,
	const weir_subscription_options *options)
{
	static const weir_subscription_options defaults;
	struct weir_subscription *made;
	bool has_wildcard = false;
	size_t length = weiri_filter_length(filter, &has_wildcard);
	int error;

	if (options == NULL)
		options = &defaults;
	if (subscription == NULL || broker == NULL || length == 0 || !options_are_valid(options))
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	error = subscription_make(&made, broker, filter, length, options);
	if (error != 0)
		return error;
	made->has_wildcard = has_wildcard;
	weiri_registry_lock(&broker->registry);
	if (weiri_load_relaxed(&broker->state) != WEIRI_BROKER_RUNNING)
		error = WEIR_ESHUTDOWN;
	else
		error = weiri_registry_add(broker, made);
	weiri_registry_unlock(&broker->registry);
	if (error != 0) {
		subscription_free(made);
		return error;
	}
	*subscription = made;
	return 0;
}

bool weiri_subscription_wake(struct weir_subscription *subscription)
{
	/* The waiter's memory: this subscription's, or that of another one whose
	 * end waits for the receiver that armed it here to leave and disarm. */
	struct weiri_waiter *waiter = weiri_load_acquire(&subscription->armed);

	return waiter != NULL && weiri_load_relaxed(&waiter->state) == WEIRI_WAITER_WAITING &&
	       weiri_waiter_notify(subscription->broker->clock, waiter);
}

void weiri_subscription_tell(struct weir_subscription *subscription)
{
	(void)weiri_subscription_wake(subscription);
	weiri_room_tell_all(subscription);
}

uint64_t weiri_subscription_discard(struct weir_subscription *subscription)
{
	uint64_t count = 0;
	void *value;

	for (; weiri_ring_pop(&subscription->ring, &value, 1) > 0; count++)
		weiri_message_unref(value, 1, NULL);
	(void)weiri_add_relaxed(&subscription->discarded, count);
	return count;
}

/* Leave to the broker's sums what would go with the subscription. */
static void sums_leave(struct weir_subscription *subscription)
{
	struct weiri_subscription_sums *sums = &subscription->broker->subscriptions;
	weir_subscription_statistics last;

	weiri_subscription_statistics_read(subscription, &last);
	(void)weiri_add_relaxed(&sums->delivered, last.delivered);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		(void)weiri_add_relaxed(&sums->dropped[i], last.dropped[i]);
}

/* Nobody is inside any more: what the receiver held, and the rest. */
static void subscription_end(struct weir_subscription *subscription)
{
	weiri_subscription_held_release(subscription);
	weiri_pool_chain_flush(&subscription->chain);
	subscription_free(subscription);
}

static bool is_in_use(const struct weir_subscription *subscription)
{
	return weiri_load_acquire(&subscription->receiving) != 0 ||
	       weiri_load_acquire(&subscription->pins) != 0;
}

void weiri_subscription_unpin(struct weir_subscription *subscription)
{
	bool is_virtual = subscription->broker->clock->is_virtual;

	/* P1 (pairs with the acquire in await_zero): the publisher's last use
	 * comes before the free. */
	(void)weiri_sub_release(&subscription->pins, 1);
	if (is_virtual)
		weiri_subscription_orphan_check(subscription);
}

void weiri_subscription_orphan_check(struct weir_subscription *subscription)
{
	if (subscription->is_orphan && !is_in_use(subscription))
		subscription_end(subscription);
}

int weir_unsubscribe(weir_subscription *subscription, weir_subscription_statistics *last)
{
	struct weir_broker *broker;

	if (subscription == NULL)
		return WEIR_EINVAL;
	broker = subscription->broker;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;

	weiri_registry_lock(&broker->registry);
	weiri_attention_set(subscription, WEIRI_ATTENTION_CLOSED);
	weiri_fence_heavy(broker->fence_asymmetric);
	weiri_subscription_tell(subscription);
	weiri_registry_remove(broker, subscription);
	weiri_registry_unlock(&broker->registry);

	if (!broker->clock->is_virtual) {
		weiri_word_await_zero(&subscription->receiving);
		weiri_word_await_zero(&subscription->pins);
	}
	weiri_subscription_discard(subscription);

	weiri_registry_lock(&broker->registry);
	sums_leave(subscription);
	weiri_registry_unlock(&broker->registry);
	weiri_broker_drained(broker);

	if (last != NULL)
		weiri_subscription_statistics_read(subscription, last);
	if (is_in_use(subscription))
		subscription->is_orphan = true;
	else
		subscription_end(subscription);
	return 0;
}

int weir_wake(weir_subscription *subscription)
{
	if (subscription == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	weiri_attention_set(subscription, WEIRI_ATTENTION_INTERRUPT);
	weiri_fence_full();
	(void)weiri_subscription_wake(subscription);
	return 0;
}

const char *weir_subscription_filter(const weir_subscription *subscription)
{
	return subscription == NULL ? NULL : subscription->filter;
}
