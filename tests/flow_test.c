/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow control where parts meet: policies with priorities, protection, limits in
 * bytes, all-or-nothing, and the fill of receipts.  Each policy alone is in
 * overflow_test.c.
 */
#include <string.h>

#include "base/allocator.h"
#include "harness.h"
#include "weir/weir.h"

struct bed {
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
};

static void bed_open(struct bed *bed, const weir_broker_options *broker,
	const weir_subscription_options *subscription)
{
	CHECK_EQ(weir_broker_open(&bed->broker, broker), 0);
	CHECK_EQ(weir_subscribe(&bed->subscription, bed->broker, "t", subscription), 0);
	CHECK_EQ(weir_publisher_open(&bed->publisher, bed->broker, "t", NULL), 0);
}

static void bed_close(struct bed *bed)
{
	CHECK_EQ(weir_unsubscribe(bed->subscription, NULL), 0);
	weir_publisher_close(bed->publisher);
	CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
}

/* Publish one text under a key and a priority, without waiting. */
static int publish(struct bed *bed, const char *text, uint64_t key, int priority)
{
	weir_publish_options options = {
		.has_key = key != 0, .key = key, .priority = priority, .no_wait = true
	};

	return weir_publish(bed->publisher, text, strlen(text), &options, NULL);
}

/* All that is queued, in the order of delivery, each with a blank after it. */
static const char *rest(struct bed *bed)
{
	static char text[256];
	weir_delivery delivery;
	size_t length = 0;

	while (weir_receive(bed->subscription, &delivery, 0) == 0) {
		CHECK(length + delivery.size + 2 < sizeof(text));
		memcpy(text + length, delivery.data, delivery.size);
		length += delivery.size;
		text[length++] = ' ';
	}
	text[length] = '\0';
	return text;
}

WEIR_TEST(flow, a_value_that_replaces_another_counts_with_its_own_priority)
{
	struct bed bed;

	bed_open(&bed, NULL,
		&(weir_subscription_options){ .capacity = 8,
			.overflow = WEIR_OVERFLOW_CONFLATE,
			.order = WEIR_ORDER_PRIORITY });
	CHECK_EQ(publish(&bed, "a9", 1, 9), 0);
	CHECK_EQ(publish(&bed, "b5", 2, 5), 0);
	CHECK_EQ(publish(&bed, "c5", 3, 5), 0);
	CHECK_EQ(publish(&bed, "a1", 1, 1), 0);
	CHECK_EQ(publish(&bed, "c7", 3, 7), 0);
	CHECK_STR_EQ(rest(&bed), "a1 b5 c7 ");
	/* Among equals the place is that of the value replaced. */
	CHECK_EQ(publish(&bed, "a", 1, 3), 0);
	CHECK_EQ(publish(&bed, "b", 2, 5), 0);
	CHECK_EQ(publish(&bed, "A", 1, 5), 0);
	CHECK_STR_EQ(rest(&bed), "A b ");
	bed_close(&bed);
}

WEIR_TEST(flow, a_heavier_value_keeps_the_place_of_the_one_it_replaces)
{
	struct bed bed;

	bed_open(&bed, NULL,
		&(weir_subscription_options){ .capacity = 8,
			.capacity_bytes = 4 * (WEIR_MESSAGE_OVERHEAD + 1),
			.overflow = WEIR_OVERFLOW_CONFLATE });
	for (uint64_t key = 1; key <= 4; key++)
		CHECK_EQ(publish(&bed, "1", key, 0), 0);
	CHECK_EQ(publish(&bed, "22", 2, 0), 0);
	CHECK_STR_EQ(rest(&bed), "22 1 1 ");
	bed_close(&bed);
}

WEIR_TEST(flow, one_large_message_may_evict_very_many_small_ones)
{
	static const char large[WEIR_MESSAGE_OVERHEAD * 100];
	weir_receipt receipt;
	weir_delivery delivery;
	struct bed bed;

	bed_open(&bed, NULL,
		&(weir_subscription_options){ .capacity_bytes = 110 * WEIR_MESSAGE_OVERHEAD,
			.overflow = WEIR_OVERFLOW_DROP_OLDEST });
	for (int i = 0; i < 110; i++)
		CHECK_EQ(publish(&bed, "", 0, 0), 0);
	CHECK_EQ(weir_publish(bed.publisher, large, sizeof(large), NULL, &receipt), 0);
	CHECK_EQ(receipt.evicted, 101);
	for (int i = 0; i < 9; i++)
		CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.size, sizeof(large));
	CHECK_EQ(delivery.missed, 0);
	bed_close(&bed);
}

