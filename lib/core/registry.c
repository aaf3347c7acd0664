/* SPDX-License-Identifier: BSD-2-Clause */
/* Where topics and subscriptions are matched. */
#include "core/registry.h"

#include "core/broker.h"
#include "core/filter.h"
#include "core/group.h"
#include <weir/error.h>

int weiri_registry_open(struct weiri_registry *registry, struct weir_broker *broker)
{
	int error = weiri_topic_table_open(&registry->topics, &broker->allocator);

	if (error != 0)
		return error;
	error = weiri_topic_memory_open(&registry->topic_memory, &broker->allocator);
	if (error != 0)
		goto fail_memory;
	if (pthread_mutex_init(&registry->mutex, NULL) != 0) {
		error = WEIR_ESYSTEM;
		goto fail_mutex;
	}
	weiri_reclaim_open(&registry->reclaim, broker->fence_asymmetric);
	/* Under virtual time not even the order of a table's places may differ
	 * between runs, so the key stays zero. */
	if (!broker->clock->is_virtual)
		weiri_hash_key_draw(&registry->hash_key);
	return 0;

fail_mutex:
	weiri_topic_memory_close(&registry->topic_memory);
fail_memory:
	weiri_topic_table_close(&registry->topics, &broker->allocator);
	return error;
}

void weiri_registry_close(struct weiri_registry *registry, struct weir_broker *broker)
{
	(void)pthread_mutex_destroy(&registry->mutex);
	weiri_waiters_close(&registry->waiters, &broker->allocator);
	weiri_reclaim_close(&registry->reclaim, &broker->allocator);
	weiri_topic_memory_close(&registry->topic_memory);
	weiri_topic_table_close(&registry->topics, &broker->allocator);
}

void weiri_registry_lock(struct weiri_registry *registry)
{
	(void)pthread_mutex_lock(&registry->mutex);
}

void weiri_registry_unlock(struct weiri_registry *registry)
{
	(void)pthread_mutex_unlock(&registry->mutex);
}

/* A topic with the subscriptions whose wildcards match it; not in the table yet. */
static struct weiri_topic *topic_make(
	struct weir_broker *broker, const char *name, size_t length, uint64_t hash)
{
	struct weir_subscription *subscription = broker->registry.subscriptions;
	struct weiri_topic *topic = weiri_topic_open(broker, name, length, hash);

	if (topic == NULL)
		return NULL;
	for (; subscription != NULL; subscription = subscription->next) {
		/* One that has stopped is on the list until it is unsubscribed,
		 * and is freed then without a look at the topics. */
		if (subscription->is_stopped || !subscription->has_wildcard ||
			subscription->member != NULL ||
			!weiri_filter_matches(subscription->filter, topic->name))
			continue;
		if (weiri_topic_prepare(topic, subscription, NULL) != 0) {
			weiri_topic_unref(topic);
			return NULL;
		}
		weiri_topic_apply(topic);
		weiri_topic_discard(topic);
	}
	return topic;
}

int weiri_registry_topic(
	struct weir_broker *broker, const char *name, size_t length, struct weiri_topic **topic)
{
	struct weiri_registry *registry = &broker->registry;
	uint64_t hash = weiri_hash(&registry->hash_key, name, length);
	struct weiri_topic *found = weiri_topic_table_find(&registry->topics, name, length, hash);

	if (found == NULL) {
		if (registry->topics.topics >= broker->topics_max)
			return WEIR_ELIMIT;
		found = topic_make(broker, name, length, hash);
		if (found == NULL)
			return WEIR_ENOMEM;
		if (weiri_topic_table_add(&registry->topics, found, &broker->allocator,
			    &registry->reclaim) != 0) {
			weiri_topic_unref(found);
			return WEIR_ENOMEM;
		}
	}
	*topic = found;
	return 0;
}

void weiri_registry_topic_share(struct weir_broker *broker, struct weiri_topic *topic)
{
	if (weiri_load_relaxed(&topic->sharing) == WEIRI_TOPIC_SHARED)
		return;
	weiri_store_relaxed(&topic->sharing, WEIRI_TOPIC_SHARING);
	/* I1 (pairs with I2 in topic.h): after it no section of the sole publisher is
	 * open that has not seen this.  Without it that could store a number, or the tail
	 * of a ring, over another's. */
	if (topic->publishers > 0)
		weiri_reclaim_wait(&broker->registry.reclaim);
	/* I3 (pairs with I3 in publish_named.c): who sees this comes after the wait. */
	weiri_store_release(&topic->sharing, WEIRI_TOPIC_SHARED);
}

struct weiri_topic *weiri_registry_topic_find(
	struct weir_broker *broker, const char *name, size_t length)
{
	struct weiri_registry *registry = &broker->registry;
	struct weiri_topic *topic = weiri_topic_table_find(
		&registry->topics, name, length, weiri_hash(&registry->hash_key, name, length));

	if (topic != NULL)
		weiri_topic_ref(topic);
	return topic;
}

/*
 * The topics that a filter matches, one after the other, starting with *cursor
 * = 0.  A filter without a wildcard has exactly one, its own.
 */
static struct weiri_topic *topic_next(
	struct weir_broker *broker, const struct weir_subscription *subscription, size_t *cursor)
{
	struct weiri_topic *topic;

	if (!subscription->has_wildcard)
		return (*cursor)++ == 0 ? subscription->literal : NULL;
	while ((topic = weiri_topic_table_next(&broker->registry.topics, cursor)) != NULL)
		if (weiri_filter_matches(subscription->filter, topic->name))
			return topic;
	return NULL;
}

