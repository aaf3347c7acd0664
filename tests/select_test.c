/* SPDX-License-Identifier: BSD-2-Clause */
/* Select: one of several subscriptions, fairly or by priority, losing nothing. */
#include <pthread.h>
#include <sched.h>

#include "core/subscription.h"
#include "harness.h"
#include "weir/weir.h"

#define SUBSCRIPTIONS 3

struct bed {
	weir_broker *broker;
	weir_subscription *subscriptions[SUBSCRIPTIONS];
	weir_publisher *publishers[SUBSCRIPTIONS];
};

static void bed_open(struct bed *bed)
{
	static const char *const names[SUBSCRIPTIONS] = { "a", "b", "c" };

	CHECK_EQ(weir_broker_open(&bed->broker, NULL), 0);
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		CHECK_EQ(weir_subscribe(&bed->subscriptions[i], bed->broker, names[i], NULL), 0);
		CHECK_EQ(weir_publisher_open(&bed->publishers[i], bed->broker, names[i], NULL), 0);
	}
}

static void bed_close(struct bed *bed)
{
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		CHECK_EQ(weir_unsubscribe(bed->subscriptions[i], NULL), 0);
		weir_publisher_close(bed->publishers[i]);
	}
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
}

static size_t select_index(struct bed *bed, weir_select_mode mode)
{
	weir_delivery delivery;
	size_t index = SUBSCRIPTIONS;

	CHECK_EQ(weir_select(bed->subscriptions, SUBSCRIPTIONS, mode, 0, &delivery, &index), 0);
	return index;
}

WEIR_TEST(select, is_fair_by_default)
{
	struct bed bed;
	size_t taken[SUBSCRIPTIONS] = { 0 };

	bed_open(&bed);
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		for (int k = 0; k < 10; k++)
			CHECK_EQ(weir_publish(bed.publishers[i], "", 0, NULL, NULL), 0);
	for (int k = 0; k < 15; k++)
		taken[select_index(&bed, WEIR_SELECT_FAIR)]++;
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		CHECK_EQ(taken[i], 5);
	bed_close(&bed);
}

WEIR_TEST(select, by_priority_takes_the_first_that_has_something)
{
	struct bed bed;

	bed_open(&bed);
	CHECK_EQ(weir_publish(bed.publishers[2], "", 0, NULL, NULL), 0);
	CHECK_EQ(weir_publish(bed.publishers[1], "", 0, NULL, NULL), 0);
	CHECK_EQ(weir_publish(bed.publishers[1], "", 0, NULL, NULL), 0);
	CHECK_EQ(select_index(&bed, WEIR_SELECT_PRIORITY), 1);
	CHECK_EQ(select_index(&bed, WEIR_SELECT_PRIORITY), 1);
	CHECK_EQ(select_index(&bed, WEIR_SELECT_PRIORITY), 2);
	bed_close(&bed);
}

