/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promise P10 for whole programs: a small publish-subscribe program, in which
 * everything is drawn by chance, is the same run whenever it runs again.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_fixture.h"

#include <weir/weir.h>

#define PUBLISHERS    4
#define SUBSCRIPTIONS 5
#define MESSAGES      30
#define END           20.0

static struct {
	weir_broker *broker;
	weir_publisher *publishers[PUBLISHERS];
	weir_subscription *subscriptions[SUBSCRIPTIONS];
	uint64_t seen; /* stands for all that came out of any call */
	uint64_t redelivered;
	uint64_t lost;
	uint64_t refused;
	int64_t allocated;
} program;

static void *allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	program.allocated++;
	return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	(void)size;
	program.allocated -= memory != NULL;
	free(memory);
}

static const char *const topics[PUBLISHERS] = { "p.a", "p.b", "p.c", "p.d" };

static const struct {
	const char *filter;
	weir_subscription_options options;
} wanted[SUBSCRIPTIONS] = {
	{ "p.a", { .capacity = 2 } },
	{ "p.>", { .capacity = 4,
			 .overflow = WEIR_OVERFLOW_DROP_OLDEST,
			 .ack = WEIR_ACK_MANUAL,
			 .ack_timeout = 0.5,
			 .max_attempts = 3,
			 .redelivery_delay = 0.25,
			 .redelivery_jitter = 0.5 } },
	{ "p.*", { .capacity = 5,
			 .overflow = WEIR_OVERFLOW_DROP_LOWEST,
			 .order = WEIR_ORDER_PRIORITY,
			 .ack = WEIR_ACK_AUTO,
			 .ack_timeout = 0.25 } },
	{ "p.>", { .capacity = 3, .overflow = WEIR_OVERFLOW_CONFLATE } },
	{ "p.*", { .capacity = 2, .overflow = WEIR_OVERFLOW_DROP_NEWEST } },
};

static void see(uint64_t what)
{
	program.seen = (program.seen ^ what) * UINT64_C(0x9e3779b97f4a7c15);
	program.seen ^= program.seen >> 29;
}

static double some_time(void)
{
	return (double)(weir_sim_random(fixture.sim) % 5) * 0.125;
}

static void publish_some(void *argument)
{
	weir_publisher *publisher = *(weir_publisher **)argument;

	for (uint64_t i = 0; i < MESSAGES; i++) {
		uint64_t chance = weir_sim_random(fixture.sim);
		weir_publish_options options = {
			.timeout = 0.25 + (double)(chance % 4) * 0.25,
			.priority = (int32_t)(chance >> 8) % 4,
			.has_key = true,
			.key = (chance >> 16) % 6,
			.all_or_nothing = (chance >> 24) % 8 == 0,
		};
		weir_receipt receipt = { 0 };
		int error = weir_publish(publisher, &i, sizeof(i), &options, &receipt);

		if (error == WEIR_ESHUTDOWN)
			return;
		program.refused += error != 0;
		see((uint64_t)(int64_t)error);
		see(receipt.enqueued << 8 | receipt.evicted);
		if (weir_sleep(fixture.clock, some_time()) != 0)
			return;
	}
}

/* Says something about the delivery, or forgets to. */
static int settle(const weir_delivery *delivery)
{
	switch (weir_sim_random(fixture.sim) % 6) {
	case 0:
		return 0;
	case 1:
		return weir_nack(delivery, 0.125, NULL);
	case 2:
		return weir_extend(delivery, 1.0);
	default:
		return weir_ack(delivery);
	}
}

static void note(const weir_delivery *delivery)
{
	program.redelivered += delivery->attempt > 1;
	program.lost += delivery->missed;
	see(weir_message_sequence(delivery->message));
	see((uint64_t)delivery->attempt << 32 | delivery->missed);
	see(*(const uint64_t *)delivery->data);
}