WEIR_TEST(flow, a_protected_value_is_not_replaced_and_the_latest_one_is)
{
	struct bed bed;

	bed_open(&bed, NULL,
		&(weir_subscription_options){ .capacity = 8,
			.overflow = WEIR_OVERFLOW_CONFLATE,
			.protect = true,
			.protect_priority = 0 });
	CHECK_EQ(publish(&bed, "old", 1, 5), 0);
	CHECK_EQ(publish(&bed, "control", 1, 0), 0);
	CHECK_EQ(publish(&bed, "new", 1, 5), 0);
	CHECK_EQ(publish(&bed, "newer", 1, 5), 0);
	CHECK_EQ(publish(&bed, "control", 1, 0), 0);
	CHECK_STR_EQ(rest(&bed), "control control ");
	bed_close(&bed);
}

WEIR_TEST(flow, a_growing_queue_at_its_limit_lets_protected_messages_wait)
{
	weir_subscription_statistics statistics;
	struct bed bed;

	bed_open(&bed, NULL,
		&(weir_subscription_options){ .overflow = WEIR_OVERFLOW_UNBOUNDED,
			.capacity_bytes = 2 * (WEIR_MESSAGE_OVERHEAD + 1),
			.protect = true,
			.protect_priority = 0 });
	CHECK_EQ(publish(&bed, "1", 0, 5), 0);
	CHECK_EQ(publish(&bed, "2", 0, 5), 0);
	CHECK_EQ(publish(&bed, "3", 0, 5), WEIR_ENOMEM);
	CHECK_EQ(publish(&bed, "4", 0, 0), WEIR_ETIMEDOUT);
	CHECK_EQ(weir_subscription_statistics_get(bed.subscription, &statistics), 0);
	CHECK_EQ(statistics.dropped[WEIR_DROP_MEMORY], 1);
	CHECK_EQ(statistics.dropped[WEIR_DROP_TIMEOUT], 1);
	CHECK_STR_EQ(rest(&bed), "1 2 ");
	bed_close(&bed);
}

WEIR_TEST(flow, all_or_nothing_holds_at_the_limit_of_the_broker)
{
	weir_broker_options limit = { .capacity_bytes = 3 * (WEIR_MESSAGE_OVERHEAD + 1) };
	weir_publish_options all = { .all_or_nothing = true };
	weir_broker_statistics statistics;
	weir_receipt receipt = { 0 };
	weir_subscription *second;
	struct bed bed;

	bed_open(&bed, &limit, NULL);
	CHECK_EQ(weir_subscribe(&second, bed.broker, "t", NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "1", 1, &all, &receipt), 0);
	CHECK_EQ(weir_publish(bed.publisher, "2", 1, &all, &receipt), WEIR_ENOMEM);
	CHECK_EQ(receipt.published, 0);
	CHECK_EQ(receipt.refused_by, weir_subscription_id(second));
	CHECK_EQ(weir_broker_statistics_get(bed.broker, &statistics), 0);
	CHECK_EQ(statistics.queued, 2);
	/* What was reserved for it has been given back: there is room for one. */
	CHECK_EQ(weir_unsubscribe(second, NULL), 0);
	CHECK_EQ(weir_publish(bed.publisher, "3", 1, &all, &receipt), 0);
	CHECK_EQ(weir_publish(bed.publisher, "4", 1, &all, &receipt), 0);
	CHECK_EQ(weir_publish(bed.publisher, "5", 1, &all, &receipt), WEIR_ENOMEM);
	CHECK_STR_EQ(rest(&bed), "1 3 4 ");
	bed_close(&bed);
}

/* What may still be allocated before there is no memory. */
static uint64_t allocations_left;

static void *allocate(void *context, size_t size, size_t alignment)
{
	const weir_allocator *inner = context;

	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return inner->allocate(inner->context, size, alignment);
}

static void deallocate(void *context, void *memory, size_t size)
{
	const weir_allocator *inner = context;

	inner->deallocate(inner->context, memory, size);
}

