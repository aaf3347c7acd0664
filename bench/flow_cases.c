/* SPDX-License-Identifier: BSD-2-Clause */
/* The cost of each policy, and of priorities: in one thread, and in two. */
#include "flow.h"

#include <stdlib.h>

#define DRAWS 4096 /* priorities, drawn beforehand; a power of two */
#define RUN   512

#define FIFO                              \
	{                                 \
		.capacity = FLOW_CAPACITY \
	}

struct bed {
	const struct flow_case *which;
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
	uint64_t published;
	int32_t draws[DRAWS];
};

static void bed_open(struct bed *bed, const struct flow_case *which)
{
	uint64_t random = 1;

	memset(bed, 0, sizeof(*bed));
	bed->which = which;
	for (size_t i = 0; i < DRAWS && which->priorities > 0; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		bed->draws[i] = (int32_t)((random >> 33) % which->priorities);
	}
	flow_must(weir_broker_open(&bed->broker, NULL), "weir_broker_open");
	flow_must(weir_subscribe(&bed->subscription, bed->broker, "t", &which->options),
		"weir_subscribe");
	flow_must(weir_publisher_open(&bed->publisher, bed->broker, "t", NULL),
		"weir_publisher_open");
}

static void bed_close(struct bed *bed)
{
	weir_publisher_close(bed->publisher);
	flow_must(weir_unsubscribe(bed->subscription, NULL), "weir_unsubscribe");
	flow_must(weir_broker_close(bed->broker, NULL), "weir_broker_close");
}

static void publish(struct bed *bed)
{
	static const char data[FLOW_SIZE];
	const struct flow_case *which = bed->which;
	uint64_t number = bed->published++;
	weir_publish_options options = {
		.no_wait = which->no_wait,
		.priority = bed->draws[number % DRAWS],
		.has_key = which->keys > 0,
		.key = which->keys > 0 ? number % which->keys : 0,
	};
	int error = weir_publish(bed->publisher, data, sizeof(data), &options, NULL);

	if (error != 0 && error != WEIR_ETIMEDOUT && error != WEIR_ENOMEM)
		flow_must(error, "weir_publish");
}

static void publish_many(struct bed *bed, size_t count)
{
	for (size_t i = 0; i < count; i++)
		publish(bed);
}

static void receive_many(struct bed *bed, size_t count)
{
	weir_delivery delivery;

	for (size_t i = 0; i < count; i++)
		flow_must(weir_receive(bed->subscription, &delivery, 0), "weir_receive");
}

/* Publishes alone: to a queue that nobody receives from and that is full, or, of a
 * base, to one that is emptied between two runs. */
static void measure_full(const struct flow_case *which, double seconds, double *figures)
{
	uint64_t spent = 0, count = 0;
	struct bed bed;

	bed_open(&bed, which);
	if (which->is_stopped)
		publish_many(&bed, 4 * (size_t)FLOW_CAPACITY);
	while ((double)spent < seconds * 1e9) {
		uint64_t begun = flow_own_now();

		publish_many(&bed, RUN);
		spent += flow_own_now() - begun;
		count += RUN;
		if (!which->is_stopped)
			receive_many(&bed, RUN);
	}
	figures[0] = (double)spent / (double)count;
	bed_close(&bed);
}

/* A publish and a receive, in turns, so that the queue goes from one short of full
 * to full and back; nothing is lost. */
static void measure_through(const struct flow_case *which, double seconds, double *figures)
{
	uint64_t spent = 0, count = 0;
	struct bed bed;

	bed_open(&bed, which);
	publish_many(&bed, FLOW_CAPACITY - 1);
	while ((double)spent < seconds * 1e9) {
		uint64_t begun = flow_own_now();

		for (size_t i = 0; i < RUN; i++) {
			publish(&bed);
			receive_many(&bed, 1);
		}
		spent += flow_own_now() - begun;
		count += RUN;
	}
	figures[0] = (double)spent / (double)count;
	bed_close(&bed);
}

static void *receive_until_stopped(void *argument)
{
	struct bed *bed = argument;
	weir_delivery deliveries[BENCH_BATCH];
	size_t count;

	bench_pin(1);
	while (weir_receive_batch(
		       bed->subscription, deliveries, BENCH_BATCH, WEIR_FOREVER, &count) == 0)
		;
	return NULL;
}

static void measure_threads(const struct flow_case *which, double seconds, double *figures)
{
	pthread_t receiver;
	uint64_t begun, count = 0;
	struct bed bed;

	bed_open(&bed, which);
	bench_pin(0);
	if (pthread_create(&receiver, NULL, receive_until_stopped, &bed) != 0)
		bench_fail("no thread");
	publish_many(&bed, RUN);
	begun = bench_now();
	while ((double)(bench_now() - begun) < seconds * 1e9) {
		publish_many(&bed, RUN);
		count += RUN;
	}
	figures[0] = (double)(bench_now() - begun) / (double)count;
	flow_must(weir_subscription_stop(bed.subscription), "weir_subscription_stop");
	(void)pthread_join(receiver, NULL);
	bench_pin(-1);
	bed_close(&bed);
}

#define POLICY(policy)                                                        \
	{                                                                     \
		.capacity = FLOW_CAPACITY, .overflow = WEIR_OVERFLOW_##policy \
	}
