/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline_life_test.c - what becomes of inline messages: they are kept, acknowledged and
 * come back as any others, and none is forgotten at the end.
 */
#include "inline_fixture.h"

#include "fail_allocator.h"
#include <weir/acknowledge.h>

/* ---- Kept loans ---- */

WEIR_TEST(inline_life, of_a_loan_that_is_kept_is_that_of_a_message_by_pointer)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 8);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_message *first, *next;

	slots_provide(publisher, subscription);
	CHECK_EQ(weir_loan(publisher, 8, &first), 0);
	bytes_fill(weir_message_buffer(first), 8, 1);
	CHECK_EQ(weir_message_keep(first), 0);
	CHECK_EQ(weir_publish_message(publisher, first, NULL, NULL), 0);
	CHECK_EQ(weir_loan(publisher, 8, &next), 0);
	CHECK(next != first);
	bytes_fill(weir_message_buffer(next), 8, 2);
	bytes_check(weir_message_data(first), 8, 1);
	CHECK_STR_EQ(weir_message_topic(first), "t");
	CHECK_EQ(weir_message_sequence(first), ENOUGH + 1);
	CHECK(weir_message_buffer(first) == NULL);
	weir_message_release(first);

	/* Let go of before it is published, it is as any other. */
	CHECK_EQ(weir_message_keep(next), 0);
	weir_message_release(next);
	CHECK_EQ(weir_publish_message(publisher, next, NULL, NULL), 0);
	for (uint64_t i = 1; i <= 2; i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		bytes_check(delivery.data, 8, i);
		CHECK_EQ(is_inline(subscription, delivery.message), i == 2);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- Kept ones ---- */

#define KEPT 300

struct kept {
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_message *messages[KEPT];
	size_t first; /* not released yet */
};

static void kept_check(const struct kept *kept)
{
	for (size_t i = kept->first; i < KEPT; i++) {
		const weir_message *message = kept->messages[i];
		size_t size = i % (SIZE_MAX_HERE + 1);

		CHECK_EQ(weir_message_size(message), size);
		bytes_check(weir_message_data(message), size, i);
		CHECK_STR_EQ(weir_message_topic(message), "t");
		CHECK_EQ(weir_message_sequence(message), ENOUGH + 1 + 2 * i);
	}
}

static void *kept_release(void *argument)
{
	struct kept *kept = argument;

	for (size_t i = 0; i < KEPT / 4; i++)
		weir_message_release(kept->messages[kept->first++]);
	return NULL;
}

/* Every second message is kept. */
static void kept_receive(struct kept *kept)
{
	unsigned char bytes[SIZE_MAX_HERE];
	weir_delivery delivery;

	slots_provide(kept->publisher, kept->subscription);
	for (size_t i = 0; i < KEPT; i++) {
		size_t size = i % (SIZE_MAX_HERE + 1);

		bytes_fill(bytes, size, i);
		CHECK_EQ(weir_publish(kept->publisher, bytes, size, NULL, NULL), 0);
		bytes_fill(bytes, size, i + 1);
		CHECK_EQ(weir_publish(kept->publisher, bytes, size, NULL, NULL), 0);
		CHECK_EQ(weir_receive(kept->subscription, &delivery, 0), 0);
		CHECK_EQ(weir_message_keep(delivery.message), 0);
		kept->messages[i] = delivery.message;
		CHECK_EQ(weir_receive(kept->subscription, &delivery, 0), 0);
		bytes_check(delivery.data, size, i + 1);
	}
}

static void kept_end(struct kept *kept, int what)
{
	switch (what) {
	case 0:
		CHECK_EQ(weir_unsubscribe(kept->subscription, NULL), 0);
		break;
	case 1:
		weir_publisher_close(kept->publisher);
		break;
	default:
		CHECK_EQ(weir_broker_close(kept->broker, NULL), 0);
	}
}

WEIR_TEST(inline_life, messages_that_are_kept_stay_whatever_ends_first)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 },
		{ 2, 0, 1 }, { 2, 1, 0 } };

	for (size_t k = 0; k < sizeof(orders) / sizeof(orders[0]); k++) {
		struct fail_allocator memory = { 0 };
		struct kept kept = { .broker = fixture_broker(&(weir_broker_options){
					     .allocator = fail_allocator_hook(&memory) }) };

		kept.subscription = fixture_subscribe(kept.broker, "t", 5);
		kept.publisher = fixture_publisher(kept.broker, "t");
		kept_receive(&kept);
		/* One that is only held, and one in the queue. */
		CHECK_EQ(fixture_publish(kept.publisher, 1), 1);
		CHECK_EQ(fixture_publish(kept.publisher, 2), 1);
		next_check(kept.subscription, 1, true);
		kept_check(&kept);
		for (int i = 0; i < 3; i++) {
			kept_release(&kept);
			kept_end(&kept, orders[k][i]);
			kept_check(&kept);
		}
		fixture_join(fixture_thread(kept_release, &kept));
		CHECK_EQ(kept.first, KEPT);
		fail_allocator_check_empty(&memory);
	}
}

