/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline_test.c - small messages that travel in the queue itself: they are messages as
 * any others; and who gets none.
 */
#include "inline_fixture.h"

#include <string.h>

#include "fail_allocator.h"
#include <weir/acknowledge.h>

/* Message `number` has so many bytes: first another size each, then many of one in a row. */
static size_t size_of(uint64_t number)
{
	return (number < 2500 ? number : number / 11) % (SIZE_MAX_HERE + 1);
}

static void delivery_check(weir_subscription *subscription, const weir_delivery *delivery,
	uint64_t number, bool sent_many)
{
	const size_t size = size_of(number);
	weir_message *message = delivery->message;

	CHECK_EQ(delivery->size, size);
	CHECK(delivery->data != NULL);
	CHECK_EQ((uintptr_t)delivery->data % WEIRI_CACHE_LINE, 0);
	bytes_check(delivery->data, size, number);
	CHECK_EQ(delivery->attempt, 1);
	CHECK_EQ(delivery->missed, 0);
	CHECK(weir_message_data(message) == delivery->data);
	CHECK_EQ(weir_message_size(message), size);
	CHECK_STR_EQ(weir_message_topic(message), "topic.name");
	CHECK_EQ(weir_message_priority(message), 0);
	CHECK_EQ(weir_message_key(message), 0);
	CHECK(weir_message_expires_at(message) == WEIR_FOREVER);
	CHECK(weir_message_buffer(message) == NULL);
	/* A large one in a batch may take others with it. */
	CHECK(!is_inline(subscription, message) || size <= WEIRI_INLINE_MAX);
	CHECK(is_inline(subscription, message) || size > WEIRI_INLINE_MAX || sent_many);
}

/* Publish `count` from number `first` on, in one call or in as many. */
static void run_publish(weir_publisher *publisher, uint64_t first, size_t count, bool at_once)
{
	unsigned char bytes[BATCH][SIZE_MAX_HERE + 3];
	weir_payload payloads[BATCH];
	weir_receipt receipt;

	for (size_t i = 0; i < count; i++) {
		/* At any alignment. */
		unsigned char *data = bytes[i] + i % 3;
		size_t size = size_of(first + i);

		bytes_fill(data, size, first + i);
		payloads[i] = (weir_payload){ size > 0 ? data : NULL, size };
		if (at_once)
			continue;
		CHECK_EQ(weir_publish(publisher, data, size, NULL, &receipt), 0);
		CHECK_EQ(receipt.published, 1);
		CHECK_EQ(receipt.matched, 1);
		CHECK_EQ(receipt.enqueued, 1);
		CHECK_EQ(receipt.sequence, ENOUGH + 1 + first + i);
	}
	if (!at_once)
		return;
	CHECK_EQ(weir_publish_batch(publisher, payloads, count, NULL, &receipt), 0);
	CHECK_EQ(receipt.published, count);
	CHECK_EQ(receipt.matched, count);
	CHECK_EQ(receipt.enqueued, count);
	CHECK_EQ(receipt.sequence, ENOUGH + first + count);
}

static void run_receive(
	weir_subscription *subscription, uint64_t first, size_t count, bool sent_many, bool at_once)
{
	double now = weir_now(weir_clock_real());
	weir_delivery deliveries[BATCH];

	for (size_t done = 0; done < count;) {
		size_t got = 1;

		if (at_once)
			CHECK_EQ(weir_receive_batch(subscription, deliveries, BATCH, 0, &got), 0);
		else
			CHECK_EQ(weir_receive(subscription, deliveries, 0), 0);
		CHECK(got <= count - done);
		for (size_t i = 0; i < got; i++) {
			const weir_message *message = deliveries[i].message;

			delivery_check(subscription, &deliveries[i], first + done + i, sent_many);
			CHECK_EQ(weir_message_sequence(message), ENOUGH + 1 + first + done + i);
			CHECK(weir_message_timestamp(message) > now - 1);
			CHECK(weir_message_timestamp(message) <= now);
		}
		done += got;
	}
	fixture_check_empty(subscription);
}