static void receive_some(void *argument)
{
	weir_subscription *subscription = *(weir_subscription **)argument;
	weir_delivery delivery;

	while (weir_now(fixture.clock) < END) {
		int error = weir_receive(subscription, &delivery, some_time());

		see((uint64_t)(int64_t)error);
		if (error == WEIR_ESHUTDOWN)
			return;
		if (error != 0)
			continue;
		note(&delivery);
		if (weir_sleep(fixture.clock, some_time()) != 0)
			return;
		if (delivery.deadline < WEIR_FOREVER)
			see((uint64_t)(int64_t)settle(&delivery));
	}
}

/* The last two belong to one process. */
static void select_some(void *argument)
{
	weir_subscription **subscriptions = argument;
	weir_delivery delivery;
	size_t index;

	while (weir_now(fixture.clock) < END) {
		int error = weir_select(
			subscriptions, 2, WEIR_SELECT_FAIR, some_time(), &delivery, &index);

		see((uint64_t)(int64_t)error);
		if (error == WEIR_ESHUTDOWN)
			return;
		if (error != 0)
			continue;
		see(index);
		note(&delivery);
		if (weir_sleep(fixture.clock, some_time()) != 0)
			return;
	}
}

static void program_open(const weir_sim_options *options)
{
	fixture_open(options);
	program.seen = 0;
	CHECK_EQ(weir_broker_open(
			 &program.broker, &(weir_broker_options){ .clock = fixture.clock,
						  .allocator = { allocate, deallocate, NULL } }),
		0);
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		CHECK_EQ(weir_subscribe(&program.subscriptions[i], program.broker, wanted[i].filter,
				 &wanted[i].options),
			0);
	for (int i = 0; i < PUBLISHERS; i++) {
		CHECK_EQ(weir_publisher_open(
				 &program.publishers[i], program.broker, topics[i], NULL),
			0);
		fixture_spawn(topics[i], publish_some, &program.publishers[i]);
	}
	for (int i = 0; i < SUBSCRIPTIONS - 2; i++)
		fixture_spawn("receiver", receive_some, &program.subscriptions[i]);
	fixture_spawn("selector", select_some, &program.subscriptions[SUBSCRIPTIONS - 2]);
}

/* The hash of a run: of its events, and of all that it saw. */
static uint64_t program_run(const weir_sim_options *options)
{
	weir_broker_statistics last;

	program_open(options);
	CHECK(weir_sim_run_until(fixture.sim, END + 2) >= 0);
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	for (int i = 0; i < PUBLISHERS; i++)
		weir_publisher_close(program.publishers[i]);
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		CHECK_EQ(weir_unsubscribe(program.subscriptions[i], NULL), 0);
	CHECK_EQ(weir_broker_close(program.broker, &last), 0);
	CHECK_EQ(program.allocated, 0);
	see(last.matched);
	see(last.acknowledged);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		see(last.dropped[i]);
	see(weir_sim_trace_hash(fixture.sim));
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
	return program.seen;
}

/* A hundred seeds, each twice; the rare paths were taken. */
static uint64_t run_all(enum weir_schedule schedule)
{
	uint64_t all = 0;

	program.redelivered = program.lost = program.refused = 0;
	for (uint64_t seed = 0; seed < 100; seed++) {
		weir_sim_options options = { .seed = seed, .schedule = schedule, .pct_steps = 800 };
		uint64_t hash = program_run(&options);

		CHECK_EQ(program_run(&options), hash);
		all = all * 31 + hash;
	}
	CHECK(program.redelivered > 100);
	CHECK(program.lost > 100);
	CHECK(program.refused > 100);
	return all;
}

/* The numbers are pinned: other compilers, builds and machines must come to the
 * same ones. They change with what the broker or a schedule decides, and only so. */
WEIR_TEST(sim_program, in_order_is_the_same_run_again_with_every_compiler)
{
	CHECK_EQ(run_all(WEIR_SCHEDULE_ORDER), UINT64_C(16185372891071013403));
}

WEIR_TEST(sim_program, at_random_is_the_same_run_again_with_every_compiler)
{
	CHECK_EQ(run_all(WEIR_SCHEDULE_RANDOM), UINT64_C(8870913629325767609));
}

WEIR_TEST(sim_program, by_priorities_is_the_same_run_again_with_every_compiler)
{
	CHECK_EQ(run_all(WEIR_SCHEDULE_PCT), UINT64_C(3955899891169109593));
}
