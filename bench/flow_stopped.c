/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stopped: the time of a publish to two subscriptions, of which one is received
 * from, and the other, of the case's policy, is not; against both being received
 * from.  Messages come every two microseconds, so that a receiver keeps up.
 */
#include "figures.h"
#include "flow.h"

#define INTERVAL 2000 /* ns */
#define WARM     4096

struct bed {
	weir_broker *broker;
	weir_subscription *subscriptions[2];
	weir_publisher *publisher;
	size_t received_from;
};

static void *receive(void *argument)
{
	struct bed *bed = argument;
	weir_delivery delivery;
	size_t index;

	bench_pin(1);
	while (weir_select(bed->subscriptions, bed->received_from, WEIR_SELECT_FAIR, WEIR_FOREVER,
		       &delivery, &index) == 0)
		;
	return NULL;
}

static uint32_t publish_timed(struct bed *bed, const struct flow_case *which, uint64_t number)
{
	static const char data[FLOW_SIZE];
	weir_publish_options options = {
		.no_wait = true,
		.priority = (int32_t)(number % 10),
		.has_key = which->keys > 0,
		.key = which->keys > 0 ? number % which->keys : 0,
	};
	uint64_t begun = bench_now();
	int error = weir_publish(bed->publisher, data, sizeof(data), &options, NULL);
	uint64_t time = bench_now() - begun;

	if (error != 0 && error != WEIR_ENOMEM)
		flow_must(error, "weir_publish");
	return time > UINT32_MAX ? UINT32_MAX : (uint32_t)time;
}

static void publish_all(
	struct bed *bed, const struct flow_case *which, uint32_t *times, uint64_t count)
{
	uint64_t due = bench_now();

	for (uint64_t i = 0; i < WARM + count; i++, due += INTERVAL) {
		uint32_t time;

		while (bench_now() < due)
			bench_relax();
		time = publish_timed(bed, which, i);
		if (i >= WARM)
			times[i - WARM] = time;
	}
}

static void measure(const struct flow_case *which, double seconds, double *figures)
{
	uint64_t count = (uint64_t)(seconds * 1e9 / INTERVAL) + 1000;
	uint32_t *times = bench_memory(count * sizeof(*times));
	weir_subscription_options options = { .capacity = FLOW_CAPACITY,
		.overflow = WEIR_OVERFLOW_DROP_NEWEST };
	struct bed bed = { .received_from = which->is_stopped ? 1 : 2 };
	pthread_t receiver;

	flow_must(weir_broker_open(&bed.broker, NULL), "weir_broker_open");
	flow_must(
		weir_subscribe(&bed.subscriptions[0], bed.broker, "t", &options), "weir_subscribe");
	flow_must(weir_subscribe(&bed.subscriptions[1], bed.broker, "t", &which->options),
		"weir_subscribe");
	flow_must(
		weir_publisher_open(&bed.publisher, bed.broker, "t", NULL), "weir_publisher_open");
	bench_pin(0);
	if (pthread_create(&receiver, NULL, receive, &bed) != 0)
		bench_fail("no thread");
	publish_all(&bed, which, times, count);
	flow_must(weir_subscription_stop(bed.subscriptions[0]), "weir_subscription_stop");
	(void)pthread_join(receiver, NULL);
	bench_pin(-1);
	weir_publisher_close(bed.publisher);
	for (int i = 0; i < 2; i++)
		flow_must(weir_unsubscribe(bed.subscriptions[i], NULL), "weir_unsubscribe");
	flow_must(weir_broker_close(bed.broker, NULL), "weir_broker_close");
	bench_times_sort(times, count);
	figures[0] = times[count / 2];
	figures[1] = times[count * 99 / 100];
	figures[2] = times[count * 999 / 1000];
	bench_memory_free(times);
}

#define PAIR(at, title, ...)                                                           \
	{ .name = title ", received from", .base = (at), .options = { __VA_ARGS__ } }, \
	{                                                                              \
		.name = title ", stopped", .base = (at), .options = { __VA_ARGS__ },   \
		.is_stopped = true                                                     \
	}
#define KEYED(at, title, ...)                                                                      \
	{ .name = title ", received from", .base = (at), .options = { __VA_ARGS__ }, .keys = 64 }, \
	{                                                                                          \
		.name = title ", stopped", .base = (at), .options = { __VA_ARGS__ }, .keys = 64,   \
		.is_stopped = true                                                                 \
	}

static const struct flow_case cases[] = {
	PAIR(0, "DROP_NEWEST", .capacity = FLOW_CAPACITY, .overflow = WEIR_OVERFLOW_DROP_NEWEST),
	PAIR(2, "DROP_OLDEST", .capacity = FLOW_CAPACITY, .overflow = WEIR_OVERFLOW_DROP_OLDEST),
	PAIR(4, "DROP_LOWEST", .capacity = FLOW_CAPACITY, .overflow = WEIR_OVERFLOW_DROP_LOWEST,
		.order = WEIR_ORDER_PRIORITY),
	KEYED(6, "CONFLATE", .capacity = FLOW_CAPACITY, .overflow = WEIR_OVERFLOW_CONFLATE),
	PAIR(8, "UNBOUNDED", .overflow = WEIR_OVERFLOW_UNBOUNDED, .capacity_bytes = 1 << 17),
	{ 0 },
};

const struct flow_table flow_stopped = {
	.name = "F5",
	.title = "a publish to two subscriptions, one of them stopped; real time",
	.figures = { "p50", "p99", "p99.9" },
	.cases = cases,
	.measure = measure,
};
