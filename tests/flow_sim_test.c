/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow control over time, in simulations: publishers that adapt, rates, ageing,
 * watermarks.  Times are exact, so every run has one right log.
 */
#include <string.h>

#include "sim_fixture.h"

#include <weir/weir.h>

static struct {
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
} bed;

static void bed_open(
	const weir_subscription_options *subscription, const weir_publisher_options *publisher)
{
	fixture_open(NULL);
	CHECK_EQ(
		weir_broker_open(&bed.broker, &(weir_broker_options){ .clock = fixture.clock }), 0);
	CHECK_EQ(weir_subscribe(&bed.subscription, bed.broker, "t", subscription), 0);
	CHECK_EQ(weir_publisher_open(&bed.publisher, bed.broker, "t", publisher), 0);
}

static void bed_close(void)
{
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	weir_publisher_close(bed.publisher);
	CHECK_EQ(weir_unsubscribe(bed.subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

/* ---- Adaptive publishers ---- */

static void receive_slowly(void *argument)
{
	const double *each = argument;
	weir_delivery delivery;

	while (weir_receive(bed.subscription, &delivery, WEIR_FOREVER) == 0 &&
		weir_sleep(fixture.clock, *each) == 0)
		;
}

/* Publishes with the interval that it is given, and says + or -. */
static void adapt_by_hand(void *argument)
{
	weir_pacer *pacer = argument;
	weir_receipt receipt = { 0 };
	double interval;

	do {
		int error = weir_publish(bed.publisher, "", 0, NULL, &receipt);

		if (error != 0)
			return;
		fixture_log("%s%.3f", receipt.dropped > 0 ? "-" : "+", weir_pacer_interval(pacer));
		interval = weir_pacer_feed(pacer, error, &receipt);
	} while (weir_sleep(fixture.clock, interval) == 0);
}

static void adapt_paced(void *argument)
{
	weir_pacer *pacer = argument;
	weir_receipt receipt = { 0 };
	double interval = weir_pacer_interval(pacer);

	while (weir_publish_paced(bed.publisher, pacer, "", 0, NULL, &receipt) == 0) {
		fixture_log("%s%.3f", receipt.dropped > 0 ? "-" : "+", interval);
		interval = weir_pacer_interval(pacer);
	}
}

static void adapt_run(void (*publish)(void *argument))
{
	weir_pacer pacer = { .base = 0.5 };
	const double each = 2.0;

	bed_open(&(weir_subscription_options){ .capacity = 5,
			 .overflow = WEIR_OVERFLOW_DROP_NEWEST },
		NULL);
	fixture_spawn("publisher", publish, &pacer);
	fixture_spawn("subscriber", receive_slowly, &each);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 12), WEIR_SIM_MORE);
	CHECK_STR_EQ(fixture.log,
		"0:+0.500 0.5:+0.500 1:+0.500 1.5:+0.500 2:+0.500 2.5:+0.500 3:+0.500 "
		"3.5:-0.500 4.5:+1.000 5.16667:-0.667 6.5:+1.333 7.38889:-0.889 "
		"9.16667:+1.778 10.3519:+1.185 11.142:-0.790");
	bed_close();
}

WEIR_TEST(flow_sim, a_publisher_that_feeds_a_pacer_adapts_to_a_slow_subscriber)
{
	adapt_run(adapt_by_hand);
}

WEIR_TEST(flow_sim, publish_paced_is_the_same_in_one_call)
{
	adapt_run(adapt_paced);
}

/* With the fill a publisher finds its subscriber's speed without losing anything. */
WEIR_TEST(flow_sim, a_publisher_that_looks_at_the_fill_is_never_refused)
{
	weir_pacer pacer = { .base = 0.1, .slow_fill = 0.5 };
	weir_subscription_statistics statistics;
	const double each = 0.5;

	bed_open(&(weir_subscription_options){ .capacity = 10,
			 .overflow = WEIR_OVERFLOW_DROP_NEWEST },
		NULL);
	fixture_spawn("publisher", adapt_paced, &pacer);
	fixture_spawn("subscriber", receive_slowly, &each);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 60), WEIR_SIM_MORE);
	CHECK_EQ(weir_subscription_statistics_get(bed.subscription, &statistics), 0);
	CHECK_EQ(statistics.dropped[WEIR_DROP_NEWEST], 0);
	/* The subscriber was never idle: it has taken one each half second. */
	CHECK(statistics.delivered >= 119);
	CHECK(statistics.high_water < 10);
	bed_close();
}

