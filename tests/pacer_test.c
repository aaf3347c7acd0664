/* SPDX-License-Identifier: BSD-2-Clause */
/* Adaptive publishers: the pacer's arithmetic, paced publishing, the rate limit. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "core/broker.h"
#include "harness.h"
#include "manual_clock.h"
#include "weir/weir.h"

static const weir_receipt delivered = { .published = 1, .matched = 1, .enqueued = 1 };
static const weir_receipt refused = { .published = 1, .matched = 1, .dropped = 1 };

WEIR_TEST(pacer, backs_off_and_returns_by_plain_arithmetic)
{
	weir_pacer pacer = { .base = 0.5 };
	double interval = 0.5;

	CHECK_NEAR(weir_pacer_interval(&pacer), 0.5, 0);
	CHECK_NEAR(weir_pacer_feed(&pacer, 0, &delivered), 0.5, 0);
	for (int i = 0; i < 5; i++) {
		interval *= 2;
		CHECK_NEAR(weir_pacer_feed(&pacer, 0, &refused), interval, 0);
		interval = fmax(0.5, interval / 1.5);
		CHECK_NEAR(weir_pacer_feed(&pacer, 0, &delivered), interval, 0);
		interval = fmax(0.5, interval / 1.5);
		CHECK_NEAR(weir_pacer_feed(&pacer, 0, NULL), interval, 0);
	}
	CHECK_NEAR(weir_pacer_interval(&pacer), interval, 0);
}

WEIR_TEST(pacer, zero_fields_are_defaults)
{
	weir_pacer pacer = { 0 };

	CHECK_NEAR(weir_pacer_interval(&pacer), 0.001, 0);
	for (int i = 0; i < 16; i++)
		(void)weir_pacer_feed(&pacer, WEIR_ETIMEDOUT, NULL);
	CHECK_NEAR(weir_pacer_interval(&pacer), 60, 0);
	CHECK_NEAR(weir_pacer_feed(&pacer, 0, NULL), 40, 0);
}

WEIR_TEST(pacer, stays_between_base_and_maximum)
{
	weir_pacer pacer = { .base = 2, .multiplier = 3, .divisor = 10, .maximum = 5 };
	weir_pacer endless = { .base = 100, .maximum = WEIR_FOREVER, .multiplier = 1e300 };
	weir_pacer long_base = { .base = 100 };

	CHECK_NEAR(weir_pacer_feed(&pacer, 0, &refused), 5, 0);
	CHECK_NEAR(weir_pacer_feed(&pacer, 0, &refused), 5, 0);
	CHECK_NEAR(weir_pacer_feed(&pacer, 0, &delivered), 2, 0);
	CHECK_NEAR(weir_pacer_feed(&long_base, 0, &refused), 100, 0);
	for (int i = 0; i < 3; i++)
		CHECK(isfinite(weir_pacer_feed(&endless, 0, &refused)));
	CHECK(isfinite(weir_pacer_feed(&endless, 0, &delivered)));
}

WEIR_TEST(pacer, only_what_tells_of_load_changes_the_interval)
{
	static const int refusals[] = { WEIR_ETIMEDOUT, WEIR_EAGAIN, WEIR_EFULL, WEIR_ENOMEM,
		WEIR_EDEADLK };
	static const int others[] = { WEIR_EINVAL, WEIR_ESHUTDOWN, WEIR_EFORK, WEIR_ECLOSED, 1 };
	weir_receipt evicted = delivered;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		weir_pacer pacer = { .base = 1 };

		CHECK_NEAR(weir_pacer_feed(&pacer, refusals[i], &delivered), 2, 0);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		weir_pacer pacer = { .base = 1, .interval = 3 };

		CHECK_NEAR(weir_pacer_feed(&pacer, others[i], &refused), 3, 0);
	}
	evicted.evicted = 1;
	CHECK_NEAR(weir_pacer_feed(&(weir_pacer){ .base = 1, .interval = 3 }, 0, &evicted), 2, 0);
}

WEIR_TEST(pacer, slows_down_at_a_fill_before_anything_is_refused)
{
	weir_pacer pacer = { .base = 1, .slow_fill = 0.75 };
	weir_pacer blind = { .base = 1 };
	weir_receipt receipt = delivered;

	receipt.fill = 0.5;
	CHECK_NEAR(weir_pacer_feed(&pacer, 0, &receipt), 1, 0);
	receipt.fill = 0.75;
	CHECK_NEAR(weir_pacer_feed(&pacer, 0, &receipt), 2, 0);
	receipt.fill = 1;
	CHECK_NEAR(weir_pacer_feed(&pacer, 0, &receipt), 4, 0);
	CHECK_NEAR(weir_pacer_feed(&blind, 0, &receipt), 1, 0);
}

WEIR_TEST(pacer, fields_out_of_range_give_no_number)
{
	static const weir_pacer wrong[] = {
		{ .base = -1 },
		{ .base = NAN },
		{ .base = INFINITY },
		{ .multiplier = 0.5 },
		{ .multiplier = INFINITY },
		{ .divisor = 0.9 },
		{ .divisor = NAN },
		{ .base = 2, .maximum = 1 },
		{ .maximum = NAN },
		{ .slow_fill = 1.1 },
		{ .slow_fill = -0.1 },
		{ .jitter = 1.1 },
		{ .jitter = NAN },
		{ .interval = NAN },
		{ .interval = -1 },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		weir_pacer pacer = wrong[i];

		CHECK(isnan(weir_pacer_interval(&pacer)));
		CHECK(isnan(weir_pacer_feed(&pacer, 0, &refused)));
		CHECK(memcmp(&pacer, &wrong[i], sizeof(pacer)) == 0);
	}
	CHECK(isnan(weir_pacer_feed(NULL, 0, NULL)));
	CHECK(isnan(weir_pacer_interval(NULL)));
}

WEIR_TEST(pacer, jitter_spreads_evenly_and_leaves_the_interval_alone)
{
	weir_pacer pacer = { .base = 1, .jitter = 0.25, .seed = 7 };
	weir_pacer same = { .base = 1, .jitter = 0.25, .seed = 7 };
	weir_pacer other = { .base = 1, .jitter = 0.25, .seed = 8 };
	uint64_t differing = 0;
	double least = 2, most = 0, sum = 0;

	for (int i = 0; i < 10000; i++) {
		double interval = weir_pacer_feed(&pacer, 0, &delivered);

		CHECK_NEAR(weir_pacer_feed(&same, 0, &delivered), interval, 0);
		differing += weir_pacer_feed(&other, 0, &delivered) != interval;
		least = fmin(least, interval);
		most = fmax(most, interval);
		sum += interval;
	}
	CHECK_NEAR(weir_pacer_interval(&pacer), 1, 0);
	CHECK(least >= 0.75 && least < 0.751);
	CHECK(most <= 1.25 && most > 1.249);
	CHECK_NEAR(sum / 10000, 1, 0.01);
	CHECK(differing > 9990);
}

/* ---- With a broker, on a clock that jumps ---- */

