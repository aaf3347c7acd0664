/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow control with threads: publishers against subscriptions of every policy and
 * one that nobody receives from.  Held to the message:
 *
 *   conservation  what matched was delivered once, or dropped and told of, or is
 *                 still queued (P3)
 *   isolation     who loses nothing gets everything, in order, whatever becomes of
 *                 the others (P2, P1)
 */
#include <stdlib.h>
#include <string.h>

#include "base/atomics.h"
#include "fixture.h"

#define PUBLISHERS    4
#define SUBSCRIBERS   5
#define PRIORITIES    4
#define BATCH         8
#define KEYS          16
#define EVERY_MESSAGE 30000 /* of each publisher, times WEIR_STRESS */

struct body {
	uint32_t publisher;
	int32_t priority;
	uint64_t number;
};

struct expectation {
	bool is_lossless; /* gets everything */
	bool is_stopped;  /* nobody receives from it */
	bool is_by_priority;
	bool is_unordered; /* a value may have the place of an older one */
};

struct subscriber {
	struct run *run;
	weir_subscription_options options;
	struct expectation expected;
	weir_subscription *subscription;
	pthread_t thread;
	unsigned char *seen[PUBLISHERS]; /* one for each message */
	uint64_t next[PUBLISHERS][PRIORITIES];
	uint64_t received;
	uint64_t missed;
};

struct publisher {
	struct run *run;
	uint32_t index;
	pthread_t thread;
	weir_receipt sum;
	uint64_t refused; /* all or nothing: not published at all */
};

struct run {
	weir_broker *broker;
	uint64_t count; /* for each publisher to publish */
	size_t subscriber_count;
	struct subscriber subscribers[SUBSCRIBERS];
	struct publisher publishers[PUBLISHERS];
	bool is_all_or_nothing;
	bool has_guests;        /* there are more subscriptions than these, now and then */
	_Atomic uint64_t freed; /* wrapped buffers */
};

/* ---- Receiving ---- */

static void message_check(struct subscriber *subscriber, const weir_delivery *delivery)
{
	struct body body;
	uint64_t *next;

	CHECK_EQ(delivery->size, sizeof(body));
	memcpy(&body, delivery->data, sizeof(body));
	CHECK(body.publisher < PUBLISHERS && body.number < subscriber->run->count);
	CHECK_EQ(weir_message_priority(delivery->message), body.priority);
	CHECK_EQ(subscriber->seen[body.publisher][body.number]++, 0);
	/* Of one publisher, and by priority of one priority, in order. */
	next = &subscriber->next[body.publisher]
				[subscriber->expected.is_by_priority ? body.priority : 0];
	CHECK(subscriber->expected.is_unordered || body.number >= *next);
	*next = body.number + 1;
	subscriber->received++;
	subscriber->missed += delivery->missed;
}

static void *receive_all(void *argument)
{
	struct subscriber *subscriber = argument;
	weir_delivery deliveries[BATCH];
	size_t count;
	int error;

	while ((error = weir_receive_batch(
			subscriber->subscription, deliveries, BATCH, WEIR_FOREVER, &count)) == 0)
		for (size_t i = 0; i < count; i++)
			message_check(subscriber, &deliveries[i]);
	CHECK_EQ(error, WEIR_ESHUTDOWN);
	return NULL;
}

/* ---- Publishing ---- */

static void buffer_free(void *context, void *data)
{
	struct run *run = context;

	(void)weiri_add_relaxed(&run->freed, 1);
	free(data);
}

static void receipt_add(weir_receipt *sum, const weir_receipt *receipt)
{
	sum->published += receipt->published;
	sum->matched += receipt->matched;
	sum->enqueued += receipt->enqueued;
	sum->dropped += receipt->dropped;
	sum->evicted += receipt->evicted;
}

/* Copied in, one by one or as a batch, or a buffer of our own. */
static int publish_some(weir_publisher *handle, struct publisher *publisher, struct body *body,
	uint64_t *random, weir_receipt *receipt)
{
	struct run *run = publisher->run;
	weir_publish_options options = { .priority = body->priority,
		.has_key = true,
		.key = harness_random_below(random, KEYS),
		.all_or_nothing = run->is_all_or_nothing };
	struct body bodies[BATCH];
	weir_payload payloads[BATCH];
	uint64_t count = 1;
	weir_message *message;
	int error;

	switch (run->is_all_or_nothing ? 9 : harness_random_below(random, 10)) {
	case 0:
		while (count < BATCH && body->number + count < run->count)
			count++;
		for (uint64_t i = 0; i < count; i++) {
			bodies[i] = *body;
			bodies[i].number += i;
			payloads[i] = (weir_payload){ &bodies[i], sizeof(bodies[i]) };
		}
		return weir_publish_batch(handle, payloads, count, &options, receipt);
	case 1: {
		struct body *buffer = malloc(sizeof(*buffer));

		CHECK(buffer != NULL);
		*buffer = *body;
		CHECK_EQ(weir_message_wrap(
				 handle, buffer, sizeof(*buffer), buffer_free, run, &message),
			0);
		error = weir_publish_message(handle, message, &options, receipt);
		return error;
	}
	default:
		return weir_publish(handle, body, sizeof(*body), &options, receipt);
	}
}

