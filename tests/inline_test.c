/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline_test.c - small messages that travel in the queue itself: they are messages as
 * any others, in every order with them, however long they are kept; and who gets none.
 */
#include "core/inline.h"

#include <math.h>
#include <string.h>

#include "fail_allocator.h"
#include "fixture.h"
#include <weir/acknowledge.h>

/* Messages after which a subscription has what it needs, or never will. */
#define ENOUGH 70

#define SIZE_MAX_HERE 100

/* A batch that may hold some of each, and more than one part of the library's. */
#define BATCH 40

static bool has_slots(weir_subscription *subscription)
{
	return weiri_ring_slots(&subscription->queue.ring) != NULL;
}

/* It came in the queue itself, or by pointer. */
static bool is_inline(weir_subscription *subscription, const weir_message *message)
{
	return message->pool == subscription->pool;
}

/* Have so many messages pass; each finds the queue as empty as the first. */
static void pass_some(weir_publisher *publisher, weir_subscription *subscription, int count)
{
	for (int i = 0; i < count; i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_publish(publisher, "", 0, NULL, NULL), 0);
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(delivery.size, 0);
	}
}

static void slots_provide(weir_publisher *publisher, weir_subscription *subscription)
{
	pass_some(publisher, subscription, ENOUGH);
	CHECK(has_slots(subscription));
}

static void next_check(weir_subscription *subscription, uint64_t number, bool expects_inline)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(fixture_number(&delivery), number);
	CHECK_EQ(is_inline(subscription, delivery.message), expects_inline);
}

static void publish_default(weir_publisher *publisher, uint64_t number)
{
	static const weir_publish_options defaults;

	CHECK_EQ(weir_publish(publisher, &number, sizeof(number), &defaults, NULL), 0);
}

/* A cancelled place, as two all-or-nothing publishes leave it that were refused
 * elsewhere: what follows it goes in before it is cancelled. */
struct hole {
	struct weiri_ring *ring;
	uint64_t position;
};

static struct hole hole_begin(weir_subscription *subscription)
{
	struct hole hole = { .ring = &subscription->queue.ring };

	CHECK(weiri_ring_reserve(hole.ring, &hole.position));
	return hole;
}

static void hole_end(const struct hole *hole)
{
	weiri_ring_cancel(hole->ring, hole->position);
}

/* ---- What a message is like ---- */

static void bytes_fill(unsigned char *bytes, size_t size, uint64_t number)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(number * 31 + i * 7 + size);
}

static void bytes_check(const void *data, size_t size, uint64_t number)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		CHECK_EQ(bytes[i], (unsigned char)(number * 31 + i * 7 + size));
}

/* Message `number`, of number % (SIZE_MAX_HERE + 1) bytes. */
static void delivery_check(weir_subscription *subscription, const weir_delivery *delivery,
	uint64_t number, bool sent_many)
{
	const size_t size = number % (SIZE_MAX_HERE + 1);
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
		size_t size = (first + i) % (SIZE_MAX_HERE + 1);

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
	weir_message *loan;
	uint64_t number = 3;

	slots_provide(publisher, subscription);
	CHECK_EQ(weir_publish(publisher, &number, sizeof(number),
			 &(weir_publish_options){ .priority = 7, .has_key = true, .key = 9 }, NULL),
		0);
	CHECK_EQ(fixture_publish(publisher, 4), 1);
	CHECK_EQ(weir_loan(publisher, sizeof(number), &loan), 0);
	number = 5;
	memcpy(weir_message_buffer(loan), &number, sizeof(number));
	CHECK_EQ(weir_publish_message(publisher, loan, NULL, NULL), 0);
	number = 6;
	CHECK_EQ(weir_publish_to(broker, "t", &number, sizeof(number), NULL, NULL), 0);

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_message_priority(delivery.message), 7);
	CHECK_EQ(weir_message_key(delivery.message), 9);
	CHECK_EQ(fixture_number(&delivery), 3);
	CHECK(!is_inline(subscription, delivery.message));
	next_check(subscription, 4, true);
	next_check(subscription, 5, false);
	next_check(subscription, 6, false);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
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

WEIR_TEST(inline, messages_that_are_kept_stay_whatever_ends_first)
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

