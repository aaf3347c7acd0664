/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acknowledgements, in virtual time: every verb in every state of a delivery,
 * deadlines to the instant, attempts, backoff, dead letters, the window.
 */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "harness.h"
#include "weir/sim.h"
#include "weir/weir.h"

struct bed {
	weir_sim *sim;
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
};

static void bed_open(struct bed *bed, const weir_subscription_options *options)
{
	CHECK_EQ(weir_sim_open(&bed->sim, NULL), 0);
	CHECK_EQ(weir_broker_open(
			 &bed->broker, &(weir_broker_options){ .clock = weir_sim_clock(bed->sim) }),
		0);
	CHECK_EQ(weir_subscribe(&bed->subscription, bed->broker, "work", options), 0);
	CHECK_EQ(weir_publisher_open(&bed->publisher, bed->broker, "work", NULL), 0);
}

static void bed_close(struct bed *bed)
{
	weir_subscription_statistics last;
	uint64_t dropped = 0;

	CHECK_EQ(weir_unsubscribe(bed->subscription, &last), 0);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		dropped += last.dropped[i];
	CHECK_EQ(last.in_flight, 0);
	CHECK_EQ(last.matched,
		last.acknowledged + dropped + last.expired + last.dead_lettered + last.queued);
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
	CHECK_EQ(weir_sim_close(bed->sim), 0);
}

static weir_delivery received(struct bed *bed)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(bed->subscription, &delivery, 0), 0);
	return delivery;
}

static void publish(struct bed *bed, const char *text)
{
	CHECK_EQ(weir_publish(bed->publisher, text, strlen(text), NULL, NULL), 0);
}

static void nothing_received(struct bed *bed)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(bed->subscription, &delivery, 0), WEIR_EAGAIN);
}

static weir_subscription_statistics statistics(struct bed *bed)
{
	weir_subscription_statistics now;

	CHECK_EQ(weir_subscription_statistics_get(bed->subscription, &now), 0);
	return now;
}

static const weir_subscription_options manual = {
	.ack = WEIR_ACK_MANUAL,
	.ack_timeout = 5.0,
};

/* ---- Every verb in every state ---- */

enum state {
	IN_HAND,
	TIMED_OUT,
	GIVEN_BACK,
	DELIVERED_AGAIN,
	SETTLED,
	CLOSED,
	STATES
};
enum verb {
	ACK,
	ACK_UP_TO,
	NACK,
	RELEASE,
	EXTEND,
	REJECT,
	VERBS
};

static int verb_do(enum verb verb, const weir_delivery *delivery)
{
	switch (verb) {
	case ACK:
		return weir_ack(delivery);
	case ACK_UP_TO:
		return weir_ack_up_to(delivery, NULL);
	case NACK:
		return weir_nack(delivery, 0, NULL);
	case RELEASE:
		return weir_release(delivery, 0);
	case EXTEND:
		return weir_extend(delivery, 1);
	case REJECT:
		return weir_reject(delivery, "no");
	case VERBS:
		break;
	}
	return 1;
}

/* The first delivery of a message, which is brought into the state. */
static weir_delivery state_make(struct bed *bed, enum state state)
{
	weir_delivery first;

	publish(bed, "m");
	first = received(bed);
	switch (state) {
	case TIMED_OUT:
		CHECK_EQ(weir_sim_run_until(bed->sim, 5.0), 0);
		break;
	case GIVEN_BACK:
		CHECK_EQ(weir_nack(&first, 1.0, NULL), 0);
		break;
	case DELIVERED_AGAIN:
		CHECK_EQ(weir_release(&first, 0), 0);
		(void)received(bed);
		break;
	case SETTLED:
		CHECK_EQ(weir_ack(&first), 0);
		break;
	case CLOSED:
	case IN_HAND:
	case STATES:
		break;
	}
	return first;
}

WEIR_TEST(acknowledge, every_verb_in_every_state_does_what_the_table_says)
{
	for (int state = 0; state < STATES; state++) {
		for (int verb = 0; verb < VERBS; verb++) {
			bool wins = state == IN_HAND || (state == TIMED_OUT && verb <= ACK_UP_TO);
			weir_subscription *keeper;
			weir_delivery delivery;
			struct bed bed;

			bed_open(&bed, &manual);
			delivery = state_make(&bed, (enum state)state);
			if (state == CLOSED) {
				/* Another one keeps the broker while this one goes. */
				keeper = bed.subscription;
				CHECK_EQ(
					weir_subscribe(&bed.subscription, bed.broker, "work", NULL),
					0);
				CHECK_EQ(weir_unsubscribe(keeper, NULL), 0);
			}
			CHECK_EQ(verb_do((enum verb)verb, &delivery), wins ? 0 : WEIR_ESTALE);
			if (wins && verb != EXTEND)
				CHECK_EQ(weir_ack(&delivery), WEIR_ESTALE);
			bed_close(&bed);
		}
	}
}

