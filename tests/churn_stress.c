/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * churn_stress.c - subscriptions and topics come and go while four publishers run.
 *
 * Joining leaves no gap (P6): a publish that begins after weir_subscribe has
 * returned is delivered, and from the first message on nothing is missing.
 * Leaving is final (P7): when weir_unsubscribe has returned, its sums are final,
 * publishers that were blocked on it run, and nothing touches its memory.
 */
#include <stdatomic.h>
#include <string.h>

#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

#define PUBLISHERS 4
#define JOINERS    2

struct message {
	uint64_t publisher;
	uint64_t number;
};

struct publishing {
	weir_broker *broker;
	unsigned int index;
	weir_publisher *publisher; /* NULL: by name */
	_Atomic bool *stop;
	/* The number of the message whose publish has begun last, or is about to. */
	_Atomic uint64_t begun;
};

struct stage {
	weir_broker *broker;
	_Atomic bool stop; /* publishing */
	_Atomic bool stop_joining;
	struct publishing publishings[PUBLISHERS];
};

/* ---- Publishing ---- */

static const char *const topics[PUBLISHERS] = { "churn.a", "churn.a", "churn.b", "churn.b" };

static void *publishing_run(void *argument)
{
	struct publishing *publishing = argument;
	struct message message = { .publisher = publishing->index };

	while (!atomic_load(publishing->stop)) {
		weir_receipt receipt;
		int error;

		message.number++;
		/* Sequentially consistent: whoever does not see it yet has done
		 * all that it did before this publish begins. */
		(void)atomic_exchange(&publishing->begun, message.number);
		if (publishing->publisher != NULL)
			error = weir_publish(
				publishing->publisher, &message, sizeof(message), NULL, &receipt);
		else
			error = weir_publish_to(publishing->broker, topics[publishing->index],
				&message, sizeof(message), NULL, &receipt);
		CHECK_EQ(error, 0);
		/* What is not enqueued was refused by one that was leaving. */
		CHECK_EQ(receipt.matched, receipt.enqueued + receipt.dropped);
		CHECK_EQ(receipt.timed_out, 0);
	}
	return NULL;
}

/* ---- Joining and leaving ---- */

struct joining {
	struct stage *stage;
	unsigned int index;
	uint64_t state;
	uint64_t rounds;
	uint64_t refused;   /* publishes that unsubscribing has let go */
	uint64_t discarded; /* messages that were queued then */
	uint64_t gapless;   /* messages looked at */
};

static const struct {
	const char *filter;
	bool from[PUBLISHERS];
} joins[] = {
	{ "churn.a", { true, true, false, false } },
	{ "churn.b", { false, false, true, true } },
	{ "churn.*", { true, true, true, true } },
	{ ">", { true, true, true, true } },
	{ "*.b", { false, false, true, true } },
};

#define JOIN_COUNT (sizeof(joins) / sizeof(joins[0]))

static void message_check(
	const weir_delivery *delivery, size_t join, uint64_t *last, const uint64_t *begun)
{
	struct message message;

	CHECK_EQ(delivery->size, sizeof(message));
	memcpy(&message, delivery->data, sizeof(message));
	CHECK(message.publisher < PUBLISHERS && joins[join].from[message.publisher]);
	CHECK_EQ(delivery->missed, 0);
	if (last[message.publisher] == 0)
		CHECK(message.number <= begun[message.publisher] + 1);
	else
		CHECK_EQ(message.number, last[message.publisher] + 1);
	last[message.publisher] = message.number;
}

