/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * close_stress.c - the end of everything, thousands of times, while publishers are
 * blocked, receivers parked, hooks run and others unsubscribe: nothing hangs, every
 * call says what it should, the final sums add up, and nothing is left.
 */
#include <stdatomic.h>

#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

#define PUBLISHERS 2
#define RECEIVERS  2

struct cycle {
	struct fail_allocator memory;
	weir_broker *broker;
	weir_publisher *publishers[PUBLISHERS];
	weir_subscription *full; /* nobody receives: it blocks */
	weir_subscription *received[RECEIVERS];
	_Atomic uint64_t published; /* by the receipts */
	uint64_t final;             /* by the statistics that close gave */
	_Atomic uint64_t received_count;
};

struct worker {
	struct cycle *cycle;
	unsigned int index;
	uint64_t shut_down;
	uint64_t closed;
};

/* ---- What the threads of a cycle do until they are sent away ---- */

static void *publish_run(void *argument)
{
	struct worker *worker = argument;
	struct cycle *cycle = worker->cycle;
	int error = 0;

	while (error == 0) {
		weir_receipt receipt = { .published = 0 };

		error = weir_publish(cycle->publishers[worker->index], "x", 1, NULL, &receipt);
		(void)atomic_fetch_add(&cycle->published, receipt.published);
	}
	CHECK_EQ(error, WEIR_ESHUTDOWN);
	worker->shut_down++;
	return NULL;
}

/* With the broker itself, so it is blocked before the end begins: it may not begin
 * another call after that. */
static void *publish_to_run(void *argument)
{
	struct worker *worker = argument;
	struct cycle *cycle = worker->cycle;
	int error = 0;

	while (error == 0) {
		weir_receipt receipt = { .published = 0 };

		error = weir_publish_to(cycle->broker, "t.x", "x", 1, NULL, &receipt);
		(void)atomic_fetch_add(&cycle->published, receipt.published);
	}
	CHECK_EQ(error, WEIR_ESHUTDOWN);
	worker->shut_down++;
	return NULL;
}

static void *receive_run(void *argument)
{
	struct worker *worker = argument;
	struct cycle *cycle = worker->cycle;
	weir_subscription *subscription = cycle->received[worker->index];
	weir_delivery deliveries[4];
	size_t count;
	int error;

	while ((error = weir_receive_batch(subscription, deliveries, 4, WEIR_FOREVER, &count)) == 0)
		(void)atomic_fetch_add(&cycle->received_count, count);
	CHECK(error == WEIR_ESHUTDOWN || error == WEIR_ECLOSED);
	worker->shut_down += error == WEIR_ESHUTDOWN;
	worker->closed += error == WEIR_ECLOSED;
	return NULL;
}

static void *drain_run(void *argument)
{
	struct worker *worker = argument;
	const int error = weir_broker_drain(worker->cycle->broker, WEIR_FOREVER);

	/* 0: what was left was discarded by an unsubscribe before the close. */
	CHECK(error == WEIR_ESHUTDOWN || error == 0);
	worker->shut_down += error == WEIR_ESHUTDOWN;
	return NULL;
}

static void *stop_run(void *argument)
{
	struct worker *worker = argument;

	for (int i = 0; i < RECEIVERS; i++)
		CHECK_EQ(weir_subscription_stop(worker->cycle->received[i]), 0);
	return NULL;
}

static void on_slow(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct cycle *cycle = context;

	(void)subscription;
	(void)queued;
	/* When close has returned this memory may be gone. */
	CHECK(cycle->broker != NULL);
}

/* ---- One cycle ---- */

struct counts {
	uint64_t shut_down;
	uint64_t closed;
	uint64_t blocked; /* cycles that ended with publishers asleep */
	uint64_t parked;  /* with receivers asleep */
	uint64_t drained; /* drains that close has ended */
	uint64_t queued;  /* messages discarded */
};

static void cycle_open(struct cycle *cycle, unsigned int variant)
{
	const weir_broker_options options = { .allocator = fail_allocator_hook(&cycle->memory) };
	const weir_subscription_options received = {
		.capacity = 1 + variant % 3,
		.overflow = variant & 1 ? WEIR_OVERFLOW_BLOCK : WEIR_OVERFLOW_DROP_OLDEST,
		/* Those that spin hold up all others where there are few processors. */
		.wait = variant == 6 ? WEIR_WAIT_SPIN
				     : (variant & 2 ? WEIR_WAIT_PARK : WEIR_WAIT_SPIN_THEN_PARK),
		.high_watermark = 1,
		.on_slow = on_slow,
		.on_recovered = on_slow,
		.hook_context = cycle,
		.hook_interval = 1e-9,
	};

	cycle->broker = fixture_broker(&options);
	if (variant & 1)
		cycle->full = fixture_subscribe(cycle->broker, "t.*", 5);
	for (int i = 0; i < RECEIVERS; i++)
		CHECK_EQ(weir_subscribe(&cycle->received[i], cycle->broker, i == 0 ? "t.>" : "t.x",
				 &received),
			0);
	for (int i = 0; i < PUBLISHERS; i++)
		cycle->publishers[i] = fixture_publisher(cycle->broker, i == 0 ? "t.x" : "t.y");
}

