/* SPDX-License-Identifier: BSD-2-Clause */
/* model.c - see model.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define TOPICS        12
#define FILTERS       14
#define SUBSCRIPTIONS 10
#define PUBLISHERS    8
#define CAPACITY      9
#define BATCH         150

static const char *const topic_names[TOPICS] = { "a", "b", "a.b", "a.c", "b.c", "a.b.c", "a.b.d",
	"b.b.c", "a.b.c.d", "*x", "a.b.c.d.e", "longer.name.with.more.tokens" };

static const char *const filters[FILTERS] = { "a", "a.b", "a.b.c", "*", ">", "*.b", "a.*", "a.>",
	"*.*", "*.b.*", "a.*.c", "*.>", "a.b.>", "*.*.*.*" };

/* ---- What the model knows ---- */

struct model_subscription {
	weir_subscription *handle; /* NULL: the place is free */
	const char *filter;
	size_t capacity;
	weir_overflow overflow;
	uint64_t queue[CAPACITY];
	weir_subscription_statistics expected;
	uint64_t missed;
};

struct model_publisher {
	weir_publisher *handle;
	unsigned int topic;
};

struct model_topic {
	bool is_there;
	uint64_t sequence;
	weir_topic_statistics expected;
};

struct model {
	weir_broker *broker;
	uint64_t state;
	uint64_t number; /* of the last message */
	struct model_topic topics[TOPICS];
	struct model_subscription subscriptions[SUBSCRIPTIONS];
	struct model_publisher publishers[PUBLISHERS];
	weir_broker_statistics expected;
	struct model_counts counts;
};

static uint64_t below(struct model *model, uint64_t bound)
{
	return harness_random_below(&model->state, bound);
}

/* The oracle: one token each, by recursion. */
static bool matches(const char *filter, const char *name)
{
	const char *filter_dot = strchr(filter, '.'), *name_dot = strchr(name, '.');
	const size_t filter_length = filter_dot ? (size_t)(filter_dot - filter) : strlen(filter);
	const size_t name_length = name_dot ? (size_t)(name_dot - name) : strlen(name);

	if (filter_length == 1 && filter[0] == '>')
		return true;
	if (!(filter_length == 1 && filter[0] == '*') &&
		(filter_length != name_length || strncmp(filter, name, name_length) != 0))
		return false;
	if (filter_dot == NULL || name_dot == NULL)
		return filter_dot == NULL && name_dot == NULL;
	return matches(filter_dot + 1, name_dot + 1);
}

static bool subscribes(const struct model_subscription *subscription, unsigned int topic)
{
	return subscription->handle != NULL && matches(subscription->filter, topic_names[topic]);
}

static void topic_make(struct model *model, unsigned int topic)
{
	if (model->topics[topic].is_there)
		return;
	model->topics[topic] = (struct model_topic){ .is_there = true };
	model->expected.topics++;
}

/* ---- Publishing ---- */

/* One subscription takes of `count` messages what it has room for. */
static void subscription_take(struct model *model, struct model_subscription *subscription,
	uint64_t first, size_t count, weir_receipt *receipt)
{
	weir_subscription_statistics *expected = &subscription->expected;
	const size_t room = subscription->capacity - (size_t)expected->queued;
	const size_t taken = count < room ? count : room;
	const bool is_block = subscription->overflow == WEIR_OVERFLOW_BLOCK;

	for (size_t i = 0; i < taken; i++)
		subscription->queue[expected->queued++] = first + i;
	if (expected->queued > expected->high_water)
		expected->high_water = expected->queued;
	expected->matched += count;
	expected->enqueued += taken;
	expected->dropped[is_block ? WEIR_DROP_TIMEOUT : WEIR_DROP_NEWEST] += count - taken;
	subscription->missed += count - taken;
	receipt->matched += count;
	receipt->enqueued += taken;
	receipt->dropped += count - taken;
	receipt->timed_out += is_block ? count - taken : 0;
	model->counts.partial += taken > 0 && taken < count;
	*(is_block ? &model->counts.timed_out : &model->counts.newest) += count - taken;
}

/* What a publish of the next `count` messages must have done, and its result. */
static int publish_expect(
	struct model *model, unsigned int topic, size_t count, weir_receipt *receipt)
{
	weir_topic_statistics *expected = &model->topics[topic].expected;
	const uint64_t first = model->number + 1;