static void join_once(struct joining *joining)
{
	struct stage *stage = joining->stage;
	const size_t join = (size_t)harness_random_below(&joining->state, JOIN_COUNT);
	/* Small ones block publishers, large ones let them run. */
	const bool is_small = harness_random_below(&joining->state, 4) == 0;
	const size_t capacity =
		1 + (size_t)harness_random_below(&joining->state, is_small ? 8 : 2000);
	const uint64_t messages = harness_random_below(&joining->state, 40);
	uint64_t last[PUBLISHERS] = { 0 }, begun[PUBLISHERS];
	weir_subscription *subscription =
		fixture_subscribe(stage->broker, joins[join].filter, capacity);
	weir_subscription_statistics statistics;

	for (int i = 0; i < PUBLISHERS; i++)
		begun[i] = atomic_load(&stage->publishings[i].begun);
	for (uint64_t i = 0; i < messages; i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), 0);
		message_check(&delivery, join, last, begun);
	}
	/* Now and then until it is full, so that publishers are blocked in it. */
	if (is_small && harness_random_below(&joining->state, 2) == 0)
		FIXTURE_UNTIL(fixture_publishers_are_parked(subscription, 1));
	CHECK_EQ(weir_unsubscribe(subscription, &statistics), 0);
	fixture_check_sums(&statistics);
	CHECK_EQ(statistics.delivered, messages);
	CHECK_EQ(statistics.queued, 0);
	CHECK_EQ(statistics.matched - statistics.enqueued + (statistics.enqueued - messages),
		statistics.dropped[WEIR_DROP_CLOSED]);
	joining->refused += statistics.matched - statistics.enqueued;
	joining->discarded += statistics.enqueued - messages;
	joining->gapless += messages;
	joining->rounds++;
}

static void *joining_run(void *argument)
{
	struct joining *joining = argument;

	while (!atomic_load(&joining->stage->stop_joining))
		join_once(joining);
	return NULL;
}

/* ---- All together ---- */

static void stage_open(struct stage *stage, const weir_broker_options *options)
{
	stage->broker = fixture_broker(options);
	for (unsigned int i = 0; i < PUBLISHERS; i++) {
		struct publishing *publishing = &stage->publishings[i];

		publishing->broker = stage->broker;
		publishing->index = i;
		publishing->stop = &stage->stop;
		if (i % 2 == 0)
			publishing->publisher = fixture_publisher(stage->broker, topics[i]);
	}
}

static uint64_t stage_published(const struct stage *stage)
{
	uint64_t sum = 0;

	for (int i = 0; i < PUBLISHERS; i++)
		sum += atomic_load(&stage->publishings[i].begun);
	return sum;
}

