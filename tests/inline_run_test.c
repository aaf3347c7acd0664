/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline_run_test.c - runs: inline messages of one batch and size that are shown at once,
 * of which only the first one says what they have in common.
 */
#include "inline_fixture.h"

#include <string.h>

#include "fail_allocator.h"
#include <weir/message.h>

/* As long as the longest run. */
#define LENGTH 8

struct bed {
	struct fail_allocator memory;
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscription;
};

static void bed_open(struct bed *bed, size_t capacity)
{
	memset(&bed->memory, 0, sizeof(bed->memory));
	bed->broker = fixture_broker(&(weir_broker_options){
		.allocator = fail_allocator_hook(&bed->memory), .timestamps = true });
	bed->publisher = fixture_publisher(bed->broker, "t");
	bed->subscription = fixture_subscribe_dropping(bed->broker, "t", capacity);
	slots_provide(bed->publisher, bed->subscription);
}

static void bed_close(struct bed *bed)
{
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
	CHECK_EQ(weir_unsubscribe(bed->subscription, NULL), 0);
	fail_allocator_check_empty(&bed->memory);
}

/* Numbers from `first` on, each with `size` bytes; returns how many found room. */
static size_t batch_publish(weir_publisher *publisher, uint64_t first, size_t count, size_t size)
{
	unsigned char bytes[3 * LENGTH][WEIRI_INLINE_MAX];
	weir_payload payloads[3 * LENGTH];
	weir_receipt receipt;

	for (size_t i = 0; i < count; i++) {
		bytes_fill(bytes[i], size, first + i);
		payloads[i] = (weir_payload){ bytes[i], size };
	}
	CHECK_EQ(weir_publish_batch(publisher, payloads, count, NULL, &receipt), 0);
	return (size_t)receipt.enqueued;
}

