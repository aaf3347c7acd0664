/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scaling: the time of one publish when there are many topics, or many filters.
 *
 * One thread publishes a run of messages and then takes them out again; only the
 * publishing is timed.  Topics are called t. and eight digits, the hot one has
 * zeros only.
 */
#include <stdio.h>
#include <weir/weir.h>

#include "bench.h"
#include "local.h"

#define RUN  512
#define SIZE 64
#define HOT  "t.00000000"

struct scaling {
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *hot; /* takes what is published; NULL: nobody does */
	weir_subscription **others;
	size_t topics;
	size_t filters;
	uint64_t random;
	void (*publish)(struct scaling *scaling, const void *data);
};

static void must(int error, const char *what)
{
	if (error != 0)
		bench_fail("%s: %s", what, weir_strerror(error));
}

/* By hand, since it is timed with the publish. */
static void name_make(char *name, size_t number)
{
	memcpy(name, HOT, sizeof(HOT));
	for (size_t i = sizeof(HOT) - 2; number > 0; i--, number >>= 4)
		name[i] = "0123456789abcdef"[number & 15];
}

static void publish_handle(struct scaling *scaling, const void *data)
{
	must(weir_publish(scaling->publisher, data, SIZE, NULL, NULL), "weir_publish");
}

static void publish_hot(struct scaling *scaling, const void *data)
{
	must(weir_publish_to(scaling->broker, HOT, data, SIZE, NULL, NULL), "weir_publish_to");
}

/* Not the hot topic, so nobody takes it: the time is that of finding the topic. */
static void publish_random(struct scaling *scaling, const void *data)
{
	char name[sizeof(HOT)];

	scaling->random = scaling->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	name_make(name, (scaling->random >> 33) % scaling->topics);
	must(weir_publish_to(scaling->broker, name, data, SIZE, NULL, NULL), "weir_publish_to");
}

static void subscribe(struct scaling *scaling, weir_subscription **subscription, const char *filter)
{
	must(weir_subscribe(subscription, scaling->broker, filter, NULL), "weir_subscribe");
}

static struct scaling *scaling_open(void (*publish)(struct scaling *, const void *))
{
	struct scaling *scaling = bench_memory(sizeof(*scaling));

	must(weir_broker_open(&scaling->broker, NULL), "weir_broker_open");
	must(weir_publisher_open(&scaling->publisher, scaling->broker, HOT, NULL),
		"weir_publisher_open");
	scaling->publish = publish;
	scaling->random = 1;
	return scaling;
}

static void topics_make(struct scaling *scaling, size_t count)
{
	scaling->topics = count;
	for (size_t i = 1; i < count; i++) {
		char name[sizeof(HOT)];

		name_make(name, i);
		must(weir_publish_to(scaling->broker, name, "", 0, NULL, NULL), "weir_publish_to");
	}
}

static void *topics_begin(const struct bench_local *local)
{
	struct scaling *scaling = scaling_open(publish_handle);

	topics_make(scaling, local->amount);
	subscribe(scaling, &scaling->hot, HOT);
	return scaling;
}

static void *topics_begin_hot(const struct bench_local *local)
{
	struct scaling *scaling = topics_begin(local);

	scaling->publish = publish_hot;
	return scaling;
}

static void *topics_begin_random(const struct bench_local *local)
{
	struct scaling *scaling = scaling_open(publish_random);

	topics_make(scaling, local->amount);
	return scaling;
}

/* All filters but one are for other topics. */
static void *filters_begin(const struct bench_local *local)
{
	struct scaling *scaling = scaling_open(publish_handle);

	scaling->filters = local->amount - 1;
	scaling->others = bench_memory((scaling->filters + 1) * sizeof(weir_subscription *));
	subscribe(scaling, &scaling->hot, "t.*");
	for (size_t i = 0; i < scaling->filters; i++) {
		char filter[32];

		(void)snprintf(filter, sizeof(filter), "u.%zu.>", i);
		subscribe(scaling, &scaling->others[i], filter);
	}
	return scaling;
}

static double measure(void *begun, double seconds)
{
	struct scaling *scaling = begun;
	unsigned char data[SIZE] = { 0 };
	uint64_t spent = 0, count = 0;

	while ((double)spent < seconds * 1e9) {
		uint64_t start = bench_now();

		for (size_t i = 0; i < RUN; i++)
			scaling->publish(scaling, data);
		spent += bench_now() - start;
		count += RUN;
		for (size_t i = 0; i < RUN && scaling->hot != NULL; i++) {
			weir_delivery delivery;

			must(weir_receive(scaling->hot, &delivery, 0), "weir_receive");
		}
	}
	return (double)spent / (double)count;
}

static void end(void *begun)
{
	struct scaling *scaling = begun;

	weir_publisher_close(scaling->publisher);
	if (scaling->hot != NULL)
		must(weir_unsubscribe(scaling->hot, NULL), "weir_unsubscribe");
	for (size_t i = 0; i < scaling->filters; i++)
		must(weir_unsubscribe(scaling->others[i], NULL), "weir_unsubscribe");
	must(weir_broker_close(scaling->broker, NULL), "weir_broker_close");
	bench_memory_free(scaling->others);
	bench_memory_free(scaling);
}

const struct bench_local bench_scaling[] = {
	{ "handle, 1 topic", "ns/publish", 1, topics_begin, measure, end },
	{ "handle, 1000 topics", "ns/publish", 1000, topics_begin, measure, end },
	{ "handle, 1000000 topics", "ns/publish", 1000000, topics_begin, measure, end },
	{ "hot name, 1 topic", "ns/publish", 1, topics_begin_hot, measure, end },
	{ "hot name, 1000000 topics", "ns/publish", 1000000, topics_begin_hot, measure, end },
	{ "random name, 1000 topics", "ns/publish", 1000, topics_begin_random, measure, end },
	{ "random name, 1000000 topics", "ns/publish", 1000000, topics_begin_random, measure, end },
	{ "1 of 1 filter matches", "ns/publish", 1, filters_begin, measure, end },
	{ "1 of 100 filters matches", "ns/publish", 100, filters_begin, measure, end },
	{ "1 of 10000 filters matches", "ns/publish", 10000, filters_begin, measure, end },
	{ NULL, NULL, 0, NULL, NULL, NULL },
};
