/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishers: bound ones, and those that are lent for a call. */
#include "core/publisher.h"

#include <math.h>

#include "base/reserved.h"
#include "core/filter.h"

/* By default a burst makes up for a publisher that is late by so many seconds:
 * more than a sleep is, when the machine is busy. */
#define BURST_SECONDS 0.01

/* Counts up to here are exact in a double. */
#define BURST_MAX ((uint64_t)1 << 53)

static bool publisher_options_are_valid(const weir_publisher_options *options)
{
	return weiri_duration_is_valid(options->timeout) &&
	       (unsigned int)options->wait <= WEIR_WAIT_YIELD && options->max_rate >= 0 &&
	       isfinite(options->max_rate) && options->burst <= BURST_MAX &&
	       (options->burst == 0 || options->max_rate > 0) &&
	       WEIRI_RESERVED_ARE_ZERO(options->reserved);
}

static void rate_set(struct weir_publisher *publisher, const weir_publisher_options *options)
{
	double late = fmin(options->max_rate * BURST_SECONDS, (double)BURST_MAX);
	uint64_t burst = late > 1 ? (uint64_t)late : 1;

	if (options->max_rate > 0)
		weiri_bucket_open(&publisher->bucket, options->max_rate,
			options->burst != 0 ? options->burst : burst);
}

static void list_add(struct weiri_registry *registry, struct weir_publisher *publisher)
{
	publisher->next = registry->publishers;
	if (publisher->next != NULL)
		publisher->next->previous = publisher;
	registry->publishers = publisher;
}

static void list_remove(struct weiri_registry *registry, struct weir_publisher *publisher)
{
	if (publisher->previous != NULL)
		publisher->previous->next = publisher->next;
	else
		registry->publishers = publisher->next;
	if (publisher->next != NULL)
		publisher->next->previous = publisher->previous;
}

/* Lock held.  A publisher in the registry's list, bound to the topic or to none. */
static int publisher_make(struct weir_publisher **made, struct weir_broker *broker,
	struct weiri_topic *topic, const weir_publisher_options *options)
{
	struct weiri_registry *registry = &broker->registry;
	struct weir_publisher *publisher =
		weiri_allocate(&broker->allocator, sizeof(*publisher), WEIRI_CACHE_LINE);

	if (publisher == NULL)
		return WEIR_ENOMEM;
	if (!broker->clock->is_virtual) {
		publisher->member = weiri_reclaim_join(&registry->reclaim, &broker->allocator);
		if (publisher->member == NULL)
			goto fail_member;
	}
	publisher->pool = weiri_pool_open(broker, topic);
	if (publisher->pool == NULL)
		goto fail_pool;
	weiri_broker_ref(broker);
	publisher->broker = broker;
	publisher->topic = topic;
	publisher->timeout = options->timeout != 0 ? options->timeout : WEIR_FOREVER;
	publisher->wait = options->wait;
	rate_set(publisher, options);
	publisher->waiter.operation = "publish";
	publisher->waiter.object = topic != NULL ? topic->name : "(by name)";
	list_add(registry, publisher);
	*made = publisher;
	return 0;

fail_pool:
	weiri_reclaim_leave(&registry->reclaim, publisher->member);
fail_member:
	weiri_deallocate(&broker->allocator, publisher, sizeof(*publisher));
	return WEIR_ENOMEM;
}

void weiri_publisher_end(struct weir_publisher *publisher)
{
	struct weir_broker *broker = publisher->broker;

	list_remove(&broker->registry, publisher);
	weiri_publish_counters_add(&broker->publishes, &publisher->counters);
	weiri_reclaim_leave(&broker->registry.reclaim, publisher->member);
	weiri_pool_abandon(publisher->pool);
	weiri_deallocate(&broker->allocator, publisher->blocked,
		publisher->blocked_size * sizeof(*publisher->blocked));
	weiri_deallocate(&broker->allocator, publisher, sizeof(*publisher));
}

