/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run "simple": fan-out, and a subscriber of several topics.
 *
 *   OrderService -- orders ----------+-- Inventory
 *                                    +-- Email
 *                                    +-- Analytics
 *   UserService  -- user-activity ---+
 *
 * Each subscriber has a queue of its own for each of its topics, without bounds.
 * By default it receives from them as the lesson does, which loses messages
 * (first_of.h), with --select by the library's weir_select, which does not.
 */
#include <stdio.h>
#include <string.h>

#include "../common/complain.h"
#include "first_of.h"
#include "options.h"
#include "run.h"

#define TOPICS_MAX 2

struct publisher {
	const char *name;
	const char *topic;
	double interval;
	struct stage *stage;
};

struct subscriber {
	const char *name;
	const char *topics[TOPICS_MAX];
	double service; /* seconds that a message takes */
	struct stage *stage;
	weir_subscription *queues[TOPICS_MAX];
	size_t queue_count;
	struct first_of *first_of; /* NULL: it selects */
	uint64_t received;
};

static const struct publisher publishers[] = {
	{ .name = "OrderService", .topic = "orders", .interval = 2.0 },
	{ .name = "UserService", .topic = "user-activity", .interval = 1.5 },
};

static const struct subscriber subscribers[] = {
	{ .name = "Inventory", .topics = { "orders" }, .service = 0.5 },
	{ .name = "Email", .topics = { "orders" }, .service = 3.0 },
	{ .name = "Analytics", .topics = { "orders", "user-activity" }, .service = 1.0 },
};

#define PUBLISHERS  (sizeof(publishers) / sizeof(publishers[0]))
#define SUBSCRIBERS (sizeof(subscribers) / sizeof(subscribers[0]))

static void publish_all(void *argument)
{
	const struct publisher *self = argument;
	weir_publisher *publisher;
	char text[64];

	must(weir_publisher_open(&publisher, self->stage->broker, self->topic, NULL), self->topic);
	for (unsigned long number = 1;; number++) {
		(void)snprintf(text, sizeof(text), "Message %lu from %s", number, self->name);
		stage_say(self->stage, "%s publishing: %s", self->name, text);
		if (weir_publish(publisher, text, strlen(text), NULL, NULL) != 0 ||
			stage_sleep(self->stage, self->interval) != 0)
			break;
	}
	weir_publisher_close(publisher);
}

/* The next message of any of the queues, to be released by the caller. */
static int receive(struct subscriber *self, weir_message **message)
{
	weir_delivery delivery;
	size_t index;
	int error;

	if (self->first_of != NULL)
		return first_of_receive(self->first_of, message);
	error = weir_select(self->queues, self->queue_count, WEIR_SELECT_PRIORITY, WEIR_FOREVER,
		&delivery, &index);
	if (error != 0)
		return error;
	*message = delivery.message;
	return weir_message_keep(delivery.message);
}

static void receive_all(void *argument)
{
	struct subscriber *self = argument;
	weir_message *message;

	while (receive(self, &message) == 0) {
		double published = stage_time(self->stage, weir_message_timestamp(message));

		self->received++;
		stage_say(self->stage, "%s received from '%s': %.*s (latency: %.1f)", self->name,
			weir_message_topic(message), (int)weir_message_size(message),
			(const char *)weir_message_data(message),
			stage_now(self->stage) - published);
		weir_message_release(message);
		if (stage_sleep(self->stage, self->service) != 0)
			break;
	}
}

static void subscriber_open(
	struct subscriber *self, struct stage *stage, const struct options *options)
{
	weir_subscription_options endless = { .overflow = WEIR_OVERFLOW_UNBOUNDED };

	self->stage = stage;
	self->service *= options->service;
	for (; self->queue_count < TOPICS_MAX && self->topics[self->queue_count] != NULL;
		self->queue_count++)
		self->queues[self->queue_count] = stage_subscribe(
			stage, stage->broker, self->topics[self->queue_count], &endless);
	if (!options->has_select)
		self->first_of = first_of_open(stage, self->queues, self->queue_count);
}

static void report(const struct stage *stage, const struct subscriber *all)
{
	weir_broker_statistics statistics;

	stage_statistics(stage, &statistics);
	(void)printf("\n=== Statistics ===\n");
	(void)printf("Messages published: %llu\n", (unsigned long long)statistics.published);
	(void)printf("Messages delivered: %llu\n", (unsigned long long)statistics.enqueued);
	for (size_t i = 0; i < SUBSCRIBERS; i++)
		(void)printf(
			"%s received: %llu\n", all[i].name, (unsigned long long)all[i].received);
}

static int play(const struct options *options)
{
	struct publisher sources[PUBLISHERS];
	struct subscriber sinks[SUBSCRIBERS];
	struct stage stage;

	stage_open(&stage, options);
	memcpy(sources, publishers, sizeof(sources));
	memcpy(sinks, subscribers, sizeof(sinks));
	for (size_t i = 0; i < SUBSCRIBERS; i++)
		subscriber_open(&sinks[i], &stage, options);
	for (size_t i = 0; i < PUBLISHERS; i++) {
		sources[i].stage = &stage;
		sources[i].interval *= options->interval;
		stage_spawn(&stage, sources[i].name, publish_all, &sources[i]);
	}
	for (size_t i = 0; i < SUBSCRIBERS; i++)
		stage_spawn(&stage, sinks[i].name, receive_all, &sinks[i]);
	stage_run(&stage);
	report(&stage, sinks);
	for (size_t i = 0; i < SUBSCRIBERS; i++)
		if (sinks[i].first_of != NULL)
			first_of_close(sinks[i].first_of);
	stage_close(&stage);
	return STATUS_OK;
}

const struct run run_simple = {
	.name = "simple",
	.summary = "fan-out: each subscriber has a queue for each of its topics",
	.takes = TAKES_SELECT,
	.until = 20,
	.interval = 1,
	.service = 1,
	.play = play,
};