static void contents_check(size_t capacity, bool sends_many, bool takes_many)
{
	weir_broker *broker = fixture_broker(&(weir_broker_options){ .timestamps = true });
	weir_subscription *subscription = fixture_subscribe(broker, "topic.name", capacity);
	weir_publisher *publisher = fixture_publisher(broker, "topic.name");
	weir_subscription_statistics last;
	uint64_t number = 0;

	slots_provide(publisher, subscription);
	/* All sizes from all places of the ring, often. */
	while (number < 5000) {
		size_t count = 1 + number % BATCH;

		if (count > capacity)
			count = capacity;
		run_publish(publisher, number, count, sends_many);
		CHECK_EQ(fixture_statistics(subscription).queued, count);
		run_receive(subscription, number, count, sends_many, takes_many);
		number += count;
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	CHECK_EQ(last.delivered, ENOUGH + number);
	CHECK_EQ(last.matched, last.delivered);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline, messages_of_all_sizes_come_as_they_were_sent)
{
	static const size_t capacities[] = { 1, 3, 33, 40, 64, 1000 };

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		contents_check(capacities[i], false, false);
		contents_check(capacities[i], true, false);
		contents_check(capacities[i], false, true);
		contents_check(capacities[i], true, true);
	}
}

WEIR_TEST(inline, messages_begin_when_some_were_received)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 200);
	weir_publisher *publisher = fixture_publisher(broker, "t");

	for (uint64_t i = 0; i < 100; i++)
		CHECK_EQ(fixture_publish(publisher, i), 1);
	for (uint64_t i = 0; i < 63; i++)
		next_check(subscription, i, false);
	CHECK(!has_slots(subscription));
	next_check(subscription, 63, false);
	CHECK(has_slots(subscription));
	/* The queue had some already. */
	for (uint64_t i = 100; i < 200; i++)
		CHECK_EQ(fixture_publish(publisher, i), 1);
	for (uint64_t i = 64; i < 200; i++)
		next_check(subscription, i, i >= 100);
	fixture_check_empty(subscription);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline, messages_need_no_memory_of_their_publisher)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_subscription *subscription = fixture_subscribe(broker, "t", 1000);
	weir_publisher *publisher = fixture_publisher(broker, "t");

	slots_provide(publisher, subscription);
	fail_allocator_arm(&memory, 1, true);
	for (uint64_t i = 0; i < 1000; i++)
		CHECK_EQ(fixture_publish(publisher, i), 1);
	/* Neither of their receiver, who has one in hand at a time. */
	for (uint64_t i = 0; i < 1000; i++)
		next_check(subscription, i, true);
	CHECK_EQ(memory.calls, 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}

/* ---- Who gets none ---- */

static void none_check(const char *filter, const weir_subscription_options *options)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription;

	CHECK_EQ(weir_subscribe(&subscription, broker, filter, options), 0);
	pass_some(publisher, subscription, 3 * ENOUGH);
	CHECK(!has_slots(subscription));
	CHECK(subscription->pool == NULL);
	CHECK_EQ(weiri_load_relaxed(&broker->inline_bytes), 0);
	CHECK_EQ(fixture_publish(publisher, 5), 1);
	CHECK_EQ(fixture_receive(subscription), 5);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline, messages_are_not_for_every_queue)
{
	none_check("*", NULL);
	none_check("t", &(weir_subscription_options){ .capacity = 4097 });
	none_check("t", &(weir_subscription_options){ .overflow = WEIR_OVERFLOW_DROP_OLDEST });
	none_check("t", &(weir_subscription_options){ .overflow = WEIR_OVERFLOW_UNBOUNDED });
	none_check("t", &(weir_subscription_options){ .count_priorities = true });
	none_check("t", &(weir_subscription_options){ .high_watermark = 10 });
	none_check("t", &(weir_subscription_options){ .group = "g" });
	none_check("t", &(weir_subscription_options){ .group = "g", .ack = WEIR_ACK_AUTO });
	none_check("t", &(weir_subscription_options){
				.order = WEIR_ORDER_PRIORITY, .priority_classes = 2 });
	none_check("t", &(weir_subscription_options){
				.dead_letter_topic = "d", .dead_letter_expired = true });
}

#define GUESTS_MAX 2

struct guests {
	weir_subscription *subscriptions[GUESTS_MAX];
	int count;
};

static struct guests guests_come(weir_broker *broker, const char *filter, int count)
{
	struct guests guests = { .count = count };

	for (int i = 0; i < count; i++)
		guests.subscriptions[i] = fixture_subscribe(broker, filter, 8);
	return guests;
}

