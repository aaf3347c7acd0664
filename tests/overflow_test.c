/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every overflow policy as a table: what is published and received, in order,
 * and what must survive.
 */
#include <math.h>
#include <string.h>

#include "harness.h"
#include "weir/weir.h"

struct bed {
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
};

static struct bed bed_opened(const weir_subscription_options *options)
{
	struct bed bed;

	CHECK_EQ(weir_broker_open(&bed.broker, NULL), 0);
	CHECK_EQ(weir_subscribe(&bed.subscription, bed.broker, "t", options), 0);
	CHECK_EQ(weir_publisher_open(&bed.publisher, bed.broker, "t", NULL), 0);
	return bed;
}

static void bed_closed(struct bed *bed)
{
	weir_subscription_statistics last;
	uint64_t dropped = 0;

	CHECK_EQ(weir_unsubscribe(bed->subscription, &last), 0);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		dropped += last.dropped[i];
	CHECK_EQ(last.matched, last.delivered + dropped + last.queued);
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
}

/*
 * A script: "a5" publishes a message "a" of priority 5 (and key 'a'), "a!5" the
 * same expecting that it is refused, "<" receives one.  What is received, and
 * then what is left, in order of delivery, is `expected`.
 */
struct script {
	weir_overflow overflow;
	weir_order order;
	uint32_t classes;
	size_t capacity;
	const char *steps;
	const char *expected;
};

static void step_publish(struct bed *bed, char name, bool is_refused, int priority)
{
	weir_publish_options options = {
		.priority = priority,
		.has_key = true,
		.key = (uint64_t)name,
		.no_wait = true,
	};
	weir_receipt receipt = { 0 };
	int error = weir_publish(bed->publisher, &name, 1, &options, &receipt);

	CHECK(error == 0 || error == WEIR_ETIMEDOUT);
	CHECK_EQ(receipt.matched, 1);
	CHECK_EQ(receipt.dropped, is_refused ? 1 : 0);
	CHECK_EQ(receipt.enqueued, is_refused ? 0 : 1);
}

static bool step_receive(struct bed *bed, char *received)
{
	weir_delivery delivery;
	size_t length = strlen(received);

	if (weir_receive(bed->subscription, &delivery, 0) != 0)
		return false;
	received[length] = *(const char *)delivery.data;
	received[length + 1] = '\0';
	return true;
}

static void script_run(const struct script *script)
{
	struct bed bed = bed_opened(&(weir_subscription_options){
		.capacity = script->capacity,
		.overflow = script->overflow,
		.order = script->order,
		.priority_classes = script->classes,
	});
	char received[64] = "";
	const char *step = script->steps;

	while (*step != '\0') {
		if (*step == '<') {
			CHECK(step_receive(&bed, received));
			step++;
		} else {
			bool is_refused = step[1] == '!';

			step_publish(&bed, step[0], is_refused, step[is_refused ? 2 : 1] - '0');
			step += is_refused ? 3 : 2;
		}
	}
	while (step_receive(&bed, received))
		;
	CHECK_STR_EQ(received, script->expected);
	bed_closed(&bed);
}

