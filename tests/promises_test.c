/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * promises_test.c - what the design promises, one case for each and named by its
 * number, in the fewest words that show it. What searches for exceptions, at length
 * and with threads, is said beside it.
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"
#include <weir/acknowledge.h>

/* See conservation_stress, overflow_stress, flow_stress. */
WEIR_TEST(promises, P1_what_one_publisher_sends_to_one_subscription_arrives_in_order)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "*", 10);
	weir_publisher *one = fixture_publisher(broker, "one");
	weir_publisher *two = fixture_publisher(broker, "two");
	uint64_t last[2] = { 0 };

	for (uint64_t i = 1; i <= 5; i++) {
		fixture_publish(one, 2 * i);
		fixture_publish(two, 2 * i + 1);
	}
	for (int i = 0; i < 10; i++) {
		const uint64_t number = fixture_receive(subscription);

		CHECK_EQ(number / 2, last[number % 2] + 1);
		last[number % 2]++;
	}
	weir_publisher_close(one);
	weir_publisher_close(two);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* See publisher_test, flow_stress. */
WEIR_TEST(promises, P2_a_stuck_subscriber_holds_up_nobody_but_who_chose_to_wait_for_it)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *stuck = fixture_subscribe(broker, "t", 1);
	weir_subscription *refusing = fixture_subscribe_dropping(broker, "t", 1);
	weir_subscription *well = fixture_subscribe(broker, "*", 100);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	const weir_publish_options brief = { .timeout = 1e-3 };

	for (uint64_t i = 0; i < 50; i++) {
		const int error = weir_publish(publisher, &i, sizeof(i), &brief, NULL);

		/* The publisher chose to wait, and how long. */
		CHECK_EQ(error, i == 0 ? 0 : WEIR_ETIMEDOUT);
		CHECK_EQ(fixture_receive(well), i);
	}
	CHECK_EQ(fixture_receive(stuck), 0);
	CHECK_EQ(fixture_receive(refusing), 0);
	CHECK_EQ(fixture_statistics(well).dropped[WEIR_DROP_TIMEOUT], 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(stuck, NULL), 0);
	CHECK_EQ(weir_unsubscribe(refusing, NULL), 0);
	CHECK_EQ(weir_unsubscribe(well, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* See statistics_test, flow_stress, ack_stress. */
WEIR_TEST(promises, P3_nothing_is_lost_silently)
{
	weir_broker *broker = fixture_broker(NULL);
	const weir_subscription_options options = {
		.capacity = 2, .overflow = WEIR_OVERFLOW_DROP_NEWEST, .ack = WEIR_ACK_MANUAL
	};
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription;
	weir_subscription_statistics statistics;
	weir_delivery delivery;

	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
	for (uint64_t i = 0; i < 5; i++)
		fixture_publish(publisher, i);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	/* The receiver is told of the gap with the next message. */
	CHECK_EQ(delivery.missed, 3);
	CHECK_EQ(weir_ack(&delivery), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	fixture_publish(publisher, 5);
	/* 6 matched = 1 acknowledged + 3 dropped + 1 queued + 1 in flight. */
	statistics = fixture_statistics(subscription);
	CHECK_EQ(statistics.matched, 6);
	CHECK_EQ(statistics.acknowledged, 1);
	CHECK_EQ(statistics.dropped[WEIR_DROP_NEWEST], 3);
	CHECK_EQ(statistics.queued, 1);
	CHECK_EQ(statistics.in_flight, 1);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, &statistics), 0);
	fixture_check_sums(&statistics);
	CHECK_EQ(statistics.dropped[WEIR_DROP_CLOSED], 2);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* See acknowledge_test, ack_stress. */
WEIR_TEST(promises, P4_with_acks_a_message_comes_until_it_is_settled_and_then_has_a_place_to_go)
{
	weir_broker *broker = fixture_broker(NULL);
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL, .max_attempts = 3, .dead_letter_topic = "dead"
	};
	weir_subscription *dead = fixture_subscribe(broker, "dead", 10), *subscription;
	weir_delivery delivery;
	weir_dead_letter letter;

	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
	CHECK_EQ(weir_publish_to(broker, "t", "hopeless", 8, NULL, NULL), 0);
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(delivery.attempt, attempt);
		CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
	}
	fixture_check_empty(subscription);
	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK(memcmp(delivery.data, "hopeless", 8) == 0);
	CHECK_EQ(weir_message_dead_letter(delivery.message, &letter), 0);
	CHECK_EQ(letter.reason, WEIR_DEAD_NACK);
	CHECK_EQ(letter.attempts, 3);
	CHECK_STR_EQ(letter.topic, "t");
	CHECK_EQ(fixture_statistics(subscription).dead_lettered, 1);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* See acknowledge_test, ack_stress. */
WEIR_TEST(promises, P5_of_all_deliveries_of_a_message_one_ack_wins)
{
	weir_broker *broker = fixture_broker(NULL);
	const weir_subscription_options options = { .ack = WEIR_ACK_MANUAL };
	weir_delivery first, second;
	weir_subscription *subscription;

	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
	CHECK_EQ(weir_publish_to(broker, "t", "once", 4, NULL, NULL), 0);
	CHECK_EQ(weir_receive(subscription, &first, 0), 0);
	CHECK_EQ(weir_nack(&first, 0, NULL), 0);
	CHECK_EQ(weir_receive(subscription, &second, 0), 0);
	CHECK_EQ(weir_ack(&first), WEIR_ESTALE);
	CHECK_EQ(weir_ack(&second), 0);
	CHECK_EQ(weir_ack(&second), WEIR_ESTALE);
	CHECK_EQ(weir_ack(&first), WEIR_ESTALE);
	CHECK_EQ(fixture_statistics(subscription).acknowledged, 1);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* See churn_stress. */
WEIR_TEST(promises, P6_when_subscribe_has_returned_the_next_publish_is_delivered)
{
	static const char *const filters[] = { "a.b", "a.*", "*.b", ">" };
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "a.b");

	for (uint64_t i = 0; i < 100; i++) {
		weir_subscription *subscription = fixture_subscribe(broker, filters[i % 4], 2);

		CHECK_EQ(fixture_publish(publisher, i), 1);
		CHECK_EQ(weir_publish_to(broker, "a.b", &i, sizeof(i), NULL, NULL), 0);
		CHECK_EQ(fixture_receive(subscription), i);
		CHECK_EQ(fixture_receive(subscription), i);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

struct blocked {
	weir_publisher *publisher;
	weir_receipt receipt;
};

static void *blocked_run(void *argument)
{
	struct blocked *blocked = argument;

	CHECK_EQ(weir_publish(blocked->publisher, "x", 1, NULL, &blocked->receipt), 0);
	return NULL;
}

/* See close_stress, churn_stress, shutdown_test, watermark_test. */
WEIR_TEST(promises, P7_when_unsubscribe_has_returned_nothing_of_it_runs_and_its_memory_is_gone)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	struct blocked blocked = { .publisher = fixture_publisher(broker, "t") };
	weir_subscription *stays = fixture_subscribe(broker, "t", 10);
	uint64_t bytes = 0;

	for (int round = 0; round < 60; round++) {
		weir_subscription *leaves = fixture_subscribe(broker, "t", 1);
		weir_subscription_statistics last;
		pthread_t thread;

		fixture_publish(blocked.publisher, 1);
		thread = fixture_thread(blocked_run, &blocked);
		FIXTURE_UNTIL(fixture_publishers_are_parked(leaves, 1));
		CHECK_EQ(weir_unsubscribe(leaves, &last), 0);
		CHECK_EQ(last.matched, 2);
		CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 2);
		/* The publisher has gone on, and goes on without it. */
		fixture_join(thread);
		CHECK_EQ(blocked.receipt.enqueued, 1);
		CHECK_EQ(fixture_receive(stays), 1);
		fixture_receive_text(stays, "x");
		fixture_check_empty(stays);
		/* Nothing is left of it but what every round uses again. */
		if (round == 40)
			bytes = atomic_load(&memory.bytes);
		CHECK(round < 40 || atomic_load(&memory.bytes) == bytes);
	}
	weir_publisher_close(blocked.publisher);
	CHECK_EQ(weir_unsubscribe(stays, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}

/* See ring_test, lanes_test, store_test, publisher_test. */
WEIR_TEST(promises, P8_a_capacity_of_one_holds_one_and_a_capacity_of_n_holds_n)
{
	static const size_t capacities[] = { 1, 2, 3, 5, 64, 1000, 1024, 4097 };
	static const weir_subscription_options kinds[] = {
		{ .overflow = WEIR_OVERFLOW_DROP_NEWEST },
		{ .overflow = WEIR_OVERFLOW_BLOCK },
		{ .overflow = WEIR_OVERFLOW_DROP_NEWEST,
			.order = WEIR_ORDER_PRIORITY,
			.priority_classes = 3 },
		{ .overflow = WEIR_OVERFLOW_DROP_NEWEST, .order = WEIR_ORDER_PRIORITY },
		{ .overflow = WEIR_OVERFLOW_DROP_OLDEST },
		{ .overflow = WEIR_OVERFLOW_DROP_LOWEST },
	};
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	const weir_publish_options no_wait = { .no_wait = true };

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			weir_subscription_options options = kinds[k];
			weir_subscription *subscription;
			weir_subscription_statistics statistics;

			options.capacity = capacities[i];
			CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
			for (size_t n = 0; n < capacities[i]; n++)
				CHECK_EQ(weir_publish(publisher, "x", 1, &no_wait, NULL), 0);
			statistics = fixture_statistics(subscription);
			CHECK_EQ(statistics.queued, capacities[i]);
			CHECK_EQ(fixture_dropped(&statistics), 0);
			(void)weir_publish(publisher, "x", 1, &no_wait, NULL);
			statistics = fixture_statistics(subscription);
			CHECK_EQ(statistics.queued, capacities[i]);
			CHECK_EQ(fixture_dropped(&statistics), 1);
			CHECK_EQ(statistics.high_water, capacities[i]);
			CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		}
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- P9: see fork_test, out_of_memory_test, guest_stress, and system_failure_test ---- */

/* All mistakes at once, in a process whose output is a pipe: it lives, and says nothing. */
static void make_every_mistake(void)
{
	struct fail_allocator memory = { .fail_at = 3, .keep_failing = true };
	const weir_broker_options starved = { .allocator = fail_allocator_hook(&memory) };
	weir_broker *broker = NULL;
	weir_publisher *publisher = NULL;
	weir_subscription *subscription = NULL;
	weir_delivery delivery;

	(void)weir_broker_open(&broker, &starved);
	(void)weir_broker_close(NULL, NULL);
	if (broker != NULL)
		(void)weir_broker_close(broker, NULL);
	if (weir_broker_open(&broker, NULL) != 0)
		_exit(2);
	(void)weir_subscribe(&subscription, broker, "a..b", NULL);
	(void)weir_subscribe(NULL, NULL, NULL, NULL);
	(void)weir_publisher_open(&publisher, broker, "*", NULL);
	(void)weir_publish(NULL, NULL, 1, NULL, NULL);
	(void)weir_publish_to(broker, NULL, NULL, SIZE_MAX, NULL, NULL);
	(void)weir_receive(NULL, NULL, -1);
	(void)weir_ack(&(weir_delivery){ .size = 0 });
	(void)weir_topic_remove(broker, "nobody");
	(void)weir_unsubscribe(NULL, NULL);
	weir_publisher_close(NULL);
	weir_message_release(NULL);
	if (weir_subscribe(&subscription, broker, "t", NULL) != 0 ||
		weir_publish_to(broker, "t", "x", 1, NULL, NULL) != 0 ||
		weir_receive(subscription, &delivery, 0) != 0 ||
		weir_broker_close(broker, NULL) != 0 || weir_unsubscribe(subscription, NULL) != 0)
		_exit(3);
}

WEIR_TEST(promises, P9_a_good_guest_neither_prints_nor_ends_its_host)
{
	int ends[2], status;
	char byte;
	pid_t child;

	CHECK_EQ(pipe(ends), 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		if (dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0)
			_exit(1);
		(void)close(ends[0]);
		(void)close(ends[1]);
		make_every_mistake();
		_exit(0);
	}
	CHECK_EQ(close(ends[1]), 0);
	CHECK_EQ(read(ends[0], &byte, 1), 0);
	CHECK_EQ(close(ends[0]), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}
