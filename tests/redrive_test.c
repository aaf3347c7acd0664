/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What failed for good and is sent back: from the dead-letter topic to where it came
 * from, and from the parking place; in virtual time.
 */
#include <string.h>

#include "fixture.h"

struct bed {
	weir_sim *sim;
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *work;
	weir_subscription *other; /* of the same topic */
	weir_subscription *dead;
};

static const weir_subscription_options working = {
	.ack = WEIR_ACK_MANUAL,
	.ack_timeout = 5,
	.max_attempts = 2,
	.max_in_flight = 2,
	.dead_letter_topic = "dead",
};

static const weir_subscription_options parking = {
	.ack = WEIR_ACK_MANUAL,
	.ack_timeout = 5,
	.max_attempts = 2,
	.max_in_flight = 2,
	.park_max = 3,
};

static void bed_open(struct bed *bed, const weir_subscription_options *work,
	const weir_subscription_options *dead)
{
	*bed = (struct bed){ 0 };
	CHECK_EQ(weir_sim_open(&bed->sim, NULL), 0);
	bed->broker = fixture_broker(&(weir_broker_options){ .clock = weir_sim_clock(bed->sim) });
	CHECK_EQ(weir_subscribe(&bed->work, bed->broker, "work", work), 0);
	CHECK_EQ(weir_subscribe(&bed->other, bed->broker, "work", NULL), 0);
	CHECK_EQ(weir_subscribe(&bed->dead, bed->broker, "dead", dead), 0);
	bed->publisher = fixture_publisher(bed->broker, "work");
}

static void end(weir_subscription *subscription)
{
	weir_subscription_statistics last;

	if (subscription == NULL)
		return;
	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	fixture_check_sums(&last);
	CHECK_EQ(last.in_flight + last.parked, 0);
}

static void bed_close(struct bed *bed)
{
	weir_broker_statistics last;

	(void)fixture_broker_statistics(bed->broker);
	end(bed->work);
	end(bed->other);
	end(bed->dead);
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_broker_close(bed->broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(weir_sim_close(bed->sim), 0);
}

static weir_delivery received(weir_subscription *subscription, uint64_t number)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(fixture_number(&delivery), number);
	return delivery;
}

/* The next message of the subscription fails for good. */
static void fail(weir_subscription *subscription, uint64_t number, const char *reason)
{
	const weir_delivery delivery = received(subscription, number);

	CHECK_EQ(weir_reject(&delivery, reason), 0);
}

/* ---- Dead letters ---- */

static weir_dead_letter letter_of(const weir_delivery *delivery)
{
	weir_dead_letter letter;

	CHECK_EQ(weir_message_dead_letter(delivery->message, &letter), 0);
	return letter;
}

WEIR_TEST(redrive, sends_a_dead_letter_back_to_where_it_failed_and_nowhere_else)
{
	weir_subscription_statistics work;
	weir_delivery delivery;
	struct bed bed;

	bed_open(&bed, &working, &(weir_subscription_options){ .ack = WEIR_ACK_MANUAL });
	CHECK_EQ(fixture_publish(bed.publisher, 1), 2);
	CHECK_EQ(fixture_publish(bed.publisher, 2), 2);
	(void)received(bed.other, 1);
	(void)received(bed.other, 2);
	fail(bed.work, 1, "first");
	delivery = received(bed.dead, 1);
	CHECK_EQ(letter_of(&delivery).redrives, 0);
	CHECK_EQ(weir_redrive(&delivery), 0);
	CHECK_EQ(fixture_statistics(bed.dead).acknowledged, 1);
	fixture_check_empty(bed.other);

	/* First, the same message, and tried never before. */
	delivery = received(bed.work, 1);
	CHECK_EQ(delivery.attempt, 1);
	CHECK_NEAR(delivery.deadline, 5, 0);
	CHECK_EQ(weir_message_sequence(delivery.message), 1);
	CHECK_STR_EQ(weir_message_topic(delivery.message), "work");
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
	delivery = received(bed.work, 1);
	CHECK_EQ(delivery.attempt, 2);
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);

	delivery = received(bed.dead, 1);
	CHECK_EQ(letter_of(&delivery).redrives, 1);
	CHECK_EQ(letter_of(&delivery).attempts, 2);
	CHECK_EQ(letter_of(&delivery).reason, WEIR_DEAD_NACK);
	CHECK_STR_EQ(letter_of(&delivery).error, "");
	CHECK_EQ(weir_redrive(&delivery), 0);
	delivery = received(bed.work, 1);
	CHECK_EQ(weir_ack(&delivery), 0);
	delivery = received(bed.work, 2);
	CHECK_EQ(weir_ack(&delivery), 0);
	work = fixture_statistics(bed.work);
	CHECK_EQ(work.matched, 4);
	CHECK_EQ(work.redriven, 2);
	CHECK_EQ(work.dead_lettered, 2);
	CHECK_EQ(work.acknowledged, 2);
	CHECK_EQ(work.delivered, 2);
	bed_close(&bed);
}

