/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: members that share one topic's messages, beside as many plain subscriptions
 * that have a topic each and get the messages in turn, a mutex queue that as many
 * threads take from, and a Go channel.
 *
 * Every run checks that each message came to one member and only once, by their
 * number, sum and hash, and that each member got them in the order of the publisher.
 */
#include <stdio.h>

#include "external.h"
#include "flow.h"
#include "shared_queue.h"

#define MEMBERS_MAX 8
#define RUN         512
#define KEYS        64
#define LOOKS       64 /* messages between two looks at the clock */

/* After so long without the last message it is lost. */
#define PATIENCE (10 * UINT64_C(1000000000))

/* How many messages the first run of Go has, by which the next one is measured. */
#define GO_TRIAL 20000

/* What one member got. */
struct taken {
	uint64_t count; /* the publisher looks at it */
	uint64_t sum;
	uint64_t hash;
	uint64_t next; /* the least number that may come */
	unsigned char apart[BENCH_LINE];
};

struct bed {
	const struct flow_case *which;
	weir_broker *broker; /* NULL: with a queue */
	weir_subscription *members[MEMBERS_MAX];
	weir_publisher *publishers[MEMBERS_MAX]; /* one, or one for each topic */
	size_t publisher_count;
	struct shared_queue *queue;
	uint64_t published;
	struct taken taken[MEMBERS_MAX];
};

struct taker {
	struct bed *bed;
	unsigned int index;
	pthread_t thread;
};

static uint64_t hash_of(uint64_t number)
{
	number = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	number ^= number >> 29;
	return number * UINT64_C(0xbf58476d1ce4e5b9);
}

/* ---- The bed ---- */

static void member_open(struct bed *bed, unsigned int index)
{
	bool has_topics = bed->which->subject == FLOW_TOPICS;
	char topic[16] = "t";

	if (has_topics)
		(void)snprintf(topic, sizeof(topic), "t%u", index);
	flow_must(weir_subscribe(&bed->members[index], bed->broker, topic, &bed->which->options),
		"weir_subscribe");
	if (index > 0 && !has_topics)
		return;
	flow_must(weir_publisher_open(
			  &bed->publishers[bed->publisher_count++], bed->broker, topic, NULL),
		"weir_publisher_open");
}

static struct bed *bed_open(const struct flow_case *which)
{
	struct bed *bed = bench_memory(sizeof(*bed));

	bed->which = which;
	if (which->subject == FLOW_MUTEX) {
		bed->queue = shared_queue_open(FLOW_CAPACITY);
		return bed;
	}
	flow_must(weir_broker_open(&bed->broker, NULL), "weir_broker_open");
	for (unsigned int i = 0; i < which->members; i++)
		member_open(bed, i);
	return bed;
}

static void bed_close(struct bed *bed)
{
	for (size_t i = 0; i < bed->publisher_count; i++)
		weir_publisher_close(bed->publishers[i]);
	for (unsigned int i = 0; bed->broker != NULL && i < bed->which->members; i++)
		flow_must(weir_unsubscribe(bed->members[i], NULL), "weir_unsubscribe");
	if (bed->broker != NULL)
		flow_must(weir_broker_close(bed->broker, NULL), "weir_broker_close");
	if (bed->queue != NULL)
		shared_queue_free(bed->queue);
	bench_memory_free(bed);
}

static void publish(struct bed *bed)
{
	unsigned char data[FLOW_SIZE] = { 0 };
	uint64_t number = bed->published++;
	weir_publish_options options = {
		.has_key = bed->which->keys > 0,
		.key = number * 7 % KEYS,
	};

	memcpy(data, &number, sizeof(number));
	if (bed->queue != NULL)
		shared_queue_push(bed->queue, data);
	else
		flow_must(weir_publish(bed->publishers[number % bed->publisher_count], data,
				  sizeof(data), options.has_key ? &options : NULL, NULL),
			"weir_publish");
}

static void take_note(struct taken *taken, const void *data)
{
	uint64_t number;

	memcpy(&number, data, sizeof(number));
	if (number < taken->next)
		bench_fail("out of order or doubled: %llu after %llu", (unsigned long long)number,
			(unsigned long long)taken->next - 1);
	taken->next = number + 1;
	taken->sum += number;
	taken->hash += hash_of(number);
	__atomic_store_n(&taken->count, taken->count + 1, __ATOMIC_RELEASE);
}

static uint64_t taken_count(const struct bed *bed)
{
	uint64_t count = 0;

	for (unsigned int i = 0; i < bed->which->members; i++)
		count += __atomic_load_n(&bed->taken[i].count, __ATOMIC_ACQUIRE);
	return count;
}