WEIR_TEST(flow, all_or_nothing_holds_when_memory_gives_out)
{
	weir_publish_options all = { .all_or_nothing = true };
	weir_allocator inner = { 0 };
	weir_allocator limited = { allocate, deallocate, &inner };
	weir_subscription_options store = { .overflow = WEIR_OVERFLOW_DROP_OLDEST };
	uint64_t failures = 0;

	weiri_allocator_complete(&inner);
	/* The publish needs so many allocations; all but the last ones succeed. */
	for (uint64_t allowed = 0;; allowed++) {
		weir_broker_statistics statistics;
		weir_receipt receipt = { 0 };
		weir_subscription *others[2];
		struct bed bed;
		int error;

		allocations_left = UINT64_MAX;
		bed_open(&bed, &(weir_broker_options){ .allocator = limited }, &store);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(weir_subscribe(&others[i], bed.broker, "t", &store), 0);
		allocations_left = allowed;
		error = weir_publish(bed.publisher, "1", 1, &all, &receipt);
		allocations_left = UINT64_MAX;
		CHECK_EQ(weir_broker_statistics_get(bed.broker, &statistics), 0);
		CHECK_EQ(statistics.queued, error == 0 ? 3 : 0);
		CHECK_EQ(weir_publish(bed.publisher, "2", 1, &all, &receipt), 0);
		CHECK_EQ(receipt.enqueued, 3);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(weir_unsubscribe(others[i], NULL), 0);
		bed_close(&bed);
		if (error == 0)
			break;
		CHECK_EQ(error, WEIR_ENOMEM);
		failures++;
	}
	CHECK(failures >= 3);
}

WEIR_TEST(flow, the_fill_counts_bytes_as_well)
{
	weir_publish_options options = { .want_fill = true };
	weir_broker_options limit = { .capacity_bytes = 10 * WEIR_MESSAGE_OVERHEAD };
	weir_receipt receipt;
	struct bed bed;

	bed_open(&bed, NULL,
		&(weir_subscription_options){
			.capacity = 100, .capacity_bytes = 4 * WEIR_MESSAGE_OVERHEAD });
	CHECK_EQ(weir_publish(bed.publisher, "", 0, &options, &receipt), 0);
	CHECK_NEAR(receipt.fill, 0.25, 0);
	CHECK_EQ(weir_publish(bed.publisher, "", 0, &options, &receipt), 0);
	CHECK_NEAR(receipt.fill, 0.5, 0);
	bed_close(&bed);

	bed_open(&bed, &limit, &(weir_subscription_options){ .overflow = WEIR_OVERFLOW_UNBOUNDED });
	CHECK_EQ(weir_publish(bed.publisher, "", 0, &options, &receipt), 0);
	CHECK_NEAR(receipt.fill, 0.1, 0);
	bed_close(&bed);
}

WEIR_TEST(flow, priorities_beyond_the_classes_count_as_the_nearest_in_every_queue)
{
	static const weir_overflow policies[] = { WEIR_OVERFLOW_BLOCK, WEIR_OVERFLOW_DROP_NEWEST,
		WEIR_OVERFLOW_DROP_OLDEST, WEIR_OVERFLOW_DROP_LOWEST, WEIR_OVERFLOW_CONFLATE,
		WEIR_OVERFLOW_UNBOUNDED };

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		struct bed bed;

		bed_open(&bed, NULL,
			&(weir_subscription_options){ .overflow = policies[i],
				.order = WEIR_ORDER_PRIORITY,
				.priority_classes = 2 });
		CHECK_EQ(publish(&bed, "a", 1, 9), 0);
		CHECK_EQ(publish(&bed, "b", 2, 1), 0);
		CHECK_EQ(publish(&bed, "c", 3, 5), 0);
		CHECK_EQ(publish(&bed, "d", 4, 0), 0);
		CHECK_EQ(publish(&bed, "e", 5, -7), 0);
		CHECK_STR_EQ(rest(&bed), "d e a b c ");
		bed_close(&bed);
	}
}

/* ---- Dropped by priority ---- */

WEIR_TEST(flow, tells_which_part_of_each_priority_was_dropped)
{
	weir_priority_statistics levels;
	struct bed bed;

	bed_open(&bed, NULL,
		&(weir_subscription_options){ .capacity = 3,
			.overflow = WEIR_OVERFLOW_DROP_LOWEST,
			.order = WEIR_ORDER_PRIORITY,
			.count_priorities = true });
	for (int i = 0; i < 4; i++)
		(void)publish(&bed, "9", 0, 9);
	for (int i = 0; i < 2; i++)
		(void)publish(&bed, "5", 0, 5);
	(void)publish(&bed, "-7", 0, -7);
	(void)publish(&bed, "99", 0, 99);
	CHECK_EQ(weir_subscription_priorities_get(bed.subscription, &levels), 0);
	for (int i = 0; i < WEIR_PRIORITY_LEVELS; i++) {
		CHECK_EQ(levels.matched[i], i == 9 ? 4 : i == 5 ? 2 : i == 0 || i == 31 ? 1 : 0);
		CHECK_EQ(levels.dropped[i], i == 9 ? 4 : i == 31 ? 1 : 0);
	}
	CHECK_STR_EQ(rest(&bed), "-7 5 5 ");
	bed_close(&bed);
}

