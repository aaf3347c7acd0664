/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_bed.h - a broker in virtual time, for cases that are about instants: its
 * memory is counted, and its sums are checked when it closes.
 */
#ifndef WEIR_TESTS_SIM_BED_H
#define WEIR_TESTS_SIM_BED_H

#include <math.h>
#include <string.h>

#include "fail_allocator.h"
#include "fixture.h"
#include <weir/sim.h>

struct sim_bed {
	struct fail_allocator memory;
	weir_sim *sim;
	weir_clock *clock;
	weir_broker *broker;
};

/* Options may be NULL; their clock and allocator are the bed's. */
static inline void sim_bed_open(struct sim_bed *bed, const weir_broker_options *options)
{
	weir_broker_options own = { 0 };

	if (options != NULL)
		own = *options;
	bed->memory = (struct fail_allocator){ 0 };
	CHECK_EQ(weir_sim_open(&bed->sim, NULL), 0);
	bed->clock = weir_sim_clock(bed->sim);
	own.clock = bed->clock;
	own.allocator = fail_allocator_hook(&bed->memory);
	bed->broker = fixture_broker(&own);
}

/* All handles are closed. */
static inline void sim_bed_close(struct sim_bed *bed)
{
	weir_broker_statistics last;

	CHECK_EQ(weir_broker_close(bed->broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(weir_sim_close(bed->sim), 0);
	fail_allocator_check_empty(&bed->memory);
}

/* Run all that is due up to `time`, which is the time then. */
static inline void sim_bed_reach(struct sim_bed *bed, double time)
{
	CHECK(weir_sim_run_until(bed->sim, time) >= 0);
}

/* The last instant before `time`. */
static inline double sim_bed_before(double time)
{
	return nextafter(time, -WEIR_FOREVER);
}

static inline weir_subscription *sim_bed_subscribe(
	struct sim_bed *bed, const char *filter, const weir_subscription_options *options)
{
	weir_subscription *subscription;

	CHECK_EQ(weir_subscribe(&subscription, bed->broker, filter, options), 0);
	return subscription;
}

/* Publishes a text, and gives the receipt. */
static inline weir_receipt sim_bed_publish(
	weir_publisher *publisher, const char *text, const weir_publish_options *options)
{
	weir_receipt receipt = { 0 };

	CHECK_EQ(weir_publish(publisher, text, strlen(text), options, &receipt), 0);
	return receipt;
}

/* Unsubscribes, with the sums checked. */
static inline weir_subscription_statistics sim_bed_unsubscribe(weir_subscription *subscription)
{
	weir_subscription_statistics last;

	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	fixture_check_sums(&last);
	CHECK_EQ(last.queued, 0);
	CHECK_EQ(last.in_flight, 0);
	return last;
}

#endif /* WEIR_TESTS_SIM_BED_H */
