/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * out_of_memory_test.c - every allocation of every script fails once, alone and with
 * all that follow: the call says WEIR_ENOMEM and has done nothing, the same call
 * works when there is memory again, everything else goes on, and nothing is left.
 */
#include <string.h>

#include "core/pool.h"
#include "fail_allocator.h"
#include "fixture.h"
#include "model.h"

struct script {
	const char *name;
	void (*run)(struct script *script);

	/* Of one run. */
	struct fail_allocator memory;
	weir_broker *broker;
	uint64_t refused; /* calls that said WEIR_ENOMEM */
};

/*
 * A call that may say WEIR_ENOMEM, and is made again then, with memory. So the
 * second time it may not say so.
 */
static bool lacks_memory(struct script *script, int error)
{
	if (error != WEIR_ENOMEM)
		return false;
	CHECK(script->memory.fail_at != 0);
	script->refused++;
	fail_allocator_arm(&script->memory, 0, false);
	return true;
}

static void open_broker(struct script *script)
{
	const weir_broker_options options = { .allocator = fail_allocator_hook(&script->memory),
		.timestamps = true };
	int error;

	do {
		script->broker = NULL;
		error = weir_broker_open(&script->broker, &options);
		CHECK(error == 0 || script->broker == NULL);
	} while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
}

static weir_publisher *open_publisher(struct script *script, const char *name)
{
	weir_publisher *publisher;
	int error;

	do {
		publisher = NULL;
		error = weir_publisher_open(&publisher, script->broker, name, NULL);
		CHECK(error == 0 || publisher == NULL);
	} while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	return publisher;
}

static weir_subscription *open_subscription(
	struct script *script, const char *filter, const weir_subscription_options *options)
{
	weir_subscription *subscription;
	int error;

	do {
		weir_broker_statistics before, after;

		CHECK_EQ(weir_broker_statistics_get(script->broker, &before), 0);
		subscription = NULL;
		error = weir_subscribe(&subscription, script->broker, filter, options);
		CHECK_EQ(weir_broker_statistics_get(script->broker, &after), 0);
		CHECK(error == 0 || subscription == NULL);
		CHECK_EQ(after.subscriptions, before.subscriptions + (error == 0));
	} while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	return subscription;
}

static weir_receipt publish_sized(
	struct script *script, weir_publisher *publisher, const void *data, size_t size)
{
	weir_receipt receipt;
	int error;

	do {
		receipt = (weir_receipt){ .published = 0 };
		error = weir_publish(publisher, data, size,
			&(weir_publish_options){ .no_wait = true }, &receipt);
		/* A publish that went out is not made again. */
		if (error == WEIR_ENOMEM && receipt.published > 0) {
			CHECK(receipt.dropped > 0);
			script->refused++;
			fail_allocator_arm(&script->memory, 0, false);
			return receipt;
		}
	} while (lacks_memory(script, error));
	CHECK(error == 0 || error == WEIR_ETIMEDOUT);
	CHECK_EQ(receipt.published, 1);
	return receipt;
}

static weir_receipt publish(struct script *script, weir_publisher *publisher, const char *text)
{
	return publish_sized(script, publisher, text, strlen(text));
}

static void expect(weir_subscription *subscription, const char *text)
{
	fixture_receive_text(subscription, text);
}

static void end_subscription(weir_subscription *subscription)
{
	weir_subscription_statistics last;

	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	fixture_check_sums(&last);
}

/* ---- The scripts ---- */

static void script_open_and_close(struct script *script)
{
	(void)script;
}

static void script_fan_out(struct script *script)
{
	weir_subscription *exact = open_subscription(script, "a.b", NULL);
	weir_publisher *publisher = open_publisher(script, "a.b");
	weir_subscription *star = open_subscription(script, "*.b", NULL);
	weir_subscription *tail = open_subscription(script, ">", NULL);

	CHECK_EQ(publish(script, publisher, "one").enqueued, 3);
	expect(exact, "one");
	expect(star, "one");
	expect(tail, "one");
	end_subscription(star);
	CHECK_EQ(publish(script, publisher, "two").enqueued, 2);
	expect(exact, "two");
	weir_publisher_close(publisher);
	end_subscription(exact);
	end_subscription(tail);
}