/* ---- Rates ---- */

static void publish_three(void *argument)
{
	weir_publisher *publisher = argument;

	for (int i = 0; i < 3; i++) {
		int error = weir_publish(publisher, "", 0, NULL, NULL);

		if (error != 0) {
			fixture_log("%s", weir_errname(error));
			return;
		}
		fixture_log("%s", publisher == bed.publisher ? "a" : "b");
	}
}

WEIR_TEST(flow_sim, rates_of_several_publishers_hold_side_by_side)
{
	weir_publisher *other;

	bed_open(NULL, &(weir_publisher_options){ .max_rate = 4, .burst = 1 });
	CHECK_EQ(weir_publisher_open(&other, bed.broker, "t",
			 &(weir_publisher_options){ .max_rate = 2, .burst = 2 }),
		0);
	fixture_spawn("a", publish_three, bed.publisher);
	fixture_spawn("b", publish_three, other);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:a 0:b 0:b 0.25:a 0.5:b 0.5:a");
	weir_publisher_close(other);
	bed_close();
}

static void drain_at_one(void *argument)
{
	(void)argument;
	fixture_sleep(1);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), WEIR_ETIMEDOUT);
}

WEIR_TEST(flow_sim, draining_ends_the_wait_for_a_rate)
{
	bed_open(NULL, &(weir_publisher_options){ .max_rate = 0.1, .burst = 1 });
	fixture_spawn("a", publish_three, bed.publisher);
	fixture_spawn("drain", drain_at_one, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:a 1:WEIR_ESHUTDOWN");
	bed_close();
}

WEIR_TEST(flow_sim, who_is_no_process_cannot_wait_for_a_rate_or_an_interval)
{
	weir_pacer pacer = { .base = 1 };
	weir_topic_statistics statistics;

	bed_open(NULL, &(weir_publisher_options){ .max_rate = 1, .burst = 1 });
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, NULL), WEIR_EDEADLK);
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), WEIR_EDEADLK);
	CHECK_EQ(weir_topic_statistics_get(bed.broker, "t", &statistics), 0);
	CHECK_EQ(statistics.published, 1);
	bed_close();
}

/* ---- Ageing ---- */

static void publish_urgent(void *argument)
{
	weir_publish_options options = { .priority = 0 };

	(void)argument;
	while (weir_publish(bed.publisher, "u", 1, &options, NULL) == 0 &&
		weir_sleep(fixture.clock, 0.125) == 0)
		;
}

static void publish_low_at_one(void *argument)
{
	weir_publish_options options = { .priority = 9 };

	(void)argument;
	fixture_sleep(1);
	CHECK_EQ(weir_publish_to(bed.broker, "t", "low", 3, &options, NULL), 0);
}

/* As many as come in, in the long run. */
static void receive_and_log_low(void *argument)
{
	weir_delivery delivery;

	(void)argument;
	while (weir_receive(bed.subscription, &delivery, WEIR_FOREVER) == 0) {
		if (delivery.size == 3)
			fixture_log("low");
		if (weir_sleep(fixture.clock, 0.125) != 0)
			return;
	}
}

static void starve(double ageing)
{
	bed_open(&(weir_subscription_options){ .capacity = 64,
			 .overflow = WEIR_OVERFLOW_DROP_NEWEST,
			 .order = WEIR_ORDER_PRIORITY,
			 .ageing = ageing },
		NULL);
	/* Two wait all the time, so that there is always something more urgent. */
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weir_publish(bed.publisher, "u", 1, NULL, NULL), 0);
	fixture_spawn("urgent", publish_urgent, NULL);
	fixture_spawn("low", publish_low_at_one, NULL);
	fixture_spawn("receiver", receive_and_log_low, NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 100), WEIR_SIM_MORE);
}

