/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishing by name, with a publisher that the broker lends. */
#include <string.h>

#include "core/filter.h"
#include "core/publisher.h"

/* The topic of that name with a reference, made if need be, and if the broker's state
 * is not past that one. */
static int topic_get(struct weir_publisher *publisher, const char *name, size_t length,
	uint32_t state_max, struct weiri_topic **topic)
{
	struct weir_broker *broker = publisher->broker;
	struct weiri_topic *found;
	int error = 0;

	weiri_reclaim_begin(publisher->member);
	found = weiri_registry_topic_find(broker, name, length);
	weiri_reclaim_end(&broker->registry.reclaim, publisher->member);
	if (found == NULL) {
		weiri_registry_lock(&broker->registry);
		error = weiri_load_relaxed(&broker->state) > state_max
				? WEIR_ESHUTDOWN
				: weiri_registry_topic(broker, name, length, &found);
		if (error == 0)
			weiri_topic_ref(found);
		weiri_registry_unlock(&broker->registry);
	}
	if (error == 0 && weiri_load_acquire(&found->sharing) != WEIRI_TOPIC_SHARED) { /* I3 */
		weiri_registry_lock(&broker->registry);
		weiri_registry_topic_share(broker, found);
		weiri_registry_unlock(&broker->registry);
	}
	if (error == 0)
		*topic = found;
	return error;
}

/* What a publish by name did, for the topic's own counters. */
static void topic_count(struct weiri_topic *topic, const weir_receipt *sum)
{
	(void)weiri_add_relaxed(&topic->counters.published, sum->published);
	(void)weiri_add_relaxed(&topic->counters.matched, sum->matched);
	(void)weiri_add_relaxed(&topic->counters.enqueued, sum->enqueued);
	(void)weiri_add_relaxed(&topic->counters.dropped, sum->dropped);
}

int weiri_publish_named(struct weir_publisher *publisher, const char *name,
	struct weir_message *message, const struct weiri_publish_terms *terms,
	weir_receipt *receipt)
{
	const uint32_t state_max =
		terms->until_closed ? WEIRI_BROKER_DRAINING : WEIRI_BROKER_RUNNING;
	size_t length = strlen(name);
	weir_receipt sum = { 0 };
	struct weiri_topic *topic;
	int error;

	do {
		error = topic_get(publisher, name, length, state_max, &topic);
		if (error != 0)
			return error;
		/* The message holds the topic from now on, published or not. */
		if (message->flags & WEIRI_MESSAGE_TOPIC_HELD)
			weiri_topic_unref(message->topic);
		weiri_topic_ref(topic);
		message->topic = topic;
		message->flags |= WEIRI_MESSAGE_TOPIC_HELD;
		error = weiri_publish(publisher, topic, &message, 1, terms, &sum);
		topic_count(topic, &sum);
		weiri_topic_unref(topic);
		/* Removed since it was found: it is made anew. */
	} while (error == WEIR_ENOENT);
	weiri_receipt_give(receipt, &sum);
	/* That a subscription refused it is no failure of the publish. */
	return sum.published > 0 && receipt == NULL ? 0 : error;
}

/* A copy of the bytes, published by a borrowed publisher. */
static int copy_publish(struct weir_publisher *publisher, const char *name, const void *data,
	size_t size, const weir_publish_options *options, weir_receipt *receipt)
{
	struct weiri_publish_terms terms = weiri_publish_terms(publisher, options);
	struct weir_message *message;
	int error = weiri_message_copy(publisher, data, size, options, &message);

	if (error != 0)
		return error;
	receipt->published = 0;
	error = weiri_publish_named(publisher, name, message, &terms, receipt);
	if (weiri_receipt_taken(receipt) == 0)
		weiri_message_unref(message, 1, NULL);
	return error;
}

int weir_publish_to(weir_broker *broker, const char *name, const void *data, size_t size,
	const weir_publish_options *options, weir_receipt *receipt)
{
	weir_receipt sum = { 0 };
	struct weir_publisher *publisher;
	int error;

	if (broker == NULL || weiri_topic_name_length(name) == 0 ||
		!weiri_publish_options_are_valid(options) || size > broker->message_size_max ||
		(data == NULL && size > 0))
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	if (weiri_load_relaxed(&broker->state) != WEIRI_BROKER_RUNNING)
		return WEIR_ESHUTDOWN;
	publisher = weiri_publisher_borrow(broker);
	if (publisher == NULL)
		return WEIR_ENOMEM;
	error = copy_publish(publisher, name, data, size, options, &sum);
	weiri_publisher_give_back(publisher);
	weiri_receipt_give(receipt, &sum);
	return error;
}