WEIR_TEST(acknowledge, an_ack_before_the_redelivery_withdraws_it)
{
	struct bed bed;
	weir_delivery delivery;

	bed_open(&bed, &manual);
	delivery = state_make(&bed, TIMED_OUT);
	CHECK_EQ(weir_ack(&delivery), 0);
	nothing_received(&bed);
	CHECK_EQ(statistics(&bed).timeouts, 1);
	CHECK_EQ(statistics(&bed).redelivered, 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, up_to_here_takes_all_that_was_handed_out_before_and_can_be_settled)
{
	weir_subscription_options options = manual;
	weir_delivery deliveries[8], again;
	struct bed bed;
	size_t count = 77;

	/* Of 0..7: 0 and 1 time out, of which 1 comes again after 6; 2 is
	 * acknowledged, 3 given back, 4 extended. */
	options.redelivery_delay = 1;
	bed_open(&bed, &options);
	for (int i = 0; i < 8; i++)
		publish(&bed, "m");
	deliveries[0] = received(&bed);
	deliveries[1] = received(&bed);
	CHECK_EQ(weir_extend(&deliveries[0], 5.5), 0);
	(void)weir_sim_run_until(bed.sim, 5.5);
	for (int i = 2; i < 7; i++)
		deliveries[i] = received(&bed);
	CHECK_EQ(weir_ack(&deliveries[2]), 0);
	CHECK_EQ(weir_nack(&deliveries[3], 50, NULL), 0);
	CHECK_EQ(weir_extend(&deliveries[4], WEIR_FOREVER), 0);
	(void)weir_sim_run_until(bed.sim, 6.0);
	again = received(&bed);
	CHECK_EQ(again.attempt, 2);
	deliveries[7] = received(&bed);
	CHECK_EQ(statistics(&bed).in_flight, 7);

	CHECK_EQ(weir_ack_up_to(&deliveries[1], &count), WEIR_ESTALE);
	CHECK_EQ(weir_ack_up_to(&deliveries[2], &count), WEIR_ESTALE);
	CHECK_EQ(weir_ack_up_to(&deliveries[3], &count), WEIR_ESTALE);
	CHECK_EQ(count, 77);
	CHECK_EQ(weir_ack_up_to(NULL, &count), WEIR_EINVAL);
	CHECK_EQ(statistics(&bed).in_flight, 7);
	CHECK_EQ(weir_ack_up_to(&deliveries[6], &count), 0);
	CHECK_EQ(count, 4);
	CHECK_EQ(weir_ack_up_to(&deliveries[6], &count), WEIR_ESTALE);
	CHECK_EQ(statistics(&bed).in_flight, 3);
	CHECK_EQ(weir_ack_up_to(&deliveries[7], &count), 0);
	CHECK_EQ(count, 2);
	CHECK_EQ(weir_ack(&again), WEIR_ESTALE);
	CHECK_EQ(statistics(&bed).in_flight, 1);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, up_to_here_opens_a_full_window_and_takes_any_number)
{
	weir_subscription_options options = manual;
	weir_delivery delivery = { 0 };
	struct bed bed;
	size_t count;

	options.capacity = options.max_in_flight = 1000;
	bed_open(&bed, &options);
	for (int i = 0; i < 1000; i++)
		publish(&bed, "m");
	for (int i = 0; i < 1000; i++)
		delivery = received(&bed);
	publish(&bed, "m");
	nothing_received(&bed);
	CHECK_EQ(weir_ack_up_to(&delivery, &count), 0);
	CHECK_EQ(count, 1000);
	CHECK_EQ(received(&bed).attempt, 1);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, refuses_what_is_no_delivery)
{
	struct bed bed;
	weir_delivery delivery, forged;

	bed_open(&bed, &manual);
	publish(&bed, "m");
	delivery = received(&bed);
	CHECK_EQ(weir_ack(NULL), WEIR_EINVAL);
	forged = (weir_delivery){ 0 };
	CHECK_EQ(weir_ack(&forged), WEIR_EINVAL);
	forged = delivery;
	forged.token_ledger = 77777777;
	CHECK_EQ(weir_ack(&forged), WEIR_ESTALE);
	forged = delivery;
	forged.token_index += 5000;
	CHECK_EQ(weir_ack(&forged), WEIR_ESTALE);
	forged = delivery;
	forged.token_index += 1;
	CHECK_EQ(weir_ack(&forged), WEIR_ESTALE);
	forged = delivery;
	forged.token_generation++;
	CHECK_EQ(weir_ack(&forged), WEIR_ESTALE);
	CHECK_EQ(weir_nack(&delivery, -1, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_nack(&delivery, WEIR_FOREVER, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_nack(&delivery, (double)NAN, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_extend(&delivery, (double)NAN), WEIR_EINVAL);
	CHECK_EQ(weir_ack(&delivery), 0);
	bed_close(&bed);
}

/* ---- Instants ---- */

WEIR_TEST(acknowledge, a_timeout_comes_at_its_instant_and_not_before)
{
	struct bed bed;
	weir_delivery delivery;

	bed_open(&bed, &manual);
	publish(&bed, "m");
	delivery = received(&bed);
	CHECK_NEAR(delivery.deadline, 5.0, 0);
	CHECK_EQ(delivery.attempt, 1);
	CHECK_EQ(weir_sim_run_until(bed.sim, nextafter(5.0, 0)), WEIR_SIM_MORE);
	nothing_received(&bed);
	CHECK_EQ(weir_sim_run_until(bed.sim, 5.0), 0);
	delivery = received(&bed);
	CHECK_EQ(delivery.attempt, 2);
	CHECK_NEAR(delivery.deadline, 10.0, 0);
	CHECK_EQ(statistics(&bed).timeouts, 1);
	CHECK_EQ(statistics(&bed).lateness_max, 0);
	CHECK_EQ(weir_ack(&delivery), 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, extend_moves_the_deadline)
{
	struct bed bed;
	weir_delivery delivery;

	bed_open(&bed, &manual);
	publish(&bed, "m");
	delivery = received(&bed);
	(void)weir_sim_run_until(bed.sim, 4.0);
	CHECK_EQ(weir_extend(&delivery, 2.5), 0);
	(void)weir_sim_run_until(bed.sim, 6.0);
	nothing_received(&bed);
	CHECK_EQ(weir_extend(&delivery, 0), 0);
	(void)weir_sim_run_until(bed.sim, 10.9);
	nothing_received(&bed);
	(void)weir_sim_run_until(bed.sim, 11.0);
	delivery = received(&bed);
	CHECK_EQ(weir_extend(&delivery, WEIR_FOREVER), 0);
	(void)weir_sim_run_until(bed.sim, 1e9);
	CHECK_EQ(weir_ack(&delivery), 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, each_message_of_a_batch_has_its_turn)
{
	struct bed bed;
	weir_delivery deliveries[3];
	size_t count;

	bed_open(&bed, &manual);
	for (int i = 0; i < 3; i++)
		publish(&bed, "m");
	CHECK_EQ(weir_receive_batch(bed.subscription, deliveries, 3, 0, &count), 0);
	CHECK_EQ(count, 3);
	for (int i = 0; i < 3; i++)
		CHECK_NEAR(deliveries[i].deadline, 5.0 * (i + 1), 0);
	CHECK_EQ(weir_ack_batch(deliveries, 3, &count), 0);
	CHECK_EQ(count, 3);
	CHECK_EQ(weir_ack_batch(deliveries, 3, &count), WEIR_ESTALE);
	CHECK_EQ(count, 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, backoff_grows_to_its_maximum_after_nacks_and_timeouts_alike)
{
	static const double expected[] = { 1, 3, 7, 11 };
	weir_subscription_options options = manual;
	struct bed bed;

	options.redelivery_delay = 1;
	options.redelivery_delay_max = 4;
	bed_open(&bed, &options);
	publish(&bed, "m");
	for (int i = 0; i < 4; i++) {
		weir_delivery delivery = received(&bed);

		CHECK_EQ(delivery.attempt, (uint32_t)i + 1);
		if (i % 2 == 0)
			CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
		else
			(void)weir_sim_run_until(bed.sim, delivery.deadline);
		(void)weir_sim_run_until(bed.sim, nextafter(expected[i] + 5.0 * ((i + 1) / 2), 0));
		nothing_received(&bed);
		(void)weir_sim_run_until(bed.sim, expected[i] + 5.0 * ((i + 1) / 2));
	}
	CHECK_EQ(received(&bed).attempt, 5);
	bed_close(&bed);
}

/* ---- Order, window, attempts ---- */

WEIR_TEST(acknowledge, returned_messages_come_first_or_on_request_last)
{
	for (int to_back = 0; to_back < 2; to_back++) {
		weir_subscription_options options = manual;
		weir_delivery delivery;
		struct bed bed;

		options.redeliver_to_back = to_back;
		bed_open(&bed, &options);
		publish(&bed, "1");
		publish(&bed, "2");
		publish(&bed, "3");
		delivery = received(&bed);
		CHECK_EQ(weir_release(&delivery, 0), 0);
		publish(&bed, "4");
		for (const char *order = to_back ? "2314" : "1234"; *order != '\0'; order++) {
			delivery = received(&bed);
			CHECK_EQ(*(const char *)delivery.data, *order);
			CHECK_EQ(weir_ack(&delivery), 0);
		}
		bed_close(&bed);
	}
}

WEIR_TEST(acknowledge, the_window_is_exact)
{
	weir_subscription_options options = manual;
	weir_delivery first, second;
	struct bed bed;

	options.max_in_flight = 2;
	bed_open(&bed, &options);
	for (int i = 0; i < 4; i++)
		publish(&bed, "m");
	first = received(&bed);
	second = received(&bed);
	nothing_received(&bed);
	CHECK_EQ(statistics(&bed).in_flight, 2);
	CHECK_EQ(statistics(&bed).queued, 2);
	CHECK_EQ(weir_ack(&first), 0);
	first = received(&bed);
	nothing_received(&bed);
	CHECK_EQ(weir_nack(&second, 100, NULL), 0);
	nothing_received(&bed);
	CHECK_EQ(weir_ack(&first), 0);
	first = received(&bed);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, out_of_attempts_goes_to_the_dead_letter_topic_with_its_story)
{
	weir_subscription_options options = manual;
	weir_subscription *dead;
	weir_dead_letter letter;
	weir_delivery delivery;
	struct bed bed;

	options.max_attempts = 2;
	options.dead_letter_topic = "dead.work";
	bed_open(&bed, &options);
	CHECK_EQ(weir_subscribe(&dead, bed.broker, "dead.*",
			 &(weir_subscription_options){
				 .ack = WEIR_ACK_MANUAL, .dead_letter_topic = "dead.again" }),
		0);
	publish(&bed, "poison");
	delivery = received(&bed);
	CHECK_EQ(weir_message_dead_letter(delivery.message, &letter), WEIR_ENOENT);
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
	delivery = received(&bed);
	(void)weir_sim_run_until(bed.sim, 5.0);
	nothing_received(&bed);
	CHECK_EQ(statistics(&bed).dead_lettered, 1);
	CHECK_EQ(weir_ack(&delivery), WEIR_ESTALE);

	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK(memcmp(delivery.data, "poison", 6) == 0);
	CHECK_STR_EQ(weir_message_topic(delivery.message), "dead.work");
	CHECK_EQ(weir_message_dead_letter(delivery.message, &letter), 0);
	CHECK_EQ(letter.reason, WEIR_DEAD_TIMEOUT);
	CHECK_EQ(letter.attempts, 2);
	CHECK_STR_EQ(letter.topic, "work");
	CHECK_STR_EQ(letter.filter, "work");
	CHECK_EQ(letter.subscription, weir_subscription_id(bed.subscription));
	CHECK_STR_EQ(letter.error, "");
	/* It fails as a dead letter too: that is the end of it. */
	CHECK_EQ(weir_reject(&delivery, "again"), 0);
	CHECK_EQ(weir_receive(dead, &delivery, 0), WEIR_EAGAIN);
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, rejected_ones_carry_the_reason_or_are_dropped)
{
	weir_subscription_options options = manual;
	weir_subscription *dead;
	weir_dead_letter letter;
	weir_delivery delivery;
	struct bed bed;

	options.dead_letter_topic = "dead";
	bed_open(&bed, &options);
	CHECK_EQ(weir_subscribe(&dead, bed.broker, "dead", NULL), 0);
	publish(&bed, "m");
	delivery = received(&bed);
	CHECK_EQ(weir_reject(&delivery, "not a number"), 0);
	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK_EQ(weir_message_dead_letter(delivery.message, &letter), 0);
	CHECK_EQ(letter.reason, WEIR_DEAD_REJECTED);
	CHECK_STR_EQ(letter.error, "not a number");
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	bed_close(&bed);

	bed_open(&bed, &manual);
	publish(&bed, "m");
	delivery = received(&bed);
	CHECK_EQ(weir_reject(&delivery, NULL), 0);
	CHECK_EQ(statistics(&bed).dropped[WEIR_DROP_REJECTED], 1);
	bed_close(&bed);
}

/* The text of the dead letter that a message became whose attempts ended so. */
static void last_error_check(
	const char *first, const char *second, bool times_out, const char *expected)
{
	weir_subscription_options options = manual;
	weir_subscription *dead;
	weir_dead_letter letter;
	weir_delivery delivery;
	struct bed bed;

	options.dead_letter_topic = "dead";
	options.max_attempts = 2;
	bed_open(&bed, &options);
	CHECK_EQ(weir_subscribe(&dead, bed.broker, "dead", NULL), 0);
	publish(&bed, "m");
	delivery = received(&bed);
	CHECK_EQ(weir_nack(&delivery, 0, first), 0);
	delivery = received(&bed);
	if (times_out)
		(void)weir_sim_run_until(bed.sim, 5.0);
	else
		CHECK_EQ(weir_nack(&delivery, 0, second), 0);
	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK_EQ(weir_message_dead_letter(delivery.message, &letter), 0);
	CHECK_EQ(letter.reason, times_out ? WEIR_DEAD_TIMEOUT : WEIR_DEAD_NACK);
	CHECK_STR_EQ(letter.error, expected);
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, the_last_error_travels_with_the_dead_letter)
{
	char text[2 * WEIR_REASON_SIZE], cut[WEIR_REASON_SIZE];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memset(cut, 'x', sizeof(cut));
	cut[sizeof(cut) - 1] = '\0';
	last_error_check("one", "two", false, "two");
	last_error_check("one", NULL, false, "one");
	last_error_check("one", NULL, true, "one");
	last_error_check(NULL, NULL, true, "");
	last_error_check("", text, false, cut);
}

WEIR_TEST(acknowledge, a_text_goes_with_the_message_that_is_acknowledged_after_all)
{
	weir_delivery delivery;
	struct bed bed;

	bed_open(&bed, &manual);
	publish(&bed, "m");
	delivery = received(&bed);
	CHECK_EQ(weir_nack(&delivery, 0, "once"), 0);
	CHECK_EQ(weir_nack(&delivery, 0, "stale"), WEIR_ESTALE);
	CHECK_EQ(weir_reject(&delivery, "stale"), WEIR_ESTALE);
	delivery = received(&bed);
	CHECK_EQ(weir_nack(&delivery, 0, "twice"), 0);
	delivery = received(&bed);
	CHECK_EQ(weir_ack(&delivery), 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, a_release_waits_as_long_as_it_says_and_counts_no_attempt)
{
	weir_subscription_options options = manual;
	weir_delivery delivery;
	struct bed bed;

	options.redelivery_delay = 3;
	options.max_attempts = 1;
	bed_open(&bed, &options);
	publish(&bed, "m");
	for (int i = 1; i <= 5; i++) {
		delivery = received(&bed);
		CHECK_EQ(delivery.attempt, 1);
		CHECK_EQ(weir_release(&delivery, 0.5), 0);
		(void)weir_sim_run_until(bed.sim, nextafter(0.5 * i, 0));
		nothing_received(&bed);
		(void)weir_sim_run_until(bed.sim, 0.5 * i);
	}
	delivery = received(&bed);
	CHECK_EQ(weir_release(&delivery, -1), WEIR_EINVAL);
	CHECK_EQ(weir_release(&delivery, WEIR_FOREVER), WEIR_EINVAL);
	CHECK_EQ(weir_release(NULL, 0), WEIR_EINVAL);
	CHECK_EQ(weir_ack(&delivery), 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, a_delay_that_no_sum_can_hold_is_still_a_time_that_comes)
{
	weir_subscription_options options = manual;
	weir_delivery delivery;
	struct bed bed;

	options.redelivery_delay = DBL_MAX;
	options.redelivery_delay_max = DBL_MAX;
	bed_open(&bed, &options);
	publish(&bed, "m");
	delivery = received(&bed);
	CHECK_EQ(weir_nack(&delivery, DBL_MAX, NULL), 0);
	CHECK_EQ(weir_sim_run_until(bed.sim, 1e300), WEIR_SIM_MORE);
	nothing_received(&bed);
	CHECK_EQ(weir_sim_run(bed.sim), WEIR_SIM_DONE);
	CHECK_EQ(received(&bed).attempt, 2);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, in_auto_mode_the_next_receive_acknowledges)
{
	weir_subscription_options options = { .ack = WEIR_ACK_AUTO };
	struct bed bed;

	bed_open(&bed, &options);
	publish(&bed, "1");
	publish(&bed, "2");
	(void)received(&bed);
	CHECK_EQ(statistics(&bed).acknowledged, 0);
	(void)received(&bed);
	CHECK_EQ(statistics(&bed).acknowledged, 1);
	nothing_received(&bed);
	CHECK_EQ(statistics(&bed).acknowledged, 2);
	bed_close(&bed);
}

/* ---- Absurd times ---- */

WEIR_TEST(acknowledge, takes_absurd_timeouts_at_their_word_and_refuses_those_that_are_none)
{
	static const double refused[] = { -1, -5e-324, (double)NAN, -WEIR_FOREVER };
	static const struct {
		double timeout, deadline;
	} taken[] = { { 0, 30 }, { 5e-324, 5e-324 }, { DBL_MAX, DBL_MAX },
		{ WEIR_FOREVER, WEIR_FOREVER } };
	weir_subscription_options options = manual;
	weir_subscription *none = NULL;
	weir_delivery delivery;
	struct bed bed;

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		options.ack_timeout = taken[i].timeout;
		bed_open(&bed, &options);
		publish(&bed, "m");
		delivery = received(&bed);
		CHECK(!(delivery.deadline < taken[i].deadline) &&
			!(delivery.deadline > taken[i].deadline));
		for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++)
			CHECK_EQ(weir_extend(&delivery, refused[k]), WEIR_EINVAL);
		CHECK_EQ(weir_extend(&delivery, 5e-324), 0);
		CHECK_EQ(weir_sim_run(bed.sim), WEIR_SIM_DONE);
		CHECK_EQ(received(&bed).attempt, 2);
		bed_close(&bed);
	}
	bed_open(&bed, &manual);
	for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++) {
		options.ack_timeout = refused[k];
		CHECK_EQ(weir_subscribe(&none, bed.broker, "work", &options), WEIR_EINVAL);
	}
	bed_close(&bed);
}

/* The last turn of a batch is later than any time: it has none. */
WEIR_TEST(acknowledge, turns_of_a_batch_may_be_beyond_all_time)
{
	weir_subscription_options options = manual;
	weir_delivery deliveries[2];
	struct bed bed;
	size_t count;

	options.ack_timeout = DBL_MAX;
	bed_open(&bed, &options);
	publish(&bed, "1");
	publish(&bed, "2");
	CHECK_EQ(weir_receive_batch(bed.subscription, deliveries, 2, 0, &count), 0);
	CHECK_EQ(weir_sim_run(bed.sim), WEIR_SIM_DONE);
	CHECK_EQ(statistics(&bed).timeouts, 1);
	CHECK_EQ(received(&bed).attempt, 2);
	CHECK_EQ(weir_ack(&deliveries[1]), 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, a_year_that_passes_at_once_loses_nothing)
{
	enum {
		COUNT = 1000
	};
	static weir_delivery deliveries[COUNT];
	const double year = 365 * 86400.0;
	weir_subscription_options options = manual;
	struct bed bed;

	options.redelivery_delay = 60;
	options.max_attempts = 3;
	options.park_max = COUNT;
	bed_open(&bed, &options);
	for (int i = 0; i < COUNT; i++)
		publish(&bed, "m");
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		for (int i = 0; i < COUNT; i++) {
			deliveries[i] = received(&bed);
			CHECK_EQ(deliveries[i].attempt, attempt);
		}
		nothing_received(&bed);
		(void)weir_sim_run_until(bed.sim, year * attempt);
		CHECK_EQ(statistics(&bed).timeouts, COUNT * attempt);
		CHECK_EQ(statistics(&bed).lateness_max, 0);
	}
	CHECK_EQ(statistics(&bed).parked, COUNT);
	nothing_received(&bed);
	CHECK_EQ(weir_redrive_parked(bed.subscription, COUNT, NULL), 0);
	CHECK_EQ(received(&bed).attempt, 1);
	bed_close(&bed);
}

/* ---- Processes ---- */

static void crash_twice(void *argument)
{
	struct bed *bed = argument;
	weir_delivery delivery;

	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		CHECK_EQ(weir_receive(bed->subscription, &delivery, WEIR_FOREVER), 0);
		CHECK_EQ(delivery.attempt, attempt);
		CHECK_NEAR(weir_now(weir_sim_clock(bed->sim)), 5.0 * (attempt - 1), 0);
	}
	CHECK_EQ(weir_ack(&delivery), 0);
}

WEIR_TEST(acknowledge, a_waiting_process_gets_the_redelivery_at_the_deadline)
{
	struct bed bed;

	bed_open(&bed, &manual);
	publish(&bed, "m");
	CHECK_EQ(weir_sim_spawn(bed.sim, "crasher", crash_twice, &bed), 0);
	CHECK_EQ(weir_sim_run(bed.sim), WEIR_SIM_DONE);
	CHECK_EQ(statistics(&bed).acknowledged, 1);
	bed_close(&bed);
}

static void window_wait(void *argument)
{
	struct bed *bed = argument;
	weir_delivery first, second;

	CHECK_EQ(weir_receive(bed->subscription, &first, WEIR_FOREVER), 0);
	CHECK_EQ(weir_receive(bed->subscription, &second, 2.0), WEIR_ETIMEDOUT);
	CHECK_EQ(weir_ack(&first), 0);
	CHECK_EQ(weir_receive(bed->subscription, &second, 2.0), 0);
	CHECK_EQ(weir_ack(&second), 0);
}

WEIR_TEST(acknowledge, a_full_window_holds_a_waiting_receiver)
{
	weir_subscription_options options = manual;
	struct bed bed;

	options.max_in_flight = 1;
	bed_open(&bed, &options);
	CHECK_EQ(weir_sim_spawn(bed.sim, "receiver", window_wait, &bed), 0);
	CHECK_EQ(weir_sim_run(bed.sim), WEIR_SIM_WAITING);
	publish(&bed, "1");
	publish(&bed, "2");
	CHECK_EQ(weir_sim_run(bed.sim), WEIR_SIM_DONE);
	CHECK_EQ(statistics(&bed).acknowledged, 2);
	bed_close(&bed);
}

/* ---- Real time ---- */

struct draining {
	struct bed *bed;
	weir_delivery delivery;
	double received;
	int error;
};

static void drain_run(void *argument)
{
	struct draining *draining = argument;

	CHECK_EQ(weir_sleep(weir_sim_clock(draining->bed->sim), 1.0), 0);
	CHECK_EQ(weir_broker_drain(draining->bed->broker, WEIR_FOREVER), 0);
}

static void hold_run(void *argument)
{
	struct draining *draining = argument;
	weir_delivery next;

	CHECK_EQ(weir_receive(draining->bed->subscription, &draining->delivery, 0), 0);
	draining->error = weir_receive(draining->bed->subscription, &next, WEIR_FOREVER);
	draining->received = weir_now(weir_sim_clock(draining->bed->sim));
}

WEIR_TEST(acknowledge, a_receiver_sleeps_through_a_drain_that_waits_for_what_is_in_flight)
{
	const weir_subscription_options options = { .ack = WEIR_ACK_MANUAL, .ack_timeout = 50 };
	struct draining draining = { .error = 1 };
	struct bed bed;

	bed_open(&bed, &options);
	draining.bed = &bed;
	publish(&bed, "m");
	CHECK_EQ(weir_sim_spawn(bed.sim, "receiver", hold_run, &draining), 0);
	CHECK_EQ(weir_sim_spawn(bed.sim, "drain", drain_run, &draining), 0);
	(void)weir_sim_run_until(bed.sim, 3.0);
	CHECK_EQ(draining.error, 1);
	CHECK_EQ(weir_ack(&draining.delivery), 0);
	(void)weir_sim_run_until(bed.sim, 4.0);
	CHECK_EQ(draining.error, WEIR_ESHUTDOWN);
	CHECK(draining.received == 3.0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, a_wake_reaches_a_receiver_behind_a_full_window)
{
	const weir_subscription_options options = { .ack = WEIR_ACK_MANUAL, .max_in_flight = 1 };
	struct draining draining = { .error = 1 };
	struct bed bed;

	bed_open(&bed, &options);
	draining.bed = &bed;
	publish(&bed, "m");
	CHECK_EQ(weir_sim_spawn(bed.sim, "receiver", hold_run, &draining), 0);
	(void)weir_sim_run_until(bed.sim, 3.0);
	CHECK_EQ(weir_wake(bed.subscription), 0);
	(void)weir_sim_run_until(bed.sim, 4.0);
	CHECK_EQ(draining.error, WEIR_EINTR);
	CHECK(draining.received == 3.0);
	bed_close(&bed);
}

/* So short that a slow machine may be too late itself. */
static const weir_subscription_options hasty = {
	.ack = WEIR_ACK_MANUAL,
	.ack_timeout = 1e-3,
	.max_attempts = UINT32_MAX,
};

/* Tries until it was not too late. */
static void settle_at_last(weir_subscription *subscription, weir_delivery *delivery)
{
	while (weir_ack(delivery) != 0)
		CHECK_EQ(weir_receive(subscription, delivery, WEIR_FOREVER), 0);
}

WEIR_TEST(acknowledge, the_timer_thread_returns_what_timed_out)
{
	weir_subscription_statistics now;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_broker *broker;
	weir_delivery delivery;
	double deadline = 0;

	CHECK_EQ(weir_broker_open(&broker, NULL), 0);
	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &hasty), 0);
	CHECK_EQ(weir_publisher_open(&publisher, broker, "t", NULL), 0);
	CHECK_EQ(weir_publish(publisher, "m", 1, NULL, NULL), 0);
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), 0);
		CHECK_EQ(delivery.attempt, attempt);
		/* Never early. */
		CHECK(weir_now(weir_clock_real()) >= deadline);
		deadline = delivery.deadline;
	}
	settle_at_last(subscription, &delivery);
	CHECK_EQ(weir_subscription_statistics_get(subscription, &now), 0);
	CHECK(now.timeouts >= 2);
	CHECK(now.lateness_max > 0);
	CHECK(now.lateness_sum >= now.lateness_max);
	CHECK(now.lateness_sum <= now.timeouts * now.lateness_max);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

static void *receive_and_exit(void *argument)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(argument, &delivery, WEIR_FOREVER), 0);
	CHECK_EQ(delivery.attempt, 1);
	pthread_exit(NULL);
}

