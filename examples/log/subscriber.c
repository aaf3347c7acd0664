/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that receives. */
#include "subscriber.h"

#include <stdlib.h>

#include "../common/complain.h"

/* Messages taken at once: what is there, without waiting for more. */
#define BATCH 64

static void seen_add(struct subscriber *subscriber, size_t topic, uint64_t sequence)
{
	if (topic >= subscriber->seen_size) {
		size_t size = subscriber->tally.topics.size;

		subscriber->seen = memory_resize(subscriber->seen, size, sizeof(*subscriber->seen));
		for (size_t i = subscriber->seen_size; i < size; i++)
			subscriber->seen[i] = (struct sequences){ 0 };
		subscriber->seen_size = size;
	}
	sequences_add(&subscriber->seen[topic], sequence);
}

static void take(struct subscriber *subscriber, const weir_delivery *delivery, double now)
{
	const weir_message *message = delivery->message;
	size_t topic = tally_add(
		&subscriber->tally, weir_message_topic(message), delivery->data, delivery->size);

	waits_add(&subscriber->waits, now - weir_message_timestamp(message));
	subscriber->missed += delivery->missed;
	if (subscriber->has_seen)
		seen_add(subscriber, topic, weir_message_sequence(message));
	if (subscriber->archive != NULL)
		archive_write(subscriber->archive, delivery->data, delivery->size);
}

static void *run(void *argument)
{
	struct subscriber *subscriber = argument;
	weir_delivery deliveries[BATCH];
	size_t count;
	int error;

	while ((error = weir_receive_batch(
			subscriber->subscription, deliveries, BATCH, WEIR_FOREVER, &count)) == 0) {
		double now = weir_now(subscriber->clock);

		for (size_t i = 0; i < count; i++)
			take(subscriber, &deliveries[i], now);
	}
	if (error != WEIR_ESHUTDOWN)
		subscriber->error = error;
	return NULL;
}

int subscriber_start(struct subscriber *subscriber, weir_broker *broker, const char *filter,
	const weir_subscription_options *options, struct archive *archive, bool has_seen)
{
	int error;

	*subscriber = (struct subscriber){
		.clock = weir_broker_clock(broker),
		.archive = archive,
		.has_seen = has_seen,
	};
	error = weir_subscribe(&subscriber->subscription, broker, filter, options);
	if (error != 0)
		return error;
	if (pthread_create(&subscriber->thread, NULL, run, subscriber) != 0) {
		(void)weir_unsubscribe(subscriber->subscription, NULL);
		return WEIR_ESYSTEM;
	}
	subscriber->is_running = true;
	return 0;
}

void subscriber_join(struct subscriber *subscriber)
{
	if (!subscriber->is_running)
		return;
	(void)pthread_join(subscriber->thread, NULL);
	subscriber->is_running = false;
	/* Of an open subscription this cannot fail. */
	(void)weir_subscription_statistics_get(subscriber->subscription, &subscriber->statistics);
}

uint64_t subscriber_dropped(const struct subscriber *subscriber)
{
	uint64_t sum = 0;

	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		sum += subscriber->statistics.dropped[i];
	return sum;
}

bool subscriber_has_seen(const struct subscriber *subscriber, const char *topic, uint64_t sequence)
{
	size_t index = topics_find(&subscriber->tally.topics, topic);

	return index < subscriber->seen_size && sequences_has(&subscriber->seen[index], sequence);
}

void subscriber_free(struct subscriber *subscriber)
{
	subscriber_join(subscriber);
	(void)weir_unsubscribe(subscriber->subscription, NULL);
	for (size_t i = 0; i < subscriber->seen_size; i++)
		sequences_free(&subscriber->seen[i]);
	free(subscriber->seen);
	tally_free(&subscriber->tally);
}
