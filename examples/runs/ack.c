/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run "ack": acknowledgements, a timeout, and a redelivery.
 *
 *   OrderService -- orders -- Processor
 *
 * The processor fails now and then, and then acknowledges nothing. A message whose
 * acknowledgement has not come 5 seconds after its publish goes back to the queue,
 * to its end. That happens once: a message that fails again stays pending. These
 * are options of the subscription.
 *
 * With --attempts or --dead-letter it goes as the library does by default. The
 * processor does not fail but dies, with the message in its hands, and is started
 * again; the time counts from each hand-over, so a message survives its receiver as
 * often as there are attempts, first among what is queued; and after the last one it
 * is dropped, or goes to a dead-letter topic and tells who receives that what
 * happened to it:
 *
 *   OrderService -- orders -- Processor
 *                     |
 *                orders.dead -- DeadLetters
 */
#include <stdio.h>
#include <string.h>

#include "../common/complain.h"
#include "options.h"
#include "python_random.h"
#include "run.h"
#include "stage.h"

#define ACK_TIMEOUT 5.0
#define DEAD_TOPIC  "orders.dead"
#define TEXT_SIZE   64

/* The library's. */
#define ATTEMPTS_DEFAULT 5

/* Messages that may be pending; in this run they only become more. */
#define PENDING_MAX ((size_t)1 << 16)

struct service {
	struct stage *stage;
	double interval;
};

struct processor {
	struct stage *stage;
	weir_subscription *queue;
	double service;
	struct python_random random;
	bool dies;         /* and does not only fail */
	uint32_t attempts; /* of a message */
	uint64_t received;
	uint64_t acknowledged;
};

/* Who gets the dead letters. */
struct undertaker {
	struct stage *stage;
	weir_subscription *queue;
	uint64_t received;
};

static void serve(void *argument)
{
	struct service *self = argument;
	weir_publisher *publisher;
	char text[TEXT_SIZE];

	must(weir_publisher_open(&publisher, self->stage->broker, "orders", NULL), "orders");
	for (unsigned long number = 1;; number++) {
		(void)snprintf(text, sizeof(text), "Message %lu from OrderService", number);
		stage_say(self->stage, "OrderService: Publishing %s", text);
		if (weir_publish(publisher, text, strlen(text), NULL, NULL) != 0)
			break;
		if (stage_sleep(self->stage, self->interval) != 0)
			break;
	}
	weir_publisher_close(publisher);
}

static unsigned long long ack_id(const weir_delivery *delivery)
{
	return (unsigned long long)weir_message_sequence(delivery->message) - 1;
}

static void received_say(const struct processor *self, const weir_delivery *delivery)
{
	char attempt[TEXT_SIZE] = "";

	if (self->dies)
		(void)snprintf(attempt, sizeof(attempt), ", attempt %u of %u",
			(unsigned int)delivery->attempt, (unsigned int)self->attempts);
	stage_say(self->stage, "Processor: Received %.*s (ack_id %llu%s)", (int)delivery->size,
		(const char *)delivery->data, ack_id(delivery), attempt);
}

static void failure_say(const struct processor *self, const weir_delivery *delivery)
{
	const int size = (int)delivery->size;
	const char *text = delivery->data;

	if (!self->dies) {
		stage_say(self->stage, "Processor: FAILED to process %.*s (will be redelivered)",
			size, text);
		return;
	}
	/* All that is left of the one that died is its subscription, and what that
	 * one handed out: the next one goes on with it. */
	stage_say(self->stage, "Processor: DIED with %.*s in its hands", size, text);
	stage_say(self->stage, "Processor: Started again");
}

static void process(void *argument)
{
	struct processor *self = argument;
	weir_delivery delivery;

	while (weir_receive(self->queue, &delivery, WEIR_FOREVER) == 0) {
		self->received++;
		received_say(self, &delivery);
		if (stage_sleep(self->stage, self->service) != 0)
			break;
		if (python_random_random(&self->random) > 0.3) {
			if (weir_ack(&delivery) == 0)
				self->acknowledged++;
			stage_say(self->stage, "Processor: Acknowledged %.*s", (int)delivery.size,
				(const char *)delivery.data);
		} else {
			failure_say(self, &delivery);
		}
	}
}

