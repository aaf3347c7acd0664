/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fixture.h - what many cases begin with: a broker, its handles, threads, and
 * the sums of promise P3.  Everything ends the case as failed if it does not work.
 *
 * Some functions look inside the library, to know that a thread is parked: a case
 * must not sleep and hope. FIXTURE_UNTIL yields until it is so; the driver's limit
 * of time ends a case that waits in vain.
 */
#ifndef WEIR_TESTS_FIXTURE_H
#define WEIR_TESTS_FIXTURE_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness.h"
#include <weir/weir.h>

#define FIXTURE_UNTIL(condition)             \
	do {                                 \
		while (!(condition))         \
			(void)sched_yield(); \
	} while (0)

/* ---- A broker and its handles ---- */

/* Options may be NULL. */
weir_broker *fixture_broker(const weir_broker_options *options);
weir_publisher *fixture_publisher(weir_broker *broker, const char *name);

/* BLOCK, parks by the default strategy; 0 is the default capacity. */
weir_subscription *fixture_subscribe(weir_broker *broker, const char *filter, size_t capacity);
weir_subscription *fixture_subscribe_dropping(
	weir_broker *broker, const char *filter, size_t capacity);

/* ---- Messages that are numbers, or texts ---- */

/* Publishes, with WEIR_OK and all receipts' sums right; returns how many took it. */
uint64_t fixture_publish(weir_publisher *publisher, uint64_t number);
uint64_t fixture_publish_text(weir_publisher *publisher, const char *text);

/* The number of a message that is one. */
uint64_t fixture_number(const weir_delivery *delivery);

/* Receives what is there already. */
uint64_t fixture_receive(weir_subscription *subscription);
void fixture_receive_text(weir_subscription *subscription, const char *text);

/* The subscription is empty: a try says WEIR_EAGAIN. */
void fixture_check_empty(weir_subscription *subscription);

/* ---- The sums of P3 ---- */

void fixture_check_sums(const weir_subscription_statistics *statistics);
void fixture_check_broker_sums(const weir_broker_statistics *statistics);

/* At a quiet point: reads them, checks their sums, and gives them. */
weir_subscription_statistics fixture_statistics(weir_subscription *subscription);
weir_broker_statistics fixture_broker_statistics(weir_broker *broker);
uint64_t fixture_dropped(const weir_subscription_statistics *statistics);

/* ---- Threads ---- */

pthread_t fixture_thread(void *(*run)(void *), void *argument);
void fixture_join(pthread_t thread);

/* A receiver sleeps on the subscription. */
bool fixture_receiver_is_parked(weir_subscription *subscription);

/* At least `count` publishers sleep in the line of the subscription. */
bool fixture_publishers_are_parked(weir_subscription *subscription, unsigned int count);

#endif /* WEIR_TESTS_FIXTURE_H */