struct bed {
	struct manual_clock clock;
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
};

static void bed_open(struct bed *bed, const weir_subscription_options *subscription,
	const weir_publisher_options *publisher)
{
	bed->clock = manual_clock_at(0);
	CHECK_EQ(weir_broker_open(&bed->broker,
			 &(weir_broker_options){ .clock = &bed->clock.clock, .timestamps = true }),
		0);
	CHECK_EQ(weir_subscribe(&bed->subscription, bed->broker, "t", subscription), 0);
	CHECK_EQ(weir_publisher_open(&bed->publisher, bed->broker, "t", publisher), 0);
}

static void bed_close(struct bed *bed)
{
	CHECK_EQ(weir_unsubscribe(bed->subscription, NULL), 0);
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
}

static void received_at(struct bed *bed, double time)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(bed->subscription, &delivery, 0), 0);
	CHECK_NEAR(weir_message_timestamp(delivery.message), time, 0);
}

WEIR_TEST(paced, publishes_at_the_intervals_of_the_pacer)
{
	weir_pacer pacer = { .base = 0.5 };
	weir_receipt receipt = { 0 };
	double time = 0, interval = 0.5;
	weir_delivery delivery;
	struct bed bed;

	bed_open(&bed,
		&(weir_subscription_options){
			.capacity = 2, .overflow = WEIR_OVERFLOW_DROP_NEWEST },
		NULL);
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, &receipt), 0);
		CHECK_NEAR(bed.clock.now, time, 0);
		CHECK_EQ(receipt.dropped, i < 2 ? 0 : 1);
		interval = i < 2 ? 0.5 : interval * 2;
		time += interval;
	}
	received_at(&bed, 0);
	received_at(&bed, 0.5);
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, &receipt), 0);
	received_at(&bed, time);
	CHECK_NEAR(weir_pacer_interval(&pacer), interval / 1.5, 0);
	/* Its options are those of the publish. */
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0,
			 &(weir_publish_options){ .priority = 7 }, NULL),
		0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(weir_message_priority(delivery.message), 7);
	bed_close(&bed);
}

WEIR_TEST(paced, what_the_caller_does_between_two_calls_is_part_of_the_interval)
{
	weir_pacer pacer = { .base = 1 };
	struct bed bed;

	bed_open(&bed, NULL, NULL);
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), 0);
	bed.clock.now = 0.75;
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), 0);
	CHECK_NEAR(bed.clock.now, 1, 0);
	bed.clock.now = 7;
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), 0);
	CHECK_NEAR(bed.clock.now, 7, 0);
	bed_close(&bed);
}