WEIR_TEST(inline_life, messages_hold_a_topic_that_is_removed)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_subscription *subscription = fixture_subscribe(broker, "t", 5);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery delivery;

	slots_provide(publisher, subscription);
	CHECK_EQ(fixture_publish(publisher, 1), 1);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_subscription_stop(subscription), 0);
	CHECK_EQ(weir_topic_remove(broker, "t"), 0);
	CHECK_STR_EQ(weir_message_topic(delivery.message), "t");
	CHECK_EQ(weir_message_keep(delivery.message), 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK_STR_EQ(weir_message_topic(delivery.message), "t");
	CHECK_EQ(fixture_number(&delivery), 1);
	weir_message_release(delivery.message);
	fail_allocator_check_empty(&memory);
}

/* ---- The end, with some in the queue ---- */

/* A pattern of what is queued: i inline, p by pointer, v cancelled.  Returns how many
 * messages. */
static uint64_t pattern_publish(
	weir_publisher *publisher, weir_subscription *subscription, const char *pattern)
{
	struct hole holes[8];
	size_t hole_count = 0;
	uint64_t number = 0;

	for (; *pattern != '\0'; pattern++) {
		if (*pattern == 'v')
			holes[hole_count++] = hole_begin(subscription);
		else if (*pattern == 'i')
			CHECK_EQ(fixture_publish(publisher, ++number), 1);
		else
			publish_default(publisher, ++number);
	}
	for (size_t i = 0; i < hole_count; i++)
		hole_end(&holes[i]);
	return number;
}

static const char *const patterns[] = { "i", "iiiii", "p", "ip", "pi", "vi", "vp", "iv", "ivi",
	"pvi", "ivp", "vvi", "vvp", "vviviv", "ipvvipivvp", "vivpviv", "v", "vv", "ivvipv", "" };

#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

WEIR_TEST(inline_life, messages_are_found_behind_cancelled_places)
{
	for (size_t k = 0; k < 4 * PATTERNS; k++) {
		const weir_subscription_options options = { .capacity = 12,
			.ack = k / PATTERNS > 1 ? WEIR_ACK_AUTO : WEIR_ACK_NONE };
		const char *pattern = patterns[k % PATTERNS];
		const bool takes_many = k / PATTERNS % 2 == 1;
		weir_broker *broker = fixture_broker(NULL);
		weir_publisher *publisher = fixture_publisher(broker, "t");
		weir_subscription *subscription;
		weir_delivery deliveries[12];
		size_t got;
		uint64_t count;

		CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
		slots_provide(publisher, subscription);
		/* Whether the last one was inline makes a difference to the next receive. */
		if (k % 3 == 0) {
			publish_default(publisher, 1);
			next_check(subscription, 1, false);
		}
		count = pattern_publish(publisher, subscription, pattern);
		if (takes_many && count > 0) {
			CHECK_EQ(weir_receive_batch(subscription, deliveries, 12, 0, &got), 0);
			CHECK_EQ(got, count);
			for (uint64_t i = 0; i < count; i++)
				CHECK_EQ(fixture_number(&deliveries[i]), i + 1);
		}
		for (uint64_t i = 0; !takes_many && i < count; i++)
			CHECK_EQ(fixture_receive(subscription), i + 1);
		fixture_check_empty(subscription);
		CHECK_EQ(fixture_statistics(subscription).queued, 0);
		weir_publisher_close(publisher);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		CHECK_EQ(weir_broker_close(broker, NULL), 0);
	}
}

