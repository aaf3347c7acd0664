/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run "ack": acknowledgements, a timeout, and a redelivery.
 *
 *   OrderService -- orders -- Processor
 *
 * The processor fails now and then, and then acknowledges nothing. A message whose
 * acknowledgement has not come 5 seconds after its publish goes back to the queue,
 * to its end. That happens once: a message that fails again stays pending. These
 * are options of the subscription; by default the time would count from each
 * hand-over, and after the last attempt the message would go to a dead-letter topic.
 */
#include <stdio.h>
#include <string.h>

#include "complain.h"
#include "options.h"
#include "python_random.h"
#include "run.h"
#include "stage.h"

#define ACK_TIMEOUT 5.0

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
	uint64_t received;
	uint64_t acknowledged;
};

static void serve(void *argument)
{
	struct service *self = argument;
	weir_publisher *publisher;
	char text[64];

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

/* What was received, and is copied: others may settle it before its time is told. */
static void process(void *argument)
{
	struct processor *self = argument;
	weir_delivery delivery;
	char text[64];

	while (weir_receive(self->queue, &delivery, WEIR_FOREVER) == 0) {
		self->received++;
		(void)snprintf(text, sizeof(text), "%.*s", (int)delivery.size,
			(const char *)delivery.data);
		stage_say(self->stage, "Processor: Received %s (ack_id %llu)", text,
			(unsigned long long)weir_message_sequence(delivery.message) - 1);
		if (stage_sleep(self->stage, self->service) != 0)
			break;
		if (python_random_random(&self->random) > 0.3) {
			if (weir_ack(&delivery) == 0)
				self->acknowledged++;
			stage_say(self->stage, "Processor: Acknowledged %s", text);
		} else {
			stage_say(self->stage,
				"Processor: FAILED to process %s (will be redelivered)", text);
		}
	}
}

static void report(const struct processor *processor)
{
	weir_subscription_statistics statistics;

	must(weir_subscription_statistics_get(processor->queue, &statistics), "orders");
	(void)printf("\n=== Acknowledgment Statistics ===\n");
	(void)printf("Messages published: %llu\n", (unsigned long long)statistics.matched);
	(void)printf("Messages received: %llu\n", (unsigned long long)processor->received);
	(void)printf("Messages acknowledged: %llu\n", (unsigned long long)processor->acknowledged);
	(void)printf("Pending acks: %llu\n",
		(unsigned long long)(statistics.in_flight + statistics.queued));
}

static int play(const struct options *options)
{
	struct stage stage;
	struct service service = { .stage = &stage, .interval = options->interval };
	struct processor processor = { .stage = &stage, .service = options->service };
	weir_subscription_options acknowledged = {
		.overflow = WEIR_OVERFLOW_UNBOUNDED,
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout_from_publish = true,
		.ack_timeout_once = true,
		.redeliver_to_back = true,
		.max_attempts = UINT32_MAX,
		.max_in_flight = PENDING_MAX,
	};

	stage_open(&stage, options);
	acknowledged.ack_timeout = ACK_TIMEOUT / stage.speed;
	python_random_seed(&processor.random, options->seed, options->seed_size);
	processor.queue = stage_subscribe(&stage, stage.broker, "orders", &acknowledged);
	stage_spawn(&stage, "OrderService", serve, &service);
	stage_spawn(&stage, "Processor", process, &processor);
	stage_run(&stage);
	report(&processor);
	stage_close(&stage);
	return STATUS_OK;
}

const struct run run_ack = {
	.name = "ack",
	.summary = "acknowledgements: what fails is delivered again, once",
	.until = 25,
	.interval = 3,
	.service = 1,
	.play = play,
};