static void prepared_discard(
	struct weir_broker *broker, const struct weir_subscription *subscription)
{
	struct weiri_topic *topic;
	size_t cursor = 0;

	while ((topic = topic_next(broker, subscription, &cursor)) != NULL)
		weiri_topic_discard(topic);
}

/* Put the prepared snapshots in place, wait until no publisher reads the old
 * ones, free them. */
static void prepared_apply(struct weir_broker *broker, const struct weir_subscription *subscription)
{
	struct weiri_topic *topic;
	size_t cursor = 0;

	while ((topic = topic_next(broker, subscription, &cursor)) != NULL)
		weiri_topic_apply(topic);
	weiri_reclaim_wait(&broker->registry.reclaim);
	prepared_discard(broker, subscription);
}

static void list_append(struct weiri_registry *registry, struct weir_subscription *subscription)
{
	subscription->previous = registry->subscriptions_last;
	if (registry->subscriptions_last != NULL)
		registry->subscriptions_last->next = subscription;
	else
		registry->subscriptions = subscription;
	registry->subscriptions_last = subscription;
	if (!weiri_subscription_is_core(subscription))
		registry->subscription_count++;
}

void weiri_registry_waiter_give_back(
	struct weir_broker *broker, struct weir_subscription *subscription)
{
	weiri_waiters_give_back(&broker->registry.waiters, subscription->waiter);
	subscription->waiter = NULL;
}

/* Let all matching topics know the subscription. */
static int subscription_match(struct weir_broker *broker, struct weir_subscription *subscription)
{
	struct weiri_topic *topic;
	size_t cursor = 0;
	int error = 0;

	if (!subscription->has_wildcard)
		error = weiri_registry_topic(broker, subscription->filter,
			subscription->filter_length, &subscription->literal);
	if (error != 0)
		return error;
	while ((topic = topic_next(broker, subscription, &cursor)) != NULL) {
		if (weiri_topic_prepare(topic, subscription, NULL) != 0) {
			prepared_discard(broker, subscription);
			return WEIR_ENOMEM;
		}
	}
	prepared_apply(broker, subscription);
	if (subscription->literal != NULL)
		subscription->literal->literals++;
	return 0;
}

/* What every one on the list has.  It does not count yet. */
static int subscription_provide(struct weir_broker *broker, struct weir_subscription *subscription)
{
	if (!weiri_subscription_is_core(subscription) &&
		broker->registry.subscription_count >= broker->subscriptions_max)
		return WEIR_ELIMIT;
	subscription->waiter = weiri_waiters_lend(&broker->registry.waiters, &broker->allocator);
	if (subscription->waiter == NULL)
		return WEIR_ENOMEM;
	subscription->waiter->operation = "receive";
	subscription->waiter->object = subscription->filter;
	return 0;
}

int weiri_registry_enlist(struct weir_broker *broker, struct weir_subscription *subscription)
{
	int error = subscription_provide(broker, subscription);

	if (error != 0)
		return error;
	list_append(&broker->registry, subscription);
	return 0;
}

int weiri_registry_add(struct weir_broker *broker, struct weir_subscription *subscription)
{
	int error = subscription_provide(broker, subscription);

	if (error != 0)
		return error;
	error = subscription_match(broker, subscription);
	if (error != 0) {
		weiri_registry_waiter_give_back(broker, subscription);
		return error;
	}
	list_append(&broker->registry, subscription);
	return 0;
}

void weiri_registry_forget(struct weir_broker *broker, struct weir_subscription *subscription)
{
	struct weiri_topic *topic;
	size_t cursor = 0;

	while ((topic = topic_next(broker, subscription, &cursor)) != NULL)
		if (weiri_topic_has(topic, subscription) &&
			weiri_topic_prepare(topic, NULL, subscription) != 0)
			weiri_topic_erase(topic, subscription);
	prepared_apply(broker, subscription);
	if (subscription->literal != NULL)
		subscription->literal->literals--;
}

void weiri_registry_remove(struct weir_broker *broker, struct weir_subscription *subscription)
{
	struct weiri_registry *registry = &broker->registry;

	if (subscription->previous != NULL)
		subscription->previous->next = subscription->next;
	else
		registry->subscriptions = subscription->next;
	if (subscription->next != NULL)
		subscription->next->previous = subscription->previous;
	else
		registry->subscriptions_last = subscription->previous;
	if (!weiri_subscription_is_core(subscription))
		registry->subscription_count--;
}

int weiri_registry_topic_remove(struct weir_broker *broker, const char *name, size_t length)
{
	struct weiri_registry *registry = &broker->registry;
	struct weiri_topic *topic = weiri_topic_table_find(
		&registry->topics, name, length, weiri_hash(&registry->hash_key, name, length));

	if (topic == NULL)
		return WEIR_ENOENT;
	if (topic->publishers > 0 || topic->literals > 0)
		return WEIR_EBUSY;
	weiri_topic_table_remove(&registry->topics, topic);
	/* A publish by name may hold the topic already; it must not find
	 * subscriptions there that the registry no longer looks after. */
	weiri_topic_prepare_removed(topic);
	weiri_topic_apply(topic);
	weiri_reclaim_wait(&registry->reclaim);
	weiri_topic_discard(topic);
	weiri_topic_unref(topic);
	return 0;
}