WEIR_TEST(inline, messages_hold_a_topic_that_is_removed)
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

WEIR_TEST(inline, messages_are_found_behind_cancelled_places)
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

WEIR_TEST(inline, messages_that_are_queued_at_the_end_are_counted)
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

WEIR_TEST(inline, messages_are_drained)
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

WEIR_TEST(inline, messages_fill_the_queue_exactly)
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

WEIR_TEST(inline, messages_are_acknowledged_and_delivered_again)
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

WEIR_TEST(inline, messages_are_acknowledged_by_the_next_receive)
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

WEIR_TEST(inline, messages_become_dead_letters_and_come_back)
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

WEIR_TEST(inline, messages_are_parked_and_sent_back)
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

/* ---- At random, against a model ---- */

#define QUEUE_MAX 64
#define HELD_MAX  64

/* Sizes around what fits, and one that is not of a pool's smallest. */
static const size_t sizes[] = { 0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 95, 96, 97, 128, 129, 300 };

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct expected {
	uint64_t number; /* what its bytes are made of */
	size_t size;
	bool is_void;
};

struct program {
	weir_subscription *subscription;
	weir_publisher *publisher;
	uint64_t state;
	size_t capacity;
	struct expected queue[QUEUE_MAX];
	size_t count;
	uint64_t next;
	struct {
		weir_message *message;
		struct expected expected;
	} held[HELD_MAX];
	size_t held_count;
	/* What it met. */
	uint64_t inlined;
	uint64_t pointers;
	uint64_t turns; /* one of either kind after one of the other */
	uint64_t full;
	uint64_t voids;
	bool last_inline;
};

static size_t size_draw(struct program *program)
{
	return sizes[harness_random_below(&program->state, SIZES)];
}

static void program_append(struct program *program, uint64_t number, size_t size)
{
	if (program->count == program->capacity) {
		program->full++;
		return;
	}
	program->queue[program->count++] = (struct expected){ .number = number, .size = size };
}

static void program_publish(struct program *program, const weir_publish_options *options)
{
	unsigned char bytes[300];
	size_t size = size_draw(program);
	weir_receipt receipt;
	bool fits = program->count < program->capacity;
	int error;

	bytes_fill(bytes, size, program->next);
	error = weir_publish(program->publisher, bytes, size, options, &receipt);
	if (options != NULL && options->all_or_nothing && !fits) {
		CHECK_EQ(error, WEIR_EFULL);
		return;
	}
	CHECK_EQ(error, 0);
	CHECK_EQ(receipt.enqueued, fits);
	CHECK_EQ(receipt.dropped, !fits);
	program_append(program, program->next++, size);
}

static void program_publish_batch(struct program *program)
{
	unsigned char bytes[BATCH][300];
	weir_payload payloads[BATCH];
	const size_t count = 1 + harness_random_below(&program->state, BATCH);
	const size_t room = program->capacity - program->count;
	const bool is_small = harness_random_below(&program->state, 2) == 0;
	weir_receipt receipt;

	for (size_t i = 0; i < count; i++) {
		size_t size = is_small ? i : size_draw(program);

		bytes_fill(bytes[i], size, program->next + i);
		payloads[i] = (weir_payload){ bytes[i], size };
	}
	CHECK_EQ(weir_publish_batch(program->publisher, payloads, count, NULL, &receipt), 0);
	CHECK_EQ(receipt.published, count);
	CHECK_EQ(receipt.matched, count);
	CHECK_EQ(receipt.enqueued, room < count ? room : count);
	CHECK_EQ(receipt.dropped, room < count ? count - room : 0);
	for (size_t i = 0; i < count; i++)
		program_append(program, program->next++, payloads[i].size);
}

static void program_loan(struct program *program)
{
	size_t size = size_draw(program);
	weir_message *loan;

	CHECK_EQ(weir_loan(program->publisher, size, &loan), 0);
	bytes_fill(weir_message_buffer(loan), size, program->next);
	CHECK_EQ(weir_publish_message(program->publisher, loan, NULL, NULL), 0);
	program_append(program, program->next++, size);
}