	model->number += count;
	model->topics[topic].sequence += count;
	*receipt = (weir_receipt){ .sequence = model->topics[topic].sequence, .published = count };
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		if (subscribes(&model->subscriptions[i], topic))
			subscription_take(model, &model->subscriptions[i], first, count, receipt);
	expected->published += count;
	expected->matched += receipt->matched;
	expected->enqueued += receipt->enqueued;
	expected->dropped += receipt->dropped;
	model->expected.published += count;
	model->expected.matched += receipt->matched;
	model->expected.enqueued += receipt->enqueued;
	return receipt->timed_out > 0 ? WEIR_ETIMEDOUT : 0;
}

static void receipt_check(const weir_receipt *receipt, const weir_receipt *expected)
{
	CHECK_EQ(receipt->sequence, expected->sequence);
	CHECK_EQ(receipt->published, expected->published);
	CHECK_EQ(receipt->matched, expected->matched);
	CHECK_EQ(receipt->enqueued, expected->enqueued);
	CHECK_EQ(receipt->dropped, expected->dropped);
	CHECK_EQ(receipt->timed_out, expected->timed_out);
}

static const weir_publish_options no_wait = { .no_wait = true };

static void step_publish(struct model *model)
{
	const struct model_publisher *publisher = &model->publishers[below(model, PUBLISHERS)];
	weir_receipt receipt, expected;
	weir_message *loan;
	int result;

	if (publisher->handle == NULL)
		return;
	result = publish_expect(model, publisher->topic, 1, &expected);
	if (below(model, 2) == 0) {
		CHECK_EQ(weir_publish(publisher->handle, &model->number, sizeof(model->number),
				 &no_wait, &receipt),
			result);
	} else {
		CHECK_EQ(weir_loan(publisher->handle, sizeof(model->number), &loan), 0);
		memcpy(weir_message_buffer(loan), &model->number, sizeof(model->number));
		CHECK_EQ(weir_publish_message(publisher->handle, loan, &no_wait, &receipt), result);
	}
	receipt_check(&receipt, &expected);
	model->counts.publishes++;
}

static void step_publish_batch(struct model *model)
{
	const struct model_publisher *publisher = &model->publishers[below(model, PUBLISHERS)];
	const size_t count = 1 + (size_t)below(model, below(model, 8) == 0 ? BATCH : 2 * CAPACITY);
	weir_payload payloads[BATCH];
	uint64_t numbers[BATCH];
	weir_receipt receipt, expected;
	int result;

	if (publisher->handle == NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		numbers[i] = model->number + 1 + i;
		payloads[i] = (weir_payload){ &numbers[i], sizeof(numbers[i]) };
	}
	result = publish_expect(model, publisher->topic, count, &expected);
	CHECK_EQ(
		weir_publish_batch(publisher->handle, payloads, count, &no_wait, &receipt), result);
	receipt_check(&receipt, &expected);
	model->counts.batches++;
}

static void step_publish_to(struct model *model)
{
	const unsigned int topic = (unsigned int)below(model, TOPICS);
	weir_receipt receipt, expected;
	int result;

	if (strchr(topic_names[topic], '*') != NULL) {
		CHECK_EQ(weir_publish_to(model->broker, topic_names[topic], NULL, 0, NULL, NULL),
			WEIR_EINVAL);
		return;
	}
	topic_make(model, topic);
	result = publish_expect(model, topic, 1, &expected);
	CHECK_EQ(weir_publish_to(model->broker, topic_names[topic], &model->number,
			 sizeof(model->number), &no_wait, &receipt),
		result);
	receipt_check(&receipt, &expected);
	model->counts.by_name++;
}

/* ---- Receiving ---- */

static void delivery_check(
	struct model *model, struct model_subscription *subscription, const weir_delivery *delivery)
{
	CHECK_EQ(fixture_number(delivery), subscription->queue[0]);
	CHECK(matches(subscription->filter, weir_message_topic(delivery->message)));
	CHECK_EQ(delivery->missed, subscription->missed);
	CHECK_EQ(delivery->attempt, 1);
	model->counts.missed += subscription->missed > 0;
	subscription->missed = 0;
	subscription->expected.queued--;
	subscription->expected.delivered++;
	memmove(subscription->queue, subscription->queue + 1,
		(size_t)subscription->expected.queued * sizeof(subscription->queue[0]));
	model->expected.delivered++;
	model->counts.deliveries++;
}