static void guests_check(const struct guests *guests, uint64_t number, bool expects_inline)
{
	for (int i = 0; i < guests->count; i++)
		next_check(guests->subscriptions[i], number, expects_inline);
}

static void guests_go(const struct guests *guests)
{
	for (int i = 0; i < guests->count; i++) {
		fixture_check_empty(guests->subscriptions[i]);
		CHECK_EQ(weir_unsubscribe(guests->subscriptions[i], NULL), 0);
	}
}

/* Such guests make all messages go by pointer, as long as they are there. */
static void too_many_check(const char *filter, int count)
{
	const uint64_t takers = 1 + (uint64_t)count;
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 8);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	struct guests guests = guests_come(broker, filter, count);

	for (int i = 0; i < ENOUGH; i++) {
		CHECK_EQ(fixture_publish(publisher, 1), takers);
		next_check(subscription, 1, false);
		guests_check(&guests, 1, false);
	}
	guests_go(&guests);
	slots_provide(publisher, subscription);

	/* Those that join find what is in the queue in its place. */
	CHECK_EQ(fixture_publish(publisher, 1), 1);
	guests = guests_come(broker, filter, count);
	CHECK_EQ(fixture_publish(publisher, 2), takers);
	CHECK_EQ(fixture_publish(publisher, 3), takers);
	guests_check(&guests, 2, false);
	guests_check(&guests, 3, false);
	guests_go(&guests);
	CHECK_EQ(fixture_publish(publisher, 4), 1);
	for (uint64_t i = 1; i <= 4; i++)
		next_check(subscription, i, i == 1 || i == 4);
	fixture_check_empty(subscription);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline, messages_are_for_two_subscriptions_at_most)
{
	too_many_check("t", 2);
	too_many_check(">", 1);
}

/* A queue that is full makes them go by pointer to both, and nothing is left behind in the
 * other one. */
WEIR_TEST(inline, messages_are_copied_for_each_of_two_that_have_room)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *roomy = fixture_subscribe(broker, "t", 8);
	weir_subscription *narrow = fixture_subscribe_dropping(broker, "t", 2);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	const uint64_t payload[12] = { 7 };
	weir_delivery delivery;
	weir_receipt receipt;

	for (int i = 0; i < ENOUGH; i++) {
		CHECK_EQ(fixture_publish(publisher, 1), 2);
		CHECK_EQ(fixture_receive(roomy), 1);
		CHECK_EQ(fixture_receive(narrow), 1);
	}
	CHECK(has_slots(roomy) && has_slots(narrow));
	for (uint64_t i = 1; i <= 2; i++)
		CHECK_EQ(fixture_publish(publisher, i), 2);
	CHECK_EQ(weir_publish(publisher, payload, sizeof(payload), NULL, &receipt), 0);
	CHECK_EQ(receipt.published, 1);
	CHECK_EQ(receipt.matched, 2);
	CHECK_EQ(receipt.enqueued, 1);
	CHECK_EQ(receipt.dropped, 1);
	for (uint64_t i = 1; i <= 2; i++) {
		next_check(narrow, i, true);
		next_check(roomy, i, true);
	}
	fixture_check_empty(narrow);
	CHECK_EQ(weir_receive(roomy, &delivery, 0), 0);
	CHECK(!is_inline(roomy, delivery.message));
	CHECK_EQ(delivery.size, sizeof(payload));
	CHECK_EQ(memcmp(delivery.data, payload, sizeof(payload)), 0);
	CHECK_EQ(fixture_publish(publisher, 3), 2);
	next_check(roomy, 3, true);
	next_check(narrow, 3, true);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(roomy, NULL), 0);
	CHECK_EQ(weir_unsubscribe(narrow, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline, messages_have_no_options)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 8);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery delivery;
	uint64_t number = 3;

	slots_provide(publisher, subscription);
	CHECK_EQ(weir_publish(publisher, &number, sizeof(number),
			 &(weir_publish_options){ .priority = 7, .has_key = true, .key = 9 }, NULL),
		0);
	CHECK_EQ(fixture_publish(publisher, 4), 1);
	number = 5;
	CHECK_EQ(weir_publish_to(broker, "t", &number, sizeof(number), NULL, NULL), 0);

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_message_priority(delivery.message), 7);
	CHECK_EQ(weir_message_key(delivery.message), 9);
	CHECK_EQ(fixture_number(&delivery), 3);
	CHECK(!is_inline(subscription, delivery.message));
	next_check(subscription, 4, true);
	next_check(subscription, 5, false);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

