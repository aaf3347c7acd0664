/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics: sums, made when they are asked for, of counters that each have one
 * writer or are written rarely; so that counting costs next to nothing.
 */
#include "core/filter.h"
#include "core/group.h"
#include "core/publisher.h"
#include "core/subscription.h"
#include "delivery/dedupe.h"

void weiri_subscription_statistics_read(
	struct weir_subscription *subscription, weir_subscription_statistics *statistics)
{
	uint64_t in_hand = subscription->hand != NULL ? 1 : 0;
	uint64_t handed = subscription->handed;
	/* X4: the count before the sums, so that those counted are in them. */
	uint64_t expired_taken = weiri_load_acquire(&subscription->expired_taken);
	struct weiri_queue_sums sums;
	uint64_t last;

	weiri_queue_sums_read(&subscription->queue, &sums);
	/* X2: the sums before this word, so that none of the discarded is in them. */
	last = weiri_load_acquire(&subscription->delivered_last);
	*statistics = (weir_subscription_statistics){
		.matched = sums.pushed + handed + weiri_load_relaxed(&subscription->refused),
		.enqueued = sums.pushed + handed,
		.delivered = last != 0 ? last - 1 : sums.popped + handed - in_hand - expired_taken,
		.queued = sums.count + in_hand,
		.high_water = sums.high_water,
		.capacity = subscription->queue.capacity,
		.dead_lettered = weiri_load_relaxed(&subscription->dead_lettered),
		.expired = weiri_load_relaxed(&subscription->expired),
	};
	statistics->acknowledged = statistics->delivered;
	if (subscription->acks != NULL)
		weiri_acks_statistics_read(subscription, statistics);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		statistics->dropped[i] = weiri_load_relaxed(&subscription->dropped[i]);
}

int weir_subscription_statistics_get(
	weir_subscription *subscription, weir_subscription_statistics *statistics)
{
	if (subscription == NULL || statistics == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	if (subscription->member == NULL) {
		weiri_subscription_statistics_read(subscription, statistics);
		return 0;
	}
	weiri_group_lock(subscription->group);
	weiri_group_member_read(subscription, statistics);
	weiri_group_unlock(subscription->group);
	return 0;
}

int weir_subscription_priorities_get(
	weir_subscription *subscription, weir_priority_statistics *statistics)
{
	if (subscription == NULL || statistics == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	subscription = subscription->core;
	if (subscription->levels == NULL)
		return WEIR_EINVAL;
	weiri_levels_read(subscription->levels, statistics);
	return 0;
}

static void publishes_add(
	weir_broker_statistics *sum, const struct weiri_publish_counters *counters)
{
	sum->published += weiri_load_relaxed(&counters->published);
	sum->matched += weiri_load_relaxed(&counters->matched);
	sum->enqueued += weiri_load_relaxed(&counters->enqueued);
}

static void subscriptions_add(struct weir_broker *broker, weir_broker_statistics *sum)
{
	struct weir_subscription *subscription = broker->registry.subscriptions;
	weir_subscription_statistics one;

	for (; subscription != NULL; subscription = subscription->next) {
		/* What members do is their group's. */
		if (subscription->member != NULL)
			continue;
		weiri_subscription_statistics_read(subscription, &one);
		sum->delivered += one.delivered;
		sum->acknowledged += one.acknowledged;
		sum->dead_lettered += one.dead_lettered;
		sum->expired += one.expired;
		sum->parked += one.parked;
		sum->redriven += one.redriven;
		sum->in_flight += one.in_flight;
		sum->queued += one.queued;
		for (int i = 0; i < WEIR_DROP_REASONS; i++)
			sum->dropped[i] += one.dropped[i];
	}
}

void weiri_broker_statistics_read(struct weir_broker *broker, weir_broker_statistics *statistics)
{
	struct weiri_registry *registry = &broker->registry;
	weir_broker_statistics sum = { 0 };

	weiri_registry_lock(registry);
	publishes_add(&sum, &broker->publishes);
	for (struct weir_publisher *publisher = registry->publishers; publisher != NULL;
		publisher = publisher->next)
		publishes_add(&sum, &publisher->counters);
	sum.delivered = weiri_load_relaxed(&broker->subscriptions.delivered);
	sum.acknowledged = weiri_load_relaxed(&broker->subscriptions.acknowledged);
	sum.dead_lettered = weiri_load_relaxed(&broker->subscriptions.dead_lettered);
	sum.expired = weiri_load_relaxed(&broker->subscriptions.expired);
	sum.redriven = weiri_load_relaxed(&broker->subscriptions.redriven);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		sum.dropped[i] = weiri_load_relaxed(&broker->subscriptions.dropped[i]);
	subscriptions_add(broker, &sum);
	/* No publish matched them. */
	sum.matched += sum.redriven;
	weiri_delays_read(&broker->delays, &sum);
	sum.topics = registry->topics.topics;
	sum.subscriptions = registry->subscription_count;
	sum.publishers = registry->publisher_count;
	weiri_registry_unlock(registry);
	*statistics = sum;
}

int weir_broker_statistics_get(weir_broker *broker, weir_broker_statistics *statistics)
{
	if (broker == NULL || statistics == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	weiri_broker_statistics_read(broker, statistics);
	return 0;
}

static void topic_add(weir_topic_statistics *sum, const struct weiri_publish_counters *counters)
{
	sum->published += weiri_load_relaxed(&counters->published);
	sum->matched += weiri_load_relaxed(&counters->matched);
	sum->enqueued += weiri_load_relaxed(&counters->enqueued);
	sum->dropped += weiri_load_relaxed(&counters->dropped);
}

/* Registry's lock held. */
static void topic_statistics_read(struct weiri_registry *registry, struct weiri_topic *topic,
	weir_topic_statistics *statistics)
{
	weir_topic_statistics sum = { .publishers = topic->publishers };
	const struct weiri_snapshot *snapshot = weiri_load_relaxed(&topic->snapshot);
	struct weiri_dedupe *dedupe = weiri_load_relaxed(&topic->dedupe);

	topic_add(&sum, &topic->counters);
	for (struct weir_publisher *publisher = registry->publishers; publisher != NULL;
		publisher = publisher->next)
		if (publisher->topic == topic)
			topic_add(&sum, &publisher->counters);
	for (size_t i = 0; i < snapshot->count; i++)
		if (weiri_load_relaxed(&snapshot->subscriptions[i]) != NULL)
			sum.subscriptions++;
	if (dedupe != NULL)
		sum.duplicates = weiri_dedupe_duplicates(dedupe);
	*statistics = sum;
}

int weir_topic_statistics_get(
	weir_broker *broker, const char *name, weir_topic_statistics *statistics)
{
	size_t length = weiri_topic_name_length(name);
	struct weiri_topic *topic;

	if (broker == NULL || length == 0 || statistics == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	weiri_registry_lock(&broker->registry);
	topic = weiri_topic_table_find(&broker->registry.topics, name, length,
		weiri_hash(&broker->registry.hash_key, name, length));
	if (topic != NULL)
		topic_statistics_read(&broker->registry, topic, statistics);
	weiri_registry_unlock(&broker->registry);
	return topic != NULL ? 0 : WEIR_ENOENT;
}
