/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishers, and the forms of publishing. */
#include "core/publisher.h"

#include <math.h>
#include <string.h>

#include "base/always_inline.h"
#include "core/crate.h"
#include "core/extra.h"
#include "core/filter.h"
#include "core/inline.h"
#include "core/pace.h"
#include "core/publish_plain.h"
#include "core/special.h"

/* By default a burst makes up for a publisher that is late by so many seconds:
 * more than a sleep is, when the machine is busy. */
#define BURST_SECONDS 0.01

/* Counts up to here are exact in a double. */
#define BURST_MAX ((uint64_t)1 << 53)

static bool reserved_is_zero(const uint64_t *reserved, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (reserved[i] != 0)
			return false;
	return true;
}

static bool publisher_options_are_valid(const weir_publisher_options *options)
{
	return weiri_duration_is_valid(options->timeout) &&
	       (unsigned int)options->wait <= WEIR_WAIT_YIELD && options->max_rate >= 0 &&
	       isfinite(options->max_rate) && options->burst <= BURST_MAX &&
	       (options->burst == 0 || options->max_rate > 0) &&
	       reserved_is_zero(options->reserved, 6);
}

static void rate_set(struct weir_publisher *publisher, const weir_publisher_options *options)
{
	double late = fmin(options->max_rate * BURST_SECONDS, (double)BURST_MAX);
	uint64_t burst = late > 1 ? (uint64_t)late : 1;

	if (options->max_rate > 0)
		weiri_bucket_open(&publisher->bucket, options->max_rate,
			options->burst != 0 ? options->burst : burst);
}

static bool needs_extra(const weir_publish_options *options)
{
	return options != NULL && weiri_extra_is_asked_for(options);
}

bool weiri_publish_options_are_valid(const weir_publish_options *options)
{
	if (options == NULL)
		return true;
	return weiri_duration_is_valid(options->timeout) &&
	       !(options->no_wait && options->timeout != 0) &&
	       weiri_special_options_are_valid(options) && reserved_is_zero(options->reserved, 8);
}

static inline double publish_deadline(
	struct weir_publisher *publisher, const weir_publish_options *options)
{
	double timeout = publisher->timeout;

	if (options != NULL && options->no_wait)
		return -WEIR_FOREVER;
	if (options != NULL && options->timeout != 0)
		timeout = options->timeout;
	return weiri_clock_deadline(publisher->broker->clock, timeout);
}

struct weiri_publish_terms weiri_publish_terms(
	struct weir_publisher *publisher, const weir_publish_options *options)
{
	return (struct weiri_publish_terms){
		.deadline = publish_deadline(publisher, options),
		.want_fill = options != NULL && options->want_fill,
		.all_or_nothing = options != NULL && options->all_or_nothing,
		.special = options != NULL && weiri_special_is_asked_for(options) ? options : NULL,
	};
}