WEIR_TEST(inline_life, messages_that_are_queued_at_the_end_are_counted)
{
	for (size_t k = 0; k < 4 * PATTERNS; k++) {
		const weir_subscription_options options = { .capacity = 12,
			.ack = k / PATTERNS > 1 ? WEIR_ACK_MANUAL : WEIR_ACK_NONE };
		const bool closes = k / PATTERNS % 2 == 1;
		weir_broker *broker = fixture_broker(NULL);
		weir_publisher *publisher = fixture_publisher(broker, "t");
		weir_broker_statistics statistics;
		weir_subscription_statistics last;
		weir_subscription *subscription;
		weir_delivery delivery;
		uint64_t count;

		CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
		for (int i = 0; i < ENOUGH; i++) {
			CHECK_EQ(fixture_publish(publisher, 1), 1);
			CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
			if (options.ack != WEIR_ACK_NONE)
				CHECK_EQ(weir_ack(&delivery), 0);
		}
		count = pattern_publish(publisher, subscription, patterns[k % PATTERNS]);
		if (closes) {
			CHECK_EQ(weir_broker_close(broker, &statistics), 0);
			CHECK_EQ(statistics.dropped[WEIR_DROP_CLOSED], count);
			CHECK_EQ(statistics.queued, 0);
			fixture_check_broker_sums(&statistics);
		}
		CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
		CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], count);
		CHECK_EQ(last.delivered, ENOUGH);
		CHECK_EQ(last.matched, ENOUGH + count);
		CHECK_EQ(last.queued, 0);
		fixture_check_sums(&last);
		weir_publisher_close(publisher);
		if (!closes)
			CHECK_EQ(weir_broker_close(broker, NULL), 0);
	}
}