/* The subscriptions are known to many topics, whose table grows meanwhile. */
static void script_many_topics(struct script *script)
{
	enum {
		COUNT = 26
	};
	weir_subscription *first = open_subscription(script, "t.*", NULL), *second;
	weir_publisher *publishers[COUNT];
	char name[16] = "t.a";

	for (int i = 0; i < COUNT; i++) {
		name[2] = (char)('A' + i);
		publishers[i] = open_publisher(script, name);
	}
	second = open_subscription(script, ">", NULL);
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(publish(script, publishers[i], "x").enqueued, 2);
	end_subscription(first);
	for (int i = 0; i < COUNT; i++) {
		CHECK_EQ(publish(script, publishers[i], "y").enqueued, 1);
		expect(second, "x");
		weir_publisher_close(publishers[i]);
		name[2] = (char)('A' + i);
		CHECK_EQ(weir_topic_remove(script->broker, name), 0);
	}
	expect(second, "y");
	end_subscription(second);
}

static void script_sizes(struct script *script)
{
	static const size_t sizes[] = { 0, 64, 65, 1000, 20000, WEIRI_POOL_PAYLOAD_MAX,
		WEIRI_POOL_PAYLOAD_MAX + 1, 1000000 };
	static char bytes[1000000];
	weir_subscription *subscription = open_subscription(script, "t", NULL);
	weir_publisher *publisher = open_publisher(script, "t");

	memset(bytes, 'b', sizeof(bytes));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		CHECK_EQ(publish_sized(script, publisher, bytes, sizes[i]).enqueued, 1);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(delivery.size, sizes[i]);
		CHECK(memcmp(delivery.data, bytes, delivery.size) == 0);
	}
	weir_publisher_close(publisher);
	end_subscription(subscription);
}

static void count_free(void *context, void *data)
{
	CHECK_STR_EQ(data, "wrapped");
	++*(int *)context;
}

static void script_loans_and_wraps(struct script *script)
{
	weir_subscription *subscription = open_subscription(script, "t", NULL);
	weir_publisher *publisher = open_publisher(script, "t");
	weir_message *loan, *wrapped;
	char text[] = "wrapped";
	int error, frees = 0;

	do {
		loan = NULL;
		error = weir_loan(publisher, 300000, &loan);
		CHECK(error == 0 || loan == NULL);
	} while (lacks_memory(script, error));
	do {
		wrapped = NULL;
		error = weir_message_wrap(publisher, text, 7, count_free, &frees, &wrapped);
		CHECK(error == 0 || wrapped == NULL);
		CHECK_EQ(frees, 0);
	} while (lacks_memory(script, error));
	memset(weir_message_buffer(loan), 'l', 300000);
	do {
		error = weir_publish_message(publisher, wrapped, NULL, NULL);
		CHECK_EQ(frees, 0);
	} while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	expect(subscription, "wrapped");
	fixture_check_empty(subscription);
	CHECK_EQ(frees, 1);
	weir_message_release(loan);
	weir_publisher_close(publisher);
	end_subscription(subscription);
}

static void script_batches(struct script *script)
{
	enum {
		COUNT = 300
	};
	weir_subscription *subscription = open_subscription(script, "t", NULL);
	weir_publisher *publisher = open_publisher(script, "t");
	weir_payload payloads[COUNT];
	weir_delivery deliveries[COUNT];
	static char bytes[COUNT];
	weir_receipt receipt;
	size_t done = 0, count;
	int error;

	for (int i = 0; i < COUNT; i++) {
		bytes[i] = (char)i;
		payloads[i] = (weir_payload){ &bytes[i], i % 3 == 0 ? 1 : 5000 };
		payloads[i].size = payloads[i].size > (size_t)(COUNT - i) ? 1 : 1 + (size_t)i % 2;
	}
	/* Memory may give out midway: the receipt says where to go on. */
	do {
		receipt = (weir_receipt){ .published = 0 };
		error = weir_publish_batch(
			publisher, payloads + done, COUNT - done, NULL, &receipt);
		done += (size_t)receipt.published;
		CHECK_EQ(receipt.enqueued, receipt.published);
		CHECK(error != 0 || done == COUNT);
	} while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	/* A receive without memory for its list takes fewer. */
	for (size_t received = 0; received < COUNT; received += count) {
		CHECK_EQ(weir_receive_batch(subscription, deliveries, COUNT, 0, &count), 0);
		for (size_t i = 0; i < count; i++)
			CHECK_EQ(*(const char *)deliveries[i].data, bytes[received + i]);
	}
	weir_publisher_close(publisher);
	end_subscription(subscription);
}

static void script_by_name(struct script *script)
{
	weir_subscription *subscription = open_subscription(script, "t.*", NULL);
	static const char *const names[] = { "t.one", "t.two", "t.one" };
	int error;

	for (int i = 0; i < 3; i++) {
		do
			error = weir_publish_to(script->broker, names[i], names[i], 5, NULL, NULL);
		while (lacks_memory(script, error));
		CHECK_EQ(error, 0);
	}
	for (int i = 0; i < 3; i++)
		expect(subscription, names[i]);
	CHECK_EQ(weir_topic_remove(script->broker, "t.two"), 0);
	end_subscription(subscription);
}