WEIR_TEST(overflow, policies_leave_exactly_the_right_survivors)
{
	static const struct script scripts[] = {
		{ WEIR_OVERFLOW_BLOCK, WEIR_ORDER_ARRIVAL, 0, 1, "a0b!0<c0", "ac" },
		{ WEIR_OVERFLOW_BLOCK, WEIR_ORDER_ARRIVAL, 0, 3, "a0b0c0d!0<e0f!0", "abce" },
		{ WEIR_OVERFLOW_DROP_NEWEST, WEIR_ORDER_ARRIVAL, 0, 1, "a0b!0c!0<d0", "ad" },
		{ WEIR_OVERFLOW_DROP_NEWEST, WEIR_ORDER_ARRIVAL, 0, 2, "a0b0c!0<d0e!0", "abd" },
		{ WEIR_OVERFLOW_DROP_OLDEST, WEIR_ORDER_ARRIVAL, 0, 1, "a0b0c0", "c" },
		{ WEIR_OVERFLOW_DROP_OLDEST, WEIR_ORDER_ARRIVAL, 0, 3, "a0b0c0d0<e0f0", "bdef" },
		{ WEIR_OVERFLOW_DROP_OLDEST, WEIR_ORDER_PRIORITY, 0, 2, "a1b9c5", "cb" },
		{ WEIR_OVERFLOW_DROP_LOWEST, WEIR_ORDER_PRIORITY, 0, 1, "a5b!5c4d!5", "c" },
		{ WEIR_OVERFLOW_DROP_LOWEST, WEIR_ORDER_PRIORITY, 0, 3, "a5b5c5d!5e4f!9", "eab" },
		{ WEIR_OVERFLOW_DROP_LOWEST, WEIR_ORDER_ARRIVAL, 0, 3, "a5b9c1d2e3", "cde" },
		{ WEIR_OVERFLOW_CONFLATE, WEIR_ORDER_ARRIVAL, 0, 3, "a0b0a0c0a0<", "abc" },
		{ WEIR_OVERFLOW_CONFLATE, WEIR_ORDER_ARRIVAL, 0, 2, "a0b0c0a0", "ca" },
		{ WEIR_OVERFLOW_UNBOUNDED, WEIR_ORDER_ARRIVAL, 0, 0, "a0b0c0d0e0<f0", "abcdef" },
		{ WEIR_OVERFLOW_UNBOUNDED, WEIR_ORDER_PRIORITY, 0, 0, "a3b1c2d1e3", "bdcae" },
		{ WEIR_OVERFLOW_DROP_NEWEST, WEIR_ORDER_PRIORITY, 0, 3, "a3b1c2d!0<e0", "beca" },
		{ WEIR_OVERFLOW_DROP_NEWEST, WEIR_ORDER_PRIORITY, 4, 3, "a3b1c2d!0<e0", "beca" },
		{ WEIR_OVERFLOW_BLOCK, WEIR_ORDER_PRIORITY, 2, 4, "a9b1c0d9e!0", "cabd" },
	};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		script_run(&scripts[i]);
}

WEIR_TEST(overflow, conflation_keeps_the_latest_value)
{
	struct bed bed = bed_opened(
		&(weir_subscription_options){ .capacity = 2, .overflow = WEIR_OVERFLOW_CONFLATE });
	weir_publish_options options = { .has_key = true, .key = 7 };
	weir_receipt receipt;
	weir_delivery delivery;

	CHECK_EQ(weir_publish(bed.publisher, "old", 3, &options, NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "new", 3, &options, &receipt), 0);
	CHECK_EQ(receipt.evicted, 1);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK(memcmp(delivery.data, "new", 3) == 0);
	CHECK_EQ(delivery.missed, 1);
	CHECK_EQ(weir_message_key(delivery.message), 7);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), WEIR_EAGAIN);
	bed_closed(&bed);
}

WEIR_TEST(overflow, messages_without_a_key_conflate_by_topic)
{
	struct bed bed = bed_opened(
		&(weir_subscription_options){ .capacity = 2, .overflow = WEIR_OVERFLOW_CONFLATE });
	weir_delivery delivery;

	CHECK_EQ(weir_publish(bed.publisher, "old", 3, NULL, NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "new", 3, NULL, NULL), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK(memcmp(delivery.data, "new", 3) == 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), WEIR_EAGAIN);
	bed_closed(&bed);
}