/* A cancelled place with something behind it, if there is room for both. */
static void program_void(struct program *program)
{
	struct hole hole;

	if (program->count + 2 > program->capacity)
		return;
	hole = hole_begin(program->subscription);
	program->queue[program->count++] = (struct expected){ .is_void = true };
	program_publish(program, NULL);
	hole_end(&hole);
	program->voids++;
}

static void expected_check(const struct expected *expected, const weir_message *message)
{
	CHECK_EQ(weir_message_size(message), expected->size);
	bytes_check(weir_message_data(message), expected->size, expected->number);
}

static void program_taken(
	struct program *program, const struct expected *expected, weir_message *message)
{
	const bool is_now = is_inline(program->subscription, message);

	expected_check(expected, message);
	program->inlined += is_now;
	program->pointers += !is_now;
	program->turns += is_now != program->last_inline;
	program->last_inline = is_now;
	if (program->held_count == HELD_MAX || harness_random_below(&program->state, 4) != 0)
		return;
	CHECK_EQ(weir_message_keep(message), 0);
	program->held[program->held_count].expected = *expected;
	program->held[program->held_count++].message = message;
}

static void program_receive(struct program *program)
{
	const size_t most = harness_random_below(&program->state, 2) == 0
				    ? 1
				    : 1 + harness_random_below(&program->state, QUEUE_MAX);
	weir_delivery deliveries[QUEUE_MAX];
	size_t got = 1, passed = 0;
	int error = most == 1
			    ? weir_receive(program->subscription, deliveries, 0)
			    : weir_receive_batch(program->subscription, deliveries, most, 0, &got);

	if (error != 0) {
		CHECK_EQ(error, WEIR_EAGAIN);
		CHECK_EQ(program->count, 0);
		return;
	}
	for (size_t i = 0; i < got; i++) {
		while (passed < program->count && program->queue[passed].is_void)
			passed++;
		CHECK(passed < program->count);
		program_taken(program, &program->queue[passed++], deliveries[i].message);
	}
	CHECK(got == most || passed == program->count);
	/* What was passed has left room, void places at the end too or not. */
	program->count -= passed;
	memmove(program->queue, program->queue + passed,
		program->count * sizeof(program->queue[0]));
}

static void program_release(struct program *program)
{
	size_t i;

	if (program->held_count == 0)
		return;
	i = harness_random_below(&program->state, program->held_count);
	expected_check(&program->held[i].expected, program->held[i].message);
	weir_message_release(program->held[i].message);
	program->held[i] = program->held[--program->held_count];
}

static void program_step(struct program *program)
{
	switch (harness_random_below(&program->state, 12)) {
	case 0:
		program_publish(program, &(weir_publish_options){ .priority = 3 });
		break;
	case 1:
		program_publish(program, &(weir_publish_options){ .all_or_nothing = true });
		break;
	case 2:
		program_loan(program);
		break;
	case 3:
		program_void(program);
		break;
	case 4:
		program_publish_batch(program);
		break;
	case 5:
	case 6:
		program_release(program);
		break;
	case 7:
	case 8:
		program_publish(program, NULL);
		break;
	default:
		program_receive(program);
	}
	CHECK_EQ(weiri_ring_count(&program->subscription->queue.ring), program->count);
}

static void program_run(struct program *program, weir_ack_mode ack, uint64_t steps)
{
	const weir_subscription_options options = {
		.capacity = program->capacity, .overflow = WEIR_OVERFLOW_DROP_NEWEST, .ack = ack
	};
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_subscription_statistics last;
	uint64_t left = 0;

	program->publisher = fixture_publisher(broker, "t");
	CHECK_EQ(weir_subscribe(&program->subscription, broker, "t", &options), 0);
	slots_provide(program->publisher, program->subscription);
	for (uint64_t i = 0; i < steps; i++)
		program_step(program);
	/* What was handed out last and not acknowledged counts too. */
	if (ack == WEIR_ACK_AUTO)
		left = program->subscription->held_count;
	CHECK_EQ(weir_unsubscribe(program->subscription, &last), 0);
	fixture_check_sums(&last);
	for (size_t i = 0; i < program->count; i++)
		left += !program->queue[i].is_void;
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], left);
	weir_publisher_close(program->publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	while (program->held_count > 0)
		program_release(program);
	fail_allocator_check_empty(&memory);
}

