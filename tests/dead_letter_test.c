/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dead letters: who may do what when one is published, and that a drain waits for
 * those that may still come.
 */
#include <string.h>

#include "core/subscription.h"
#include "fixture.h"

/* ---- A hook that ends the subscription whose message failed ---- */

struct ending {
	weir_subscription *failing; /* NULL: the hook's own */
	weir_subscription_statistics last;
	_Atomic int calls;
};

static void end_failing(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct ending *ending = context;
	weir_subscription *failing = ending->failing != NULL ? ending->failing : subscription;

	(void)queued;
	CHECK_EQ(weir_unsubscribe(failing, &ending->last), 0);
	(void)atomic_fetch_add(&ending->calls, 1);
}

static weir_subscription *failing_open(weir_broker *broker, uint32_t attempts, double timeout)
{
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = timeout,
		.max_attempts = attempts,
		.dead_letter_topic = "dead",
	};
	weir_subscription *subscription;

	CHECK_EQ(weir_subscribe(&subscription, broker, "work", &options), 0);
	return subscription;
}

/* Gets the dead letters, and ends the other at the first one. */
static weir_subscription *ender_open(
	weir_broker *broker, const char *filter, struct ending *ending, uint64_t mark)
{
	const weir_subscription_options options = {
		.ack = filter[0] == '>' ? WEIR_ACK_MANUAL : WEIR_ACK_NONE,
		.dead_letter_topic = filter[0] == '>' ? "dead" : NULL,
		.high_watermark = mark,
		.on_slow = end_failing,
		.hook_context = ending,
	};
	weir_subscription *subscription;

	CHECK_EQ(weir_subscribe(&subscription, broker, filter, &options), 0);
	return subscription;
}

WEIR_TEST(dead_letter, its_hook_may_unsubscribe_what_it_comes_from)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "work");
	struct ending ending = { .failing = failing_open(broker, 5, 0) };
	weir_subscription *dead = ender_open(broker, "dead", &ending, 1);
	weir_delivery delivery;

	CHECK_EQ(fixture_publish(publisher, 1), 1);
	CHECK_EQ(weir_receive(ending.failing, &delivery, 0), 0);
	CHECK_EQ(weir_reject(&delivery, "away"), 0);
	CHECK_EQ(ending.calls, 1);
	CHECK_EQ(ending.last.dead_lettered, 1);
	fixture_check_sums(&ending.last);
	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(dead_letter, its_hook_may_do_so_from_the_timer_thread)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "work");
	struct ending ending = { .failing = failing_open(broker, 1, 1e-3) };
	weir_subscription *dead = ender_open(broker, "dead", &ending, 1);
	weir_delivery delivery;

	CHECK_EQ(fixture_publish(publisher, 1), 1);
	CHECK_EQ(weir_receive(ending.failing, &delivery, 0), 0);
	FIXTURE_UNTIL(ending.calls == 1);
	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK_EQ(ending.last.timeouts, 1);
	fixture_check_sums(&ending.last);
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(dead_letter, its_hook_may_unsubscribe_a_subscription_that_gets_its_own)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "work");
	struct ending ending = { 0 };
	weir_subscription *own = ender_open(broker, ">", &ending, 2);
	weir_delivery delivery;

	CHECK_EQ(fixture_publish(publisher, 1), 1);
	CHECK_EQ(weir_receive(own, &delivery, 0), 0);
	CHECK_EQ(fixture_publish(publisher, 2), 1);
	CHECK_EQ(weir_reject(&delivery, NULL), 0);
	CHECK_EQ(ending.calls, 1);
	CHECK_EQ(ending.last.matched, 3);
	CHECK_EQ(ending.last.dropped[WEIR_DROP_CLOSED], 2);
	fixture_check_sums(&ending.last);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- Draining, in virtual time ---- */

struct bed {
	weir_sim *sim;
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *work;
	weir_subscription *dead;
	double step; /* between what the worker does */
	double over; /* when the drain was */
	int worked;
	int letters;
};

static void bed_open(struct bed *bed, const char *dead_filter)
{
	*bed = (struct bed){ .step = 1 };
	CHECK_EQ(weir_sim_open(&bed->sim, NULL), 0);
	bed->broker = fixture_broker(&(weir_broker_options){ .clock = weir_sim_clock(bed->sim) });
	CHECK_EQ(weir_subscribe(&bed->dead, bed->broker, dead_filter,
			 &(weir_subscription_options){
				 .ack = WEIR_ACK_MANUAL, .dead_letter_topic = "work" }),
		0);
	bed->work = failing_open(bed->broker, 2, 5);
	bed->publisher = fixture_publisher(bed->broker, "work");
}

