/* SPDX-License-Identifier: BSD-2-Clause */
/* Clock, broker and processes, in virtual or in real time. */
#include "stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"
#include "options.h"

/* What a thread is to run. */
struct task {
	void (*function)(void *argument);
	void *argument;
};

weir_broker *stage_broker_open(struct stage *stage)
{
	weir_broker_options options = { .clock = stage->clock, .timestamps = true };
	weir_broker *broker;

	must(weir_broker_open(&broker, &options), "the broker cannot be opened");
	return broker;
}

void stage_open(struct stage *stage, const struct options *options)
{
	*stage = (struct stage){ .speed = 1, .until = options->until };
	if (options->is_realtime) {
		stage->clock = weir_clock_real();
		stage->speed = options->speed;
		stage->begin = weir_now(stage->clock);
	} else {
		must(weir_sim_open(&stage->sim, NULL), "the simulation cannot be opened");
		stage->clock = weir_sim_clock(stage->sim);
	}
	stage->broker = stage_broker_open(stage);
}

weir_subscription *stage_subscribe(struct stage *stage, weir_broker *broker, const char *filter,
	const weir_subscription_options *options)
{
	weir_subscription *subscription;

	must(weir_subscribe(&subscription, broker, filter, options), filter);
	stage->subscriptions = memory_resize(
		stage->subscriptions, stage->subscription_count + 1, sizeof(*stage->subscriptions));
	stage->subscriptions[stage->subscription_count++] = subscription;
	return subscription;
}

static void *thread_run(void *argument)
{
	struct task task = *(struct task *)argument;

	free(argument);
	task.function(task.argument);
	return NULL;
}

static void thread_start(
	struct stage *stage, const char *name, void (*function)(void *argument), void *argument)
{
	struct task *task = memory_resize(NULL, 1, sizeof(*task));
	int error;

	*task = (struct task){ function, argument };
	stage->threads =
		memory_resize(stage->threads, stage->thread_count + 1, sizeof(*stage->threads));
	error = pthread_create(&stage->threads[stage->thread_count], NULL, thread_run, task);
	if (error != 0) {
		complain("no thread for %s: %s", name, strerror(error));
		exit(STATUS_FAILED);
	}
	stage->thread_count++;
}

void stage_spawn(
	struct stage *stage, const char *name, void (*function)(void *argument), void *argument)
{
	if (stage->sim != NULL)
		must(weir_sim_spawn(stage->sim, name, function, argument), name);
	else
		thread_start(stage, name, function, argument);
}

static void run_virtual(struct stage *stage)
{
	int state = weir_sim_run_until(stage->sim, stage->until);

	must(state < 0 ? state : 0, "the simulation cannot run");
	(void)weir_sim_stop(stage->sim);
}

/* Who sleeps notices the end by himself, who waits for a message is woken. */
static void run_real(struct stage *stage)
{
	(void)stage_sleep(stage, stage->until - stage_now(stage));
	for (size_t i = 0; i < stage->subscription_count; i++)
		(void)weir_wake(stage->subscriptions[i]);
	for (size_t i = 0; i < stage->thread_count; i++)
		(void)pthread_join(stage->threads[i], NULL);
}

void stage_run(struct stage *stage)
{
	if (stage->sim != NULL)
		run_virtual(stage);
	else
		run_real(stage);
}

void stage_statistics(const struct stage *stage, weir_broker_statistics *statistics)
{
	must(weir_broker_statistics_get(stage->broker, statistics), "there are no statistics");
}

void stage_close(struct stage *stage)
{
	for (size_t i = 0; i < stage->subscription_count; i++)
		(void)weir_unsubscribe(stage->subscriptions[i], NULL);
	(void)weir_broker_close(stage->broker, NULL);
	(void)weir_sim_close(stage->sim);
	free(stage->subscriptions);
	free(stage->threads);
}

double stage_time(const struct stage *stage, double clock_time)
{
	/* Exact in virtual time: minus 0, times 1. */
	return (clock_time - stage->begin) * stage->speed;
}

double stage_now(const struct stage *stage)
{
	return stage_time(stage, weir_now(stage->clock));
}

int stage_sleep(const struct stage *stage, double seconds)
{
	double left;

	if (stage->sim != NULL)
		return weir_sleep(stage->clock, seconds);
	left = stage->until - stage_now(stage);
	if (seconds < left)
		return weir_sleep(stage->clock, seconds / stage->speed);
	if (left > 0)
		(void)weir_sleep(stage->clock, left / stage->speed);
	return WEIR_ESHUTDOWN;
}

void stage_say(const struct stage *stage, const char *format, ...)
{
	va_list arguments;

	if (stage->is_quiet)
		return;
	flockfile(stdout);
	(void)printf("[%.1f] ", stage_now(stage));
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
	funlockfile(stdout);
}