static void step_receive(struct model *model)
{
	struct model_subscription *subscription =
		&model->subscriptions[below(model, SUBSCRIPTIONS)];
	const size_t count_max = 1 + (size_t)below(model, CAPACITY + 2);
	weir_delivery deliveries[CAPACITY + 2];
	uint64_t there = subscription->expected.queued;
	size_t count = 77;

	if (subscription->handle == NULL)
		return;
	if (there == 0) {
		CHECK_EQ(weir_receive_batch(subscription->handle, deliveries, count_max, 0, &count),
			WEIR_EAGAIN);
		CHECK_EQ(count, 77);
		return;
	}
	CHECK_EQ(weir_receive_batch(
			 subscription->handle, deliveries, count_max, WEIR_FOREVER, &count),
		0);
	CHECK_EQ(count, there < count_max ? there : count_max);
	for (size_t i = 0; i < count; i++)
		delivery_check(model, subscription, &deliveries[i]);
}

/* ---- Handles come and go ---- */

static void subscription_open(struct model *model, struct model_subscription *subscription)
{
	const weir_subscription_options options = {
		.capacity = 1 + (size_t)below(model, CAPACITY),
		.overflow = below(model, 2) == 0 ? WEIR_OVERFLOW_BLOCK : WEIR_OVERFLOW_DROP_NEWEST,
	};

	*subscription = (struct model_subscription){
		.filter = filters[below(model, FILTERS)],
		.capacity = options.capacity,
		.overflow = options.overflow,
		.expected = { .capacity = options.capacity },
	};
	CHECK_EQ(weir_subscribe(
			 &subscription->handle, model->broker, subscription->filter, &options),
		0);
	CHECK_STR_EQ(weir_subscription_filter(subscription->handle), subscription->filter);
	for (unsigned int i = 0; i < TOPICS; i++)
		if (strcmp(topic_names[i], subscription->filter) == 0)
			topic_make(model, i);
	model->expected.subscriptions++;
}

static void subscription_check(
	const weir_subscription_statistics *found, const weir_subscription_statistics *expected)
{
	CHECK_EQ(found->matched, expected->matched);
	CHECK_EQ(found->enqueued, expected->enqueued);
	CHECK_EQ(found->delivered, expected->delivered);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		CHECK_EQ(found->dropped[i], expected->dropped[i]);
	CHECK_EQ(found->queued, expected->queued);
	CHECK_EQ(found->high_water, expected->high_water);
	CHECK_EQ(found->capacity, expected->capacity);
}

static void subscription_close(struct model *model, struct model_subscription *subscription)
{
	weir_subscription_statistics *expected = &subscription->expected;
	weir_subscription_statistics last;

	model->counts.closed += expected->queued;
	expected->dropped[WEIR_DROP_CLOSED] += expected->queued;
	expected->queued = 0;
	CHECK_EQ(weir_unsubscribe(subscription->handle, &last), 0);
	subscription_check(&last, expected);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		model->expected.dropped[i] += expected->dropped[i];
	model->expected.subscriptions--;
	subscription->handle = NULL;
	expected->queued = 0;
}

static void step_subscription(struct model *model)
{
	struct model_subscription *subscription =
		&model->subscriptions[below(model, SUBSCRIPTIONS)];

	if (subscription->handle == NULL)
		subscription_open(model, subscription);
	else if (below(model, 8) == 0)
		subscription_close(model, subscription);
}

static void publisher_close(struct model *model, struct model_publisher *publisher)
{
	weir_publisher_close(publisher->handle);
	publisher->handle = NULL;
	model->topics[publisher->topic].expected.publishers--;
	model->expected.publishers--;
}

static void step_publisher(struct model *model)
{
	struct model_publisher *publisher = &model->publishers[below(model, PUBLISHERS)];
	const unsigned int topic = (unsigned int)below(model, TOPICS);

	if (publisher->handle != NULL) {
		if (below(model, 8) == 0)
			publisher_close(model, publisher);
		return;
	}
	if (strchr(topic_names[topic], '*') != NULL)
		return;
	CHECK_EQ(weir_publisher_open(&publisher->handle, model->broker, topic_names[topic], NULL),
		0);
	publisher->topic = topic;
	topic_make(model, topic);
	model->topics[topic].expected.publishers++;
	model->expected.publishers++;
}

