/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delay_test.c - a delayed message is published at its instant, by the broker alone:
 * whatever has become of its publisher and its topic, bounded, in order, and never
 * lost without being counted.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_bed.h"

static const weir_publish_options two_seconds = { .delay = 2.0 };

/* Publishes with a delay; the receipt says that it is kept, and nothing else. */
static void publish_later(
	weir_publisher *publisher, const char *text, const weir_publish_options *options)
{
	weir_receipt receipt = sim_bed_publish(publisher, text, options);

	CHECK_EQ(receipt.delayed, 1);
	CHECK_EQ(receipt.published + receipt.matched + receipt.enqueued + receipt.sequence, 0);
}

WEIR_TEST(delay, a_message_is_published_at_its_instant_and_not_before)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery delivery;

	sim_bed_open(&bed, &(weir_broker_options){ .timestamps = true });
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	sim_bed_reach(&bed, 0.1);
	publish_later(publisher, "by delay", &(weir_publish_options){ .delay = 0.7 });
	publish_later(publisher, "by time", &(weir_publish_options){ .publish_at = 0.5 });
	(void)sim_bed_publish(publisher, "now", &(weir_publish_options){ .publish_at = 0.1 });
	fixture_receive_text(subscription, "now");
	CHECK_EQ(fixture_broker_statistics(bed.broker).delayed, 2);
	sim_bed_reach(&bed, sim_bed_before(0.5));
	fixture_check_empty(subscription);
	sim_bed_reach(&bed, 0.5);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_message_sequence(delivery.message), 2);
	CHECK(weir_message_timestamp(delivery.message) == 0.5);
	sim_bed_reach(&bed, sim_bed_before(0.1 + 0.7));
	fixture_check_empty(subscription);
	CHECK_EQ(fixture_broker_statistics(bed.broker).delayed, 1);
	sim_bed_reach(&bed, 0.1 + 0.7);
	fixture_receive_text(subscription, "by delay");
	CHECK_EQ(fixture_broker_statistics(bed.broker).delayed, 0);
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

static void receive_all(void *argument)
{
	weir_subscription *subscription = argument;
	weir_delivery delivery;
	char order[64] = "";

	for (size_t i = 0; i < 9; i++) {
		CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), 0);
		order[i] = ((const char *)delivery.data)[0];
	}
	CHECK_STR_EQ(order, "ghabcdefi");
}

