/* SPDX-License-Identifier: BSD-2-Clause */
/* The forms of publishing through a handle, up to where they are one (publish.h). */
#include <string.h>

#include "base/always_inline.h"
#include "base/reserved.h"
#include "core/crate.h"
#include "core/extra.h"
#include "core/inline.h"
#include "core/pace.h"
#include "core/publish_plain.h"
#include "core/special.h"

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
	       weiri_special_options_are_valid(options) &&
	       WEIRI_RESERVED_ARE_ZERO(options->reserved);
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

/* It is a loan again. */
static void message_unmark(struct weir_message *message)
{
	message->priority = 0;
	message->key = 0;
	message->flags &= (uint8_t)~WEIRI_MESSAGE_HAS_KEY;
}

uint64_t weir_key(const void *data, size_t size)
{
	static const struct weiri_hash_key fixed;

	return data == NULL ? weiri_hash(&fixed, "", 0) : weiri_hash(&fixed, data, size);
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

/* Whether the next message goes into a crate, if it is small. */
static inline bool goes_into_crate(struct weir_publisher *publisher)
{
	const struct weiri_topic *topic = publisher->topic;

	if (topic == NULL || !weiri_load_relaxed(&topic->fills_crates))
		return false;
	if (publisher->crates_pause == 0)
		return true;
	publisher->crates_pause--;
	return false;
}

/* A message with a copy of the bytes, after messages_check; NULL: no memory. */
static WEIRI_ALWAYS_INLINE struct weir_message *message_make(struct weir_publisher *publisher,
	const weir_payload *payload, const weir_publish_options *options)
{
	struct weir_message *message = NULL;

	if (needs_extra(options)) {
		message = weiri_pool_take_for_extra(
			publisher->pool, payload->size, sizeof(struct weiri_extra));
		if (message != NULL)
			weiri_extra_begin(message);
	} else {
		if (options == NULL && payload->size <= WEIRI_CRATE_PAYLOAD_MAX &&
			goes_into_crate(publisher))
			message = weiri_crate_take(publisher->pool, payload->size);
		if (message == NULL)
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

int weiri_message_copy(struct weir_publisher *publisher, const void *data, size_t size,
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
	weiri_receipt_give(receipt, &sum);
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
	weiri_receipt_give(receipt, &sum);
	return error;
}

/* A small message by pointer, as small_publish. */
static WEIRI_NEVER_INLINE int small_publish_shared(struct weir_publisher *publisher,
	struct weiri_snapshot *snapshot, const void *data, size_t size, weir_receipt *receipt)
{
	struct weir_message *message =
		message_make(publisher, &(const weir_payload){ data, size }, NULL);

	if (message != NULL)
		return weiri_publish_plain(publisher, snapshot, message, receipt);
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
	return WEIR_ENOMEM;
}

/* A small message without options, inside a section that has begun, and that this ends. */
static inline int small_publish(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	const void *data, size_t size, weir_receipt *receipt)
{
	if (weiri_inline_is_open(snapshot) &&
		weiri_inline_publish(publisher, snapshot, data, size, receipt))
		return 0;
	return small_publish_shared(publisher, snapshot, data, size, receipt);
}

/* Any message, after all checks. */
static WEIRI_NEVER_INLINE int any_publish(struct weir_publisher *publisher, const void *data,
	size_t size, const weir_publish_options *options, weir_receipt *receipt)
{
	struct weiri_snapshot *snapshot = NULL;
	struct weir_message *message =
		message_make(publisher, &(const weir_payload){ data, size }, options);

	if (message == NULL)
		return WEIR_ENOMEM;
	/* Not before: to copy many bytes may take long, and others wait for sections. */
	if (options == NULL && size > WEIRI_INLINE_MAX)
		snapshot = weiri_publish_plain_begin(publisher);
	if (snapshot != NULL)
		return weiri_publish_plain(publisher, snapshot, message, receipt);
	return message_publish(publisher, message, options, receipt);
}

int weir_publish(weir_publisher *publisher, const void *data, size_t size,
	const weir_publish_options *options, weir_receipt *receipt)
{
	struct weiri_snapshot *snapshot = NULL;
	int error;

	if (publisher == NULL || (options != NULL && !weiri_publish_options_are_valid(options)))
		return WEIR_EINVAL;
	error = copy_check(publisher, data, size);
	if (error != 0)
		return error;
	if (options == NULL && size <= WEIRI_INLINE_MAX)
		snapshot = weiri_publish_plain_begin(publisher);
	if (snapshot != NULL)
		return small_publish(publisher, snapshot, data, size, receipt);
	return any_publish(publisher, data, size, options, receipt);
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

/* A loan without options, inside a section that has begun, and that this ends.  A small one
 * that nobody keeps is copied into the queues, if it can, and its block is the publisher's
 * again; acquire, for another thread may just have been the last to let go of it. */
static int loan_publish(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message, weir_receipt *receipt)
{
	if (message->size > WEIRI_INLINE_MAX || (message->flags & WEIRI_MESSAGE_OWNS) != 0 ||
		weiri_load_acquire(&message->references) != 1 || !weiri_inline_is_open(snapshot) ||
		!weiri_inline_publish(publisher, snapshot, message->data, message->size, receipt))
		return weiri_publish_plain(publisher, snapshot, message, receipt);
	weiri_pool_give_own(publisher->pool, message);
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
		return loan_publish(publisher, snapshot, message, receipt);
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
	if (weiri_receipt_taken(&sum) == 0) {
		if (needs_extra(options))
			weiri_extra_withdraw(provided, message);
		message_unmark(message);
	}
	weiri_receipt_give(receipt, &sum);
	return error;
}