static weir_message *loan_make(weir_publisher *publisher, uint64_t number, size_t size)
{
	weir_message *loan;

	CHECK_EQ(weir_loan(publisher, size, &loan), 0);
	memcpy(weir_message_buffer(loan), &number, sizeof(number));
	return loan;
}

static void loan_check(weir_subscription *subscription, uint64_t number, bool expects_inline)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK(memcmp(delivery.data, &number, sizeof(number)) == 0);
	CHECK_EQ(is_inline(subscription, delivery.message), expects_inline);
}

static void free_count(void *context, void *data)
{
	(void)data;
	++*(int *)context;
}

WEIR_TEST(inline, messages_are_small_loans_too_whose_blocks_the_publisher_has_again)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 8);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_receipt receipt;
	weir_message *loan, *wrapped;
	uint64_t number = 7;
	int freed = 0;

	slots_provide(publisher, subscription);
	loan = loan_make(publisher, 5, WEIRI_INLINE_MAX);
	CHECK_EQ(weir_publish_message(publisher, loan, NULL, &receipt), 0);
	CHECK_EQ(receipt.enqueued, 1);
	CHECK(loan_make(publisher, 6, WEIRI_INLINE_MAX) == loan);
	CHECK_EQ(weir_publish_message(publisher, loan, NULL, NULL), 0);
	/* These are not copied: one is too large, the other one's bytes are the user's. */
	CHECK_EQ(weir_publish_message(
			 publisher, loan_make(publisher, 8, WEIRI_INLINE_MAX + 1), NULL, NULL),
		0);
	CHECK_EQ(
		weir_message_wrap(publisher, &number, sizeof(number), free_count, &freed, &wrapped),
		0);
	CHECK_EQ(weir_publish_message(publisher, wrapped, NULL, NULL), 0);

	loan_check(subscription, 5, true);
	loan_check(subscription, 6, true);
	loan_check(subscription, 8, false);
	CHECK_EQ(freed, 0);
	loan_check(subscription, 7, false);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(freed, 1);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- What a broker spends ---- */

WEIR_TEST(inline, messages_take_no_more_memory_than_the_broker_spends_on_them)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	const uint64_t most = (uint64_t)64 << 20;
	weir_subscription *first, *second;

	/* All but what 32 places take. */
	weiri_store_relaxed(&broker->inline_bytes, most - 32 * sizeof(struct weiri_ring_slot));
	first = fixture_subscribe(broker, "t", 33);
	pass_some(publisher, first, ENOUGH);
	CHECK(!has_slots(first));
	CHECK_EQ(weiri_load_relaxed(&broker->inline_bytes),
		most - 32 * sizeof(struct weiri_ring_slot));
	CHECK_EQ(weir_unsubscribe(first, NULL), 0);

	first = fixture_subscribe(broker, "t", 20);
	slots_provide(publisher, first);
	CHECK_EQ(weiri_load_relaxed(&broker->inline_bytes), most);
	second = fixture_subscribe(broker, "u", 1);
	weir_publisher_close(publisher);
	publisher = fixture_publisher(broker, "u");
	pass_some(publisher, second, ENOUGH);
	CHECK(!has_slots(second));
	CHECK_EQ(weir_unsubscribe(second, NULL), 0);

	/* And it is given back. */
	CHECK_EQ(weir_unsubscribe(first, NULL), 0);
	CHECK_EQ(weiri_load_relaxed(&broker->inline_bytes),
		most - 32 * sizeof(struct weiri_ring_slot));
	second = fixture_subscribe(broker, "u", 1);
	slots_provide(publisher, second);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK_EQ(weir_unsubscribe(second, NULL), 0);
}

/* ---- Without memory ---- */