WEIR_TEST(delay, equal_times_come_in_the_order_of_the_calls)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *one, *two;
	const weir_payload batch[] = { { "c", 1 }, { "d", 1 }, { "e", 1 } };
	weir_receipt receipt = { .published = 0 };

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	one = fixture_publisher(bed.broker, "t");
	two = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_sim_spawn(bed.sim, "receiver", receive_all, subscription), 0);
	publish_later(one, "a", &two_seconds);
	publish_later(two, "b", &(weir_publish_options){ .publish_at = 2.0 });
	CHECK_EQ(weir_publish_batch(one, batch, 3, &two_seconds, &receipt), 0);
	CHECK_EQ(receipt.delayed, 3);
	CHECK_EQ(receipt.published, 0);
	publish_later(two, "f", &two_seconds);
	publish_later(one, "g", &(weir_publish_options){ .delay = 1.0 });
	(void)sim_bed_publish(one, "h", &(weir_publish_options){ .delay = 1.5 });
	publish_later(two, "i", &two_seconds);
	sim_bed_reach(&bed, 5.0);
	weir_publisher_close(one);
	weir_publisher_close(two);
	CHECK_EQ(sim_bed_unsubscribe(subscription).delivered, 9);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, outlives_its_publisher_and_its_topic)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery delivery;

	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "t");
	publish_later(publisher, "m", &two_seconds);
	publish_later(publisher, "n", &(weir_publish_options){ .delay = 3.0 });
	weir_publisher_close(publisher);
	CHECK_EQ(weir_topic_remove(bed.broker, "t"), 0);
	subscription = sim_bed_subscribe(&bed, "*", NULL);
	sim_bed_reach(&bed, 3.0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_STR_EQ(weir_message_topic(delivery.message), "t");
	CHECK_EQ(weir_message_sequence(delivery.message), 1);
	fixture_receive_text(subscription, "n");
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, a_time_to_live_counts_from_the_publish)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	publish_later(publisher, "a", &(weir_publish_options){ .delay = 2.0, .ttl = 1.0 });
	publish_later(publisher, "b", &(weir_publish_options){ .delay = 2.0, .ttl = 1.0 });
	publish_later(publisher, "c", &(weir_publish_options){ .delay = 2.0, .expires_at = 1.0 });
	publish_later(publisher, "d", &(weir_publish_options){ .delay = 2.0, .expires_at = 9.0 });
	sim_bed_reach(&bed, sim_bed_before(3.0));
	fixture_receive_text(subscription, "a");
	sim_bed_reach(&bed, 3.0);
	fixture_receive_text(subscription, "d");
	fixture_check_empty(subscription);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(subscription).expired, 2);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, keeps_priority_and_key)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery delivery;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(
		&bed, "t", &(weir_subscription_options){ .order = WEIR_ORDER_PRIORITY });
	publisher = fixture_publisher(bed.broker, "t");
	publish_later(publisher, "late", &(weir_publish_options){ .delay = 1, .priority = 5 });
	publish_later(publisher, "soon",
		&(weir_publish_options){ .delay = 1, .priority = -5, .has_key = true, .key = 99 });
	sim_bed_reach(&bed, 1.0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_message_priority(delivery.message), -5);
	CHECK_EQ(weir_message_key(delivery.message), 99);
	fixture_receive_text(subscription, "late");
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, an_id_counts_at_the_call)
{
	const weir_publish_options later = { .delay = 2.0, .has_id = true, .id = 1 };
	const weir_publish_options now = { .has_id = true, .id = 1 };
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_receipt receipt = { .sequence = 77 };

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_publish(publisher, "m", 1, &later, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 8, 0), 0);
	publish_later(publisher, "m", &later);
	CHECK_EQ(weir_publish(publisher, "m", 1, &later, &receipt), WEIR_EDUPLICATE);
	CHECK_EQ(weir_publish(publisher, "m", 1, &now, &receipt), WEIR_EDUPLICATE);
	CHECK_EQ(receipt.sequence, 77);
	CHECK_EQ(fixture_broker_statistics(bed.broker).delayed, 1);
	(void)sim_bed_publish(publisher, "other", NULL);
	sim_bed_reach(&bed, 2.0);
	CHECK_EQ(weir_publish(publisher, "m", 1, &now, &receipt), WEIR_EDUPLICATE);
	CHECK_EQ(receipt.sequence, 2);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(subscription).matched, 2);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, a_full_queue_refuses_it_for_nobody_waits)
{
	struct sim_bed bed;
	weir_subscription *subscription, *other;
	weir_subscription_statistics last;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	subscription = fixture_subscribe(bed.broker, "t", 1);
	other = fixture_subscribe(bed.broker, "t", 9);
	publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(publisher, "full", NULL);
	publish_later(publisher, "m", &two_seconds);
	sim_bed_reach(&bed, 2.0);
	weir_publisher_close(publisher);
	last = sim_bed_unsubscribe(subscription);
	CHECK_EQ(last.dropped[WEIR_DROP_TIMEOUT], 1);
	fixture_receive_text(other, "full");
	fixture_receive_text(other, "m");
	(void)sim_bed_unsubscribe(other);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, what_is_kept_is_bounded_exactly)
{
	struct sim_bed bed;
	weir_publisher *publisher;
	const weir_payload batch[] = { { "a", 1 }, { "b", 1 }, { "c", 1 } };
	weir_receipt receipt = { .delayed = 77 };
	weir_message *loan;

	sim_bed_open(&bed, &(weir_broker_options){ .delayed_max = 2 });
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_publish_batch(publisher, batch, 3, &two_seconds, &receipt), WEIR_ELIMIT);
	CHECK_EQ(receipt.delayed, 77);
	CHECK_EQ(weir_publish_batch(publisher, batch, 2, &two_seconds, &receipt), 0);
	CHECK_EQ(receipt.delayed, 2);
	CHECK_EQ(weir_loan(publisher, 5, &loan), 0);
	CHECK_EQ(weir_publish_message(publisher, loan, &two_seconds, NULL), WEIR_ELIMIT);
	CHECK_EQ(weir_publish_to(bed.broker, "t", "m", 1, &two_seconds, NULL), WEIR_ELIMIT);
	sim_bed_reach(&bed, 2.0);
	/* The loan is still its owner's; when it is taken it is no loan any more. */
	CHECK(weir_message_buffer(loan) != NULL);
	CHECK_EQ(weir_message_keep(loan), 0);
	CHECK_EQ(weir_publish_message(publisher, loan, &two_seconds, NULL), 0);
	CHECK(weir_message_buffer(loan) == NULL);
	CHECK_EQ(weir_publish_message(publisher, loan, NULL, NULL), WEIR_EINVAL);
	weir_message_release(loan);
	weir_publisher_close(publisher);
	sim_bed_close(&bed);

	sim_bed_open(&bed, &(weir_broker_options){ .delayed_bytes = 100 });
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_publish(publisher, "1234567890123456789012345678901234567", 37, &two_seconds,
			 NULL),
		WEIR_ELIMIT);
	CHECK_EQ(weir_publish(
			 publisher, "123456789012345678901234567890123456", 36, &two_seconds, NULL),
		0);
	CHECK_EQ(weir_publish(publisher, "", 0, &two_seconds, NULL), WEIR_ELIMIT);
	weir_publisher_close(publisher);
	sim_bed_close(&bed);
}