/* The next one is this, and so is its place in the topic's order after `before`. */
static uint64_t next_is(struct bed *bed, uint64_t number, size_t size, uint64_t before)
{
	weir_delivery delivery;
	uint64_t sequence;

	CHECK_EQ(weir_receive(bed->subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.size, size);
	bytes_check(delivery.data, size, number);
	CHECK(is_inline(bed->subscription, delivery.message));
	CHECK(weir_message_timestamp(delivery.message) > 0);
	sequence = weir_message_sequence(delivery.message);
	if (before > 0)
		CHECK_EQ(sequence, before + 1);
	return sequence;
}

/* Whether what was taken last was one of several. */
static bool was_in_run(struct bed *bed)
{
	struct weiri_ring *ring = &bed->subscription->queue.ring;

	return ring->run.end >= weiri_load_relaxed(&ring->head);
}

WEIR_TEST(inline_run, is_of_one_size_up_to_a_line)
{
	struct bed bed;

	bed_open(&bed, LENGTH);
	for (size_t size = 0; size <= WEIRI_INLINE_MAX; size++) {
		uint64_t last = 0;

		CHECK_EQ(batch_publish(bed.publisher, size, LENGTH, size), LENGTH);
		for (uint64_t i = 0; i < LENGTH; i++) {
			last = next_is(&bed, size + i, size, last);
			CHECK_EQ(was_in_run(&bed), size <= WEIRI_RING_SLOT_RUN_BYTES);
		}
	}
	bed_close(&bed);
}

WEIR_TEST(inline_run, goes_on_when_its_first_slot_is_filled_anew)
{
	/* It says something else then: another size, another number, no run. */
	static const size_t others[] = { 3, 64, 96 };
	struct bed bed;

	bed_open(&bed, LENGTH);
	for (uint64_t i = 0; i < 100; i++) {
		const size_t size = 8 + i % 57, other = others[i % 3];
		uint64_t last;

		CHECK_EQ(batch_publish(bed.publisher, i, LENGTH, size), LENGTH);
		last = next_is(&bed, i, size, 0);
		CHECK_EQ(batch_publish(bed.publisher, 1000 + i, 1, other), 1);
		for (uint64_t k = 1; k < LENGTH; k++)
			last = next_is(&bed, i + k, size, last);
		(void)next_is(&bed, 1000 + i, other, last);
		fixture_check_empty(bed.subscription);
	}
	bed_close(&bed);
}

WEIR_TEST(inline_run, is_cut_where_the_queue_is_full)
{
	struct bed bed;

	bed_open(&bed, LENGTH + 3);
	for (uint64_t i = 0; i < 100; i++) {
		uint64_t last = 0;

		CHECK_EQ(batch_publish(bed.publisher, i, 3 * LENGTH, 20), LENGTH + 3);
		for (uint64_t k = 0; k < LENGTH + 3; k++)
			last = next_is(&bed, i + k, 20, last);
		fixture_check_empty(bed.subscription);
	}
	bed_close(&bed);
}

/* Keep what comes until there is no memory for the next one; returns how many came. */
static size_t keep_until_refused(struct bed *bed, weir_message **kept)
{
	weir_delivery delivery;
	size_t count = 0;

	/* Twice there is more. */
	fail_allocator_arm(&bed->memory, 3, true);
	while (weir_receive(bed->subscription, &delivery, 0) == 0) {
		bytes_check(delivery.data, 33, count);
		CHECK_EQ(weir_message_keep(delivery.message), 0);
		kept[count++] = delivery.message;
	}
	CHECK_EQ(weir_receive(bed->subscription, &delivery, 0), WEIR_ENOMEM);
	fail_allocator_arm(&bed->memory, 0, false);
	return count;
}

WEIR_TEST(inline_run, waits_for_memory_wherever_it_is)
{
	enum {
		MANY = 50 * LENGTH
	};
	weir_message *kept[MANY];
	unsigned int refused_at = 0;

	for (size_t shift = 0; shift < LENGTH; shift++) {
		size_t published = 0, count;
		struct bed bed;

		bed_open(&bed, MANY);
		for (; published < shift; published++)
			CHECK_EQ(batch_publish(bed.publisher, published, 1, 33), 1);
		for (; published < MANY - LENGTH; published += LENGTH)
			CHECK_EQ(batch_publish(bed.publisher, published, LENGTH, 33), LENGTH);
		count = keep_until_refused(&bed, kept);
		CHECK(count > shift && count < published);
		refused_at |= 1U << (count - shift) % LENGTH;
		for (size_t i = count; i < published; i++)
			(void)next_is(&bed, i, 33, 0);
		fixture_check_empty(bed.subscription);
		for (size_t i = 0; i < count; i++)
			weir_message_release(kept[i]);
		bed_close(&bed);
	}
	CHECK_EQ(refused_at, (1U << LENGTH) - 1);
}

WEIR_TEST(inline_run, is_counted_where_it_is_thrown_away)
{
	for (uint64_t taken = 0; taken <= LENGTH; taken++) {
		weir_subscription_statistics last;
		struct bed bed;

		bed_open(&bed, 2 * LENGTH);
		CHECK_EQ(batch_publish(bed.publisher, 0, LENGTH, 9), LENGTH);
		CHECK_EQ(batch_publish(bed.publisher, LENGTH, 2, 10), 2);
		for (uint64_t i = 0; i < taken; i++)
			(void)next_is(&bed, i, 9, 0);
		CHECK_EQ(fixture_statistics(bed.subscription).queued, LENGTH + 2 - taken);
		weir_publisher_close(bed.publisher);
		CHECK_EQ(weir_unsubscribe(bed.subscription, &last), 0);
		CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], LENGTH + 2 - taken);
		CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
		fail_allocator_check_empty(&bed.memory);
	}
}

WEIR_TEST(inline_run, stands_among_others)
{
	static const uint64_t large[2 * WEIRI_INLINE_MAX];
	struct bed bed;

	bed_open(&bed, 4 * LENGTH);
	for (uint64_t i = 0; i < 100; i++) {
		uint64_t last;
		struct hole hole;
		weir_delivery delivery;

		CHECK_EQ(batch_publish(bed.publisher, i, 3, 40), 3);
		hole = hole_begin(bed.subscription);
		CHECK_EQ(batch_publish(bed.publisher, i, 2, 41), 2);
		hole_end(&hole);
		CHECK_EQ(weir_publish(bed.publisher, large, sizeof(large), NULL, NULL), 0);
		CHECK_EQ(batch_publish(bed.publisher, i, LENGTH, 42), LENGTH);
		last = next_is(&bed, i, 40, 0);
		last = next_is(&bed, i + 1, 40, last);
		last = next_is(&bed, i + 2, 40, last);
		last = next_is(&bed, i, 41, last);
		last = next_is(&bed, i + 1, 41, last);
		CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
		CHECK_EQ(delivery.size, sizeof(large));
		CHECK_EQ(weir_message_sequence(delivery.message), ++last);
		for (uint64_t k = 0; k < LENGTH; k++)
			last = next_is(&bed, i + k, 42, last);
		fixture_check_empty(bed.subscription);
	}
	bed_close(&bed);
}