static void script_blocked(struct script *script)
{
	const weir_subscription_options one = { .capacity = 1 };
	weir_subscription *first = open_subscription(script, "t", &one);
	weir_publisher *publisher = open_publisher(script, "t");
	weir_subscription *second;

	CHECK_EQ(publish(script, publisher, "one").enqueued, 1);
	/* A publisher that may have to wait at one more needs room to note it. */
	second = open_subscription(script, "*", &one);
	CHECK_EQ(publish(script, publisher, "two").timed_out, 1);
	CHECK_EQ(publish(script, publisher, "three").timed_out, 2);
	expect(first, "one");
	expect(second, "two");
	CHECK_EQ(publish(script, publisher, "four").enqueued, 2);
	weir_publisher_close(publisher);
	end_subscription(first);
	end_subscription(second);
}

static void script_policies(struct script *script)
{
	static const weir_subscription_options options[] = {
		{ .overflow = WEIR_OVERFLOW_DROP_NEWEST, .capacity = 2 },
		{ .overflow = WEIR_OVERFLOW_DROP_OLDEST, .capacity = 2 },
		{ .overflow = WEIR_OVERFLOW_DROP_LOWEST, .capacity = 2, .count_priorities = true },
		{ .overflow = WEIR_OVERFLOW_CONFLATE, .capacity = 2 },
		{ .overflow = WEIR_OVERFLOW_UNBOUNDED },
		{ .order = WEIR_ORDER_PRIORITY, .priority_classes = 3, .capacity = 2 },
		{ .order = WEIR_ORDER_PRIORITY, .ageing = 1, .capacity = 2 },
		{ .capacity = 2, .capacity_bytes = 200 },
	};
	enum {
		COUNT = sizeof(options) / sizeof(options[0])
	};
	weir_subscription *subscriptions[COUNT];
	weir_publisher *publisher = open_publisher(script, "t");
	weir_subscription_statistics statistics;

	for (int i = 0; i < COUNT; i++)
		subscriptions[i] = open_subscription(script, "t", &options[i]);
	for (int i = 0; i < 100; i++)
		(void)publish(script, publisher, "x");
	for (int i = 0; i < COUNT; i++) {
		statistics = fixture_statistics(subscriptions[i]);
		CHECK_EQ(statistics.matched, 100);
		/* Where memory gave out in the midst of a publish. */
		CHECK(statistics.dropped[WEIR_DROP_MEMORY] <= 1 || script->memory.keep_failing);
		while (statistics.queued-- > 0)
			expect(subscriptions[i], "x");
		end_subscription(subscriptions[i]);
	}
	weir_publisher_close(publisher);
}

static void script_all_or_nothing(struct script *script)
{
	const weir_publish_options all = { .all_or_nothing = true };
	const weir_subscription_options options = { .overflow = WEIR_OVERFLOW_DROP_OLDEST };
	weir_subscription *ring = open_subscription(script, "t", NULL);
	weir_subscription *store = open_subscription(script, "t", &options);
	weir_publisher *publisher = open_publisher(script, "t");
	weir_receipt receipt = { .enqueued = 0 };
	int error;

	do {
		error = weir_publish(publisher, "all", 3, &all, &receipt);
		if (error != 0) {
			fixture_check_empty(ring);
			fixture_check_empty(store);
		}
	} while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	CHECK_EQ(receipt.enqueued, 2);
	expect(ring, "all");
	expect(store, "all");
	weir_publisher_close(publisher);
	end_subscription(ring);
	end_subscription(store);
}

static void script_acknowledge(struct script *script)
{
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL, .max_in_flight = 8, .dead_letter_topic = "dead"
	};
	weir_subscription *dead = open_subscription(script, "dead", NULL);
	weir_subscription *subscription = open_subscription(script, "t", &options);
	weir_publisher *publisher = open_publisher(script, "t");
	weir_subscription_statistics statistics;
	weir_delivery delivery;

	(void)publish(script, publisher, "good");
	(void)publish(script, publisher, "bad");
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	/* Without memory for the text it is not kept. */
	CHECK_EQ(weir_nack(&delivery, 0, "text"), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.attempt, 2);
	CHECK_EQ(weir_ack_up_to(&delivery, NULL), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_reject(&delivery, "bad"), 0);
	/* Without memory for the letter it is counted as dropped. */
	statistics = fixture_statistics(subscription);
	CHECK_EQ(statistics.acknowledged, 1);
	CHECK_EQ(statistics.dead_lettered + fixture_dropped(&statistics), 1);
	if (statistics.dead_lettered == 1)
		expect(dead, "bad");
	weir_publisher_close(publisher);
	end_subscription(subscription);
	end_subscription(dead);
}