static void free_count(void *context, void *data)
{
	++*(int *)context;
	free(data);
}

WEIR_TEST(delay, close_throws_away_what_is_left_and_counts_it)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_broker_statistics last;
	weir_message *message;
	int freed = 0;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_message_wrap(publisher, malloc(5), 5, free_count, &freed, &message), 0);
	CHECK_EQ(weir_publish_message(publisher, message, &two_seconds, NULL), 0);
	publish_later(publisher, "m", &two_seconds);
	publish_later(publisher, "published", &(weir_publish_options){ .delay = 1.0 });
	sim_bed_reach(&bed, 1.0);
	CHECK_EQ(weir_broker_close(bed.broker, &last), 0);
	CHECK_EQ(freed, 1);
	CHECK_EQ(last.delayed, 0);
	CHECK_EQ(last.delayed_discarded, 2);
	CHECK_EQ(last.published, 1);
	fixture_check_broker_sums(&last);
	CHECK_EQ(weir_publish(publisher, "m", 1, &two_seconds, NULL), WEIR_ESHUTDOWN);
	(void)weir_sim_run_until(bed.sim, 9.0);
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	CHECK_EQ(weir_sim_close(bed.sim), 0);
	fail_allocator_check_empty(&bed.memory);
}

WEIR_TEST(delay, a_drain_does_not_wait_for_it)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_broker_statistics now;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	publish_later(publisher, "m", &two_seconds);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), 0);
	CHECK_EQ(weir_publish(publisher, "m", 1, &two_seconds, NULL), WEIR_ESHUTDOWN);
	CHECK_EQ(fixture_broker_statistics(bed.broker).delayed, 1);
	sim_bed_reach(&bed, 2.0);
	now = fixture_broker_statistics(bed.broker);
	CHECK_EQ(now.delayed, 0);
	CHECK_EQ(now.delayed_discarded, 1);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(subscription).matched, 0);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, refuses_times_that_are_none)
{
	const weir_publish_options bad[] = {
		{ .delay = -1.0 },
		{ .delay = WEIR_FOREVER },
		{ .delay = (double)NAN },
		{ .publish_at = WEIR_FOREVER },
		{ .publish_at = (double)NAN },
		{ .delay = 1.0, .publish_at = 1.0 },
		{ .delay = 1.0, .all_or_nothing = true },
		{ .publish_at = 1.0, .all_or_nothing = true },
	};
	struct sim_bed bed;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "t");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(weir_publish(publisher, "m", 1, &bad[i], NULL), WEIR_EINVAL);
	weir_publisher_close(publisher);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, without_memory_nothing_is_kept_and_at_its_time_it_is_counted)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_broker_statistics now;
	uint64_t failures = 0, discarded = 0;
	int error;

	/* At the call. */
	for (uint64_t fail_at = 1;; fail_at++) {
		const weir_publish_options options = {
			.delay = 2.0, .ttl = 1.0, .has_id = true, .id = 9
		};

		sim_bed_open(&bed, NULL);
		publisher = fixture_publisher(bed.broker, "t");
		CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 4, 0), 0);
		fail_allocator_arm(&bed.memory, fail_at, false);
		error = weir_publish(publisher, "m", 1, &options, NULL);
		fail_allocator_arm(&bed.memory, 0, false);
		if (error != 0) {
			CHECK_EQ(error, WEIR_ENOMEM);
			CHECK_EQ(fixture_broker_statistics(bed.broker).delayed, 0);
			/* Its id did not stay. */
			CHECK_EQ(weir_publish(publisher, "m", 1, &options, NULL), 0);
			failures++;
		}
		weir_publisher_close(publisher);
		sim_bed_close(&bed);
		if (error == 0)
			break;
	}
	CHECK(failures >= 2);

	/* Later: all of it at once, with the topic to be made. */
	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "t");
	publish_later(publisher, "m", &two_seconds);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_topic_remove(bed.broker, "t"), 0);
	subscription = sim_bed_subscribe(&bed, "*", NULL);
	fail_allocator_arm(&bed.memory, 1, true);
	sim_bed_reach(&bed, 2.0);
	fail_allocator_arm(&bed.memory, 0, false);
	now = fixture_broker_statistics(bed.broker);
	discarded = now.delayed_discarded;
	CHECK_EQ(discarded, 1);
	CHECK_EQ(now.delayed, 0);
	CHECK_EQ(sim_bed_unsubscribe(subscription).matched, 0);
	sim_bed_close(&bed);
}