WEIR_TEST(acknowledge, what_a_thread_had_that_exits_comes_to_the_next_one_after_the_timeout)
{
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_broker *broker;
	weir_delivery delivery;
	pthread_t thread;

	CHECK_EQ(weir_broker_open(&broker, NULL), 0);
	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &hasty), 0);
	CHECK_EQ(weir_publisher_open(&publisher, broker, "t", NULL), 0);
	CHECK_EQ(pthread_create(&thread, NULL, receive_and_exit, subscription), 0);
	CHECK_EQ(weir_publish(publisher, "m", 1, NULL, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	/* Nobody has closed anything: the handle goes on in another thread. */
	CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), 0);
	CHECK(delivery.attempt > 1);
	settle_at_last(subscription, &delivery);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(acknowledge, close_releases_what_is_in_flight_and_makes_tokens_stale)
{
	weir_broker_statistics last;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_broker *broker;
	weir_delivery delivery;

	CHECK_EQ(weir_broker_open(&broker, NULL), 0);
	CHECK_EQ(weir_subscribe(&subscription, broker, "t",
			 &(weir_subscription_options){ .ack = WEIR_ACK_MANUAL }),
		0);
	CHECK_EQ(weir_publisher_open(&publisher, broker, "t", NULL), 0);
	CHECK_EQ(weir_publish(publisher, "m", 1, NULL, NULL), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_broker_drain(broker, 0), WEIR_ETIMEDOUT);
	CHECK_EQ(weir_broker_close(broker, &last), 0);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 1);
	CHECK_EQ(last.in_flight, 0);
	CHECK_EQ(weir_ack(&delivery), WEIR_ESTALE);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}