WEIR_TEST(overflow, bytes_are_limited_exactly)
{
	struct bed bed = bed_opened(
		&(weir_subscription_options){ .capacity_bytes = 2 * WEIR_MESSAGE_OVERHEAD + 10,
			.overflow = WEIR_OVERFLOW_DROP_OLDEST });
	weir_subscription_statistics statistics;
	char data[200] = "";
	weir_receipt receipt;

	CHECK_EQ(weir_publish(bed.publisher, data, 5, NULL, &receipt), 0);
	CHECK_EQ(weir_publish(bed.publisher, data, 5, NULL, &receipt), 0);
	CHECK_EQ(receipt.evicted, 0);
	CHECK_EQ(weir_publish(bed.publisher, data, 6, NULL, &receipt), 0);
	CHECK_EQ(receipt.evicted, 2);
	CHECK_EQ(weir_publish(bed.publisher, data, 200, NULL, &receipt), 0);
	CHECK_EQ(receipt.dropped, 1);
	CHECK_EQ(receipt.evicted, 0);
	CHECK_EQ(weir_subscription_statistics_get(bed.subscription, &statistics), 0);
	CHECK_EQ(statistics.queued, 1);
	bed_closed(&bed);
}

WEIR_TEST(overflow, unbounded_stops_at_the_limit_of_the_broker)
{
	struct bed bed;
	weir_receipt receipt = { 0 };

	CHECK_EQ(weir_broker_open(&bed.broker,
			 &(weir_broker_options){ .capacity_bytes = 3 * WEIR_MESSAGE_OVERHEAD }),
		0);
	CHECK_EQ(weir_subscribe(&bed.subscription, bed.broker, "t",
			 &(weir_subscription_options){ .overflow = WEIR_OVERFLOW_UNBOUNDED }),
		0);
	CHECK_EQ(weir_publisher_open(&bed.publisher, bed.broker, "t", NULL), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, &receipt), WEIR_ENOMEM);
	CHECK_EQ(receipt.published, 1);
	CHECK_EQ(receipt.dropped, 1);
	bed_closed(&bed);
}

WEIR_TEST(overflow, protected_messages_are_never_dropped)
{
	struct bed bed = bed_opened(&(weir_subscription_options){ .capacity = 2,
		.overflow = WEIR_OVERFLOW_DROP_OLDEST,
		.protect = true,
		.protect_priority = 0 });
	char received[64] = "";
	weir_publish_options control = { .no_wait = true };

	step_publish(&bed, 'a', false, 0);
	step_publish(&bed, 'b', false, 1);
	step_publish(&bed, 'c', false, 0);
	step_publish(&bed, 'd', true, 1);
	CHECK_EQ(weir_publish(bed.publisher, "e", 1, &control, NULL), WEIR_ETIMEDOUT);
	CHECK(step_receive(&bed, received));
	CHECK(step_receive(&bed, received));
	CHECK_STR_EQ(received, "ac");
	bed_closed(&bed);
}

static void hook_count(void *context, weir_subscription *subscription, uint64_t queued)
{
	(void)subscription;
	*(uint64_t *)context = *(uint64_t *)context * 100 + queued + 1;
}

WEIR_TEST(overflow, watermarks_call_their_hooks_in_turn)
{
	uint64_t calls = 0;
	struct bed bed = bed_opened(&(weir_subscription_options){ .capacity = 4,
		.overflow = WEIR_OVERFLOW_DROP_NEWEST,
		.high_watermark = 3,
		.low_watermark = 1,
		.on_slow = hook_count,
		.on_recovered = hook_count,
		.hook_context = &calls });
	char received[64] = "";

	for (int i = 0; i < 4; i++)
		step_publish(&bed, 'a', false, 0);
	CHECK_EQ(calls, 4);
	for (int i = 0; i < 4; i++)
		CHECK(step_receive(&bed, received));
	CHECK_EQ(calls, 402);
	bed_closed(&bed);
}