WEIR_TEST(delay, is_made_for_any_form_of_a_publish)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_receipt receipt = { .published = 0 };
	weir_pacer pacer = { .base = 1e-9 };
	weir_message *loan;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, ">", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_publish_to(bed.broker, "made.new", "1", 1, &two_seconds, &receipt), 0);
	CHECK_EQ(receipt.delayed, 1);
	receipt = (weir_receipt){ .published = 0 };
	CHECK_EQ(weir_publish_paced(publisher, &pacer, "2", 1, &two_seconds, &receipt), 0);
	CHECK_EQ(receipt.delayed, 1);
	/* Full to the last byte, with a time to live. */
	CHECK_EQ(weir_loan(publisher, 64, &loan), 0);
	memset(weir_message_buffer(loan), '3', 64);
	receipt = (weir_receipt){ .published = 0 };
	CHECK_EQ(weir_publish_message(publisher, loan,
			 &(weir_publish_options){ .delay = 2.0, .ttl = 1.0 }, &receipt),
		0);
	CHECK_EQ(receipt.delayed, 1);
	weir_publisher_close(publisher);
	sim_bed_reach(&bed, 2.0);
	fixture_receive_text(subscription, "1");
	fixture_receive_text(subscription, "2");
	fixture_receive_text(
		subscription, "3333333333333333333333333333333333333333333333333333333333333333");
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

/* ---- Real time ---- */

WEIR_TEST(delay, the_timer_thread_publishes_it_never_early)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 0);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery delivery;

	for (int i = 0; i < 20; i++) {
		const double due = weir_now(weir_clock_real()) + 0.001 * (1 + i % 3);

		CHECK_EQ(weir_publish(publisher, "m", 1,
				 &(weir_publish_options){ .publish_at = due }, NULL),
			0);
		CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), 0);
		CHECK(weir_now(weir_clock_real()) >= due);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

struct storm {
	weir_broker *broker;
	uint64_t state;
	_Atomic uint64_t *kept;
};

static void *storm_run(void *argument)
{
	struct storm *storm = argument;

	for (;;) {
		const weir_publish_options options = {
			.delay = 1e-6 * (double)(1 + harness_random_below(&storm->state, 2000))
		};
		int error = weir_publish_to(storm->broker, "t", "m", 1, &options, NULL);

		if (error == WEIR_ESHUTDOWN)
			return NULL;
		CHECK(error == 0 || error == WEIR_ELIMIT);
		if (error == 0)
			(void)atomic_fetch_add(storm->kept, 1);
		else
			(void)sched_yield();
	}
}

WEIR_TEST(delay, every_message_that_was_kept_is_published_or_counted_at_a_drain)
{
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory),
		.delayed_max = 500 };
	weir_broker *broker = fixture_broker(&options);
	weir_subscription *subscription;
	struct storm storms[3];
	pthread_t threads[3];
	_Atomic uint64_t kept = 1;
	weir_subscription_statistics now;
	weir_broker_statistics last;

	CHECK_EQ(weir_subscribe(&subscription, broker, "t",
			 &(weir_subscription_options){ .overflow = WEIR_OVERFLOW_UNBOUNDED }),
		0);
	/* One is left at the drain, whenever that is. */
	CHECK_EQ(
		weir_publish_to(broker, "t", "m", 1, &(weir_publish_options){ .delay = 1e4 }, NULL),
		0);
	for (unsigned int i = 0; i < 3; i++) {
		storms[i] = (struct storm){ broker, harness_seed() + i, &kept };
		threads[i] = fixture_thread(storm_run, &storms[i]);
	}
	do
		CHECK_EQ(weir_subscription_statistics_get(subscription, &now), 0);
	while (now.matched < harness_scaled(5000));
	CHECK(weir_broker_drain(broker, 0) <= 0);
	for (int i = 0; i < 3; i++)
		fixture_join(threads[i]);
	CHECK_EQ(weir_broker_close(broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.published + last.delayed_discarded, atomic_load(&kept));
	CHECK(last.delayed_discarded > 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	fail_allocator_check_empty(&memory);
}
