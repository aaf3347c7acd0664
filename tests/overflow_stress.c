/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overflow_stress.c - tiny queues, of which some make publishers wait up to a
 * deadline and some refuse at once: whatever the outcome of each publish, receipts,
 * counters, gaps and deliveries agree to the message (promises P1, P2, P3).
 */
#include <stdatomic.h>
#include <string.h>

#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

#define PUBLISHERS    3
#define SUBSCRIPTIONS 4
#define BATCH_MAX     10

struct message {
	uint64_t publisher;
	uint64_t number;
};

struct stage {
	weir_broker *broker;
	_Atomic bool stop; /* receiving */
	uint64_t target;   /* messages of each publisher */
};

struct publishing {
	struct stage *stage;
	weir_publisher *publisher;
	unsigned int index;
	uint64_t state;
	weir_receipt sum;
	uint64_t in_time;   /* publishes that waited, and went out to all */
	uint64_t timeouts;  /* that returned WEIR_ETIMEDOUT */
	uint64_t published; /* messages */
};

struct receiving {
	struct stage *stage;
	weir_subscription *subscription;
	uint64_t state;
	uint64_t last[PUBLISHERS];
	uint64_t received;
	uint64_t missed;
	uint64_t gaps; /* in the numbers of publishers */
};

/* ---- Publishing ---- */

static void receipt_add(struct publishing *publishing, const weir_receipt *receipt)
{
	CHECK_EQ(receipt->matched, receipt->published * SUBSCRIPTIONS);
	CHECK_EQ(receipt->matched, receipt->enqueued + receipt->dropped);
	CHECK(receipt->timed_out <= receipt->dropped);
	CHECK_EQ(receipt->evicted, 0);
	publishing->sum.matched += receipt->matched;
	publishing->sum.enqueued += receipt->enqueued;
	publishing->sum.dropped += receipt->dropped;
	publishing->sum.timed_out += receipt->timed_out;
}

static void publish_once(struct publishing *publishing)
{
	struct message messages[BATCH_MAX];
	weir_payload payloads[BATCH_MAX];
	const uint64_t left = publishing->stage->target - publishing->published;
	uint64_t count = harness_random_below(&publishing->state, 4) == 0
				 ? 1 + harness_random_below(&publishing->state, BATCH_MAX)
				 : 1;
	weir_publish_options options = { 0 };
	weir_receipt receipt;
	int error;

	if (count > left)
		count = left;
	for (uint64_t i = 0; i < count; i++) {
		messages[i] = (struct message){ publishing->index, publishing->published + 1 + i };
		payloads[i] = (weir_payload){ &messages[i], sizeof(messages[i]) };
	}
	/* Not at all, some tens of microseconds, or long enough for anybody. */
	options.no_wait = harness_random_below(&publishing->state, 8) == 0;
	if (!options.no_wait)
		options.timeout =
			harness_random_below(&publishing->state, 4) == 0
				? 1e-6 * (double)harness_random_below(&publishing->state, 100)
				: 30;
	error = weir_publish_batch(
		publishing->publisher, payloads, (size_t)count, &options, &receipt);
	CHECK(error == 0 || error == WEIR_ETIMEDOUT);
	CHECK_EQ(receipt.published, count);
	CHECK_EQ(error == WEIR_ETIMEDOUT, receipt.timed_out > 0);
	CHECK(options.timeout < 1 || error == 0);
	publishing->timeouts += error == WEIR_ETIMEDOUT;
	publishing->in_time += options.timeout > 0 && error == 0;
	publishing->published += count;
	receipt_add(publishing, &receipt);
}

static void *publishing_run(void *argument)
{
	struct publishing *publishing = argument;

	while (publishing->published < publishing->stage->target)
		publish_once(publishing);
	return NULL;
}

/* ---- Receiving ---- */

static void delivery_note(struct receiving *receiving, const weir_delivery *delivery)
{
	struct message message;
	uint64_t *last;

	CHECK_EQ(delivery->size, sizeof(message));
	memcpy(&message, delivery->data, sizeof(message));
	CHECK(message.publisher < PUBLISHERS);
	last = &receiving->last[message.publisher];
	/* In order; what is left out has been lost. */
	CHECK(message.number > *last);
	receiving->gaps += message.number - *last - 1;
	*last = message.number;
	receiving->missed += delivery->missed;
	receiving->received++;
}