WEIR_TEST(overflow, conflation_by_a_larger_value_leaves_one_message_of_the_key)
{
	struct bed bed =
		bed_opened(&(weir_subscription_options){ .overflow = WEIR_OVERFLOW_CONFLATE,
			.capacity_bytes = 2 * WEIR_MESSAGE_OVERHEAD + 10 });
	weir_publish_options options = { .has_key = true, .key = 1 };
	weir_delivery delivery;
	weir_receipt receipt;

	CHECK_EQ(weir_publish(bed.publisher, "old", 3, &options, NULL), 0);
	options.key = 2;
	CHECK_EQ(weir_publish(bed.publisher, "other", 5, &options, NULL), 0);
	options.key = 1;
	CHECK_EQ(weir_publish(bed.publisher, "0123456789", 10, &options, &receipt), 0);
	CHECK_EQ(receipt.evicted, 2);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.size, 10);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), WEIR_EAGAIN);
	bed_closed(&bed);
}

struct recovery {
	weir_subscription *subscription;
	int calls;
};

static void hook_receive_all(void *context, weir_subscription *subscription, uint64_t queued)
{
	weir_delivery delivery;

	(void)context;
	(void)queued;
	while (weir_receive(subscription, &delivery, 0) == 0)
		;
}

static void hook_recovered_unsubscribe(
	void *context, weir_subscription *subscription, uint64_t queued)
{
	struct recovery *recovery = context;

	CHECK_EQ(queued, 0);
	recovery->calls++;
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}

WEIR_TEST(overflow, a_queue_that_empties_during_on_slow_recovers_and_may_unsubscribe_then)
{
	struct recovery recovery = { 0 };
	struct bed bed = bed_opened(&(weir_subscription_options){ .high_watermark = 1,
		.on_slow = hook_receive_all,
		.on_recovered = hook_recovered_unsubscribe,
		.hook_context = &recovery });

	CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, NULL), 0);
	CHECK_EQ(recovery.calls, 1);
	weir_publisher_close(bed.publisher);
	CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
}

static void hook_must_not_come(void *context, weir_subscription *subscription, uint64_t queued)
{
	(void)context;
	(void)subscription;
	(void)queued;
	CHECK(false);
}

static void hook_slow_unsubscribe(void *context, weir_subscription *subscription, uint64_t queued)
{
	(void)context;
	(void)queued;
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}

WEIR_TEST(overflow, no_hook_comes_after_one_that_has_unsubscribed)
{
	struct bed bed = bed_opened(&(weir_subscription_options){ .high_watermark = 1,
		.on_slow = hook_slow_unsubscribe,
		.on_recovered = hook_must_not_come });

	CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, NULL), 0);
	weir_publisher_close(bed.publisher);
	CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
}

static void hook_unsubscribe(void *context, weir_subscription *subscription, uint64_t queued)
{
	(void)queued;
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	*(bool *)context = true;
}

WEIR_TEST(overflow, a_hook_may_unsubscribe_its_own_subscription)
{
	bool is_done = false;
	struct bed bed = bed_opened(&(weir_subscription_options){
		.high_watermark = 1, .on_slow = hook_unsubscribe, .hook_context = &is_done });

	CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, NULL), 0);
	CHECK(is_done);
	weir_publisher_close(bed.publisher);
	CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
}

WEIR_TEST(overflow, the_receipt_tells_how_full_the_fullest_queue_is)
{
	struct bed bed = bed_opened(&(weir_subscription_options){ .capacity = 4 });
	weir_publish_options options = { .want_fill = true };
	weir_receipt receipt;

	CHECK_EQ(weir_publish(bed.publisher, "", 0, &options, &receipt), 0);
	CHECK_NEAR(receipt.fill, 0.25, 0);
	CHECK_EQ(weir_publish(bed.publisher, "", 0, &options, &receipt), 0);
	CHECK_NEAR(receipt.fill, 0.5, 0);
	bed_closed(&bed);
}

struct all_bed {
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscriptions[4];
};