static void *publish_all(void *argument)
{
	struct publisher *publisher = argument;
	struct run *run = publisher->run;
	weir_publisher *handle = fixture_publisher(run->broker, "t");
	uint64_t random = harness_seed() + publisher->index;

	for (uint64_t number = 0; number < run->count;) {
		struct body body = { .publisher = publisher->index,
			.priority = (int32_t)harness_random_below(&random, PRIORITIES),
			.number = number };
		weir_receipt receipt = { 0 };
		int error = publish_some(handle, publisher, &body, &random, &receipt);

		if (run->is_all_or_nothing && error == WEIR_EFULL) {
			CHECK(receipt.refused_by != 0 && receipt.published == 0);
			publisher->refused++;
			(void)sched_yield();
			number++;
			continue;
		}
		CHECK_EQ(error, 0);
		CHECK_EQ(receipt.matched, receipt.enqueued + receipt.dropped);
		if (!run->has_guests)
			CHECK_EQ(receipt.matched, receipt.published * run->subscriber_count);
		receipt_add(&publisher->sum, &receipt);
		number += receipt.published;
	}
	weir_publisher_close(handle);
	return NULL;
}

/* ---- A run ---- */

static void run_open(struct run *run)
{
	run->broker = fixture_broker(NULL);
	for (size_t i = 0; i < run->subscriber_count; i++) {
		struct subscriber *subscriber = &run->subscribers[i];

		subscriber->run = run;
		CHECK_EQ(weir_subscribe(
				 &subscriber->subscription, run->broker, "t", &subscriber->options),
			0);
		for (int k = 0; k < PUBLISHERS; k++) {
			subscriber->seen[k] = calloc(run->count, 1);
			CHECK(subscriber->seen[k] != NULL);
		}
		if (!subscriber->expected.is_stopped)
			subscriber->thread = fixture_thread(receive_all, subscriber);
	}
}

static void publishers_start(struct run *run)
{
	for (uint32_t i = 0; i < PUBLISHERS; i++) {
		run->publishers[i] = (struct publisher){ .run = run, .index = i };
		run->publishers[i].thread = fixture_thread(publish_all, &run->publishers[i]);
	}
}

static weir_receipt publishers_join(struct run *run)
{
	weir_receipt sum = { 0 };

	for (int i = 0; i < PUBLISHERS; i++) {
		fixture_join(run->publishers[i].thread);
		receipt_add(&sum, &run->publishers[i].sum);
	}
	return sum;
}

/* The receivers take what is left. */
static void subscribers_join(struct run *run)
{
	int error = weir_broker_drain(run->broker, 0);

	CHECK(error == 0 || error == WEIR_ETIMEDOUT);
	for (size_t i = 0; i < run->subscriber_count; i++)
		if (!run->subscribers[i].expected.is_stopped)
			fixture_join(run->subscribers[i].thread);
}

static uint64_t evicted_count(const weir_subscription_statistics *statistics)
{
	return statistics->dropped[WEIR_DROP_OLDEST] + statistics->dropped[WEIR_DROP_CONFLATED] +
	       statistics->dropped[WEIR_DROP_LOWEST];
}

static void subscriber_check(struct subscriber *subscriber, uint64_t published)
{
	weir_subscription_statistics statistics = fixture_statistics(subscriber->subscription);

	CHECK_EQ(statistics.matched, published);
	CHECK_EQ(statistics.delivered, subscriber->received);
	if (subscriber->options.overflow != WEIR_OVERFLOW_UNBOUNDED)
		CHECK(statistics.high_water <= statistics.capacity);
	if (subscriber->expected.is_lossless) {
		CHECK_EQ(subscriber->received, published);
		CHECK_EQ(subscriber->missed, 0);
	} else {
		/* A run in which nothing is lost shows nothing. */
		CHECK(fixture_dropped(&statistics) > 0);
	}
	if (subscriber->expected.is_stopped)
		CHECK_EQ(statistics.queued, statistics.capacity);
	else
		CHECK_EQ(statistics.queued, 0);
	/* What was lost after the last delivery is not told of any more. */
	CHECK(subscriber->missed <= fixture_dropped(&statistics));
}