WEIR_TEST(flow_sim, without_ageing_the_lowest_class_may_wait_for_ever)
{
	starve(0);
	CHECK_STR_EQ(fixture.log, "");
	bed_close();
}

/* Bound: what came up to (9 - 0) * 0.25 = 2.25 seconds after it, and what was
 * queued then, goes first: three messages of an eighth of a second. */
WEIR_TEST(flow_sim, with_ageing_the_lowest_class_waits_no_longer_than_the_bound)
{
	double time;

	starve(0.25);
	CHECK_EQ(sscanf(fixture.log, "%lf:low", &time), 1);
	CHECK(time > 1 + 2.25);
	CHECK(time <= 1 + 2.25 + 4 * 0.125);
	bed_close();
}

/* ---- Watermarks ---- */

static void hook_slow(void *context, weir_subscription *subscription, uint64_t queued)
{
	CHECK(context == &bed && subscription == bed.subscription);
	fixture_log("slow%llu", (unsigned long long)queued);
}

static void hook_recovered(void *context, weir_subscription *subscription, uint64_t queued)
{
	CHECK(context == &bed && subscription == bed.subscription);
	fixture_log("recovered%llu", (unsigned long long)queued);
}

/* Every second three messages come, and half a second later they are taken. */
static void publish_in_threes(void *argument)
{
	(void)argument;
	do {
		for (int i = 0; i < 3; i++)
			if (weir_publish(bed.publisher, "", 0, NULL, NULL) != 0)
				return;
	} while (weir_sleep(fixture.clock, 1) == 0);
}

static void receive_in_threes(void *argument)
{
	weir_delivery delivery;

	(void)argument;
	for (double pause = 0.5; weir_sleep(fixture.clock, pause) == 0; pause = 1)
		for (int i = 0; i < 3; i++)
			if (weir_receive(bed.subscription, &delivery, 0) != 0)
				return;
}

WEIR_TEST(flow_sim, hooks_alternate_and_come_once_in_their_interval)
{
	bed_open(&(weir_subscription_options){ .capacity = 10,
			 .overflow = WEIR_OVERFLOW_DROP_NEWEST,
			 .high_watermark = 3,
			 .low_watermark = 1,
			 .on_slow = hook_slow,
			 .on_recovered = hook_recovered,
			 .hook_context = &bed,
			 .hook_interval = 2.5 },
		NULL);
	fixture_spawn("publisher", publish_in_threes, NULL);
	fixture_spawn("receiver", receive_in_threes, NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 7), WEIR_SIM_MORE);
	CHECK_STR_EQ(fixture.log,
		"0:slow3 0.5:recovered1 3:slow3 3.5:recovered1 6:slow3 6.5:recovered1");
	bed_close();
}

/* ---- Promises that differ from real time if one is not careful ---- */

static void receive_and_log_size(void *argument)
{
	weir_delivery delivery;

	(void)argument;
	if (weir_receive(bed.subscription, &delivery, WEIR_FOREVER) == 0)
		fixture_log("%zu", delivery.size);
}

static void publish_large_and_small(void *argument)
{
	static const char large[100];
	weir_receipt receipt;

	(void)argument;
	CHECK_EQ(weir_publish(bed.publisher, large, sizeof(large), NULL, &receipt), 0);
	CHECK_EQ(receipt.dropped, 1);
	CHECK_EQ(weir_publish(bed.publisher, large, 10, NULL, &receipt), 0);
	CHECK_EQ(receipt.enqueued, 1);
}