/* ---- What a review found ---- */

WEIR_TEST(acknowledge, a_returned_message_that_fills_the_window_does_not_wait_for_the_queue)
{
	struct bed bed;
	weir_delivery delivery;

	bed_open(&bed,
		&(weir_subscription_options){
			.ack = WEIR_ACK_MANUAL, .max_in_flight = 1, .redeliver_to_back = true });
	publish(&bed, "first");
	publish(&bed, "second");
	delivery = received(&bed);
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
	delivery = received(&bed);
	CHECK_EQ(delivery.attempt, 2);
	CHECK_EQ(weir_ack(&delivery), 0);
	delivery = received(&bed);
	CHECK_EQ(delivery.attempt, 1);
	CHECK_EQ(weir_ack(&delivery), 0);
	bed_close(&bed);
}

WEIR_TEST(acknowledge, a_token_is_stale_after_a_subscribe_that_failed_with_its_ledger)
{
	weir_subscription *first, *second, *third = NULL;
	weir_broker *broker;
	weir_delivery delivery;

	CHECK_EQ(weir_broker_open(&broker, &(weir_broker_options){ .subscriptions_max = 1 }), 0);
	CHECK_EQ(weir_subscribe(&first, broker, "work", &manual), 0);
	CHECK_EQ(weir_publish_to(broker, "work", "x", 1, NULL, NULL), 0);
	CHECK_EQ(weir_receive(first, &delivery, 0), 0);
	CHECK_EQ(weir_unsubscribe(first, NULL), 0);
	CHECK_EQ(weir_subscribe(&second, broker, "work", NULL), 0);
	CHECK_EQ(weir_subscribe(&third, broker, "work", &manual), WEIR_ELIMIT);
	for (enum verb verb = ACK; verb < VERBS; verb++)
		CHECK_EQ(verb_do(verb, &delivery), WEIR_ESTALE);
	CHECK_EQ(weir_extend(&delivery, 0), WEIR_ESTALE);
	CHECK_EQ(weir_unsubscribe(second, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