static void conservation_check(const struct bed *bed)
{
	uint64_t sum = 0, hash = 0;

	for (unsigned int i = 0; i < bed->which->members; i++) {
		sum += bed->taken[i].sum;
		hash += bed->taken[i].hash;
	}
	for (uint64_t number = 0; number < bed->published; number++) {
		sum -= number;
		hash -= hash_of(number);
	}
	if (taken_count(bed) != bed->published || sum != 0 || hash != 0)
		bench_fail("%s: lost or doubled: %llu of %llu", bed->which->name,
			(unsigned long long)taken_count(bed), (unsigned long long)bed->published);
}

/* ---- One thread, in its own CPU time ---- */

static void take_all(struct bed *bed, unsigned int index, size_t batch)
{
	weir_delivery deliveries[BENCH_BATCH];
	size_t count = 0;

	while (weir_receive_batch(bed->members[index], deliveries, batch, 0, &count) == 0)
		for (size_t i = 0; i < count; i++)
			take_note(&bed->taken[index], deliveries[i].data);
}

static double alone_measure(const struct flow_case *which, double seconds, size_t batch)
{
	struct bed *bed = bed_open(which);
	uint64_t spent = 0, count;

	while ((double)spent < seconds * 1e9) {
		uint64_t begun = flow_own_now();

		for (size_t i = 0; i < RUN; i++)
			publish(bed);
		/* A key that was in hand is free when its member has come again. */
		while (taken_count(bed) < bed->published)
			for (unsigned int i = 0; i < which->members; i++)
				take_all(bed, i, batch);
		spent += flow_own_now() - begun;
	}
	count = bed->published;
	conservation_check(bed);
	bed_close(bed);
	return (double)spent / (double)count;
}

static void measure_alone(const struct flow_case *which, double seconds, double *figures)
{
	figures[0] = alone_measure(which, seconds / 2, 1);
	figures[1] = alone_measure(which, seconds / 2, BENCH_BATCH);
}

/* ---- Threads, in real time ---- */

static void *take_until_closed(void *argument)
{
	struct taker *self = argument;
	struct bed *bed = self->bed;
	struct taken *taken = &bed->taken[self->index];
	unsigned char data[SHARED_QUEUE_SIZE];
	weir_delivery delivery;

	if (bed->queue != NULL)
		while (shared_queue_pop(bed->queue, data))
			take_note(taken, data);
	else
		while (weir_receive(bed->members[self->index], &delivery, WEIR_FOREVER) == 0)
			take_note(taken, delivery.data);
	return NULL;
}

static void takers_start(struct bed *bed, struct taker *takers)
{
	for (unsigned int i = 0; i < bed->which->members; i++) {
		takers[i] = (struct taker){ .bed = bed, .index = i };
		if (pthread_create(&takers[i].thread, NULL, take_until_closed, &takers[i]) != 0)
			bench_fail("no thread");
	}
}

static void takers_stop(struct bed *bed, struct taker *takers)
{
	if (bed->queue != NULL)
		shared_queue_close(bed->queue);
	for (unsigned int i = 0; bed->queue == NULL && i < bed->which->members; i++)
		flow_must(weir_subscription_stop(bed->members[i]), "weir_subscription_stop");
	for (unsigned int i = 0; i < bed->which->members; i++)
		(void)pthread_join(takers[i].thread, NULL);
}

static void measure_weir(const struct flow_case *which, double seconds, double *figures)
{
	struct bed *bed = bed_open(which);
	struct taker takers[MEMBERS_MAX];
	uint64_t begun, ended;

	takers_start(bed, takers);
	begun = bench_now();
	do {
		for (size_t i = 0; i < LOOKS; i++)
			publish(bed);
		ended = bench_now();
	} while ((double)(ended - begun) < seconds * 1e9);
	while (taken_count(bed) < bed->published) {
		if (bench_now() - ended > PATIENCE)
			bench_fail("%s: messages do not come", which->name);
		(void)sched_yield();
	}
	figures[0] = (double)(bench_now() - begun) / (double)bed->published;
	takers_stop(bed, takers);
	conservation_check(bed);
	bed_close(bed);
}

/* It checks what it got by itself. */
static const struct bench_peer go_shared = { .name = "go_shared", .program = "peers/channel" };

