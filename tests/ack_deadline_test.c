/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ack_deadline_test.c - which clock a hand-over's deadline counts by: the exact one, or
 * for long timeouts the system's ticks, which may make it late and never early.
 */
#include "fixture.h"
#include "manual_clock.h"

#define TICK 0.004

struct bed {
	struct manual_clock clock;
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
};

static void bed_open(struct bed *bed, const weir_subscription_options *options)
{
	bed->clock = manual_clock_at(100);
	bed->clock.tick = TICK;
	bed->broker = fixture_broker(
		&(weir_broker_options){ .clock = &bed->clock.clock, .timestamps = true });
	CHECK_EQ(weir_subscribe(&bed->subscription, bed->broker, "t", options), 0);
	bed->publisher = fixture_publisher(bed->broker, "t");
}

static void bed_close(struct bed *bed)
{
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_unsubscribe(bed->subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
}

static double deadline_of_next(struct bed *bed)
{
	weir_delivery delivery;

	CHECK_EQ(weir_publish(bed->publisher, "m", 1, NULL, NULL), 0);
	CHECK_EQ(weir_receive(bed->subscription, &delivery, 0), 0);
	CHECK_EQ(weir_ack(&delivery), 0);
	return delivery.deadline;
}

WEIR_TEST(ack_deadline, of_a_long_timeout_counts_by_ticks_and_of_a_short_one_exactly)
{
	static const struct {
		double timeout, handed, lasts;
	} cases[] = {
		{ 0.5, 100, 0.5 },
		{ 0.999, 100, 0.999 },
		{ 1, 100 + TICK, 1 },
		{ 0, 100 + TICK, 30 },
		{ WEIR_FOREVER, 100, WEIR_FOREVER },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bed bed;
		const weir_subscription_options options = {
			.ack = WEIR_ACK_MANUAL,
			.ack_timeout = cases[i].timeout,
		};

		bed_open(&bed, &options);
		CHECK(deadline_of_next(&bed) == cases[i].handed + cases[i].lasts);
		bed_close(&bed);
	}
}

WEIR_TEST(ack_deadline, from_the_publish_is_exact)
{
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = 8,
		.ack_timeout_from_publish = true,
	};
	struct bed bed;

	bed_open(&bed, &options);
	CHECK(deadline_of_next(&bed) == 108);
	bed_close(&bed);
}

WEIR_TEST(ack_deadline, of_a_message_has_nothing_to_do_with_its_expiry)
{
	const weir_subscription_options options = { .ack = WEIR_ACK_MANUAL, .ack_timeout = 8 };
	const weir_publish_options soon = { .ttl = TICK / 2 };
	weir_delivery delivery;
	struct bed bed;

	bed_open(&bed, &options);
	CHECK_EQ(weir_publish(bed.publisher, "in time", 7, &soon, NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "too late", 8, &soon, NULL), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.size, 7);
	CHECK_EQ(weir_ack(&delivery), 0);
	bed.clock.now = 100 + TICK / 2;
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), WEIR_EAGAIN);
	bed_close(&bed);
}
