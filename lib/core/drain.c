/* SPDX-License-Identifier: BSD-2-Clause */
/* What feeds what, and who is told that it is empty. */
#include "core/drain.h"

#include "core/filter.h"
#include "core/subscription.h"

static bool feeds(const struct weir_subscription *from, const struct weir_subscription *to)
{
	return from->core != to->core && from->dead_letter_topic != NULL &&
	       weiri_filter_matches(to->filter, from->dead_letter_topic);
}

static bool is_sink(const struct weir_broker *broker, const struct weir_subscription *subscription)
{
	const struct weir_subscription *from = broker->registry.subscriptions;

	while (from != NULL && !feeds(from, subscription))
		from = from->next;
	return from != NULL;
}

void weiri_drain_begin(struct weir_broker *broker)
{
	struct weir_subscription *subscription = broker->registry.subscriptions;

	(void)pthread_mutex_lock(&broker->drain.mutex);
	for (; subscription != NULL; subscription = subscription->next) {
		subscription->is_sink = is_sink(broker, subscription);
		if (!subscription->is_sink)
			continue;
		subscription->next_sink = broker->drain.sinks;
		broker->drain.sinks = subscription;
	}
	(void)pthread_mutex_unlock(&broker->drain.mutex);
}

void weiri_drain_forget(struct weir_subscription *subscription)
{
	struct weiri_drain *drain = &subscription->broker->drain;
	struct weir_subscription **place = &drain->sinks;

	if (!subscription->is_sink)
		return;
	(void)pthread_mutex_lock(&drain->mutex);
	while (*place != subscription)
		place = &(*place)->next_sink;
	*place = subscription->next_sink;
	(void)pthread_mutex_unlock(&drain->mutex);
}

/* Whether a dead letter may still come. */
static bool is_fed(struct weir_subscription *subscription)
{
	struct weiri_registry *registry = &subscription->broker->registry;
	struct weir_subscription *from;
	bool may_come = false;

	weiri_registry_lock(registry);
	for (from = registry->subscriptions; from != NULL && !may_come; from = from->next)
		/* Nobody receives from a stopped one any more. */
		may_come = feeds(from, subscription) && !from->is_stopped &&
			   weiri_subscription_count(from) > 0;
	weiri_registry_unlock(registry);
	return may_come;
}

bool weiri_drain_is_over(struct weir_subscription *subscription)
{
	return !(subscription->is_sink && is_fed(subscription)) &&
	       weiri_subscription_count(subscription) == 0;
}

static bool queues_are_empty(struct weir_broker *broker)
{
	struct weir_subscription *subscription;
	bool are_empty = true;

	weiri_registry_lock(&broker->registry);
	for (subscription = broker->registry.subscriptions; subscription != NULL;
		subscription = subscription->next)
		if (!subscription->is_stopped && weiri_subscription_count(subscription) > 0)
			are_empty = false;
	weiri_registry_unlock(&broker->registry);
	return are_empty;
}

bool weiri_drain_is_over_everywhere(struct weir_broker *broker)
{
	/* Twice: a dead letter may have come to one that was looked at before the
	 * one that it left. */
	return queues_are_empty(broker) && queues_are_empty(broker);
}

void weiri_broker_drained(struct weir_broker *broker)
{
	struct weir_subscription *sink;

	if (weiri_load_acquire(&broker->state) == WEIRI_BROKER_RUNNING)
		return;
	weiri_fence_full();
	(void)weiri_waiter_notify(broker->clock, &broker->drain_waiter);
	(void)pthread_mutex_lock(&broker->drain.mutex);
	for (sink = broker->drain.sinks; sink != NULL; sink = sink->next_sink)
		(void)weiri_subscription_wake(sink);
	(void)pthread_mutex_unlock(&broker->drain.mutex);
}