WEIR_TEST(paced, asks_for_the_fill_that_it_slows_down_at)
{
	weir_pacer pacer = { .base = 1, .slow_fill = 0.5 };
	weir_receipt receipt = { 0 };
	struct bed bed;

	bed_open(&bed, &(weir_subscription_options){ .capacity = 4 }, NULL);
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, &receipt), 0);
	CHECK_NEAR(receipt.fill, 0.25, 0);
	CHECK_NEAR(weir_pacer_interval(&pacer), 1, 0);
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, &receipt), 0);
	CHECK_NEAR(receipt.fill, 0.5, 0);
	CHECK_NEAR(weir_pacer_interval(&pacer), 2, 0);
	bed_close(&bed);
}

static void drain(struct manual_clock *clock)
{
	CHECK_EQ(weir_broker_drain(clock->context, 0), 0);
}

WEIR_TEST(paced, the_end_of_the_broker_ends_the_interval)
{
	weir_pacer pacer = { .base = 1 };
	struct bed bed;

	bed_open(&bed, NULL, NULL);
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), 0);
	received_at(&bed, 0);
	bed.clock.on_wait = drain;
	bed.clock.context = bed.broker;
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), WEIR_ESHUTDOWN);
	CHECK_NEAR(bed.clock.now, 0, 0);
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), WEIR_ESHUTDOWN);
	bed_close(&bed);
}

WEIR_TEST(paced, refuses_what_is_out_of_range)
{
	weir_pacer pacer = { .jitter = 2 };
	weir_pacer good = { 0 };
	struct bed bed;

	bed_open(&bed, NULL, NULL);
	CHECK_EQ(weir_publish_paced(bed.publisher, &pacer, "", 0, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish_paced(bed.publisher, NULL, "", 0, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish_paced(NULL, &good, "", 0, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish_paced(bed.publisher, &good, NULL, 1, NULL, NULL), WEIR_EINVAL);
	bed_close(&bed);
}

WEIR_TEST(rate, holds_to_the_instant)
{
	struct bed bed;

	bed_open(&bed, NULL, &(weir_publisher_options){ .max_rate = 3, .burst = 2 });
	for (int i = 0; i < 100; i++)
		CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, NULL), 0);
	received_at(&bed, 0);
	for (int i = 0; i < 99; i++)
		received_at(&bed, i / 3.0);
	bed_close(&bed);
}

WEIR_TEST(rate, a_batch_counts_each_message)
{
	static const weir_payload payloads[8] = { { NULL, 0 } };
	weir_message *message;
	struct bed bed;

	bed_open(&bed, NULL, &(weir_publisher_options){ .max_rate = 4, .burst = 4 });
	CHECK_EQ(weir_publish_batch(bed.publisher, payloads, 3, NULL, NULL), 0);
	CHECK_NEAR(bed.clock.now, 0, 0);
	CHECK_EQ(weir_publish_batch(bed.publisher, payloads, 3, NULL, NULL), 0);
	CHECK_NEAR(bed.clock.now, 0.5, 0);
	CHECK_EQ(weir_publish_batch(bed.publisher, payloads, 8, NULL, NULL), 0);
	CHECK_NEAR(bed.clock.now, 1.5, 0);
	CHECK_EQ(weir_loan(bed.publisher, 1, &message), 0);
	CHECK_EQ(weir_publish_message(bed.publisher, message, NULL, NULL), 0);
	CHECK_NEAR(bed.clock.now, 2.75, 0);
	bed_close(&bed);
}

WEIR_TEST(rate, a_deadline_that_is_earlier_publishes_nothing)
{
	weir_publish_options soon = { .timeout = 0.25 };
	weir_publish_options now = { .no_wait = true };
	weir_receipt receipt = { .sequence = 77 };
	weir_message *message;
	weir_payload payload = { "", 0 };
	struct bed bed;

	bed_open(&bed, NULL, &(weir_publisher_options){ .max_rate = 2, .burst = 1 });
	CHECK_EQ(weir_publish(bed.publisher, "", 0, &now, NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "", 0, &now, &receipt), WEIR_EAGAIN);
	CHECK_EQ(weir_publish_batch(bed.publisher, &payload, 1, &now, &receipt), WEIR_EAGAIN);
	CHECK_NEAR(bed.clock.now, 0, 0);
	CHECK_EQ(weir_publish(bed.publisher, "", 0, &soon, &receipt), WEIR_ETIMEDOUT);
	CHECK_NEAR(bed.clock.now, 0.25, 0);
	CHECK_EQ(weir_loan(bed.publisher, 1, &message), 0);
	CHECK_EQ(weir_publish_message(bed.publisher, message, &now, &receipt), WEIR_EAGAIN);
	CHECK_EQ(receipt.sequence, 77);
	received_at(&bed, 0);
	CHECK_EQ(weir_publish_message(bed.publisher, message, &soon, &receipt), 0);
	received_at(&bed, 0.5);
	CHECK_EQ(receipt.sequence, 2);
	bed_close(&bed);
}

WEIR_TEST(rate, what_did_not_go_out_does_not_count)
{
	weir_publish_options now = { .no_wait = true };
	struct bed bed;

	bed_open(&bed, NULL, &(weir_publisher_options){ .max_rate = 1, .burst = 1 });
	CHECK_EQ(weir_publish(bed.publisher, NULL, 1, &now, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish(bed.publisher, "", 0, &now, NULL), 0);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), WEIR_ETIMEDOUT);
	bed.clock.now = 1;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(weir_publish(bed.publisher, "", 0, &now, NULL), WEIR_ESHUTDOWN);
	bed_close(&bed);
}