static void script_redrive(struct script *script)
{
	const weir_subscription_options parking = { .ack = WEIR_ACK_MANUAL, .park_max = 2 };
	const weir_subscription_options lettering = { .ack = WEIR_ACK_MANUAL,
		.dead_letter_topic = "dead" };
	weir_subscription *dead = open_subscription(script, "dead", NULL);
	weir_subscription *parked = open_subscription(script, "t", &parking);
	weir_subscription *lettered = open_subscription(script, "t", &lettering);
	weir_publisher *publisher = open_publisher(script, "t");
	weir_delivery delivery;

	(void)publish(script, publisher, "bad");
	CHECK_EQ(weir_receive(parked, &delivery, 0), 0);
	CHECK_EQ(weir_reject(&delivery, "text"), 0);
	CHECK_EQ(fixture_statistics(parked).parked, 1);
	CHECK_EQ(weir_redrive_parked(parked, 1, NULL), 0);
	CHECK_EQ(weir_receive(parked, &delivery, 0), 0);
	CHECK_EQ(weir_ack(&delivery), 0);

	CHECK_EQ(weir_receive(lettered, &delivery, 0), 0);
	CHECK_EQ(weir_reject(&delivery, "text"), 0);
	if (weir_receive(dead, &delivery, 0) == 0) {
		CHECK_EQ(weir_redrive(&delivery), 0);
		CHECK_EQ(weir_receive(lettered, &delivery, 0), 0);
		CHECK_EQ(delivery.attempt, 1);
		CHECK_EQ(weir_ack(&delivery), 0);
	}
	weir_publisher_close(publisher);
	end_subscription(parked);
	end_subscription(lettered);
	end_subscription(dead);
}

/* Publishes with these options, in the end; whether it went out, or will. */
static void publish_special(
	struct script *script, weir_publisher *publisher, const weir_publish_options *options)
{
	weir_receipt receipt;
	int error;

	do {
		receipt = (weir_receipt){ .published = 0 };
		error = weir_publish(publisher, "special", 7, options, &receipt);
		if (error == WEIR_ENOMEM && receipt.published > 0) {
			script->refused++;
			fail_allocator_arm(&script->memory, 0, false);
			return;
		}
	} while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	CHECK_EQ(receipt.published + receipt.delayed, 1);
}

/* Without timers that come due: their thread must not meet a change of plan. */
static void script_special(struct script *script)
{
	const weir_subscription_options to_dead = { .dead_letter_topic = "dead",
		.dead_letter_expired = true };
	const weir_subscription_options at_once = { .expire_at_once = true };
	weir_subscription *dead = open_subscription(script, "dead", NULL);
	weir_subscription *subscription = open_subscription(script, "t", &to_dead);
	weir_subscription *other = open_subscription(script, "t", &at_once);
	weir_publisher *publisher = open_publisher(script, "t");
	weir_subscription_statistics statistics;
	weir_publish_options options;
	weir_confirm_counts counts;
	weir_confirm *confirm;
	weir_delivery delivery;
	int error;

	do
		error = weir_topic_dedupe(script->broker, "t", 4, 0);
	while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	do
		error = weir_confirm_open(
			&confirm, script->broker, &(weir_confirm_options){ .timeout = 5000.0 });
	while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	options = (weir_publish_options){ .confirm = confirm, .has_id = true, .id = 1 };
	publish_special(script, publisher, &options);
	do
		error = weir_publish(publisher, "again", 5, &options, NULL);
	while (lacks_memory(script, error));
	CHECK_EQ(error, WEIR_EDUPLICATE);
	expect(subscription, "special");
	end_subscription(other);
	options = (weir_publish_options){ .confirm = confirm, .expires_at = 1e-9 };
	publish_special(script, publisher, &options);
	options = (weir_publish_options){ .confirm = confirm, .delay = 5000.0, .ttl = 1.0 };
	publish_special(script, publisher, &options);
	/* Without memory for the letter the expired one is counted. */
	CHECK_EQ(weir_receive(subscription, &delivery, 0), WEIR_EAGAIN);
	statistics = fixture_statistics(subscription);
	CHECK_EQ(statistics.expired + statistics.dead_lettered + fixture_dropped(&statistics), 1);
	CHECK_EQ(weir_confirm_wait(confirm, 0, &counts), WEIR_ETIMEDOUT);
	CHECK_EQ(counts.published, 3);
	CHECK_EQ(counts.pending, 1);
	weir_confirm_close(confirm);
	weir_publisher_close(publisher);
	end_subscription(subscription);
	end_subscription(dead);
}