WEIR_TEST(inline, messages_go_by_pointer_where_there_was_no_memory_for_slots)
{
	/* The pool, or the slots. */
	for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) {
		struct fail_allocator memory = { 0 };
		weir_broker *broker = fixture_broker(
			&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
		weir_subscription *subscription = fixture_subscribe(broker, "t", 8);
		weir_publisher *publisher = fixture_publisher(broker, "t");

		pass_some(publisher, subscription, 63);
		CHECK_EQ(fixture_publish(publisher, 1), 1);
		fail_allocator_arm(&memory, fail_at, false);
		CHECK_EQ(fixture_receive(subscription), 1);
		CHECK_EQ(memory.failed, 1);
		pass_some(publisher, subscription, ENOUGH);
		CHECK(!has_slots(subscription));
		CHECK(subscription->pool == NULL);
		CHECK_EQ(weiri_load_relaxed(&broker->inline_bytes), 0);
		CHECK_EQ(fixture_publish(publisher, 1), 1);
		CHECK_EQ(fixture_receive(subscription), 1);
		weir_publisher_close(publisher);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		CHECK_EQ(weir_broker_close(broker, NULL), 0);
		fail_allocator_check_empty(&memory);
	}
}

/* Keep inline messages until there is no memory for the next one; returns how many, of
 * numbers from 1. */
static size_t kept_until_full(
	struct fail_allocator *memory, weir_subscription *subscription, weir_message **kept)
{
	size_t count = 0;
	weir_delivery delivery = { .size = 77 };
	int error;

	fail_allocator_arm(memory, 1, true);
	while ((error = weir_receive(subscription, &delivery, WEIR_FOREVER)) == 0) {
		CHECK_EQ(weir_message_keep(delivery.message), 0);
		kept[count++] = delivery.message;
		CHECK_EQ(fixture_number(&delivery), count);
		CHECK(is_inline(subscription, delivery.message));
		delivery.size = 77;
	}
	CHECK_EQ(error, WEIR_ENOMEM);
	CHECK_EQ(delivery.size, 77);
	return count;
}

static void no_memory_check(weir_ack_mode ack, bool takes_many)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription;
	weir_delivery deliveries[100];
	weir_message *kept[1000];
	size_t count, got = 77;

	CHECK_EQ(weir_subscribe(
			 &subscription, broker, "t", &(weir_subscription_options){ .ack = ack }),
		0);
	slots_provide(publisher, subscription);
	/* For what describes so many deliveries. */
	CHECK_EQ(weir_receive_batch(subscription, deliveries, 100, 0, &got), WEIR_EAGAIN);
	for (uint64_t i = 1; i <= 500; i++)
		CHECK_EQ(fixture_publish(publisher, i), 1);
	count = kept_until_full(&memory, subscription, kept);
	CHECK(count > 0 && count < 400);
	CHECK_EQ(fixture_statistics(subscription).queued, 500 - count);
	CHECK_EQ(weir_receive_batch(subscription, deliveries, 100, 0, &got), WEIR_ENOMEM);
	CHECK_EQ(got, 77);
	/* Waiting does not help. */
	CHECK_EQ(weir_receive(subscription, deliveries, 1), WEIR_ENOMEM);

	/* One comes back: one more can go. */
	weir_message_release(kept[--count]);
	if (takes_many) {
		CHECK_EQ(weir_receive_batch(subscription, deliveries, 100, 0, &got), 0);
		CHECK_EQ(got, 1);
		CHECK_EQ(fixture_number(&deliveries[0]), count + 2);
	} else {
		next_check(subscription, count + 2, true);
	}
	fail_allocator_arm(&memory, 0, false);
	for (uint64_t i = count + 3; i <= 500; i++)
		next_check(subscription, i, true);
	fixture_check_empty(subscription);
	for (size_t i = 0; i < count; i++) {
		CHECK_EQ(*(const uint64_t *)weir_message_data(kept[i]), i + 1);
		weir_message_release(kept[i]);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}

WEIR_TEST(inline, messages_stay_in_the_queue_while_there_is_no_memory_for_them)
{
	no_memory_check(WEIR_ACK_NONE, false);
	no_memory_check(WEIR_ACK_NONE, true);
	no_memory_check(WEIR_ACK_AUTO, false);
	no_memory_check(WEIR_ACK_AUTO, true);
}