static void *receiving_run(void *argument)
{
	struct receiving *receiving = argument;
	weir_delivery deliveries[4];
	size_t count;
	int error;

	for (;;) {
		error = weir_receive_batch(receiving->subscription, deliveries,
			1 + (size_t)harness_random_below(&receiving->state, 4), 1e-3, &count);
		if (error == WEIR_ETIMEDOUT && atomic_load(&receiving->stage->stop))
			return NULL;
		CHECK(error == 0 || error == WEIR_ETIMEDOUT);
		for (size_t i = 0; error == 0 && i < count; i++)
			delivery_note(receiving, &deliveries[i]);
		/* Now and then it is slow. */
		if (harness_random_below(&receiving->state, 16) == 0)
			(void)sched_yield();
	}
}

/* ---- All together ---- */

static bool is_blocking(int index)
{
	return index % 2 == 0;
}

static void stage_open(
	struct stage *stage, struct receiving *receivings, struct publishing *publishings)
{
	uint64_t state = harness_seed();

	for (unsigned int i = 0; i < SUBSCRIPTIONS; i++) {
		const size_t capacity = 1 + (size_t)harness_random_below(&state, 8);

		receivings[i] = (struct receiving){
			.stage = stage,
			.state = harness_seed() + 100 + i,
			.subscription =
				is_blocking((int)i)
					? fixture_subscribe(stage->broker, ">", capacity)
					: fixture_subscribe_dropping(stage->broker, "*", capacity),
		};
	}
	for (unsigned int i = 0; i < PUBLISHERS; i++)
		publishings[i] = (struct publishing){
			.stage = stage,
			.index = i,
			.state = harness_seed() + i,
			.publisher = fixture_publisher(stage->broker, i == 0 ? "one" : "two"),
		};
}

/* Returns what all queues together refused. */
static uint64_t subscription_check(
	const struct stage *stage, struct receiving *receiving, int index)
{
	const weir_subscription_statistics statistics = fixture_statistics(receiving->subscription);
	const uint64_t lost = fixture_dropped(&statistics);
	uint64_t after_the_last = 0;

	for (int i = 0; i < PUBLISHERS; i++)
		after_the_last += stage->target - receiving->last[i];
	CHECK_EQ(statistics.matched, stage->target * PUBLISHERS);
	CHECK_EQ(statistics.delivered, receiving->received);
	CHECK_EQ(statistics.queued, 0);
	CHECK_EQ(statistics.dropped[is_blocking(index) ? WEIR_DROP_TIMEOUT : WEIR_DROP_NEWEST],
		lost);
	CHECK_EQ(receiving->gaps + after_the_last, lost);
	CHECK(receiving->missed <= lost && receiving->missed >= lost - after_the_last);
	/* Who was refused knows of a full queue. */
	CHECK(lost == 0 || statistics.high_water == statistics.capacity);
	CHECK_EQ(weir_unsubscribe(receiving->subscription, NULL), 0);
	return lost;
}

WEIR_TEST(overflow_stress, whatever_is_refused_or_late_is_counted_to_the_message)
{
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	struct stage stage = { .target = harness_scaled(30000) };
	static struct publishing publishings[PUBLISHERS];
	static struct receiving receivings[SUBSCRIPTIONS];
	pthread_t threads[PUBLISHERS + SUBSCRIPTIONS];
	uint64_t dropped = 0, timed_out = 0, timeouts = 0, in_time = 0, lost = 0;

	stage.broker = fixture_broker(&options);
	stage_open(&stage, receivings, publishings);
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		threads[PUBLISHERS + i] = fixture_thread(receiving_run, &receivings[i]);
	for (int i = 0; i < PUBLISHERS; i++)
		threads[i] = fixture_thread(publishing_run, &publishings[i]);
	for (int i = 0; i < PUBLISHERS; i++) {
		fixture_join(threads[i]);
		dropped += publishings[i].sum.dropped;
		timed_out += publishings[i].sum.timed_out;
		timeouts += publishings[i].timeouts;
		in_time += publishings[i].in_time;
		weir_publisher_close(publishings[i].publisher);
	}
	atomic_store(&stage.stop, true);
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		fixture_join(threads[PUBLISHERS + i]);
		lost += subscription_check(&stage, &receivings[i], i);
	}
	CHECK_EQ(lost, dropped);
	CHECK_EQ(weir_broker_close(stage.broker, NULL), 0);
	fail_allocator_check_empty(&memory);
	CHECK(timed_out > 0 && timeouts > 0 && in_time > 0);
	CHECK(dropped > timed_out);
}