/* What the publish options say about each message. */
static void message_mark(struct weir_message *message, const weir_publish_options *options)
{
	if (options == NULL)
		return;
	message->priority = options->priority;
	if (options->has_key) {
		message->key = options->key;
		message->flags |= WEIRI_MESSAGE_HAS_KEY;
	} else {
		message->flags &= (uint8_t)~WEIRI_MESSAGE_HAS_KEY;
	}
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

/* Whether a message may be made: 0, or WEIR_EFORK, WEIR_ESHUTDOWN. */
static inline int messages_check(struct weir_publisher *publisher)
{
	struct weir_broker *broker = publisher->broker;

	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	return weiri_load_relaxed(&broker->state) != WEIRI_BROKER_RUNNING ? WEIR_ESHUTDOWN : 0;
}

/* A loan, or WEIR_EINVAL, WEIR_EFORK, WEIR_ESHUTDOWN, WEIR_ENOMEM. */
static int message_take(struct weir_publisher *publisher, size_t size, size_t payload_size,
	struct weir_message **message)
{
	struct weir_message *taken;
	int error;

	if (size > publisher->broker->message_size_max)
		return WEIR_EINVAL;
	error = messages_check(publisher);
	if (error != 0)
		return error;
	taken = weiri_pool_take(publisher->pool, payload_size);
	if (taken == NULL)
		return WEIR_ENOMEM;
	*message = taken;
	return 0;
}

/* Whether its topic has several plain subscriptions, more than get copies. */
static inline bool is_for_many(const struct weir_publisher *publisher)
{
	const struct weiri_topic *topic = publisher->topic;

	return topic != NULL && weiri_load_relaxed(&topic->is_plain) &&
	       !weiri_load_relaxed(&topic->is_few);
}

/* A message with a copy of the bytes, after messages_check; NULL: no memory. */
static WEIRI_ALWAYS_INLINE struct weir_message *message_make(struct weir_publisher *publisher,
	const weir_payload *payload, const weir_publish_options *options)
{
	struct weir_message *message;

	if (needs_extra(options)) {
		message = weiri_pool_take_for_extra(
			publisher->pool, payload->size, sizeof(struct weiri_extra));
		if (message != NULL)
			weiri_extra_begin(message);
	} else if (options == NULL && payload->size <= WEIRI_CRATE_PAYLOAD_MAX &&
		   is_for_many(publisher)) {
		message = weiri_crate_take(publisher->pool, payload->size);
	} else {
		message = weiri_pool_take(publisher->pool, payload->size);
	}
	if (message == NULL)
		return NULL;
	if (payload->size > 0)
		memcpy(message->data, payload->data, payload->size);
	message_mark(message, options);
	return message;
}

/* Whether these bytes may be published: 0, or WEIR_EINVAL, WEIR_EFORK, WEIR_ESHUTDOWN. */
static inline int copy_check(struct weir_publisher *publisher, const void *data, size_t size)
{
	if ((data == NULL && size > 0) || size > publisher->broker->message_size_max)
		return WEIR_EINVAL;
	return messages_check(publisher);
}

/* A message with a copy of them, after that; returns as message_take. */
static inline int message_copy(struct weir_publisher *publisher, const void *data, size_t size,
	const weir_publish_options *options, struct weir_message **message)
{
	const weir_payload payload = { data, size };
	struct weir_message *made;
	int error = copy_check(publisher, data, size);

	if (error != 0)
		return error;
	made = message_make(publisher, &payload, options);
	if (made == NULL)
		return WEIR_ENOMEM;
	*message = made;
	return 0;
}

static void receipt_give(weir_receipt *receipt, const weir_receipt *sum)
{
	if (receipt != NULL && weiri_receipt_tells(sum))
		*receipt = *sum;
}

static void messages_release(struct weir_message **messages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		weiri_message_unref(messages[i], 1, NULL);
}

/* Publish messages that are to be released if they do not go out. */
static int publish_own(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt)
{
	int error = weiri_publish(publisher, topic, messages, count, terms, receipt);

	if (weiri_receipt_taken(receipt) == 0)
		messages_release(messages, count);
	return error;
}

static bool payloads_are_valid(
	const struct weir_broker *broker, const weir_payload *payloads, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (payloads[i].size > broker->message_size_max ||
			(payloads[i].data == NULL && payloads[i].size > 0))
			return false;
	return true;
}

/* Copies of payloads, as many as there is memory for; *error says what stopped it. */
static size_t messages_copy(struct weir_publisher *publisher, const weir_payload *payloads,
	size_t count, const weir_publish_options *options, struct weir_message **messages,
	int *error)
{
	size_t copied = 0;

	*error = messages_check(publisher);
	while (copied < count && *error == 0) {
		messages[copied] = message_make(publisher, &payloads[copied], options);
		if (messages[copied] == NULL)
			*error = WEIR_ENOMEM;
		else
			copied++;
	}
	return copied;
}

/* Whether a batch goes on after a part of it had this outcome. */
static bool outcome_allows_more(int outcome)
{
	return outcome == 0 || outcome == WEIR_ETIMEDOUT;
}

static void receipt_add(weir_receipt *sum, const weir_receipt *part)
{
	sum->refused_by = part->refused_by;
	sum->delayed += part->delayed;
	if (part->published == 0)
		return;
	sum->sequence = part->sequence;
	sum->published += part->published;
	sum->matched += part->matched;
	sum->enqueued += part->enqueued;
	sum->dropped += part->dropped;
	sum->timed_out += part->timed_out;
	sum->evicted += part->evicted;
	sum->fill = part->fill;
}

/* Publish a part of a batch, and add what became of it. */
static int part_publish(struct weir_publisher *publisher, struct weir_message **messages,
	size_t count, const struct weiri_publish_terms *terms, weir_receipt *sum)
{
	weir_receipt part = { 0 };
	int error = publish_own(publisher, publisher->topic, messages, count, terms, &part);

	receipt_add(sum, &part);
	return error;
}

/* The first ones of *count messages without options, as many as go inline; returns how many.
 * If none for want of room: *count is 1, for after one that waited others may go so. */
static size_t part_publish_inline(struct weir_publisher *publisher, const weir_payload *payloads,
	size_t *count, weir_receipt *sum)
{
	struct weiri_snapshot *snapshot = weiri_publish_plain_begin(publisher);
	weir_receipt part;
	bool is_inline;

	if (snapshot == NULL)
		return 0;
	is_inline = snapshot->count == 1 && payloads[0].size <= WEIRI_INLINE_MAX &&
		    weiri_inline_is_open(snapshot);
	if (is_inline) {
		size_t sent =
			weiri_inline_publish_batch(publisher, snapshot, payloads, *count, &part);

		if (sent > 0) {
			receipt_add(sum, &part);
			return sent;
		}
		*count = 1;
	}
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
	return 0;
}

int weir_publish_batch(weir_publisher *publisher, const weir_payload *payloads, size_t count,
	const weir_publish_options *options, weir_receipt *receipt)
{
	struct weir_message *messages[WEIRI_PUBLISH_MAX];
	struct weiri_publish_terms terms;
	weir_receipt sum = { 0 };
	size_t part_max;
	int outcome = 0;

	if (publisher == NULL || payloads == NULL || count == 0 ||
		!weiri_publish_options_are_valid(options) || (options != NULL && options->has_id) ||
		!payloads_are_valid(publisher->broker, payloads, count))
		return WEIR_EINVAL;
	if (weiri_broker_forked(publisher->broker))
		return WEIR_EFORK;
	terms = weiri_publish_terms(publisher, options);
	part_max = terms.all_or_nothing ? 1 : WEIRI_PUBLISH_MAX;
	outcome = weiri_pace_rate(publisher, count, terms.deadline);
	if (outcome != 0)
		return outcome;
	for (size_t done = 0; done < count && outcome_allows_more(outcome);) {
		size_t part = count - done < part_max ? count - done : part_max;
		size_t copied;
		int error;

		if (options == NULL) {
			size_t sent = part_publish_inline(publisher, payloads + done, &part, &sum);

			done += sent;
			if (sent > 0)
				continue;
		}
		copied = messages_copy(publisher, payloads + done, part, options, messages, &error);
		if (copied > 0) {
			int result = part_publish(publisher, messages, copied, &terms, &sum);

			outcome = result != 0 ? result : outcome;
		}
		if (error != 0)
			outcome = error;
		done += copied;
	}
	weiri_pace_rate_return(publisher, count - weiri_receipt_taken(&sum));
	receipt_give(receipt, &sum);
	return outcome;
}

/* Publish a message of one's own, in the ordinary way. */
static int message_publish(struct weir_publisher *publisher, struct weir_message *message,
	const weir_publish_options *options, weir_receipt *receipt)
{
	struct weiri_publish_terms terms = weiri_publish_terms(publisher, options);
	weir_receipt sum = { 0 };
	int error = weiri_pace_rate(publisher, 1, terms.deadline);

	if (error != 0) {
		messages_release(&message, 1);
		return error;
	}
	error = publish_own(publisher, publisher->topic, &message, 1, &terms, &sum);
	weiri_pace_rate_return(publisher, 1 - weiri_receipt_taken(&sum));
	receipt_give(receipt, &sum);
	return error;
}

/* A small message without options, inside a section that has begun, and that this ends. */
static int small_publish(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	const void *data, size_t size, weir_receipt *receipt)
{
	struct weir_message *message;

	if (weiri_inline_is_open(snapshot) &&
		weiri_inline_publish(publisher, snapshot, data, size, receipt))
		return 0;
	message = message_make(publisher, &(const weir_payload){ data, size }, NULL);
	if (message != NULL)
		return weiri_publish_plain(publisher, snapshot, message, receipt);
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
	return WEIR_ENOMEM;
}

int weir_publish(weir_publisher *publisher, const void *data, size_t size,
	const weir_publish_options *options, weir_receipt *receipt)
{
	const bool is_small = options == NULL && size <= WEIRI_INLINE_MAX;
	struct weiri_snapshot *snapshot = NULL;
	struct weir_message *message;
	int error;

	if (publisher == NULL || !weiri_publish_options_are_valid(options))
		return WEIR_EINVAL;
	error = copy_check(publisher, data, size);
	if (error != 0)
		return error;
	if (is_small)
		snapshot = weiri_publish_plain_begin(publisher);
	if (snapshot != NULL)
		return small_publish(publisher, snapshot, data, size, receipt);
	message = message_make(publisher, &(const weir_payload){ data, size }, options);
	if (message == NULL)
		return WEIR_ENOMEM;
	/* Not before: to copy many bytes may take long, and others wait for sections. */
	if (options == NULL && !is_small)
		snapshot = weiri_publish_plain_begin(publisher);
	if (snapshot != NULL)
		return weiri_publish_plain(publisher, snapshot, message, receipt);
	return message_publish(publisher, message, options, receipt);
}

/* What the owner of a loan may read before it is published. */
static void message_blank(struct weir_message *message)
{
	message->topic = NULL;
	message->sequence = 0;
	message->timestamp = 0;
}

int weir_loan(weir_publisher *publisher, size_t size, weir_message **message)
{
	int error;

	if (publisher == NULL || message == NULL)
		return WEIR_EINVAL;
	error = message_take(publisher, size, size, message);
	if (error == 0)
		message_blank(*message);
	return error;
}

int weir_message_wrap(weir_publisher *publisher, void *data, size_t size,
	weir_free_function *free_function, void *context, weir_message **message)
{
	struct weiri_wrap *wrap;
	struct weir_message *taken;
	int error;

	if (publisher == NULL || message == NULL || free_function == NULL ||
		(data == NULL && size > 0))
		return WEIR_EINVAL;
	error = message_take(publisher, size, sizeof(*wrap), &taken);
	if (error != 0)
		return error;
	wrap = weiri_message_payload(taken);
	wrap->free_function = free_function;
	wrap->context = context;
	message_blank(taken);
	taken->data = data;
	taken->size = (uint32_t)size;
	taken->flags |= WEIRI_MESSAGE_WRAPPED;
	*message = taken;
	return 0;
}

int weir_publish_message(weir_publisher *publisher, weir_message *message,
	const weir_publish_options *options, weir_receipt *receipt)
{
	struct weiri_snapshot *snapshot = NULL;
	struct weiri_publish_terms terms;
	weir_receipt sum = { 0 };
	struct weir_message *provided;
	int error;

	if (publisher == NULL || message == NULL || !weiri_publish_options_are_valid(options) ||
		message->pool != publisher->pool || (message->flags & WEIRI_MESSAGE_PUBLISHED))
		return WEIR_EINVAL;
	if (weiri_broker_forked(publisher->broker))
		return WEIR_EFORK;
	if (options == NULL)
		snapshot = weiri_publish_plain_begin(publisher);
	if (snapshot != NULL)
		return weiri_publish_plain(publisher, snapshot, message, receipt);
	terms = weiri_publish_terms(publisher, options);
	error = weiri_pace_rate(publisher, 1, terms.deadline);
	if (error != 0)
		return error;
	provided = message;
	if (needs_extra(options))
		provided = weiri_extra_provide(message);
	if (provided == NULL) {
		weiri_pace_rate_return(publisher, 1);
		return WEIR_ENOMEM;
	}
	message_mark(provided, options);
	error = weiri_publish(publisher, publisher->topic, &provided, 1, &terms, &sum);
	weiri_pace_rate_return(publisher, 1 - weiri_receipt_taken(&sum));
	if (needs_extra(options) && weiri_receipt_taken(&sum) == 0)
		weiri_extra_withdraw(provided, message);
	receipt_give(receipt, &sum);
	return error;
}

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

uint64_t weir_key(const void *data, size_t size)
{
	static const struct weiri_hash_key fixed;

	return data == NULL ? weiri_hash(&fixed, "", 0) : weiri_hash(&fixed, data, size);
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
	receipt_give(receipt, &sum);
	/* That a subscription refused it is no failure of the publish. */
	return sum.published > 0 && receipt == NULL ? 0 : error;
}

/* A copy of the bytes, published by a borrowed publisher. */
static int copy_publish(struct weir_publisher *publisher, const char *name, const void *data,
	size_t size, const weir_publish_options *options, weir_receipt *receipt)
{
	struct weiri_publish_terms terms = weiri_publish_terms(publisher, options);
	struct weir_message *message;
	int error = message_copy(publisher, data, size, options, &message);

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
	receipt_give(receipt, &sum);
	return error;
}