int weir_publisher_open(weir_publisher **publisher, weir_broker *broker, const char *name,
	const weir_publisher_options *options)
{
	static const weir_publisher_options defaults;
	size_t length = weiri_topic_name_length(name);
	struct weiri_topic *topic;
	int error;

	if (options == NULL)
		options = &defaults;
	if (publisher == NULL || broker == NULL || length == 0 ||
		!publisher_options_are_valid(options))
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	weiri_registry_lock(&broker->registry);
	if (weiri_load_relaxed(&broker->state) != WEIRI_BROKER_RUNNING)
		error = WEIR_ESHUTDOWN;
	else
		error = weiri_registry_topic(broker, name, length, &topic);
	if (error == 0)
		error = publisher_make(publisher, broker, topic, options);
	if (error == 0 && topic->publishers > 0)
		weiri_registry_topic_share(broker, topic);
	if (error == 0) {
		weiri_topic_ref(topic);
		topic->publishers++;
		broker->registry.publisher_count++;
	}
	weiri_registry_unlock(&broker->registry);
	return error;
}

void weir_publisher_close(weir_publisher *publisher)
{
	struct weir_broker *broker;
	struct weiri_topic *topic;

	if (publisher == NULL || weiri_broker_forked(publisher->broker))
		return;
	broker = publisher->broker;
	topic = publisher->topic;
	weiri_registry_lock(&broker->registry);
	weiri_publish_counters_add(&topic->counters, &publisher->counters);
	topic->publishers--;
	broker->registry.publisher_count--;
	weiri_publisher_end(publisher);
	weiri_registry_unlock(&broker->registry);
	weiri_topic_unref(topic);
	weiri_broker_unref(broker);
}

static struct weir_publisher *floating_take(struct weir_broker *broker)
{
	static const weir_publisher_options defaults;
	struct weir_publisher *publisher;

	(void)pthread_mutex_lock(&broker->floating_mutex);
	publisher = broker->floating;
	if (publisher != NULL)
		broker->floating = publisher->next_idle;
	(void)pthread_mutex_unlock(&broker->floating_mutex);
	if (publisher != NULL)
		return publisher;

	weiri_registry_lock(&broker->registry);
	if (publisher_make(&publisher, broker, NULL, &defaults) != 0)
		publisher = NULL;
	else
		/* The broker ends it by itself; it must not keep the broker. */
		weiri_broker_unref(broker);
	weiri_registry_unlock(&broker->registry);
	return publisher;
}

struct weir_publisher *weiri_publisher_borrow(struct weir_broker *broker)
{
	struct weir_publisher *publisher;

	(void)weiri_add_relaxed(&broker->inside, 1);
	publisher = floating_take(broker);
	if (publisher == NULL)
		(void)weiri_sub_release(&broker->inside, 1);
	return publisher;
}

/* The broker was closed while this one was lent. */
static void floating_end(struct weir_publisher *publisher)
{
	struct weir_broker *broker = publisher->broker;

	weiri_broker_ref(broker);
	weiri_registry_lock(&broker->registry);
	weiri_publisher_end(publisher);
	weiri_registry_unlock(&broker->registry);
	weiri_broker_unref(broker);
}

void weiri_publisher_give_back(struct weir_publisher *publisher)
{
	struct weir_broker *broker = publisher->broker;
	bool is_closed;

	(void)pthread_mutex_lock(&broker->floating_mutex);
	is_closed = weiri_load_acquire(&broker->state) == WEIRI_BROKER_CLOSED;
	if (!is_closed || !broker->clock->is_virtual) {
		publisher->next_idle = broker->floating;
		broker->floating = publisher;
	}
	(void)pthread_mutex_unlock(&broker->floating_mutex);
	/* Z1 (pairs with the acquire in await, at close): the last use of the
	 * broker.  In virtual time close cannot wait, and leaves the end to this. */
	if (is_closed && broker->clock->is_virtual)
		floating_end(publisher);
	else
		(void)weiri_sub_release(&broker->inside, 1);
}