WEIR_TEST(select, refuses_bad_arguments_and_leaves_outputs_alone)
{
	struct bed bed, other;
	weir_subscription *mixed[2];
	weir_subscription *twice[2];
	weir_delivery delivery = { .size = 77 };
	size_t index = 99;

	bed_open(&bed);
	bed_open(&other);
	mixed[0] = twice[0] = twice[1] = bed.subscriptions[0];
	mixed[1] = other.subscriptions[0];
	CHECK_EQ(weir_select(NULL, 1, WEIR_SELECT_FAIR, 0, &delivery, &index), WEIR_EINVAL);
	CHECK_EQ(weir_select(mixed, 0, WEIR_SELECT_FAIR, 0, &delivery, &index), WEIR_EINVAL);
	CHECK_EQ(weir_select(mixed, 2, WEIR_SELECT_FAIR, 0, &delivery, &index), WEIR_EINVAL);
	CHECK_EQ(weir_select(mixed, 1, (weir_select_mode)2, 0, &delivery, &index), WEIR_EINVAL);
	CHECK_EQ(weir_select(mixed, 1, WEIR_SELECT_FAIR, -1, &delivery, &index), WEIR_EINVAL);
	CHECK_EQ(weir_select(mixed, 1, WEIR_SELECT_FAIR, 0, NULL, &index), WEIR_EINVAL);
	CHECK_EQ(weir_select(mixed, 1, WEIR_SELECT_FAIR, 0, &delivery, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_select(twice, 2, WEIR_SELECT_FAIR, 0, &delivery, &index), WEIR_EBUSY);
	CHECK_EQ(weir_select(bed.subscriptions, 3, WEIR_SELECT_FAIR, 0, &delivery, &index),
		WEIR_EAGAIN);
	CHECK_EQ(weir_select(bed.subscriptions, 3, WEIR_SELECT_FAIR, 1e-3, &delivery, &index),
		WEIR_ETIMEDOUT);
	CHECK_EQ(delivery.size, 77);
	CHECK_EQ(index, 99);
	bed_close(&bed);
	bed_close(&other);
}

WEIR_TEST(select, is_interrupted_through_any_of_them)
{
	struct bed bed;
	weir_delivery delivery;
	size_t index;

	bed_open(&bed);
	CHECK_EQ(weir_wake(bed.subscriptions[2]), 0);
	CHECK_EQ(weir_select(
			 bed.subscriptions, 3, WEIR_SELECT_FAIR, WEIR_FOREVER, &delivery, &index),
		WEIR_EINTR);
	CHECK_EQ(weir_select(bed.subscriptions, 3, WEIR_SELECT_FAIR, 0, &delivery, &index),
		WEIR_EAGAIN);
	bed_close(&bed);
}

#define ROUNDS 3000

static void *publish_rounds(void *argument)
{
	struct bed *bed = argument;

	for (uint64_t i = 0; i < ROUNDS; i++)
		CHECK_EQ(
			weir_publish(bed->publishers[i % SUBSCRIPTIONS], &i, sizeof(i), NULL, NULL),
			0);
	return NULL;
}

WEIR_TEST(select, loses_nothing_between_threads_however_its_waits_end)
{
	struct bed bed;
	uint64_t next[SUBSCRIPTIONS] = { 0, 1, 2 };
	pthread_t thread;

	bed_open(&bed);
	CHECK_EQ(pthread_create(&thread, NULL, publish_rounds, &bed), 0);
	for (uint64_t received = 0; received < ROUNDS;) {
		weir_delivery delivery;
		size_t index;
		int error = weir_select(
			bed.subscriptions, 3, WEIR_SELECT_FAIR, 1e-6, &delivery, &index);

		if (error == WEIR_ETIMEDOUT)
			continue;
		CHECK_EQ(error, 0);
		CHECK_EQ(*(const uint64_t *)delivery.data, next[index]);
		next[index] += SUBSCRIPTIONS;
		received++;
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	bed_close(&bed);
}

static void *unsubscribe_second(void *argument)
{
	struct bed *bed = argument;

	/* Not before the other thread is inside, for then the handle is gone. */
	while (weiri_load_acquire(&bed->subscriptions[1]->armed) == NULL)
		(void)sched_yield();
	CHECK_EQ(weir_unsubscribe(bed->subscriptions[1], NULL), 0);
	return NULL;
}

WEIR_TEST(select, ends_when_one_of_them_is_unsubscribed)
{
	struct bed bed;
	weir_delivery delivery;
	pthread_t thread;
	size_t index;

	bed_open(&bed);
	CHECK_EQ(pthread_create(&thread, NULL, unsubscribe_second, &bed), 0);
	CHECK_EQ(weir_select(
			 bed.subscriptions, 3, WEIR_SELECT_FAIR, WEIR_FOREVER, &delivery, &index),
		WEIR_ECLOSED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(weir_subscribe(&bed.subscriptions[1], bed.broker, "b", NULL), 0);
	bed_close(&bed);
}