WEIR_TEST(redrive, sends_back_once_whoever_of_all_receivers_comes_first)
{
	weir_subscription *second;
	weir_delivery one, two;
	struct bed bed;

	/* One acknowledges its letters, the other does not. */
	bed_open(&bed, &working, &(weir_subscription_options){ .ack = WEIR_ACK_MANUAL });
	CHECK_EQ(weir_subscribe(&second, bed.broker, "dead", NULL), 0);
	(void)fixture_publish(bed.publisher, 1);
	(void)fixture_publish(bed.publisher, 2);
	fail(bed.work, 1, NULL);
	fail(bed.work, 2, NULL);
	one = received(bed.dead, 1);
	two = received(second, 1);
	CHECK_EQ(weir_redrive(&one), 0);
	CHECK_EQ(weir_redrive(&one), WEIR_ESTALE);
	CHECK_EQ(weir_redrive(&two), WEIR_ESTALE);
	one = received(bed.dead, 2);
	two = received(second, 2);
	CHECK_EQ(weir_redrive(&two), 0);
	CHECK_EQ(weir_redrive(&two), WEIR_ESTALE);
	CHECK_EQ(weir_redrive(&one), WEIR_ESTALE);
	CHECK_EQ(weir_ack(&one), 0);
	(void)received(bed.work, 1);
	(void)received(bed.work, 2);
	fixture_check_empty(bed.work);
	end(second);
	bed_close(&bed);
}

WEIR_TEST(redrive, by_a_stale_delivery_changes_nothing)
{
	weir_delivery first, again;
	struct bed bed;

	bed_open(&bed, &working,
		&(weir_subscription_options){ .ack = WEIR_ACK_MANUAL, .ack_timeout = 1 });
	(void)fixture_publish(bed.publisher, 1);
	fail(bed.work, 1, NULL);
	first = received(bed.dead, 1);
	CHECK_EQ(weir_message_keep(first.message), 0);
	CHECK_EQ(weir_sim_run_until(bed.sim, 1), 0);
	again = received(bed.dead, 1);
	CHECK_EQ(weir_redrive(&first), WEIR_ESTALE);
	fixture_check_empty(bed.work);
	CHECK_EQ(fixture_statistics(bed.work).in_flight, 0);
	CHECK_EQ(weir_redrive(&again), 0);
	(void)received(bed.work, 1);
	weir_message_release(first.message);
	bed_close(&bed);
}