static void script_select_and_drain(struct script *script)
{
	weir_subscription *set[2] = { open_subscription(script, "a", NULL),
		open_subscription(script, "b", NULL) };
	weir_publisher *publisher = open_publisher(script, "b");
	weir_pacer pacer = { .base = 1e-9 };
	weir_delivery delivery;
	size_t index = 77;
	int error;

	do
		error = weir_publish_paced(publisher, &pacer, "paced", 5, NULL, NULL);
	while (lacks_memory(script, error));
	CHECK_EQ(error, 0);
	CHECK_EQ(weir_select(set, 2, WEIR_SELECT_FAIR, 0, &delivery, &index), 0);
	CHECK_EQ(index, 1);
	CHECK_EQ(weir_broker_drain(script->broker, WEIR_FOREVER), 0);
	weir_publisher_close(publisher);
	end_subscription(set[0]);
	end_subscription(set[1]);
}

static void script_stop_and_wake(struct script *script)
{
	weir_subscription *one = open_subscription(script, "t", NULL);
	weir_subscription *two = open_subscription(script, "t", NULL);
	weir_publisher *publisher = open_publisher(script, "t");
	weir_topic_statistics topic;
	weir_delivery delivery;

	(void)publish(script, publisher, "x");
	/* To leave needs no memory, however little there is. */
	CHECK_EQ(weir_subscription_stop(one), 0);
	CHECK_EQ(weir_receive(one, &delivery, 0), WEIR_ECLOSED);
	CHECK_EQ(weir_wake(two), 0);
	CHECK_EQ(weir_topic_statistics_get(script->broker, "t", &topic), 0);
	CHECK_EQ(topic.subscriptions, 1);
	CHECK_EQ(publish(script, publisher, "y").matched, 1);
	expect(two, "x");
	expect(two, "y");
	weir_publisher_close(publisher);
	end_subscription(one);
	end_subscription(two);
}

/* ---- The sweep ---- */

static struct script scripts[] = {
	{ .name = "open and close", .run = script_open_and_close },
	{ .name = "fan out", .run = script_fan_out },
	{ .name = "many topics", .run = script_many_topics },
	{ .name = "sizes", .run = script_sizes },
	{ .name = "loans and wraps", .run = script_loans_and_wraps },
	{ .name = "batches", .run = script_batches },
	{ .name = "by name", .run = script_by_name },
	{ .name = "blocked", .run = script_blocked },
	{ .name = "policies", .run = script_policies },
	{ .name = "all or nothing", .run = script_all_or_nothing },
	{ .name = "acknowledge", .run = script_acknowledge },
	{ .name = "redrive", .run = script_redrive },
	{ .name = "special", .run = script_special },
	{ .name = "select and drain", .run = script_select_and_drain },
	{ .name = "stop and wake", .run = script_stop_and_wake },
};

/* Whether the allocation with this number was asked for, and refused. */
static bool script_run(struct script *script, uint64_t fail_at, bool keep_failing)
{
	weir_broker_statistics last;
	bool was_refused;

	script->memory = (struct fail_allocator){ .fail_at = fail_at };
	script->memory.keep_failing = keep_failing;
	script->refused = 0;
	open_broker(script);
	script->run(script);
	CHECK_EQ(weir_broker_close(script->broker, &last), 0);
	fixture_check_broker_sums(&last);
	was_refused = atomic_load(&script->memory.failed) > 0 || script->refused > 0;
	fail_allocator_check_empty(&script->memory);
	return was_refused;
}

/* Returns how many allocations there were. */
static uint64_t script_sweep(struct script *script, bool keep_failing)
{
	uint64_t fail_at = 1;

	while (script_run(script, fail_at, keep_failing))
		fail_at++;
	return fail_at - 1;
}

static void sweep_all(bool keep_failing)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		const uint64_t allocations = script_sweep(&scripts[i], keep_failing);

		/* Without a failure it says how many there are. */
		CHECK(!script_run(&scripts[i], 0, false));
		CHECK_EQ(atomic_load(&scripts[i].memory.calls), allocations);
		CHECK(allocations >= 2);
	}
}

WEIR_TEST(out_of_memory, one_allocation_that_fails_is_one_call_that_says_so)
{
	sweep_all(false);
}

WEIR_TEST(out_of_memory, nothing_breaks_when_all_allocations_fail_from_one_on)
{
	sweep_all(true);
}