static void bed_close(struct bed *bed)
{
	weir_broker_statistics last;

	CHECK_EQ(weir_unsubscribe(bed->work, NULL), 0);
	CHECK_EQ(weir_unsubscribe(bed->dead, NULL), 0);
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_broker_close(bed->broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(weir_sim_close(bed->sim), 0);
}

/* Takes what comes, keeps it for a while, and rejects it, or forgets the last. */
static void work(void *argument)
{
	struct bed *bed = argument;
	weir_delivery delivery;
	int error;

	while ((error = weir_receive(bed->work, &delivery, WEIR_FOREVER)) == 0) {
		bed->worked++;
		CHECK_EQ(weir_sleep(weir_sim_clock(bed->sim), bed->step), 0);
		if (fixture_number(&delivery) == 1)
			CHECK_EQ(weir_reject(&delivery, "work"), 0);
	}
	CHECK_EQ(error, WEIR_ESHUTDOWN);
}

static void bury(void *argument)
{
	struct bed *bed = argument;
	weir_dead_letter letter;
	weir_delivery delivery;
	int error;

	while ((error = weir_receive(bed->dead, &delivery, WEIR_FOREVER)) == 0) {
		if (weir_message_dead_letter(delivery.message, &letter) == 0)
			bed->letters++;
		CHECK_EQ(weir_ack(&delivery), 0);
	}
	CHECK_EQ(error, WEIR_ESHUTDOWN);
}

static void drain(void *argument)
{
	struct bed *bed = argument;

	CHECK_EQ(weir_sleep(weir_sim_clock(bed->sim), 0.5), 0);
	CHECK_EQ(weir_broker_drain(bed->broker, WEIR_FOREVER), 0);
	bed->over = weir_sim_now(bed->sim);
}

static void drain_run(struct bed *bed)
{
	CHECK_EQ(weir_sim_spawn(bed->sim, "worker", work, bed), 0);
	CHECK_EQ(weir_sim_spawn(bed->sim, "undertaker", bury, bed), 0);
	CHECK_EQ(weir_sim_spawn(bed->sim, "closer", drain, bed), 0);
	CHECK_EQ(weir_sim_run(bed->sim), WEIR_SIM_DONE);
}

WEIR_TEST(dead_letter, a_drain_waits_for_what_fails_meanwhile_and_for_who_gets_it)
{
	struct bed bed;

	bed_open(&bed, "dead");
	(void)fixture_publish(bed.publisher, 1); /* rejected at 1 */
	(void)fixture_publish(bed.publisher, 2); /* taken at 1, times out at 6 and 11 */
	drain_run(&bed);
	CHECK_EQ(bed.worked, 3);
	CHECK_EQ(bed.letters, 2);
	CHECK_NEAR(bed.over, 11, 0);
	CHECK_EQ(fixture_statistics(bed.work).dead_lettered, 2);
	bed_close(&bed);
}

WEIR_TEST(dead_letter, a_drain_of_two_that_feed_each_other_ends)
{
	struct bed bed;

	bed_open(&bed, ">");
	(void)fixture_publish(bed.publisher, 1);
	drain_run(&bed);
	CHECK_EQ(bed.letters, 1);
	CHECK_NEAR(bed.over, 1, 0);
	bed_close(&bed);
}

WEIR_TEST(dead_letter, a_drain_with_nothing_left_waits_for_nobody)
{
	struct bed bed;

	bed_open(&bed, "dead");
	drain_run(&bed);
	CHECK_EQ(bed.letters, 0);
	CHECK_NEAR(bed.over, 0.5, 0);
	bed_close(&bed);
}

WEIR_TEST(dead_letter, a_select_waits_while_one_of_its_subscriptions_is_fed)
{
	weir_delivery delivery;
	struct bed bed;

	bed_open(&bed, "dead");
	(void)fixture_publish(bed.publisher, 1);
	CHECK_EQ(weir_receive(bed.work, &delivery, 0), 0);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), WEIR_ETIMEDOUT);
	for (int i = 0; i < 2; i++) {
		size_t index;

		CHECK_EQ(weir_select((weir_subscription *const[]){ bed.dead, bed.work }, 2,
				 WEIR_SELECT_FAIR, 0, &delivery, &index),
			i == 0 ? WEIR_EAGAIN : 0);
		if (i == 0)
			(void)weir_sim_run_until(bed.sim, 5);
	}
	CHECK_EQ(delivery.attempt, 2);
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
	/* What is left of the one might fail into the other. */
	CHECK_EQ(weir_receive(bed.work, &delivery, 0), WEIR_EAGAIN);
	CHECK_EQ(weir_receive(bed.dead, &delivery, 0), 0);
	CHECK_EQ(weir_receive(bed.dead, &delivery, 0), WEIR_EAGAIN);
	CHECK_EQ(weir_ack(&delivery), 0);
	CHECK_EQ(weir_receive(bed.work, &delivery, 0), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_receive(bed.dead, &delivery, 0), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), 0);
	bed_close(&bed);
}