WEIR_TEST(inline_life, messages_are_drained)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 8);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	const weir_payload payload = { "x", 1 };
	weir_delivery delivery;

	slots_provide(publisher, subscription);
	CHECK_EQ(pattern_publish(publisher, subscription, "vipivi"), 4);
	CHECK_EQ(weir_broker_drain(broker, 0), WEIR_ETIMEDOUT);
	CHECK_EQ(weir_publish(publisher, "x", 1, NULL, NULL), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_publish_batch(publisher, &payload, 1, NULL, NULL), WEIR_ESHUTDOWN);
	for (uint64_t i = 1; i <= 4; i++)
		CHECK_EQ(fixture_receive(subscription), i);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_broker_drain(broker, WEIR_FOREVER), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline_life, messages_fill_the_queue_exactly)
{
	static const weir_publish_options no_wait = { .no_wait = true };
	weir_payload payloads[9];
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe_dropping(broker, "t", 5);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_receipt receipt;

	for (size_t i = 0; i < 9; i++)
		payloads[i] = (weir_payload){ "x", 1 };
	slots_provide(publisher, subscription);
	for (int lap = 0; lap < 20; lap++) {
		CHECK_EQ(weir_publish_batch(publisher, payloads, 9, NULL, &receipt), 0);
		CHECK_EQ(receipt.published, 9);
		CHECK_EQ(receipt.matched, 9);
		CHECK_EQ(receipt.enqueued, 5);
		CHECK_EQ(receipt.dropped, 4);
		CHECK_EQ(receipt.sequence, (uint64_t)ENOUGH + 12 * (uint64_t)lap + 9);
		CHECK_EQ(weir_publish(publisher, "y", 1, NULL, &receipt), 0);
		CHECK_EQ(receipt.dropped, 1);
		fixture_receive_text(subscription, "x");
		/* There is room for one, of either kind. */
		CHECK_EQ(weir_publish(publisher, "z", 1, lap % 2 == 0 ? NULL : &no_wait, &receipt),
			0);
		CHECK_EQ(receipt.enqueued, 1);
		CHECK_EQ(weir_publish(publisher, "y", 1, lap % 2 == 0 ? &no_wait : NULL, &receipt),
			0);
		CHECK_EQ(receipt.dropped, 1);
		for (int i = 0; i < 4; i++)
			fixture_receive_text(subscription, "x");
		fixture_receive_text(subscription, "z");
		fixture_check_empty(subscription);
	}
	CHECK_EQ(fixture_statistics(subscription).high_water, 5);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- Acknowledgements ---- */

static weir_subscription *acked_open(
	weir_broker *broker, weir_publisher *publisher, const weir_subscription_options *options)
{
	weir_subscription *subscription;

	CHECK_EQ(weir_subscribe(&subscription, broker, "t", options), 0);
	for (int i = 0; i < ENOUGH; i++) {
		weir_delivery delivery;

		CHECK_EQ(fixture_publish(publisher, 1), 1);
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(weir_ack(&delivery), 0);
	}
	CHECK(has_slots(subscription));
	return subscription;
}

static void *ack_elsewhere(void *delivery)
{
	CHECK_EQ(weir_ack(delivery), 0);
	return NULL;
}

/* The next one has this number, came so, and is handed out for that time. */
static weir_delivery attempt_take(
	weir_subscription *subscription, uint64_t number, uint32_t attempt)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(fixture_number(&delivery), number);
	CHECK_EQ(delivery.attempt, attempt);
	CHECK_STR_EQ(weir_message_topic(delivery.message), "t");
	CHECK(is_inline(subscription, delivery.message));
	return delivery;
}

WEIR_TEST(inline_life, messages_are_acknowledged_and_delivered_again)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription = acked_open(broker, publisher,
		&(weir_subscription_options){ .ack = WEIR_ACK_MANUAL, .max_attempts = 3 });
	weir_subscription_statistics last;
	weir_delivery first, second, delivery;

	for (uint64_t i = 1; i <= 20; i++)
		CHECK_EQ(fixture_publish(publisher, i), 1);
	first = attempt_take(subscription, 1, 1);
	second = attempt_take(subscription, 2, 1);
	CHECK_EQ(weir_nack(&first, 0, "again"), 0);
	CHECK_EQ(weir_nack(&second, 0, "again"), 0);
	first = attempt_take(subscription, 1, 2);
	for (uint64_t i = 2; i <= 20; i++) {
		delivery = attempt_take(subscription, i, i == 2 ? 2 : 1);
		if (i % 2 == 0)
			fixture_join(fixture_thread(ack_elsewhere, &delivery));
		else
			CHECK_EQ(weir_ack(&delivery), 0);
	}
	CHECK_EQ(weir_nack(&first, 0, "again"), 0);
	first = attempt_take(subscription, 1, 3);
	/* The third attempt was the last. */
	CHECK_EQ(weir_nack(&first, 0, "never"), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), WEIR_EAGAIN);
	/* In flight, and ready again, at the end. */
	for (uint64_t i = 21; i <= 23; i++)
		CHECK_EQ(fixture_publish(publisher, i), 1);
	delivery = attempt_take(subscription, 21, 1);
	first = attempt_take(subscription, 22, 1);
	CHECK_EQ(weir_nack(&first, 0, NULL), 0);
	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	CHECK_EQ(weir_ack(&delivery), WEIR_ESTALE);
	CHECK_EQ(last.acknowledged, ENOUGH + 19);
	CHECK_EQ(last.redelivered, 3);
	CHECK_EQ(last.dropped[WEIR_DROP_ATTEMPTS], 1);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 3);
	fixture_check_sums(&last);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}

