/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Idle: what a subscription and a topic take that nothing happens to.
 *
 * Bytes are those asked of the broker's allocator, so they are exact and without
 * what malloc adds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

#include "bench.h"
#include "local.h"

#define MANY 1000

struct idle {
	weir_broker *broker;
	size_t bytes;
	size_t count;
	size_t capacity; /* of a subscription; 0: this is about topics */
	double result;
	weir_subscription *subscriptions[2 * MANY];
};

static void must(int error, const char *what)
{
	if (error != 0)
		bench_fail("%s: %s", what, weir_strerror(error));
}

static void *allocate(void *context, size_t size, size_t alignment)
{
	struct idle *idle = context;
	void *memory;

	if (posix_memalign(
		    &memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, size) != 0)
		return NULL;
	idle->bytes += size;
	return memory;
}

static void deallocate(void *context, void *memory, size_t size)
{
	struct idle *idle = context;

	idle->bytes -= size;
	free(memory);
}

static void *begin(const struct bench_local *local)
{
	struct idle *idle = bench_memory(sizeof(*idle));
	weir_broker_options options = {
		.allocator = { allocate, deallocate, idle },
	};

	idle->capacity = local->amount;
	must(weir_broker_open(&idle->broker, &options), "weir_broker_open");
	return idle;
}

static void subscription_add(struct idle *idle)
{
	weir_subscription_options options = { .capacity = idle->capacity };

	must(weir_subscribe(&idle->subscriptions[idle->count++], idle->broker, "idle", &options),
		"weir_subscribe");
}

static void topic_add(struct idle *idle)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "idle.%05zu", idle->count++);
	must(weir_publish_to(idle->broker, name, "", 0, NULL, NULL), "weir_publish_to");
}

static void end(void *begun)
{
	struct idle *idle = begun;

	for (size_t i = 0; i < idle->count && idle->capacity > 0; i++)
		must(weir_unsubscribe(idle->subscriptions[i], NULL), "weir_unsubscribe");
	must(weir_broker_close(idle->broker, NULL), "weir_broker_close");
	bench_memory_free(idle);
}

/* What one of the second thousand takes: the tables have grown by then. */
static double measure_bytes(void *begun, double seconds)
{
	struct idle *idle = begun;
	void (*add)(struct idle *) = idle->capacity > 0 ? subscription_add : topic_add;
	size_t bytes;

	(void)seconds;
	if (idle->count > 0)
		return idle->result;
	for (size_t i = 0; i < MANY; i++)
		add(idle);
	bytes = idle->bytes;
	for (size_t i = 0; i < MANY; i++)
		add(idle);
	idle->result = (double)(idle->bytes - bytes) / MANY;
	return idle->result;
}

static void *receiver_main(void *argument)
{
	weir_delivery delivery;

	(void)weir_receive(argument, &delivery, WEIR_FOREVER);
	return NULL;
}

/* Microseconds of CPU time that a receiver takes in a second of waiting. */
static double measure_cpu(void *begun, double seconds)
{
	struct idle *idle = begun;
	struct timespec pause = { .tv_nsec = 50000000 };
	struct timespec from, to;
	pthread_t receiver;
	clockid_t clock;

	if (idle->count == 0)
		subscription_add(idle);
	if (pthread_create(&receiver, NULL, receiver_main, idle->subscriptions[0]) != 0 ||
		pthread_getcpuclockid(receiver, &clock) != 0)
		bench_fail("no thread");
	(void)nanosleep(&pause, NULL); /* it is asleep by now */
	(void)clock_gettime(clock, &from);
	pause.tv_sec = (time_t)seconds;
	pause.tv_nsec = (long)((seconds - (double)pause.tv_sec) * 1e9);
	(void)nanosleep(&pause, NULL);
	(void)clock_gettime(clock, &to);
	must(weir_wake(idle->subscriptions[0]), "weir_wake");
	(void)pthread_join(receiver, NULL);
	return ((double)(to.tv_sec - from.tv_sec) * 1e6 +
		       (double)(to.tv_nsec - from.tv_nsec) * 1e-3) /
	       seconds;
}

const struct bench_local bench_idleness[] = {
	{ "a subscription of capacity 1", "bytes", 1, begin, measure_bytes, end },
	{ "a subscription of capacity 1024", "bytes", 1024, begin, measure_bytes, end },
	{ "a topic", "bytes", 0, begin, measure_bytes, end },
	{ "a parked receiver's CPU", "us/s", 1, begin, measure_cpu, end },
	{ NULL, NULL, 0, NULL, NULL, NULL },
};