/* ---- Draining, by threads ---- */

struct yard {
	weir_subscription *work;
	weir_subscription *dead;
	uint64_t letters;
};

static void *yard_work(void *argument)
{
	struct yard *yard = argument;
	weir_delivery delivery;

	while (weir_receive(yard->work, &delivery, WEIR_FOREVER) == 0)
		/* Every other one times out, once and for all, and if the machine is
		 * slow some of the rest too. */
		if (fixture_number(&delivery) % 2 == 0) {
			const int error = weir_reject(&delivery, NULL);

			CHECK(error == 0 || error == WEIR_ESTALE);
		}
	return NULL;
}

static void *yard_bury(void *argument)
{
	struct yard *yard = argument;
	weir_delivery delivery;

	while (weir_receive(yard->dead, &delivery, WEIR_FOREVER) == 0)
		yard->letters++;
	return NULL;
}

WEIR_TEST(dead_letter, threads_that_drain_lose_no_dead_letter)
{
	const uint64_t rounds = harness_scaled(20), messages = 200;

	for (uint64_t round = 0; round < rounds; round++) {
		weir_broker *broker = fixture_broker(NULL);
		weir_publisher *publisher = fixture_publisher(broker, "work");
		struct yard yard = { .work = failing_open(broker, 1, 1e-3) };
		pthread_t threads[2];
		weir_broker_statistics last;

		yard.dead = fixture_subscribe(broker, "dead", 0);
		threads[0] = fixture_thread(yard_work, &yard);
		threads[1] = fixture_thread(yard_bury, &yard);
		for (uint64_t number = 0; number < messages; number++)
			(void)fixture_publish(publisher, number);
		CHECK_EQ(weir_broker_drain(broker, WEIR_FOREVER), 0);
		fixture_join(threads[0]);
		fixture_join(threads[1]);
		CHECK_EQ(yard.letters, messages);
		CHECK_EQ(weir_unsubscribe(yard.dead, NULL), 0);
		CHECK_EQ(weir_unsubscribe(yard.work, NULL), 0);
		weir_publisher_close(publisher);
		CHECK_EQ(weir_broker_close(broker, &last), 0);
		CHECK_EQ(last.dead_lettered, messages);
		fixture_check_broker_sums(&last);
	}
}

WEIR_TEST(dead_letter, a_full_queue_of_dead_letters_loses_them_by_its_own_count)
{
	for (int is_draining = 0; is_draining < 2; is_draining++) {
		weir_subscription_options one = { .capacity = 1 };
		weir_broker *broker = fixture_broker(NULL);
		weir_publisher *publisher = fixture_publisher(broker, "work");
		weir_subscription *work = failing_open(broker, 1, 0);
		weir_subscription *dead;
		weir_subscription_statistics letters;
		weir_delivery deliveries[3];
		size_t count;

		CHECK_EQ(weir_subscribe(&dead, broker, "dead", &one), 0);
		for (uint64_t number = 1; number <= 3; number++)
			(void)fixture_publish(publisher, number);
		CHECK_EQ(weir_receive_batch(work, deliveries, 3, 0, &count), 0);
		CHECK_EQ(count, 3);
		if (is_draining)
			CHECK_EQ(weir_broker_drain(broker, 0), WEIR_ETIMEDOUT);
		for (int i = 0; i < 3; i++)
			CHECK_EQ(weir_nack(&deliveries[i], 0, NULL), 0);
		CHECK_EQ(fixture_statistics(work).dead_lettered, 3);
		letters = fixture_statistics(dead);
		CHECK_EQ(letters.matched, 3);
		CHECK_EQ(letters.queued, 1);
		CHECK_EQ(fixture_dropped(&letters), 2);
		CHECK_EQ(weir_unsubscribe(work, NULL), 0);
		CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
		weir_publisher_close(publisher);
		CHECK_EQ(weir_broker_close(broker, NULL), 0);
	}
}