static void stage_close(struct stage *stage)
{
	weir_broker_statistics last;

	for (int i = 0; i < PUBLISHERS; i++)
		weir_publisher_close(stage->publishings[i].publisher);
	CHECK_EQ(weir_broker_close(stage->broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.published, stage_published(stage));
	CHECK_EQ(last.queued, 0);
}

WEIR_TEST(churn_stress, no_gap_on_joining_and_nothing_after_leaving)
{
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	const uint64_t rounds = harness_scaled(150);
	static struct stage stage;
	static struct joining joinings[JOINERS];
	struct joining own = { .stage = &stage, .state = harness_seed() + 99 };
	pthread_t threads[PUBLISHERS + JOINERS];

	stage_open(&stage, &options);
	for (unsigned int i = 0; i < PUBLISHERS; i++)
		threads[i] = fixture_thread(publishing_run, &stage.publishings[i]);
	for (unsigned int i = 0; i < JOINERS; i++) {
		joinings[i] = (struct joining){
			.stage = &stage, .index = i, .state = harness_seed() + i
		};
		threads[PUBLISHERS + i] = fixture_thread(joining_run, &joinings[i]);
	}
	while (own.rounds < rounds)
		join_once(&own);
	/* Joiners first: they wait for messages. */
	atomic_store(&stage.stop_joining, true);
	for (int i = PUBLISHERS; i < PUBLISHERS + JOINERS; i++)
		fixture_join(threads[i]);
	atomic_store(&stage.stop, true);
	for (int i = 0; i < PUBLISHERS; i++)
		fixture_join(threads[i]);
	for (int i = 0; i < JOINERS; i++) {
		CHECK(joinings[i].rounds > 0);
		own.refused += joinings[i].refused;
	}
	CHECK(own.gapless > rounds);
	CHECK(own.discarded > 0);
	/* Publishers that were let go because their subscription ended. */
	CHECK(own.refused > 0);
	stage_close(&stage);
	fail_allocator_check_empty(&memory);
}

/* ---- Topics come and go below a subscription that stays ---- */

#define NAMES 3

struct naming {
	struct stage *stage;
	unsigned int index;
	uint64_t published;
	uint64_t removed;
	uint64_t renewed; /* publishes that found their topic gone */
};

static const char *const names[NAMES] = { "come.one", "come.two", "come.three" };

static void *naming_run(void *argument)
{
	struct naming *naming = argument;
	struct message message = { .publisher = naming->index };
	uint64_t state = harness_seed() + naming->index;

	while (!atomic_load(&naming->stage->stop)) {
		const char *name = names[harness_random_below(&state, NAMES)];
		weir_receipt receipt;

		if (harness_random_below(&state, 3) == 0) {
			const int error = weir_topic_remove(naming->stage->broker, name);

			CHECK(error == 0 || error == WEIR_ENOENT || error == WEIR_EBUSY);
			naming->removed += error == 0;
		} else if (harness_random_below(&state, 3) == 0) {
			weir_publisher *publisher = fixture_publisher(naming->stage->broker, name);

			message.number = ++naming->published;
			CHECK_EQ(weir_publish(publisher, &message, sizeof(message), NULL, &receipt),
				0);
			CHECK_EQ(receipt.enqueued, 1);
			weir_publisher_close(publisher);
		} else {
			message.number = ++naming->published;
			CHECK_EQ(weir_publish_to(naming->stage->broker, name, &message,
					 sizeof(message), NULL, &receipt),
				0);
			CHECK_EQ(receipt.enqueued, 1);
			naming->renewed += receipt.sequence == 1;
		}
	}
	return NULL;
}

WEIR_TEST(churn_stress, no_message_is_lost_when_its_topic_comes_and_goes)
{
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	const uint64_t messages = harness_scaled(60000);
	uint64_t last[PUBLISHERS] = { 0 }, published = 0, removed = 0, renewed = 0;
	static struct stage stage;
	static struct naming namings[PUBLISHERS];
	weir_subscription *subscription;
	weir_subscription_statistics statistics;
	pthread_t threads[PUBLISHERS];

	stage.broker = fixture_broker(&options);
	subscription = fixture_subscribe(stage.broker, "come.*", 20);
	for (unsigned int i = 0; i < PUBLISHERS; i++) {
		namings[i] = (struct naming){ .stage = &stage, .index = i };
		threads[i] = fixture_thread(naming_run, &namings[i]);
	}
	for (uint64_t i = 0; i < messages; i++) {
		struct message message;
		weir_delivery delivery;

		CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), 0);
		memcpy(&message, delivery.data, sizeof(message));
		CHECK_EQ(message.number, last[message.publisher] + 1);
		last[message.publisher]++;
		CHECK(strncmp(weir_message_topic(delivery.message), "come.", 5) == 0);
	}
	atomic_store(&stage.stop, true);
	/* The threads may be blocked, and have to be seen off. */
	for (weir_delivery delivery; weir_receive(subscription, &delivery, 1e-2) == 0;)
		continue;
	for (int i = 0; i < PUBLISHERS; i++) {
		fixture_join(threads[i]);
		published += namings[i].published;
		removed += namings[i].removed;
		renewed += namings[i].renewed;
	}
	CHECK_EQ(weir_unsubscribe(subscription, &statistics), 0);
	CHECK_EQ(statistics.matched, published);
	CHECK_EQ(statistics.enqueued, published);
	CHECK(removed > 0);
	CHECK(renewed > 0);
	CHECK_EQ(weir_broker_close(stage.broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}