static void run_check(struct run *run, const weir_receipt *sum)
{
	uint64_t enqueued = 0, refused = 0, evicted = 0;

	for (size_t i = 0; i < run->subscriber_count; i++) {
		weir_subscription_statistics statistics =
			fixture_statistics(run->subscribers[i].subscription);

		subscriber_check(&run->subscribers[i], sum->published);
		enqueued += statistics.enqueued;
		refused += statistics.matched - statistics.enqueued;
		/* LOWEST counts those refused as well as those thrown out. */
		evicted += evicted_count(&statistics);
		if (statistics.dropped[WEIR_DROP_LOWEST] > 0)
			evicted -= statistics.matched - statistics.enqueued;
	}
	/* What publishers were told is what subscriptions count. */
	CHECK_EQ(sum->enqueued, enqueued);
	CHECK_EQ(sum->dropped, refused);
	CHECK_EQ(sum->evicted, evicted);
}

static void run_close(struct run *run)
{
	weir_broker_statistics last;

	for (size_t i = 0; i < run->subscriber_count; i++) {
		CHECK_EQ(weir_unsubscribe(run->subscribers[i].subscription, NULL), 0);
		for (int k = 0; k < PUBLISHERS; k++)
			free(run->subscribers[i].seen[k]);
	}
	CHECK_EQ(weir_broker_close(run->broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.queued, 0);
}

static void run_all(struct run *run)
{
	weir_receipt sum;

	run->count = harness_scaled(EVERY_MESSAGE);
	run_open(run);
	publishers_start(run);
	sum = publishers_join(run);
	subscribers_join(run);
	CHECK_EQ(sum.published, run->count * PUBLISHERS);
	run_check(run, &sum);
	run_close(run);
	CHECK(weiri_load_relaxed(&run->freed) > 0);
}

/* ---- Cases ---- */

WEIR_TEST(flow_stress, four_policies_beside_a_stopped_subscriber_keep_their_promises)
{
	static struct run run = {
		.subscriber_count = 5,
		.subscribers = {
			{ .options = { .capacity = 64 }, .expected = { .is_lossless = true } },
			{ .options = { .overflow = WEIR_OVERFLOW_UNBOUNDED },
				.expected = { .is_lossless = true } },
			{ .options = { .capacity = 8, .overflow = WEIR_OVERFLOW_DROP_NEWEST } },
			{ .options = { .capacity = 8, .overflow = WEIR_OVERFLOW_DROP_OLDEST } },
			{ .options = { .capacity = 100, .overflow = WEIR_OVERFLOW_DROP_OLDEST },
				.expected = { .is_stopped = true } },
		},
	};

	run_all(&run);
}

WEIR_TEST(flow_stress, priorities_conflation_and_bytes_beside_a_stopped_subscriber)
{
	static struct run run = {
		.subscriber_count = 5,
		.subscribers = {
			{ .options = { .capacity = 50,
				  .order = WEIR_ORDER_PRIORITY,
				  .priority_classes = PRIORITIES },
				.expected = { .is_lossless = true, .is_by_priority = true } },
			{ .options = { .capacity = 50,
				  .order = WEIR_ORDER_PRIORITY,
				  .ageing = 1e-5 },
				.expected = { .is_lossless = true, .is_by_priority = true } },
			{ .options = { .capacity = 9,
				  .overflow = WEIR_OVERFLOW_DROP_LOWEST,
				  .order = WEIR_ORDER_PRIORITY },
				.expected = { .is_by_priority = true } },
			{ .options = { .capacity = 64,
				  .capacity_bytes = 640,
				  .overflow = WEIR_OVERFLOW_DROP_OLDEST,
				  .count_priorities = true } },
			{ .options = { .capacity = 10, .overflow = WEIR_OVERFLOW_DROP_LOWEST },
				.expected = { .is_stopped = true } },
		},
	};

	run_all(&run);
}

WEIR_TEST(flow_stress, conflating_beside_a_stopped_subscriber_keeps_the_others_whole)
{
	static struct run run = {
		.subscriber_count = 4,
		.subscribers = {
			{ .options = { .capacity = 64 }, .expected = { .is_lossless = true } },
			{ .options = { .capacity = 32, .overflow = WEIR_OVERFLOW_CONFLATE },
				.expected = { .is_unordered = true } },
			{ .options = { .capacity = 4,
				  .overflow = WEIR_OVERFLOW_CONFLATE,
				  .order = WEIR_ORDER_PRIORITY,
				  .protect = true,
				  .protect_priority = 0 },
				.expected = { .is_unordered = true } },
			{ .options = { .capacity = KEYS, .overflow = WEIR_OVERFLOW_CONFLATE },
				.expected = { .is_stopped = true } },
		},
	};

	run_all(&run);
}

WEIR_TEST(flow_stress, all_or_nothing_gives_the_same_to_everybody)
{
	static struct run run = {
		.is_all_or_nothing = true,
		.subscriber_count = 4,
		.subscribers = {
			{ .options = { .capacity = 20, .overflow = WEIR_OVERFLOW_DROP_NEWEST },
				.expected = { .is_lossless = true } },
			{ .options = { .capacity = 10,
				  .overflow = WEIR_OVERFLOW_DROP_NEWEST,
				  .order = WEIR_ORDER_PRIORITY,
				  .priority_classes = 2 },
				.expected = { .is_lossless = true, .is_by_priority = true } },
			{ .options = { .capacity = 15,
				  .capacity_bytes = 1000,
				  .overflow = WEIR_OVERFLOW_DROP_NEWEST },
				.expected = { .is_lossless = true } },
			{ .options = { .capacity = 100, .overflow = WEIR_OVERFLOW_DROP_OLDEST },
				.expected = { .is_stopped = true } },
		},
	};
	uint64_t refused = 0;
	weir_receipt sum;

	run.count = harness_scaled(EVERY_MESSAGE);
	run_open(&run);
	publishers_start(&run);
	sum = publishers_join(&run);
	subscribers_join(&run);
	for (int i = 0; i < PUBLISHERS; i++)
		refused += run.publishers[i].refused;
	CHECK_EQ(sum.published + refused, run.count * PUBLISHERS);
	CHECK(refused > 0 && sum.published > 0);
	run_check(&run, &sum);
	/* The same messages, not only as many. */
	for (int i = 0; i < PUBLISHERS; i++)
		for (int k = 1; k < 3; k++)
			CHECK(memcmp(run.subscribers[0].seen[i], run.subscribers[k].seen[i],
				      run.count) == 0);
	run_close(&run);
}

/* ---- Coming and going ---- */

struct churn {
	weir_broker *broker;
	_Atomic uint32_t is_over;
	_Atomic uint64_t matched;
};

/* Subscribes by one policy after the other, takes a few, and leaves. */
static void *come_and_go(void *argument)
{
	static const weir_overflow policies[] = { WEIR_OVERFLOW_BLOCK, WEIR_OVERFLOW_DROP_NEWEST,
		WEIR_OVERFLOW_DROP_OLDEST, WEIR_OVERFLOW_DROP_LOWEST, WEIR_OVERFLOW_CONFLATE,
		WEIR_OVERFLOW_UNBOUNDED };
	struct churn *churn = argument;

	for (size_t turn = 0; weiri_load_acquire(&churn->is_over) == 0; turn++) {
		weir_subscription_options options = {
			.overflow = policies[turn % 6],
			.order = turn / 6 % 2 == 0 ? WEIR_ORDER_ARRIVAL : WEIR_ORDER_PRIORITY,
		};
		weir_subscription_statistics last;
		weir_subscription *subscription;
		weir_delivery delivery;

		if (options.overflow != WEIR_OVERFLOW_UNBOUNDED)
			options.capacity = 1 + turn % 7;
		CHECK_EQ(weir_subscribe(&subscription, churn->broker, "t", &options), 0);
		for (int i = 0; i < 20; i++)
			(void)weir_receive(subscription, &delivery, 0);
		CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
		fixture_check_sums(&last);
		CHECK_EQ(last.queued, 0);
		(void)weiri_add_relaxed(&churn->matched, last.matched);
	}
	return NULL;
}

WEIR_TEST(flow_stress, subscriptions_of_every_policy_come_and_go_under_load)
{
	static struct run run = {
		.subscriber_count = 1,
		.subscribers = { { .options = { .capacity = 64 },
			.expected = { .is_lossless = true } } },
		.has_guests = true,
	};
	struct churn churn = { 0 };
	pthread_t guests[2];
	weir_receipt sum;

	run.count = harness_scaled(EVERY_MESSAGE);
	run_open(&run);
	churn.broker = run.broker;
	for (int i = 0; i < 2; i++)
		guests[i] = fixture_thread(come_and_go, &churn);
	publishers_start(&run);
	sum = publishers_join(&run);
	weiri_store_release(&churn.is_over, 1);
	for (int i = 0; i < 2; i++)
		fixture_join(guests[i]);
	subscribers_join(&run);
	CHECK_EQ(sum.matched, sum.published + weiri_load_relaxed(&churn.matched));
	subscriber_check(&run.subscribers[0], sum.published);
	run_close(&run);
	CHECK(weiri_load_relaxed(&churn.matched) > 0);
}