WEIR_TEST(redrive, says_why_it_cannot)
{
	weir_delivery letter, held, none = { 0 };
	struct bed bed;
	size_t count;

	bed_open(&bed, &working, NULL);
	for (uint64_t number = 1; number <= 4; number++)
		(void)fixture_publish(bed.publisher, number);
	fail(bed.work, 1, NULL);
	letter = received(bed.dead, 1);
	held = received(bed.work, 2);
	CHECK_EQ(weir_redrive(NULL), WEIR_EINVAL);
	CHECK_EQ(weir_redrive(&none), WEIR_EINVAL);
	CHECK_EQ(weir_redrive(&held), WEIR_EINVAL);
	CHECK_EQ(weir_redrive_parked(NULL, 1, &count), WEIR_EINVAL);
	CHECK_EQ(weir_redrive_parked(bed.other, 1, &count), WEIR_EINVAL);

	/* A full window, then one with room. */
	(void)received(bed.work, 3);
	CHECK_EQ(weir_redrive(&letter), WEIR_EFULL);
	CHECK_EQ(weir_ack(&held), 0);
	CHECK_EQ(weir_redrive(&letter), 0);
	fail(bed.work, 1, NULL);

	letter = received(bed.dead, 1);
	CHECK_EQ(weir_subscription_stop(bed.work), 0);
	CHECK_EQ(weir_redrive(&letter), WEIR_ENOENT);
	CHECK_EQ(weir_redrive_parked(bed.work, 1, &count), WEIR_ECLOSED);
	end(bed.work);
	/* Its ledger has another owner then. */
	CHECK_EQ(weir_redrive(&letter), WEIR_ENOENT);
	CHECK_EQ(weir_subscribe(&bed.work, bed.broker, "work", &working), 0);
	CHECK_EQ(weir_redrive(&letter), WEIR_ENOENT);

	(void)fixture_publish(bed.publisher, 5);
	fail(bed.work, 5, NULL);
	letter = received(bed.dead, 5);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), WEIR_ETIMEDOUT);
	CHECK_EQ(weir_redrive(&letter), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_redrive_parked(bed.work, 1, &count), WEIR_ESHUTDOWN);
	bed_close(&bed);
}

static void wait_for_it(void *argument)
{
	struct bed *bed = argument;
	weir_delivery delivery;

	CHECK_EQ(weir_receive(bed->work, &delivery, WEIR_FOREVER), 0);
	CHECK_EQ(delivery.attempt, 1);
	CHECK_EQ(weir_ack(&delivery), 0);
}

WEIR_TEST(redrive, wakes_the_receiver_that_waits)
{
	const weir_subscription_options *const kinds[] = { &working, &parking };

	for (int i = 0; i < 2; i++) {
		weir_delivery letter;
		struct bed bed;
		size_t count = 77;

		bed_open(&bed, kinds[i], NULL);
		(void)fixture_publish(bed.publisher, 1);
		fail(bed.work, 1, NULL);
		CHECK_EQ(weir_sim_spawn(bed.sim, "receiver", wait_for_it, &bed), 0);
		CHECK_EQ(weir_sim_run(bed.sim), WEIR_SIM_WAITING);
		if (kinds[i] == &working) {
			letter = received(bed.dead, 1);
			CHECK_EQ(weir_redrive(&letter), 0);
		} else {
			CHECK_EQ(weir_redrive_parked(bed.work, SIZE_MAX, &count), 0);
			CHECK_EQ(count, 1);
		}
		CHECK_EQ(weir_sim_run(bed.sim), WEIR_SIM_DONE);
		CHECK_EQ(fixture_statistics(bed.work).acknowledged, 1);
		bed_close(&bed);
	}
}

WEIR_TEST(redrive, goes_behind_what_is_queued_where_redeliveries_do)
{
	weir_subscription_options options = working;
	weir_delivery letter;
	struct bed bed;

	options.redeliver_to_back = true;
	bed_open(&bed, &options, NULL);
	(void)fixture_publish(bed.publisher, 1);
	fail(bed.work, 1, NULL);
	(void)fixture_publish(bed.publisher, 2);
	letter = received(bed.dead, 1);
	CHECK_EQ(weir_redrive(&letter), 0);
	(void)fixture_publish(bed.publisher, 3);
	fail(bed.work, 2, NULL);
	fail(bed.work, 1, NULL);
	fail(bed.work, 3, NULL);
	bed_close(&bed);
}

/* ---- Parked ---- */