static void measure_go(const struct flow_case *which, double seconds, double *figures)
{
	struct bench_job job = {
		.kind = BENCH_THROUGHPUT,
		.shape = {
			.publishers = 1,
			.subscribers = which->members,
			.size = FLOW_SIZE,
			.capacity = FLOW_CAPACITY,
			.mode = BENCH_DEFAULT,
			.batch = 1,
		},
		.messages = GO_TRIAL,
	};
	struct bench_result result = { 0 };

	bench_external_run(&go_shared, &job, &result);
	job.messages = (uint64_t)(result.figures[0] * seconds) + 1;
	bench_external_run(&go_shared, &job, &result);
	figures[0] = 1e9 / result.figures[0];
}

static void measure_shared(const struct flow_case *which, double seconds, double *figures)
{
	if (which->subject == FLOW_GO)
		measure_go(which, seconds, figures);
	else
		measure_weir(which, seconds, figures);
}

static bool is_there(const struct flow_case *which)
{
	return which->subject != FLOW_GO || bench_external_is_there(&go_shared);
}

/* ---- The cases ---- */

#define GROUP(chosen, ...)                           \
	.options = { .capacity = FLOW_CAPACITY,      \
		.group = "g",                        \
		.group_policy = WEIR_GROUP_##chosen, \
		__VA_ARGS__ }
#define PLAIN .subject = FLOW_TOPICS, .options = { .capacity = FLOW_CAPACITY }
#define ACKED .ack = WEIR_ACK_AUTO

/* The weights are all the same: the choice costs as much. */
#define POLICIES(first, words, ...)                                                            \
	{ .name = "shared" words, .base = (first), .members = 4, GROUP(SHARED, __VA_ARGS__) }, \
		{ .name = "round robin" words,                                                 \
			.base = (first),                                                       \
			.members = 4,                                                          \
			GROUP(ROUND_ROBIN, __VA_ARGS__) },                                     \
		{ .name = "weighted" words,                                                    \
			.base = (first),                                                       \
			.members = 4,                                                          \
			GROUP(WEIGHTED, __VA_ARGS__) },                                        \
		{ .name = "least loaded" words,                                                \
			.base = (first),                                                       \
			.members = 4,                                                          \
			GROUP(LEAST_LOADED, __VA_ARGS__) },                                    \
		{ .name = "shared, keys given" words,                                          \
			.base = (first) + 4,                                                   \
			.members = 4,                                                          \
			.keys = KEYS,                                                          \
			GROUP(SHARED, __VA_ARGS__) },                                          \
		{ .name = "key, 64 keys" words,                                                \
			.base = (first) + 4,                                                   \
			.members = 4,                                                          \
			.keys = KEYS,                                                          \
			GROUP(KEY, __VA_ARGS__) },                                             \
	{                                                                                      \
		.name = "single active" words, .base = (first), .members = 4,                  \
		GROUP(SINGLE_ACTIVE, __VA_ARGS__)                                              \
	}

static const struct flow_case alone_cases[] = {
	POLICIES(0, ""),
	POLICIES(7, ", acknowledged", ACKED),
	{ .name = "4 plain subscriptions", .members = 4, PLAIN },
	{ 0 },
};

static const struct flow_case policy_cases[] = {
	POLICIES(0, ""),
	POLICIES(6, ", acknowledged", ACKED),
	{ 0 },
};

#define PEERS(first, count)                                                                    \
	{ .name = #count " plain, a topic each", .base = (first), .members = (count), PLAIN }, \
		{ .name = #count " members, shared",                                           \
			.base = (first),                                                       \
			.members = (count),                                                    \
			GROUP(SHARED, ) },                                                     \
		{ .name = #count " at a mutex queue",                                          \
			.base = (first),                                                       \
			.members = (count),                                                    \
			.subject = FLOW_MUTEX },                                               \
	{                                                                                      \
		.name = #count " at a Go channel", .base = (first), .members = (count),        \
		.subject = FLOW_GO                                                             \
	}

static const struct flow_case member_cases[] = {
	PEERS(0, 1),
	PEERS(4, 2),
	PEERS(8, 4),
	PEERS(12, 8),
	{ 0 },
};

const struct flow_table flow_policies = {
	.name = "G1",
	.title = "a publish and a receive, in one thread, 4 members; single, and in batches",
	.figures = { "single", "batches" },
	.cases = alone_cases,
	.measure = measure_alone,
};

const struct flow_table flow_members = {
	.name = "G2",
	.title = "a message through N threads that share; real time",
	.figures = { "message" },
	.cases = member_cases,
	.measure = measure_shared,
	.is_there = is_there,
};

const struct flow_table flow_policy_threads = {
	.name = "G3",
	.title = "a message through 4 threads, by policy; real time",
	.figures = { "message" },
	.cases = policy_cases,
	.measure = measure_shared,
};