WEIR_TEST(inline, messages_and_others_come_in_their_order)
{
	static const size_t capacities[] = { 1, 2, 3, 7, 16, 33, 64 };

	for (size_t i = 0; i < 2 * sizeof(capacities) / sizeof(capacities[0]); i++) {
		struct program program = { .capacity = capacities[i / 2],
			.state = harness_seed() + i };

		program_run(&program, i % 2 == 0 ? WEIR_ACK_NONE : WEIR_ACK_AUTO,
			harness_scaled(20000));
		CHECK(program.inlined > 10);
		CHECK(program.pointers > 10);
		CHECK(program.turns > 10);
		CHECK(program.full > 10);
		CHECK(program.voids > 10 || program.capacity == 1);
	}
}

/* ---- Threads ---- */

#define SENDERS 2
#define KEEPS   32

struct traffic {
	weir_broker *broker;
	weir_subscription *subscription;
	weir_subscription *guest;
	uint64_t target; /* messages of each sender */
	weir_message *_Atomic kept[KEEPS];
	_Atomic bool is_over;
	uint64_t inlined;
	uint64_t pointers;
	uint64_t both_inlined; /* copies of such, for the one that comes and goes */
};

struct sender {
	struct traffic *traffic;
	uint64_t index;
	uint64_t state;
};

/* Number and sender of a message, and its size, from the bytes themselves. */
struct words {
	uint64_t number;
	uint64_t sender;
	uint64_t repeated[14]; /* number, to the end */
};

static size_t words_make(struct words *words, const struct sender *sender, uint64_t number)
{
	words->number = number;
	words->sender = sender->index;
	for (int i = 0; i < 14; i++)
		words->repeated[i] = number;
	return 16 + 8 * (number % 12);
}

static void words_check(const weir_message *message)
{
	const struct words *words = weir_message_data(message);

	CHECK_EQ(weir_message_size(message), 16 + 8 * (words->number % 12));
	for (uint64_t i = 0; i < words->number % 12; i++)
		CHECK_EQ(words->repeated[i], words->number);
}

static void *sender_run(void *argument)
{
	static const weir_publish_options defaults;
	struct sender *sender = argument;
	struct traffic *traffic = sender->traffic;
	weir_publisher *publisher = fixture_publisher(traffic->broker, "t");
	struct words words[4];
	weir_payload payloads[4];

	for (uint64_t number = 1; number <= traffic->target;) {
		const uint64_t left = traffic->target - number + 1;
		const weir_publish_options *options =
			harness_random_below(&sender->state, 8) == 0 ? &defaults : NULL;
		size_t count = 1 + harness_random_below(&sender->state, 4);

		if (count > left)
			count = left;
		for (size_t i = 0; i < count; i++)
			payloads[i] = (weir_payload){ &words[i],
				words_make(&words[i], sender, number + i) };
		if (count == 1)
			CHECK_EQ(
				weir_publish(publisher, words, payloads[0].size, options, NULL), 0);
		else
			CHECK_EQ(weir_publish_batch(publisher, payloads, count, options, NULL), 0);
		number += count;
	}
	weir_publisher_close(publisher);
	return NULL;
}

/* Gives back what the receiver keeps. */
static void *releaser_run(void *argument)
{
	struct traffic *traffic = argument;

	for (size_t i = 0; !atomic_load(&traffic->is_over); i++) {
		weir_message *message = atomic_exchange(&traffic->kept[i % KEEPS], NULL);

		if (message != NULL) {
			words_check(message);
			weir_message_release(message);
		} else if (i % KEEPS == 0) {
			(void)sched_yield();
		}
	}
	return NULL;
}

/* Comes and goes, so that the other one is alone now and then; some have slots in the end. */
static void *visitor_run(void *argument)
{
	struct traffic *traffic = argument;
	weir_subscription *subscription = traffic->guest;

	for (;;) {
		weir_delivery delivery;
		int error = 0;

		for (int i = 0; i < 200 && error == 0; i++) {
			const bool is_over = atomic_load(&traffic->is_over);

			error = weir_receive(subscription, &delivery, is_over ? 0 : 1e-3);
			if (error != 0)
				continue;
			words_check(delivery.message);
			traffic->both_inlined += is_inline(subscription, delivery.message);
		}
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		if (atomic_load(&traffic->is_over))
			return NULL;
		for (int i = 0; i < 50; i++)
			(void)sched_yield();
		subscription = fixture_subscribe_dropping(traffic->broker, "t", 64);
	}
}