WEIR_TEST(redrive, parks_so_many_and_counts_them)
{
	weir_subscription_statistics work;
	weir_delivery delivery;
	struct bed bed;

	bed_open(&bed, &parking, NULL);
	for (uint64_t number = 1; number <= 5; number++)
		(void)fixture_publish(bed.publisher, number);
	fail(bed.work, 1, "text");
	delivery = received(bed.work, 2);
	CHECK_EQ(weir_nack(&delivery, 0, "text"), 0);
	(void)received(bed.work, 2);
	CHECK_EQ(weir_sim_run_until(bed.sim, 5), 0);
	work = fixture_statistics(bed.work);
	CHECK_EQ(work.parked, 2);
	CHECK_EQ(work.in_flight, 0);
	CHECK_EQ(fixture_broker_statistics(bed.broker).parked, 2);
	fail(bed.work, 3, NULL);
	fail(bed.work, 4, NULL);
	delivery = received(bed.work, 5);
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
	delivery = received(bed.work, 5);
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
	work = fixture_statistics(bed.work);
	CHECK_EQ(work.parked, 3);
	CHECK_EQ(work.dropped[WEIR_DROP_REJECTED], 1);
	CHECK_EQ(work.dropped[WEIR_DROP_ATTEMPTS], 1);
	CHECK_EQ(weir_unsubscribe(bed.work, &work), 0);
	bed.work = NULL;
	CHECK_EQ(work.dropped[WEIR_DROP_CLOSED], 3);
	fixture_check_sums(&work);
	bed_close(&bed);
}

WEIR_TEST(redrive, brings_parked_ones_back_as_the_window_allows)
{
	weir_subscription_statistics work;
	weir_delivery first, second;
	struct bed bed;
	size_t count = 77;

	bed_open(&bed, &parking, NULL);
	CHECK_EQ(weir_redrive_parked(bed.work, 10, &count), 0);
	CHECK_EQ(count, 0);
	for (uint64_t number = 1; number <= 4; number++)
		(void)fixture_publish(bed.publisher, number);
	for (uint64_t number = 1; number <= 3; number++)
		fail(bed.work, number, "text");
	CHECK_EQ(weir_redrive_parked(bed.work, 0, &count), 0);
	CHECK_EQ(count, 0);
	CHECK_EQ(weir_redrive_parked(bed.work, 1, NULL), 0);
	CHECK_EQ(fixture_statistics(bed.work).parked, 2);
	CHECK_EQ(weir_redrive_parked(bed.work, SIZE_MAX, &count), 0);
	CHECK_EQ(count, 2);
	work = fixture_statistics(bed.work);
	CHECK_EQ(work.parked, 0);
	CHECK_EQ(work.in_flight, 3);
	first = received(bed.work, 1);
	second = received(bed.work, 2);
	CHECK_EQ(first.attempt, 1);
	fixture_check_empty(bed.work);
	CHECK_EQ(weir_ack(&first), 0);
	(void)received(bed.work, 3);
	fixture_check_empty(bed.work);
	/* Failed again, it is parked again. */
	CHECK_EQ(weir_reject(&second, NULL), 0);
	work = fixture_statistics(bed.work);
	CHECK_EQ(work.parked, 1);
	CHECK_EQ(work.in_flight, 1);
	CHECK_EQ(work.matched, 4);
	(void)received(bed.work, 4);
	bed_close(&bed);
}

WEIR_TEST(redrive, parks_a_dead_letter_that_fails_too)
{
	weir_delivery letter;
	struct bed bed;

	bed_open(&bed, &working, &parking);
	(void)fixture_publish(bed.publisher, 1);
	fail(bed.work, 1, "text");
	fail(bed.dead, 1, NULL);
	CHECK_EQ(fixture_statistics(bed.dead).parked, 1);
	CHECK_EQ(weir_redrive_parked(bed.dead, 1, NULL), 0);
	letter = received(bed.dead, 1);
	CHECK_STR_EQ(letter_of(&letter).error, "text");
	CHECK_EQ(weir_redrive(&letter), 0);
	(void)received(bed.work, 1);
	bed_close(&bed);
}

WEIR_TEST(redrive, refuses_parking_that_makes_no_sense)
{
	weir_subscription_options options = parking;
	weir_subscription *subscription = NULL;
	weir_broker *broker = fixture_broker(NULL);

	options.dead_letter_topic = "dead";
	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), WEIR_EINVAL);
	options.dead_letter_topic = NULL;
	options.park_max = WEIR_CAPACITY_MAX + 1;
	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), WEIR_EINVAL);
	options = (weir_subscription_options){ .park_max = 1 };
	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), WEIR_EINVAL);
	CHECK(subscription == NULL);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