/* A ring, a store, lanes and a ring, of which the last one holds one message. */
static void all_bed_open(struct all_bed *bed)
{
	static const weir_subscription_options options[4] = {
		{ .capacity = 3 },
		{ .capacity = 3, .overflow = WEIR_OVERFLOW_DROP_OLDEST },
		{ .capacity = 3, .order = WEIR_ORDER_PRIORITY, .priority_classes = 4 },
		{ .capacity = 1, .overflow = WEIR_OVERFLOW_DROP_NEWEST },
	};

	CHECK_EQ(weir_broker_open(&bed->broker, NULL), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(weir_subscribe(&bed->subscriptions[i], bed->broker, "t", &options[i]), 0);
	CHECK_EQ(weir_publisher_open(&bed->publisher, bed->broker, "t", NULL), 0);
}

static void all_bed_close(struct all_bed *bed)
{
	for (int i = 0; i < 4; i++)
		CHECK_EQ(weir_unsubscribe(bed->subscriptions[i], NULL), 0);
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
}

static uint64_t queued(weir_subscription *subscription)
{
	weir_subscription_statistics statistics;

	CHECK_EQ(weir_subscription_statistics_get(subscription, &statistics), 0);
	return statistics.queued;
}

WEIR_TEST(overflow, all_or_nothing_gives_to_all_or_to_none)
{
	weir_publish_options options = { .all_or_nothing = true };
	weir_receipt receipt;
	weir_delivery delivery;
	struct all_bed bed;

	all_bed_open(&bed);
	CHECK_EQ(weir_publish(bed.publisher, "1", 1, &options, &receipt), 0);
	CHECK_EQ(receipt.enqueued, 4);
	CHECK_EQ(receipt.sequence, 1);
	CHECK_EQ(receipt.refused_by, 0);
	CHECK_EQ(weir_publish(bed.publisher, "2", 1, &options, &receipt), WEIR_EFULL);
	CHECK_EQ(receipt.published, 0);
	CHECK_EQ(receipt.refused_by, weir_subscription_id(bed.subscriptions[3]));
	for (int i = 0; i < 4; i++)
		CHECK_EQ(queued(bed.subscriptions[i]), 1);
	CHECK_EQ(weir_receive(bed.subscriptions[3], &delivery, 0), 0);
	CHECK_EQ(delivery.missed, 0);
	CHECK_EQ(weir_publish(bed.publisher, "3", 1, &options, &receipt), 0);
	CHECK_EQ(receipt.sequence, 2);
	all_bed_close(&bed);
}

WEIR_TEST(overflow, all_or_nothing_waits_for_a_blocking_one_up_to_the_deadline)
{
	weir_publish_options options = { .all_or_nothing = true, .timeout = 1e-3 };
	weir_receipt receipt;
	struct all_bed bed;
	weir_delivery delivery;

	all_bed_open(&bed);
	CHECK_EQ(weir_unsubscribe(bed.subscriptions[3], NULL), 0);
	CHECK_EQ(weir_subscribe(&bed.subscriptions[3], bed.broker, "t",
			 &(weir_subscription_options){ .capacity = 1 }),
		0);
	CHECK_EQ(weir_publish(bed.publisher, "1", 1, &options, NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "2", 1, &options, &receipt), WEIR_ETIMEDOUT);
	CHECK_EQ(receipt.published, 0);
	CHECK_EQ(receipt.refused_by, weir_subscription_id(bed.subscriptions[3]));
	CHECK_EQ(queued(bed.subscriptions[0]), 1);
	CHECK_EQ(weir_receive(bed.subscriptions[3], &delivery, 0), 0);
	CHECK_EQ(weir_publish(bed.publisher, "3", 1, &options, &receipt), 0);
	all_bed_close(&bed);
}

WEIR_TEST(overflow, a_stopped_subscription_keeps_no_drain_waiting)
{
	struct bed bed = bed_opened(NULL);
	weir_delivery delivery;

	CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, NULL), 0);
	CHECK_EQ(weir_subscription_stop(bed.subscription), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), WEIR_ECLOSED);
	CHECK_EQ(weir_broker_drain(bed.broker, WEIR_FOREVER), 0);
	bed_closed(&bed);
}