WEIR_TEST(inline_life, messages_are_acknowledged_by_the_next_receive)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription;
	weir_subscription_statistics last;
	weir_delivery deliveries[7];
	uint64_t number = 0;

	CHECK_EQ(weir_subscribe(&subscription, broker, "t",
			 &(weir_subscription_options){
				 .capacity = 7, .ack = WEIR_ACK_AUTO, .max_in_flight = 7 }),
		0);
	slots_provide(publisher, subscription);
	for (int lap = 0; lap < 100; lap++) {
		size_t got;

		for (uint64_t i = 0; i < 7; i++)
			CHECK_EQ(fixture_publish(publisher, number + i), 1);
		CHECK_EQ(weir_receive_batch(subscription, deliveries, 7, 0, &got), 0);
		CHECK_EQ(got, 7);
		for (size_t i = 0; i < 7; i++) {
			CHECK_EQ(fixture_number(&deliveries[i]), number++);
			CHECK(is_inline(subscription, deliveries[i].message));
		}
	}
	fixture_check_empty(subscription);
	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	CHECK_EQ(last.acknowledged, ENOUGH + number);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline_life, messages_become_dead_letters_and_come_back)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription = acked_open(broker, publisher,
		&(weir_subscription_options){
			.ack = WEIR_ACK_MANUAL, .dead_letter_topic = "dead" });
	weir_subscription *dead = fixture_subscribe(broker, "dead", 100);
	weir_dead_letter letter;
	weir_delivery delivery;

	for (uint64_t i = 1; i <= 3; i++) {
		CHECK_EQ(fixture_publish(publisher, i), 1);
		delivery = attempt_take(subscription, i, 1);
		CHECK_EQ(weir_reject(&delivery, "bad"), 0);
	}
	/* The receiver goes on with its pool meanwhile. */
	for (uint64_t i = 0; i < 100; i++) {
		CHECK_EQ(fixture_publish(publisher, i), 1);
		delivery = attempt_take(subscription, i, 1);
		CHECK_EQ(weir_ack(&delivery), 0);
	}
	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK_EQ(fixture_number(&delivery), 1);
	CHECK_EQ(weir_message_dead_letter(delivery.message, &letter), 0);
	CHECK_STR_EQ(letter.topic, "t");
	CHECK_EQ(weir_redrive(&delivery), 0);
	delivery = attempt_take(subscription, 1, 1);
	CHECK_EQ(weir_ack(&delivery), 0);
	/* The letter of the second is kept beyond all, the third is left. */
	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK_EQ(weir_message_keep(delivery.message), 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(fixture_number(&delivery), 2);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK_EQ(fixture_number(&delivery), 2);
	weir_message_release(delivery.message);
	fail_allocator_check_empty(&memory);
}

WEIR_TEST(inline_life, messages_are_parked_and_sent_back)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription = acked_open(broker, publisher,
		&(weir_subscription_options){ .ack = WEIR_ACK_MANUAL, .park_max = 10 });
	weir_subscription_statistics last;
	weir_delivery delivery;
	size_t redriven;

	for (uint64_t i = 1; i <= 6; i++) {
		CHECK_EQ(fixture_publish(publisher, i), 1);
		delivery = attempt_take(subscription, i, 1);
		CHECK_EQ(weir_reject(&delivery, NULL), 0);
	}
	for (uint64_t i = 0; i < 100; i++) {
		CHECK_EQ(fixture_publish(publisher, i), 1);
		delivery = attempt_take(subscription, i, 1);
		CHECK_EQ(weir_ack(&delivery), 0);
	}
	CHECK_EQ(weir_redrive_parked(subscription, 3, &redriven), 0);
	CHECK_EQ(redriven, 3);
	for (uint64_t i = 1; i <= 2; i++) {
		delivery = attempt_take(subscription, i, 1);
		CHECK_EQ(weir_ack(&delivery), 0);
	}
	/* One is ready again, three are parked. */
	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 4);
	fixture_check_sums(&last);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}