static void step_topic_remove(struct model *model)
{
	const unsigned int topic = (unsigned int)below(model, TOPICS);
	bool is_used = model->topics[topic].expected.publishers > 0;
	int result = 0;

	for (int i = 0; i < SUBSCRIPTIONS; i++)
		if (model->subscriptions[i].handle != NULL &&
			strcmp(model->subscriptions[i].filter, topic_names[topic]) == 0)
			is_used = true;
	if (strchr(topic_names[topic], '*') != NULL)
		result = WEIR_EINVAL;
	else if (!model->topics[topic].is_there)
		result = WEIR_ENOENT;
	else if (is_used)
		result = WEIR_EBUSY;
	CHECK_EQ(weir_topic_remove(model->broker, topic_names[topic]), result);
	model->counts.busy_topics += result == WEIR_EBUSY;
	if (result != 0)
		return;
	model->counts.removals++;
	model->topics[topic].is_there = false;
	model->expected.topics--;
}

/* ---- All together ---- */

struct model *model_open(const weir_broker_options *options, uint64_t seed)
{
	struct model *model = calloc(1, sizeof(*model));

	CHECK(model != NULL);
	model->broker = fixture_broker(options);
	model->state = seed;
	return model;
}

void model_step(struct model *model)
{
	static void (*const steps[])(struct model *) = { step_publish, step_publish, step_publish,
		step_publish_batch, step_publish_to, step_receive, step_receive, step_receive,
		step_receive, step_subscription, step_publisher, step_topic_remove };

	steps[below(model, sizeof(steps) / sizeof(steps[0]))](model);
	model->counts.operations++;
}

static void topic_check(struct model *model, unsigned int topic)
{
	weir_topic_statistics found, *expected = &model->topics[topic].expected;

	if (!model->topics[topic].is_there) {
		CHECK_EQ(weir_topic_statistics_get(model->broker, topic_names[topic], &found),
			strchr(topic_names[topic], '*') != NULL ? WEIR_EINVAL : WEIR_ENOENT);
		return;
	}
	expected->subscriptions = 0;
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		expected->subscriptions += subscribes(&model->subscriptions[i], topic);
	CHECK_EQ(weir_topic_statistics_get(model->broker, topic_names[topic], &found), 0);
	CHECK_EQ(found.published, expected->published);
	CHECK_EQ(found.matched, expected->matched);
	CHECK_EQ(found.enqueued, expected->enqueued);
	CHECK_EQ(found.dropped, expected->dropped);
	CHECK_EQ(found.matched, found.enqueued + found.dropped);
	CHECK_EQ(found.subscriptions, expected->subscriptions);
	CHECK_EQ(found.publishers, expected->publishers);
}

static void broker_check(struct model *model, const weir_broker_statistics *found,
	const weir_broker_statistics *sums)
{
	CHECK_EQ(found->published, model->expected.published);
	CHECK_EQ(found->matched, model->expected.matched);
	CHECK_EQ(found->enqueued, model->expected.enqueued);
	CHECK_EQ(found->delivered, model->expected.delivered);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		CHECK_EQ(found->dropped[i], model->expected.dropped[i] + sums->dropped[i]);
	CHECK_EQ(found->queued, sums->queued);
	CHECK_EQ(found->topics, model->expected.topics);
	CHECK_EQ(found->subscriptions, model->expected.subscriptions);
	CHECK_EQ(found->publishers, model->expected.publishers);
	fixture_check_broker_sums(found);
}

void model_check(struct model *model)
{
	weir_broker_statistics found, sums = { 0 };

	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		const struct model_subscription *subscription = &model->subscriptions[i];
		weir_subscription_statistics statistics;

		if (subscription->handle == NULL)
			continue;
		statistics = fixture_statistics(subscription->handle);
		subscription_check(&statistics, &subscription->expected);
		sums.queued += statistics.queued;
		for (int k = 0; k < WEIR_DROP_REASONS; k++)
			sums.dropped[k] += statistics.dropped[k];
	}
	for (unsigned int i = 0; i < TOPICS; i++)
		topic_check(model, i);
	CHECK_EQ(weir_broker_statistics_get(model->broker, &found), 0);
	broker_check(model, &found, &sums);
}

struct model_counts model_close(struct model *model)
{
	struct model_counts counts;
	weir_broker_statistics last;
	const weir_broker_statistics nothing = { 0 };

	for (int i = 0; i < SUBSCRIPTIONS; i++)
		if (model->subscriptions[i].handle != NULL)
			subscription_close(model, &model->subscriptions[i]);
	for (int i = 0; i < PUBLISHERS; i++)
		if (model->publishers[i].handle != NULL)
			publisher_close(model, &model->publishers[i]);
	CHECK_EQ(weir_broker_close(model->broker, &last), 0);
	broker_check(model, &last, &nothing);
	counts = model->counts;
	free(model);
	return counts;
}