/* The end comes at any moment, or when all are asleep. */
static void moment_await(struct cycle *cycle, unsigned int variant, uint64_t *state)
{
	if (variant & 1 && variant & 4)
		FIXTURE_UNTIL(fixture_publishers_are_parked(cycle->full, PUBLISHERS + 1));
	else
		for (uint64_t i = harness_random_below(state, 30); i > 0; i--)
			(void)sched_yield();
}

static void cycle_count(struct cycle *cycle, struct counts *counts)
{
	if (cycle->full != NULL)
		counts->blocked += fixture_publishers_are_parked(cycle->full, 1);
	for (int i = 0; i < RECEIVERS; i++)
		counts->parked += fixture_receiver_is_parked(cycle->received[i]);
}

static void cycle_close(struct cycle *cycle, struct counts *counts)
{
	weir_broker_statistics last;

	CHECK_EQ(weir_broker_close(cycle->broker, &last), 0);
	fixture_check_broker_sums(&last);
	cycle->final = last.published;
	counts->queued += last.dropped[WEIR_DROP_CLOSED];
	cycle->broker = NULL;
}

static void cycle_end(
	struct cycle *cycle, const struct worker *workers, int count, struct counts *counts)
{
	CHECK_EQ(cycle->final, atomic_load(&cycle->published));
	for (int i = 0; i < count; i++) {
		counts->shut_down += workers[i].shut_down;
		counts->closed += workers[i].closed;
	}
	for (int i = 0; i < PUBLISHERS; i++)
		weir_publisher_close(cycle->publishers[i]);
	if (cycle->full != NULL)
		CHECK_EQ(weir_unsubscribe(cycle->full, NULL), 0);
	for (int i = 0; i < RECEIVERS; i++)
		CHECK_EQ(weir_unsubscribe(cycle->received[i], NULL), 0);
	fail_allocator_check_empty(&cycle->memory);
}

static void cycle_run(unsigned int variant, uint64_t *state, struct counts *counts)
{
	static void *(*const runs[])(void *) = { publish_run, publish_run, receive_run, receive_run,
		publish_to_run, drain_run, stop_run };
	enum {
		ALWAYS = 4,
		BY_NAME = 4,
		DRAIN = 5,
		STOP = 6,
		ALL = 7
	};
	struct cycle cycle = { .published = 0 };
	struct worker workers[ALL] = { { 0 } };
	pthread_t threads[ALL];
	const bool has_by_name = variant & 1 && variant & 4;
	const bool has_drain = variant / 8 % 3 == 1, has_stop = variant / 8 % 3 == 2;

	cycle_open(&cycle, variant);
	for (unsigned int i = 0; i < ALL; i++)
		workers[i] = (struct worker){ .cycle = &cycle, .index = i % 2 };
	for (int i = 0; i < ALWAYS || (i == BY_NAME && has_by_name); i++)
		threads[i] = fixture_thread(runs[i], &workers[i]);
	moment_await(&cycle, variant, state);
	if (has_drain)
		threads[DRAIN] = fixture_thread(runs[DRAIN], &workers[DRAIN]);
	if (has_stop)
		threads[STOP] = fixture_thread(runs[STOP], &workers[STOP]);
	if (harness_random_below(state, 2) == 0)
		(void)sched_yield();
	/* A call with the broker itself must have begun before the close. */
	if (has_drain)
		FIXTURE_UNTIL(weiri_load_acquire(&cycle.broker->draining) != 0 ||
			      weiri_load_acquire(&cycle.broker->state) != WEIRI_BROKER_RUNNING);
	cycle_count(&cycle, counts);
	cycle_close(&cycle, counts);
	for (int i = 0; i < ALL; i++)
		if (i < ALWAYS || (i == BY_NAME && has_by_name) || (i == DRAIN && has_drain) ||
			(i == STOP && has_stop))
			fixture_join(threads[i]);
	counts->drained += workers[DRAIN].shut_down;
	cycle_end(&cycle, workers, ALL, counts);
}

WEIR_TEST(close_stress, ends_whatever_is_under_way)
{
	const uint64_t cycles = harness_scaled(500);
	uint64_t state = harness_seed();
	struct counts counts = { 0 };

	for (uint64_t i = 0; i < cycles; i++)
		cycle_run((unsigned int)harness_random_below(&state, 48), &state, &counts);
	CHECK(counts.shut_down > cycles);
	CHECK(counts.closed > 0);
	CHECK(counts.blocked > 0);
	CHECK(counts.parked > 0);
	CHECK(counts.drained > 0);
	CHECK(counts.queued > 0);
}