static void bury(void *argument)
{
	struct undertaker *self = argument;
	weir_dead_letter letter;
	weir_delivery delivery;

	while (weir_receive(self->queue, &delivery, WEIR_FOREVER) == 0) {
		if (weir_message_dead_letter(delivery.message, &letter) != 0)
			continue;
		self->received++;
		stage_say(self->stage, "DeadLetters: Received %.*s (timed out %u times in %s)",
			(int)delivery.size, (const char *)delivery.data,
			(unsigned int)letter.attempts, letter.topic);
	}
}

static void report(const struct processor *processor, const struct undertaker *undertaker)
{
	weir_subscription_statistics statistics;

	must(weir_subscription_statistics_get(processor->queue, &statistics), "orders");
	(void)printf("\n=== Acknowledgment Statistics ===\n");
	(void)printf("Messages published: %llu\n", (unsigned long long)statistics.matched);
	(void)printf("Messages received: %llu\n", (unsigned long long)processor->received);
	(void)printf("Messages acknowledged: %llu\n", (unsigned long long)processor->acknowledged);
	(void)printf("Pending acks: %llu\n",
		(unsigned long long)(statistics.in_flight + statistics.queued));
	if (!processor->dies)
		return;
	(void)printf("Messages redelivered: %llu\n", (unsigned long long)statistics.redelivered);
	if (undertaker->queue != NULL)
		(void)printf("Dead letters: %llu\n", (unsigned long long)undertaker->received);
	else
		(void)printf("Messages dropped: %llu\n",
			(unsigned long long)statistics.dropped[WEIR_DROP_ATTEMPTS]);
}

/* What the lesson's own run needs of the library, and what one should ask for. */
static weir_subscription_options queue_options(const struct options *options)
{
	if (options->attempts == 0 && !options->has_dead_letter)
		return (weir_subscription_options){
			.overflow = WEIR_OVERFLOW_UNBOUNDED,
			.ack = WEIR_ACK_MANUAL,
			.ack_timeout_from_publish = true,
			.ack_timeout_once = true,
			.redeliver_to_back = true,
			.max_attempts = UINT32_MAX,
			.max_in_flight = PENDING_MAX,
		};
	return (weir_subscription_options){
		.overflow = WEIR_OVERFLOW_UNBOUNDED,
		.ack = WEIR_ACK_MANUAL,
		.max_attempts = options->attempts != 0 ? options->attempts : ATTEMPTS_DEFAULT,
		.max_in_flight = PENDING_MAX,
		.dead_letter_topic = options->has_dead_letter ? DEAD_TOPIC : NULL,
	};
}

static int play(const struct options *options)
{
	struct stage stage;
	struct service service = { .stage = &stage, .interval = options->interval };
	struct processor processor = { .stage = &stage, .service = options->service };
	struct undertaker undertaker = { .stage = &stage };
	weir_subscription_options acknowledged = queue_options(options);

	stage_open(&stage, options);
	acknowledged.ack_timeout = ACK_TIMEOUT / stage.speed;
	python_random_seed(&processor.random, options->seed, options->seed_size);
	processor.queue = stage_subscribe(&stage, stage.broker, "orders", &acknowledged);
	processor.dies = !acknowledged.ack_timeout_once;
	processor.attempts = acknowledged.max_attempts;
	if (options->has_dead_letter)
		undertaker.queue = stage_subscribe(&stage, stage.broker, DEAD_TOPIC, NULL);
	stage_spawn(&stage, "OrderService", serve, &service);
	stage_spawn(&stage, "Processor", process, &processor);
	if (options->has_dead_letter)
		stage_spawn(&stage, "DeadLetters", bury, &undertaker);
	stage_run(&stage);
	report(&processor, &undertaker);
	stage_close(&stage);
	return STATUS_OK;
}

const struct run run_ack = {
	.name = "ack",
	.summary = "acknowledgements: what fails is delivered again, once",
	.takes = TAKES_ATTEMPTS,
	.until = 25,
	.interval = 3,
	.service = 1,
	.play = play,
};