WEIR_TEST(flow_sim, a_message_that_fits_no_queue_does_not_reach_one_who_waits_either)
{
	bed_open(&(weir_subscription_options){ .capacity_bytes = WEIR_MESSAGE_OVERHEAD + 50,
			 .overflow = WEIR_OVERFLOW_DROP_NEWEST },
		NULL);
	fixture_spawn("receiver", receive_and_log_size, NULL);
	fixture_spawn("publisher", publish_large_and_small, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:10");
	bed_close();
}

/* A protected message waits where another one is dropped. */
static void publish_control(void *argument)
{
	weir_publish_options control = { .priority = 0 };
	weir_publish_options data = { .priority = 5 };
	weir_receipt receipt;

	(void)argument;
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weir_publish(bed.publisher, "c", 1, &control, NULL), 0);
	fixture_log("control");
	CHECK_EQ(weir_publish(bed.publisher, "d", 1, &data, &receipt), 0);
	fixture_log("dropped%llu", (unsigned long long)receipt.dropped);
}

static void receive_at_two(void *argument)
{
	weir_delivery delivery;

	(void)argument;
	fixture_sleep(2);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
}

WEIR_TEST(flow_sim, a_class_that_is_never_dropped_holds_its_publisher_instead)
{
	bed_open(&(weir_subscription_options){ .capacity = 2,
			 .overflow = WEIR_OVERFLOW_DROP_NEWEST,
			 .protect = true,
			 .protect_priority = 0 },
		NULL);
	fixture_spawn("publisher", publish_control, NULL);
	fixture_spawn("receiver", receive_at_two, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "2:control 2:dropped1");
	bed_close();
}

/* ---- All or nothing in virtual time ---- */

#define OTHERS 3

static weir_subscription *others[OTHERS];

static void receive_one(void *argument)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(argument, &delivery, WEIR_FOREVER), 0);
	fixture_log("%.*s", (int)delivery.size, (const char *)delivery.data);
}

static void publish_to_all(void *argument)
{
	weir_publish_options all = { .all_or_nothing = true };
	weir_receipt receipt;

	(void)argument;
	/* A receiver waits at the queue of the bed, which holds one. */
	CHECK_EQ(weir_publish(bed.publisher, "1", 1, &all, &receipt), 0);
	CHECK_EQ(receipt.enqueued, 1 + OTHERS);
	CHECK_EQ(weir_publish(bed.publisher, "2", 1, &all, &receipt), 0);
	CHECK_EQ(receipt.enqueued, 1 + OTHERS);
	CHECK_EQ(weir_publish(bed.publisher, "3", 1, &all, &receipt), WEIR_EFULL);
	CHECK_EQ(receipt.refused_by, weir_subscription_id(bed.subscription));
}

WEIR_TEST(flow_sim, all_or_nothing_holds_for_hands_and_every_kind_of_queue)
{
	static const weir_subscription_options options[OTHERS] = {
		{ .capacity = 8 },
		{ .capacity = 8, .order = WEIR_ORDER_PRIORITY, .priority_classes = 2 },
		{ .capacity = 8, .overflow = WEIR_OVERFLOW_DROP_OLDEST },
	};

	bed_open(NULL, NULL);
	CHECK_EQ(weir_unsubscribe(bed.subscription, NULL), 0);
	for (int i = 0; i < OTHERS; i++)
		CHECK_EQ(weir_subscribe(&others[i], bed.broker, "t", &options[i]), 0);
	CHECK_EQ(weir_subscribe(&bed.subscription, bed.broker, "t",
			 &(weir_subscription_options){
				 .capacity = 1, .overflow = WEIR_OVERFLOW_DROP_NEWEST }),
		0);
	fixture_spawn("receiver", receive_one, bed.subscription);
	fixture_spawn("publisher", publish_to_all, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:1");
	for (int i = 0; i < OTHERS; i++) {
		weir_subscription_statistics statistics;

		/* What was refused is in none of them, and holds no place. */
		CHECK_EQ(weir_subscription_statistics_get(others[i], &statistics), 0);
		CHECK_EQ(statistics.queued, 2);
		CHECK_EQ(weir_unsubscribe(others[i], NULL), 0);
	}
	bed_close();
}