WEIR_TEST(inline, messages_without_memory_do_not_hold_up_others_of_a_select)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_publisher *other_publisher = fixture_publisher(broker, "u");
	weir_subscription *set[2] = { fixture_subscribe(broker, "t", 600),
		fixture_subscribe(broker, "u", 8) };
	weir_message *kept[600];
	weir_delivery delivery;
	size_t index = 77, count;

	slots_provide(publisher, set[0]);
	for (uint64_t i = 1; i <= 600; i++)
		CHECK_EQ(fixture_publish(publisher, i), 1);
	CHECK_EQ(fixture_publish(other_publisher, 1000), 1);
	count = kept_until_full(&memory, set[0], kept);
	CHECK_EQ(weir_select(set, 2, WEIR_SELECT_PRIORITY, 0, &delivery, &index), 0);
	CHECK_EQ(index, 1);
	CHECK_EQ(fixture_number(&delivery), 1000);
	for (int i = 0; i < 2; i++) {
		weir_select_mode mode = i == 0 ? WEIR_SELECT_PRIORITY : WEIR_SELECT_FAIR;

		CHECK_EQ(weir_select(set, 2, mode, 0, &delivery, &index), WEIR_ENOMEM);
		CHECK_EQ(weir_select(set, 2, mode, WEIR_FOREVER, &delivery, &index), WEIR_ENOMEM);
		CHECK_EQ(weir_receive(set[1], &delivery, 0), WEIR_EAGAIN);
	}
	/* The last failure is in the shadow of another's message. */
	CHECK_EQ(fixture_publish(other_publisher, 1001), 1);
	CHECK_EQ(weir_select(set, 2, WEIR_SELECT_PRIORITY, 0, &delivery, &index), 0);
	CHECK_EQ(fixture_number(&delivery), 1001);
	fail_allocator_arm(&memory, 0, false);
	CHECK_EQ(weir_select(set, 2, WEIR_SELECT_PRIORITY, 0, &delivery, &index), 0);
	CHECK_EQ(index, 0);
	CHECK_EQ(fixture_number(&delivery), count + 1);
	for (uint64_t i = count + 2; i <= 600; i++)
		CHECK_EQ(fixture_receive(set[0]), i);
	fixture_check_empty(set[0]);
	for (size_t i = 0; i < count; i++)
		weir_message_release(kept[i]);
	weir_publisher_close(publisher);
	weir_publisher_close(other_publisher);
	CHECK_EQ(weir_unsubscribe(set[0], NULL), 0);
	CHECK_EQ(weir_unsubscribe(set[1], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}

/* An allocator inside which, at one moment, another publish is tried. */
struct meddler {
	struct fail_allocator memory;
	weir_allocator real;
	weir_publisher *publisher; /* NULL: not now */
	uint64_t dropped;
	uint64_t tried;
};

static void *meddler_allocate(void *context, size_t size, size_t alignment)
{
	struct meddler *meddler = context;
	const uint64_t number = 1000;
	weir_receipt receipt;

	if (meddler->publisher != NULL) {
		CHECK_EQ(weir_publish(meddler->publisher, &number, sizeof(number), NULL, &receipt),
			0);
		meddler->dropped += receipt.dropped;
		meddler->tried++;
	}
	return meddler->real.allocate(meddler->real.context, size, alignment);
}

static void meddler_deallocate(void *context, void *memory, size_t size)
{
	struct meddler *meddler = context;

	meddler->real.deallocate(meddler->real.context, memory, size);
}

WEIR_TEST(inline, messages_have_their_place_until_they_are_copied_out)
{
	struct meddler meddler = { .publisher = NULL };
	const weir_allocator allocator = { meddler_allocate, meddler_deallocate, &meddler };
	weir_publisher *publisher;
	weir_subscription *subscription;
	weir_broker *broker;
	weir_message *kept[200];

	meddler.real = fail_allocator_hook(&meddler.memory);
	broker = fixture_broker(&(weir_broker_options){ .allocator = allocator });
	publisher = fixture_publisher(broker, "t");
	subscription = fixture_subscribe_dropping(broker, "t", 1);
	slots_provide(publisher, subscription);
	for (size_t i = 0; i < 200; i++) {
		weir_delivery delivery;
		size_t got;

		CHECK_EQ(fixture_publish(publisher, i), 1);
		meddler.publisher = publisher;
		if (i % 2 == 0)
			CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		else
			CHECK_EQ(weir_receive_batch(subscription, &delivery, 1, 0, &got), 0);
		meddler.publisher = NULL;
		CHECK_EQ(fixture_number(&delivery), i);
		CHECK_EQ(weir_message_keep(delivery.message), 0);
		kept[i] = delivery.message;
	}
	/* All of them when the message was on its way. */
	CHECK(meddler.tried > 1);
	CHECK_EQ(meddler.dropped, meddler.tried);
	for (size_t i = 0; i < 200; i++)
		weir_message_release(kept[i]);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&meddler.memory);
}