WEIR_TEST(flow, sums_by_priority_are_those_of_the_statistics)
{
	static const weir_overflow policies[] = { WEIR_OVERFLOW_BLOCK, WEIR_OVERFLOW_DROP_NEWEST,
		WEIR_OVERFLOW_DROP_OLDEST, WEIR_OVERFLOW_DROP_LOWEST, WEIR_OVERFLOW_CONFLATE };
	uint64_t random = harness_seed();

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		weir_subscription_statistics statistics;
		weir_priority_statistics levels;
		uint64_t matched = 0, dropped = 0, lost = 0;
		struct bed bed;

		bed_open(&bed, NULL,
			&(weir_subscription_options){ .capacity = 5,
				.capacity_bytes = 8 * WEIR_MESSAGE_OVERHEAD,
				.overflow = policies[i],
				.count_priorities = true });
		for (int step = 0; step < 1000; step++) {
			char data[200] = "";
			weir_delivery delivery;
			weir_payload payloads[3] = { { data, 1 },
				{ data, harness_random_below(&random, 200) }, { data, 100 } };
			weir_publish_options options = {
				.priority = (int32_t)harness_random_below(&random, 40) - 2,
				.has_key = true,
				.key = harness_random_below(&random, 4),
				.no_wait = true,
				.all_or_nothing = step % 5 == 0,
			};

			(void)weir_publish_batch(bed.publisher, payloads,
				1 + harness_random_below(&random, 3), &options, NULL);
			if (step % 4 == 0)
				(void)weir_receive(bed.subscription, &delivery, 0);
		}
		CHECK_EQ(weir_subscription_statistics_get(bed.subscription, &statistics), 0);
		CHECK_EQ(weir_subscription_priorities_get(bed.subscription, &levels), 0);
		for (int k = 0; k < WEIR_DROP_REASONS; k++)
			lost += statistics.dropped[k];
		for (int k = 0; k < WEIR_PRIORITY_LEVELS; k++) {
			CHECK(levels.dropped[k] <= levels.matched[k]);
			matched += levels.matched[k];
			dropped += levels.dropped[k];
		}
		CHECK(lost > 0);
		CHECK_EQ(matched, statistics.matched);
		CHECK_EQ(dropped, lost);
		bed_close(&bed);
	}
}

WEIR_TEST(flow, priorities_are_only_counted_on_request)
{
	weir_priority_statistics levels;
	struct bed bed;

	bed_open(&bed, NULL, NULL);
	CHECK_EQ(weir_subscription_priorities_get(bed.subscription, &levels), WEIR_EINVAL);
	CHECK_EQ(weir_subscription_priorities_get(NULL, &levels), WEIR_EINVAL);
	bed_close(&bed);
	bed_open(&bed, NULL, &(weir_subscription_options){ .count_priorities = true });
	CHECK_EQ(weir_subscription_priorities_get(bed.subscription, NULL), WEIR_EINVAL);
	bed_close(&bed);
}

WEIR_TEST(flow, what_acknowledgements_lose_counts_by_priority_as_well)
{
	weir_priority_statistics levels;
	weir_delivery delivery;
	struct bed bed;

	bed_open(&bed, NULL,
		&(weir_subscription_options){
			.ack = WEIR_ACK_MANUAL, .max_attempts = 1, .count_priorities = true });
	for (int priority = 1; priority <= 4; priority++)
		CHECK_EQ(publish(&bed, "x", 0, priority), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(weir_reject(&delivery, "no"), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(weir_ack(&delivery), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), 0);
	CHECK_EQ(weir_subscription_priorities_get(bed.subscription, &levels), 0);
	for (int i = 1; i <= 4; i++)
		CHECK_EQ(levels.dropped[i], i <= 2 ? 1 : 0);
	/* The one in flight goes with the broker; the handle stays. */
	weir_publisher_close(bed.publisher);
	CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
	CHECK_EQ(weir_subscription_priorities_get(bed.subscription, &levels), 0);
	CHECK_EQ(levels.dropped[3], 0);
	CHECK_EQ(levels.dropped[4], 1);
	CHECK_EQ(weir_unsubscribe(bed.subscription, NULL), 0);
}