WEIR_TEST(rate, the_default_burst_makes_up_for_a_hundredth_of_a_second)
{
	static const struct {
		double rate;
		uint64_t burst;
	} cases[] = { { 0.5, 1 }, { 100, 1 }, { 300, 3 }, { 20000, 200 } };
	weir_publish_options now = { .no_wait = true };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bed bed;
		uint64_t count = 0;

		bed_open(&bed, NULL, &(weir_publisher_options){ .max_rate = cases[i].rate });
		while (weir_publish(bed.publisher, "", 0, &now, NULL) == 0)
			count++;
		CHECK_EQ(count, cases[i].burst);
		bed_close(&bed);
	}
}

WEIR_TEST(rate, options_out_of_range_are_refused)
{
	static const weir_publisher_options wrong[] = {
		{ .max_rate = -1 },
		{ .max_rate = NAN },
		{ .max_rate = INFINITY },
		{ .burst = 1 },
		{ .max_rate = 1, .burst = ((uint64_t)1 << 53) + 1 },
	};
	weir_publisher *publisher = NULL;
	struct bed bed;

	bed_open(&bed, NULL, NULL);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_EQ(weir_publisher_open(&publisher, bed.broker, "t", &wrong[i]), WEIR_EINVAL);
	CHECK(publisher == NULL);
	bed_close(&bed);
}

/* ---- In real time ---- */

struct held {
	weir_publisher *publisher;
	weir_pacer pacer;
	bool is_paced;
	int error;
};

static void *held_publish(void *argument)
{
	struct held *held = argument;

	held->error = held->is_paced
			      ? weir_publish_paced(held->publisher, &held->pacer, "", 0, NULL, NULL)
			      : weir_publish(held->publisher, "", 0, NULL, NULL);
	return NULL;
}

static void close_while_held(struct held *held, weir_wait wait)
{
	weir_publisher_options options = { .wait = wait, .max_rate = 0.001, .burst = 1 };
	weir_broker *broker;
	pthread_t thread;

	CHECK_EQ(weir_broker_open(&broker, NULL), 0);
	CHECK_EQ(weir_publisher_open(
			 &held->publisher, broker, "t", held->is_paced ? NULL : &options),
		0);
	(void)held_publish(held);
	CHECK_EQ(held->error, 0);
	CHECK_EQ(pthread_create(&thread, NULL, held_publish, held), 0);
	while (weiri_load_relaxed(&broker->inside) == 0)
		(void)sched_yield();
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(held->error, WEIR_ESHUTDOWN);
	weir_publisher_close(held->publisher);
}

WEIR_TEST(rate, closing_a_broker_lets_a_publisher_go_that_waits_for_its_time)
{
	static const weir_wait waits[] = { WEIR_WAIT_SPIN_THEN_PARK, WEIR_WAIT_SPIN, WEIR_WAIT_PARK,
		WEIR_WAIT_YIELD };

	for (uint64_t i = 0; i < harness_scaled(100); i++) {
		struct held limited = { .is_paced = false };
		struct held paced = { .is_paced = true, .pacer.base = 1000 };

		close_while_held(&limited, waits[i % 4]);
		close_while_held(&paced, WEIR_WAIT_SPIN_THEN_PARK);
	}
}

WEIR_TEST(rate, is_never_exceeded_on_the_real_clock)
{
	weir_publisher_options options = { .max_rate = 20000, .burst = 20 };
	weir_publisher *publisher;
	weir_broker *broker;
	double begun, passed;

	CHECK_EQ(weir_broker_open(&broker, NULL), 0);
	CHECK_EQ(weir_publisher_open(&publisher, broker, "t", &options), 0);
	begun = weir_now(weir_clock_real());
	for (int i = 0; i < 2000; i++) {
		CHECK_EQ(weir_publish(publisher, "", 0, NULL, NULL), 0);
		passed = weir_now(weir_clock_real()) - begun;
		CHECK(i + 1 <= 20 + passed * 20000 + 1e-3);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
