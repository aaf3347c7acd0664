/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run "priority": the most urgent first, and the least urgent dropped.
 *
 *   EventGen -- events -- Processor
 *
 * The queue is ordered by priority, of which the lowest number is the most urgent,
 * and is too short. A message that comes to a full one goes in by its priority, and
 * the last falls out, which may be the one that came. With --drops the run is told
 * as a table, of what became of the messages of each priority.
 */
#include <stdio.h>
#include <string.h>

#include "../common/complain.h"
#include "options.h"
#include "python_random.h"
#include "run.h"
#include "stage.h"

#define LEVELS 10

struct generator {
	struct stage *stage;
	double interval;
	struct python_random random;
	uint64_t published[LEVELS];
};

struct processor {
	struct stage *stage;
	weir_subscription *queue;
	double service;
	uint64_t received[LEVELS];
};

static uint64_t sum(const uint64_t *counts)
{
	uint64_t total = 0;

	for (int level = 0; level < LEVELS; level++)
		total += counts[level];
	return total;
}

/* Three of ten are urgent. */
static int level_draw(struct python_random *random)
{
	if (python_random_random(random) < 0.3)
		return python_random_randint(random, 0, 4);
	return python_random_randint(random, 5, 9);
}

static void generate(void *argument)
{
	struct generator *self = argument;
	weir_publisher *publisher;
	char text[32];

	must(weir_publisher_open(&publisher, self->stage->broker, "events", NULL), "events");
	for (unsigned long number = 1;; number++) {
		weir_publish_options options = { .priority = level_draw(&self->random) };

		(void)snprintf(text, sizeof(text), "Msg%lu", number);
		if (weir_publish(publisher, text, strlen(text), &options, NULL) != 0)
			break;
		self->published[options.priority]++;
		stage_say(
			self->stage, "EventGen: Published priority %d %s", options.priority, text);
		if (stage_sleep(self->stage, self->interval) != 0)
			break;
	}
	weir_publisher_close(publisher);
}

static void process(void *argument)
{
	struct processor *self = argument;
	weir_delivery delivery;

	while (weir_receive(self->queue, &delivery, WEIR_FOREVER) == 0) {
		int level = weir_message_priority(delivery.message);

		self->received[level]++;
		stage_say(self->stage, "Processor: Processing priority %d %.*s", level,
			(int)delivery.size, (const char *)delivery.data);
		if (stage_sleep(self->stage, self->service) != 0)
			break;
	}
}

static void report(const struct stage *stage, const struct processor *processor)
{
	weir_broker_statistics statistics;

	stage_statistics(stage, &statistics);
	(void)printf("\n=== Priority Queue Statistics ===\n");
	(void)printf("Messages published: %llu\n", (unsigned long long)statistics.published);
	(void)printf("Messages delivered: %llu\n", (unsigned long long)statistics.enqueued);
	(void)printf("Messages received: %llu\n", (unsigned long long)sum(processor->received));
	(void)printf("\nReceived by priority:\n");
	for (int level = 0; level < LEVELS; level++)
		if (processor->received[level] > 0)
			(void)printf("  Priority %d: %llu\n", level,
				(unsigned long long)processor->received[level]);
}

/* ---- What became of each priority ---- */

static void row(const char *name, uint64_t published, uint64_t received, uint64_t waiting)
{
	uint64_t dropped = published - received - waiting;

	(void)printf("%-8s  %9llu  %9llu  %9llu  %9llu", name, (unsigned long long)published,
		(unsigned long long)received, (unsigned long long)waiting,
		(unsigned long long)dropped);
	if (published > 0)
		(void)printf("  %6.1f %%\n", 100.0 * (double)dropped / (double)published);
	else
		(void)printf("       -\n");
}

/* Who was dropped is not told by the library; so what was neither received nor is
 * still there was, and their number must be the one it counted. */
static int drops_report(const struct generator *generator, const struct processor *processor)
{
	uint64_t waiting[LEVELS] = { 0 };
	weir_subscription_statistics statistics;
	weir_delivery delivery;
	char name[16];

	must(weir_subscription_statistics_get(processor->queue, &statistics), "events");
	while (weir_receive(processor->queue, &delivery, 0) == 0)
		waiting[weir_message_priority(delivery.message)]++;
	(void)printf("priority  published   received    waiting    dropped  fraction\n");
	for (int level = 0; level < LEVELS; level++) {
		(void)snprintf(name, sizeof(name), "%d", level);
		row(name, generator->published[level], processor->received[level], waiting[level]);
	}
	row("all", sum(generator->published), sum(processor->received), sum(waiting));
	if (sum(generator->published) - sum(processor->received) - sum(waiting) ==
		statistics.dropped[WEIR_DROP_LOWEST])
		return STATUS_OK;
	complain("the library counts %llu dropped",
		(unsigned long long)statistics.dropped[WEIR_DROP_LOWEST]);
	return STATUS_FAILED;
}

static int play(const struct options *options)
{
	weir_subscription_options bounded = {
		.capacity = options->capacity,
		.overflow = WEIR_OVERFLOW_DROP_LOWEST,
		.order = WEIR_ORDER_PRIORITY,
	};
	struct stage stage;
	struct generator generator = { .stage = &stage, .interval = options->interval };
	struct processor processor = { .stage = &stage, .service = options->service };
	int status = STATUS_OK;

	stage_open(&stage, options);
	stage.is_quiet = options->has_drops;
	python_random_seed(&generator.random, options->seed, options->seed_size);
	processor.queue = stage_subscribe(&stage, stage.broker, "events", &bounded);
	stage_spawn(&stage, "EventGen", generate, &generator);
	stage_spawn(&stage, "Processor", process, &processor);
	stage_run(&stage);
	if (options->has_drops)
		status = drops_report(&generator, &processor);
	else
		report(&stage, &processor);
	stage_close(&stage);
	return status;
}

const struct run run_priority = {
	.name = "priority",
	.summary = "a queue by priority, full: what is least urgent is dropped",
	.takes = TAKES_CAPACITY | TAKES_DROPS,
	.until = 20,
	.interval = 0.3,
	.service = 1.5,
	.capacity = 5,
	.play = play,
};