#define RANKED(policy)                                                         \
	{                                                                      \
		.capacity = FLOW_CAPACITY, .overflow = WEIR_OVERFLOW_##policy, \
		.order = WEIR_ORDER_PRIORITY                                   \
	}
#define LANES(count)                                                     \
	{                                                                \
		.capacity = FLOW_CAPACITY, .order = WEIR_ORDER_PRIORITY, \
		.priority_classes = (count)                              \
	}
#define BYTES                                                                  \
	{                                                                      \
		.capacity = FLOW_CAPACITY, .capacity_bytes = (uint64_t)1 << 30 \
	}

static const struct flow_case full_cases[] = {
	{ .name = "FIFO, with room", .options = FIFO },
	{ .name = "BLOCK, no_wait", .options = FIFO, .no_wait = true, .is_stopped = true },
	{ .name = "DROP_NEWEST", .options = POLICY(DROP_NEWEST), .is_stopped = true },
	{ .name = "DROP_OLDEST", .options = POLICY(DROP_OLDEST), .is_stopped = true },
	{ .name = "DROP_LOWEST, 10 priorities",
		.options = RANKED(DROP_LOWEST),
		.priorities = 10,
		.is_stopped = true },
	{ .name = "DROP_LOWEST, ever lower or equal",
		.options = POLICY(DROP_LOWEST),
		.is_stopped = true },
	{ .name = "CONFLATE, 16 keys",
		.options = POLICY(CONFLATE),
		.keys = 16,
		.is_stopped = true },
	{ .name = "CONFLATE, full of other keys",
		.options = POLICY(CONFLATE),
		.keys = 8 * FLOW_CAPACITY,
		.is_stopped = true },
	{ .name = "UNBOUNDED, at its limit in bytes",
		.options = { .overflow = WEIR_OVERFLOW_UNBOUNDED, .capacity_bytes = 1 << 17 },
		.is_stopped = true },
	{ 0 },
};

static const struct flow_case through_cases[] = {
	{ .name = "FIFO", .options = FIFO },
	{ .name = "BLOCK, limited in bytes", .options = BYTES },
	{ .name = "DROP_NEWEST", .options = POLICY(DROP_NEWEST) },
	{ .name = "DROP_OLDEST", .options = POLICY(DROP_OLDEST) },
	{ .name = "DROP_LOWEST", .options = POLICY(DROP_LOWEST) },
	{ .name = "CONFLATE", .options = POLICY(CONFLATE), .keys = 2 * FLOW_CAPACITY },
	{ .name = "UNBOUNDED", .options = { .overflow = WEIR_OVERFLOW_UNBOUNDED } },
	{ 0 },
};

static const struct flow_case priority_cases[] = {
	{ .name = "FIFO", .options = FIFO },
	{ .name = "1 class", .options = LANES(1), .priorities = 1 },
	{ .name = "4 classes", .options = LANES(4), .priorities = 4 },
	{ .name = "32 classes", .options = LANES(32), .priorities = 32 },
	{ .name = "any integer, 1 in use", .options = RANKED(BLOCK), .priorities = 1 },
	{ .name = "any integer, 4 in use", .options = RANKED(BLOCK), .priorities = 4 },
	{ .name = "any integer, 32 in use", .options = RANKED(BLOCK), .priorities = 32 },
	{ .name = "any integer, 10000 in use", .options = RANKED(BLOCK), .priorities = 10000 },
	{ .name = "the same with ageing",
		.options = { .capacity = FLOW_CAPACITY,
			.order = WEIR_ORDER_PRIORITY,
			.ageing = 1e-3 },
		.priorities = 10000 },
	{ 0 },
};

static const struct flow_case thread_cases[] = {
	{ .name = "FIFO", .options = FIFO },
	{ .name = "BLOCK, limited in bytes", .options = BYTES },
	{ .name = "DROP_NEWEST", .options = POLICY(DROP_NEWEST) },
	{ .name = "DROP_OLDEST", .options = POLICY(DROP_OLDEST) },
	{ .name = "DROP_LOWEST, 10 priorities", .options = RANKED(DROP_LOWEST), .priorities = 10 },
	{ .name = "CONFLATE, 16 keys", .options = POLICY(CONFLATE), .keys = 16 },
	{ .name = "4 classes", .options = LANES(4), .priorities = 4 },
	{ .name = "32 classes", .options = LANES(32), .priorities = 32 },
	{ .name = "any integer, 32 in use", .options = RANKED(BLOCK), .priorities = 32 },
	{ .name = "any integer, 10000 in use", .options = RANKED(BLOCK), .priorities = 10000 },
	{ 0 },
};

const struct flow_table flow_full = {
	.name = "F1",
	.title = "a publish to a full queue, which nobody receives from",
	.figures = { "publish" },
	.cases = full_cases,
	.measure = measure_full,
};

const struct flow_table flow_through = {
	.name = "F2",
	.title = "a publish and a receive, in one thread, at the edge of a full queue",
	.figures = { "message" },
	.cases = through_cases,
	.measure = measure_through,
};

const struct flow_table flow_priorities = {
	.name = "F3",
	.title = "the same by priority, 1024 queued",
	.figures = { "message" },
	.cases = priority_cases,
	.measure = measure_through,
};

const struct flow_table flow_threads = {
	.name = "F4",
	.title = "a publish while another thread receives; real time",
	.figures = { "publish" },
	.cases = thread_cases,
	.measure = measure_threads,
};