/* Both begin with slots. */
static void traffic_begin(struct traffic *traffic, weir_ack_mode ack)
{
	weir_publisher *publisher = fixture_publisher(traffic->broker, "t");
	const weir_subscription_options options = { .capacity = 50, .ack = ack };

	CHECK_EQ(weir_subscribe(&traffic->subscription, traffic->broker, "t", &options), 0);
	traffic->guest = fixture_subscribe_dropping(traffic->broker, "t", 64);
	for (int i = 0; i < ENOUGH; i++) {
		CHECK_EQ(fixture_publish(publisher, 1), 2);
		CHECK_EQ(fixture_receive(traffic->subscription), 1);
		CHECK_EQ(fixture_receive(traffic->guest), 1);
	}
	CHECK(has_slots(traffic->subscription) && has_slots(traffic->guest));
	weir_publisher_close(publisher);
}

static void traffic_keep(struct traffic *traffic, weir_message *message, uint64_t *state)
{
	size_t i = harness_random_below(state, KEEPS);

	if (atomic_load(&traffic->kept[i]) != NULL)
		return;
	CHECK_EQ(weir_message_keep(message), 0);
	atomic_store(&traffic->kept[i], message);
}

static void traffic_receive(struct traffic *traffic)
{
	uint64_t last[SENDERS] = { 0 }, left = SENDERS * traffic->target;
	uint64_t state = harness_seed();
	weir_delivery deliveries[16];

	while (left > 0) {
		size_t most = harness_random_below(&state, 2) == 0
				      ? 1
				      : 1 + harness_random_below(&state, 16);
		size_t got;

		CHECK_EQ(weir_receive_batch(
				 traffic->subscription, deliveries, most, WEIR_FOREVER, &got),
			0);
		for (size_t i = 0; i < got; i++) {
			weir_message *message = deliveries[i].message;
			const struct words *words = deliveries[i].data;
			const bool is_now = is_inline(traffic->subscription, message);

			words_check(message);
			CHECK(words->sender < SENDERS);
			CHECK_EQ(words->number, ++last[words->sender]);
			traffic->inlined += is_now;
			traffic->pointers += !is_now;
			if (words->number % 5 == 0)
				traffic_keep(traffic, message, &state);
		}
		left -= got;
	}
}

static void traffic_run(weir_ack_mode ack)
{
	struct traffic traffic = { .broker = fixture_broker(NULL),
		.target = harness_scaled(20000) };
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS], releaser, visitor;
	weir_subscription_statistics last;

	traffic_begin(&traffic, ack);
	for (uint64_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ &traffic, i, harness_seed() + 1 + i };
		threads[i] = fixture_thread(sender_run, &senders[i]);
	}
	releaser = fixture_thread(releaser_run, &traffic);
	visitor = fixture_thread(visitor_run, &traffic);
	traffic_receive(&traffic);
	for (int i = 0; i < SENDERS; i++)
		fixture_join(threads[i]);
	atomic_store(&traffic.is_over, true);
	fixture_join(releaser);
	fixture_join(visitor);
	CHECK(traffic.inlined > 0);
	CHECK(traffic.pointers > 0);
	CHECK(traffic.both_inlined > 0);
	CHECK_EQ(weir_unsubscribe(traffic.subscription, &last), 0);
	CHECK_EQ(last.delivered, ENOUGH + SENDERS * traffic.target);
	CHECK_EQ(weir_broker_close(traffic.broker, NULL), 0);
	for (int i = 0; i < KEEPS; i++) {
		weir_message *message = atomic_load(&traffic.kept[i]);

		if (message == NULL)
			continue;
		words_check(message);
		weir_message_release(message);
	}
}

WEIR_TEST(inline, messages_of_many_threads_are_kept_by_others_while_one_more_comes_and_goes)
{
	traffic_run(WEIR_ACK_NONE);
	traffic_run(WEIR_ACK_AUTO);
}
