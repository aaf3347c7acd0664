/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message_test.c - who owns a message's bytes, and for how long: copies, loans,
 * wrapped buffers, kept messages; the free function is called exactly once.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "core/pool.h"
#include "fail_allocator.h"
#include "fixture.h"

/* ---- What a user may read ---- */

WEIR_TEST(message, of_null_is_read_as_nothing)
{
	CHECK(weir_message_data(NULL) == NULL);
	CHECK_EQ(weir_message_size(NULL), 0);
	CHECK(weir_message_buffer(NULL) == NULL);
	CHECK_STR_EQ(weir_message_topic(NULL), NULL);
	CHECK_EQ(weir_message_sequence(NULL), 0);
	CHECK_NEAR(weir_message_timestamp(NULL), 0.0, 0.0);
	CHECK_EQ(weir_message_priority(NULL), 0);
	CHECK_EQ(weir_message_keep(NULL), WEIR_EINVAL);
	weir_message_release(NULL);
}

WEIR_TEST(message, has_no_topic_and_no_sequence_before_it_is_published)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "a.b");
	weir_subscription *subscription = fixture_subscribe(broker, "a.*", 1);
	const weir_publish_options options = { .priority = -7 };
	weir_message *message;
	weir_delivery delivery;

	CHECK_EQ(weir_loan(publisher, 4, &message), 0);
	CHECK_STR_EQ(weir_message_topic(message), NULL);
	CHECK_EQ(weir_message_sequence(message), 0);
	CHECK_EQ(weir_message_priority(message), 0);
	CHECK_EQ(weir_publish_message(publisher, message, &options, NULL), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_STR_EQ(weir_message_topic(delivery.message), "a.b");
	CHECK_EQ(weir_message_sequence(delivery.message), 1);
	CHECK_EQ(weir_message_priority(delivery.message), -7);
	CHECK_EQ(delivery.attempt, 1);
	CHECK_EQ(delivery.missed, 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(message, arrives_whole_whatever_its_size)
{
	static const size_t sizes[] = { 0, 1, 8, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097,
		WEIRI_POOL_PAYLOAD_MAX - 1, WEIRI_POOL_PAYLOAD_MAX, WEIRI_POOL_PAYLOAD_MAX + 1,
		1000000, (size_t)5 << 20 };
	static unsigned char bytes[(size_t)5 << 20];
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	weir_broker *broker = fixture_broker(&options);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 1);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	uint64_t state = harness_seed();

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)harness_random(&state);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			weir_delivery delivery;

			CHECK_EQ(weir_publish(publisher, bytes, sizes[i], NULL, NULL), 0);
			CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
			CHECK_EQ(delivery.size, sizes[i]);
			CHECK_EQ(weir_message_size(delivery.message), sizes[i]);
			CHECK(delivery.data == weir_message_data(delivery.message));
			CHECK(memcmp(delivery.data, bytes, sizes[i]) == 0);
		}
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}

/* ---- Loans ---- */

WEIR_TEST(message, lent_is_written_by_its_owner_and_shared_without_a_copy)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *one = fixture_subscribe(broker, "t", 1);
	weir_subscription *two = fixture_subscribe(broker, "t", 1);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_message *message;
	weir_delivery first, second;
	char *buffer;

	CHECK_EQ(weir_loan(publisher, 5, &message), 0);
	buffer = weir_message_buffer(message);
	CHECK(buffer == weir_message_data(message));
	CHECK_EQ(weir_message_size(message), 5);
	memcpy(buffer, "hello", 5);
	CHECK_EQ(weir_publish_message(publisher, message, NULL, NULL), 0);
	CHECK_EQ(weir_receive(one, &first, 0), 0);
	CHECK_EQ(weir_receive(two, &second, 0), 0);
	CHECK(first.data == buffer && second.data == buffer);
	CHECK(memcmp(buffer, "hello", 5) == 0);
	/* It cannot be written any more, nor published again. */
	CHECK(weir_message_buffer(first.message) == NULL);
	CHECK_EQ(weir_publish_message(publisher, first.message, NULL, NULL), WEIR_EINVAL);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(one, NULL), 0);
	CHECK_EQ(weir_unsubscribe(two, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(message, lent_that_was_refused_has_no_options_left)
{
	static const weir_publish_options options[] = {
		{ .all_or_nothing = true, .priority = 7, .has_key = true, .key = 99 },
		{ .all_or_nothing = true, .priority = 7, .has_key = true, .key = 99, .ttl = 100 },
	};
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe_dropping(broker, "t", 1);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_delivery delivery;
	weir_message *loan;

	for (size_t i = 0; i < 2; i++) {
		CHECK_EQ(fixture_publish(publisher, 0), 1);
		CHECK_EQ(weir_loan(publisher, 100, &loan), 0);
		CHECK_EQ(weir_publish_message(publisher, loan, &options[i], NULL), WEIR_EFULL);
		CHECK_EQ(weir_message_priority(loan), 0);
		CHECK_EQ(weir_message_key(loan), 0);
		CHECK_EQ(fixture_receive(subscription), 0);
		CHECK_EQ(weir_publish_message(publisher, loan, NULL, NULL), 0);
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(weir_message_priority(delivery.message), 0);
		CHECK_EQ(weir_message_key(delivery.message), 0);
		CHECK(weir_message_expires_at(delivery.message) == WEIR_FOREVER);
	}
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(message, buffers_are_aligned_to_a_cache_line)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_message *messages[600];
	const size_t count = sizeof(messages) / sizeof(messages[0]);

	for (size_t i = 0; i < count; i++) {
		CHECK_EQ(weir_loan(publisher, i * i, &messages[i]), 0);
		CHECK_EQ((uintptr_t)weir_message_buffer(messages[i]) % 64, 0);
	}
	for (size_t i = 0; i < count; i++)
		weir_message_release(messages[i]);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(message, lent_belongs_to_its_publisher_alone)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *owner = fixture_publisher(broker, "t");
	weir_publisher *other = fixture_publisher(broker, "t");
	weir_message *message;

	CHECK_EQ(weir_loan(owner, 1, &message), 0);
	CHECK_EQ(weir_publish_message(other, message, NULL, NULL), WEIR_EINVAL);
	CHECK(weir_message_buffer(message) != NULL);
	weir_publisher_close(owner);
	/* Its publisher is gone: it can only be given back. */
	CHECK_EQ(weir_publish_message(other, message, NULL, NULL), WEIR_EINVAL);
	memset(weir_message_buffer(message), 1, 1);
	weir_message_release(message);
	weir_publisher_close(other);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- Wrapped buffers ---- */

/* A buffer of the caller's, and how often it was freed. */
struct buffer {
	char bytes[4];
	unsigned int frees;
};

static void buffer_free(void *context, void *data)
{
	struct buffer *buffer = context;

	CHECK(data == buffer->bytes);
	buffer->frees++;
}

static weir_message *wrap(weir_publisher *publisher, struct buffer *buffer)
{
	weir_message *message = NULL;

	buffer->frees = 0;
	memcpy(buffer->bytes, "wrap", 4);
	CHECK_EQ(weir_message_wrap(publisher, buffer->bytes, sizeof(buffer->bytes), buffer_free,
			 buffer, &message),
		0);
	CHECK(weir_message_data(message) == buffer->bytes);
	CHECK_EQ(weir_message_size(message), 4);
	CHECK(weir_message_buffer(message) == NULL);
	return message;
}

struct stage {
	struct fail_allocator memory;
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *one;
	weir_subscription *two;
};

/* Two subscriptions of one place each. */
static void stage_open(struct stage *stage, weir_overflow overflow)
{
	const weir_broker_options options = { .allocator = fail_allocator_hook(&stage->memory) };
	const weir_subscription_options small = { .capacity = 1, .overflow = overflow };

	stage->broker = fixture_broker(&options);
	stage->publisher = fixture_publisher(stage->broker, "t");
	CHECK_EQ(weir_subscribe(&stage->one, stage->broker, "t", &small), 0);
	CHECK_EQ(weir_subscribe(&stage->two, stage->broker, "*", &small), 0);
}

static void stage_close(struct stage *stage)
{
	weir_publisher_close(stage->publisher);
	CHECK_EQ(weir_unsubscribe(stage->one, NULL), 0);
	CHECK_EQ(weir_unsubscribe(stage->two, NULL), 0);
	CHECK_EQ(weir_broker_close(stage->broker, NULL), 0);
	fail_allocator_check_empty(&stage->memory);
}

WEIR_TEST(message, wrapped_is_freed_when_the_last_receiver_takes_its_next_one)
{
	struct stage stage = { 0 };
	struct buffer buffer;
	weir_delivery delivery;

	stage_open(&stage, WEIR_OVERFLOW_BLOCK);
	CHECK_EQ(weir_publish_message(stage.publisher, wrap(stage.publisher, &buffer), NULL, NULL),
		0);
	CHECK_EQ(weir_receive(stage.one, &delivery, 0), 0);
	CHECK(delivery.data == buffer.bytes);
	CHECK_EQ(weir_receive(stage.two, &delivery, 0), 0);
	CHECK(delivery.data == buffer.bytes);
	fixture_check_empty(stage.one);
	CHECK_EQ(buffer.frees, 0);
	fixture_check_empty(stage.two);
	CHECK_EQ(buffer.frees, 1);
	stage_close(&stage);
	CHECK_EQ(buffer.frees, 1);
}

WEIR_TEST(message, wrapped_that_is_never_published_is_freed_by_release)
{
	struct stage stage = { 0 };
	struct buffer buffer;
	weir_message *message;

	stage_open(&stage, WEIR_OVERFLOW_BLOCK);
	message = wrap(stage.publisher, &buffer);
	CHECK_EQ(buffer.frees, 0);
	weir_message_release(message);
	CHECK_EQ(buffer.frees, 1);
	stage_close(&stage);
	CHECK_EQ(buffer.frees, 1);
}

WEIR_TEST(message, wrapped_is_freed_by_a_publish_that_nobody_takes)
{
	static const weir_overflow overflows[] = { WEIR_OVERFLOW_BLOCK, WEIR_OVERFLOW_DROP_NEWEST };
	static const weir_publish_options in_vain[] = { { .no_wait = true }, { .timeout = 1e-6 } };
	struct buffer buffer;

	for (int i = 0; i < 2; i++) {
		struct stage stage = { 0 };

		stage_open(&stage, overflows[i]);
		fixture_publish(stage.publisher, 1);
		for (int k = 0; k < 2; k++) {
			CHECK_EQ(weir_publish_message(stage.publisher,
					 wrap(stage.publisher, &buffer), &in_vain[k], NULL),
				overflows[i] == WEIR_OVERFLOW_BLOCK ? WEIR_ETIMEDOUT : 0);
			CHECK_EQ(buffer.frees, 1);
		}
		/* A topic without subscriptions. */
		weir_publisher_close(stage.publisher);
		CHECK_EQ(weir_unsubscribe(stage.two, NULL), 0);
		stage.two = fixture_subscribe(stage.broker, "two", 1);
		stage.publisher = fixture_publisher(stage.broker, "nobody");
		CHECK_EQ(weir_publish_message(
				 stage.publisher, wrap(stage.publisher, &buffer), NULL, NULL),
			0);
		CHECK_EQ(buffer.frees, 1);
		stage_close(&stage);
		CHECK_EQ(buffer.frees, 1);
	}
}

WEIR_TEST(message, wrapped_stays_the_callers_when_it_was_not_published)
{
	const weir_publish_options bad = { .timeout = -1 };
	struct stage stage = { 0 };
	struct buffer buffer;
	weir_message *message;
	weir_publisher *other;

	stage_open(&stage, WEIR_OVERFLOW_BLOCK);
	other = fixture_publisher(stage.broker, "t");
	message = wrap(stage.publisher, &buffer);
	CHECK_EQ(weir_publish_message(other, message, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish_message(NULL, message, NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish_message(stage.publisher, message, &bad, NULL), WEIR_EINVAL);
	CHECK_EQ(buffer.frees, 0);
	CHECK_EQ(weir_broker_drain(stage.broker, 0), 0);
	CHECK_EQ(weir_publish_message(stage.publisher, message, NULL, NULL), WEIR_ESHUTDOWN);
	CHECK_EQ(buffer.frees, 0);
	CHECK(memcmp(weir_message_data(message), "wrap", 4) == 0);
	weir_message_release(message);
	CHECK_EQ(buffer.frees, 1);
	weir_publisher_close(other);
	stage_close(&stage);
	CHECK_EQ(buffer.frees, 1);
}

WEIR_TEST(message, wrapped_without_memory_leaves_the_buffer_to_the_caller)
{
	struct stage stage = { 0 };
	struct buffer buffer = { .frees = 0 };
	weir_message *const untouched = (weir_message *)(uintptr_t)0x10;
	weir_message *message = untouched;

	stage_open(&stage, WEIR_OVERFLOW_BLOCK);
	fail_allocator_arm(&stage.memory, 1, true);
	CHECK_EQ(
		weir_message_wrap(stage.publisher, buffer.bytes, 4, buffer_free, &buffer, &message),
		WEIR_ENOMEM);
	CHECK(message == untouched);
	CHECK_EQ(buffer.frees, 0);
	fail_allocator_arm(&stage.memory, 0, false);
	weir_message_release(wrap(stage.publisher, &buffer));
	CHECK_EQ(buffer.frees, 1);
	stage_close(&stage);
}

WEIR_TEST(message, wrapped_is_freed_when_its_queue_is_closed)
{
	struct stage stage = { 0 };
	struct buffer buffer;

	for (int close_broker = 0; close_broker < 2; close_broker++) {
		stage_open(&stage, WEIR_OVERFLOW_BLOCK);
		CHECK_EQ(weir_publish_message(
				 stage.publisher, wrap(stage.publisher, &buffer), NULL, NULL),
			0);
		weir_publisher_close(stage.publisher);
		CHECK_EQ(buffer.frees, 0);
		if (close_broker)
			CHECK_EQ(weir_broker_close(stage.broker, NULL), 0);
		else
			CHECK_EQ(weir_unsubscribe(stage.one, NULL), 0);
		CHECK_EQ(buffer.frees, close_broker);
		if (close_broker)
			CHECK_EQ(weir_unsubscribe(stage.one, NULL), 0);
		CHECK_EQ(weir_unsubscribe(stage.two, NULL), 0);
		CHECK_EQ(buffer.frees, 1);
		if (!close_broker)
			CHECK_EQ(weir_broker_close(stage.broker, NULL), 0);
		fail_allocator_check_empty(&stage.memory);
	}
}

WEIR_TEST(message, wrapped_of_no_bytes_may_be_null)
{
	struct stage stage = { 0 };
	struct buffer buffer = { .frees = 0 };
	weir_message *message = NULL;

	stage_open(&stage, WEIR_OVERFLOW_BLOCK);
	CHECK_EQ(weir_message_wrap(stage.publisher, NULL, 1, buffer_free, &buffer, &message),
		WEIR_EINVAL);
	CHECK_EQ(weir_message_wrap(stage.publisher, buffer.bytes, 1, NULL, &buffer, &message),
		WEIR_EINVAL);
	CHECK_EQ(weir_message_wrap(stage.publisher, buffer.bytes, 1, buffer_free, &buffer, NULL),
		WEIR_EINVAL);
	CHECK(message == NULL);
	CHECK_EQ(
		weir_message_wrap(stage.publisher, buffer.bytes, 0, buffer_free, &buffer, &message),
		0);
	CHECK_EQ(weir_message_size(message), 0);
	weir_message_release(message);
	CHECK_EQ(buffer.frees, 1);
	stage_close(&stage);
}

/* ---- Kept messages ---- */

WEIR_TEST(message, kept_outlives_its_delivery_its_subscription_publisher_and_broker)
{
	enum {
		COUNT = 3
	};
	struct stage stage = { 0 };
	weir_message *kept[COUNT];
	weir_delivery delivery;
	static char large[WEIRI_POOL_PAYLOAD_MAX + 1];
	struct buffer buffer;

	stage_open(&stage, WEIR_OVERFLOW_DROP_NEWEST);
	memset(large, 'l', sizeof(large));
	for (int i = 0; i < COUNT; i++) {
		if (i == 0)
			fixture_publish_text(stage.publisher, "copy");
		else if (i == 1)
			CHECK_EQ(weir_publish_message(stage.publisher,
					 wrap(stage.publisher, &buffer), NULL, NULL),
				0);
		else
			CHECK_EQ(weir_publish_to(
					 stage.broker, "t", large, sizeof(large), NULL, NULL),
				0);
		CHECK_EQ(weir_receive(stage.one, &delivery, 0), 0);
		kept[i] = delivery.message;
		/* Twice held is twice given back. */
		CHECK_EQ(weir_message_keep(kept[i]), 0);
		CHECK_EQ(weir_message_keep(kept[i]), 0);
		CHECK_EQ(weir_receive(stage.two, &delivery, 0), 0);
	}
	weir_publisher_close(stage.publisher);
	CHECK_EQ(weir_unsubscribe(stage.one, NULL), 0);
	CHECK_EQ(weir_unsubscribe(stage.two, NULL), 0);
	CHECK_EQ(weir_topic_remove(stage.broker, "t"), 0);
	CHECK_EQ(weir_broker_close(stage.broker, NULL), 0);
	for (int i = 0; i < COUNT; i++)
		weir_message_release(kept[i]);
	CHECK_EQ(buffer.frees, 0);
	for (int i = 0; i < COUNT; i++) {
		CHECK_STR_EQ(weir_message_topic(kept[i]), "t");
		CHECK_EQ(weir_message_sequence(kept[i]), (uint64_t)i + 1);
	}
	CHECK(memcmp(weir_message_data(kept[0]), "copy", 4) == 0);
	CHECK(memcmp(weir_message_data(kept[1]), "wrap", 4) == 0);
	CHECK(memcmp(weir_message_data(kept[2]), large, sizeof(large)) == 0);
	for (int i = 0; i < COUNT; i++)
		weir_message_release(kept[i]);
	CHECK_EQ(buffer.frees, 1);
	fail_allocator_check_empty(&stage.memory);
}

/* ---- What a free function may do ---- */

/* Everything a free function may call, in each place where one is called. */
struct guest {
	weir_broker *broker;
	weir_publisher *publisher;       /* of another topic */
	weir_subscription *subscription; /* to it */
	bool is_closing;
	unsigned int calls;
};

static void guest_run(void *context, void *data)
{
	struct guest *guest = context;
	const int refused = guest->is_closing ? WEIR_ESHUTDOWN : 0;
	weir_broker_statistics statistics;
	weir_publisher *publisher;
	weir_subscription *subscription;
	weir_delivery delivery;

	(void)data;
	guest->calls++;
	CHECK_EQ(weir_publish(guest->publisher, "x", 1, NULL, NULL), refused);
	CHECK_EQ(weir_receive(guest->subscription, &delivery, 0), refused);
	CHECK_EQ(weir_publish_to(guest->broker, "guest.by.name", "x", 1, NULL, NULL), refused);
	CHECK_EQ(weir_subscribe(&subscription, guest->broker, "guest.*", NULL), refused);
	if (refused == 0)
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_publisher_open(&publisher, guest->broker, "guest.two", NULL), refused);
	if (refused == 0)
		weir_publisher_close(publisher);
	CHECK_EQ(weir_topic_remove(guest->broker, "guest.by.name"), refused);
	CHECK_EQ(weir_broker_statistics_get(guest->broker, &statistics), 0);
	CHECK_EQ(weir_wake(guest->subscription), 0);
}

static weir_message *wrap_guest(weir_publisher *publisher, struct guest *guest)
{
	weir_message *message;

	CHECK_EQ(weir_message_wrap(publisher, guest, 1, guest_run, guest, &message), 0);
	return message;
}

static void guest_open(struct guest *guest, struct stage *stage)
{
	guest->broker = stage->broker;
	guest->publisher = fixture_publisher(stage->broker, "guest.own");
	guest->subscription = fixture_subscribe(stage->broker, "guest.own", 1);
}

/* The star of stage_open's second subscription must not see the guest's topics. */
WEIR_TEST(message, free_function_may_call_the_library_wherever_it_is_called)
{
	static const weir_publish_options no_wait = { .no_wait = true };
	struct stage stage = { 0 };
	struct guest guest = { 0 };
	weir_delivery delivery;

	stage_open(&stage, WEIR_OVERFLOW_BLOCK);
	guest_open(&guest, &stage);
	/* By weir_message_release. */
	weir_message_release(wrap_guest(stage.publisher, &guest));
	CHECK_EQ(guest.calls, 1);
	/* By the receive after the one that took it. */
	CHECK_EQ(weir_publish_message(
			 stage.publisher, wrap_guest(stage.publisher, &guest), NULL, NULL),
		0);
	CHECK_EQ(weir_receive(stage.one, &delivery, 0), 0);
	CHECK_EQ(weir_receive(stage.two, &delivery, 0), 0);
	fixture_check_empty(stage.one);
	fixture_check_empty(stage.two);
	CHECK_EQ(guest.calls, 2);
	/* By a publish that has to drop it. */
	fixture_publish(stage.publisher, 1);
	CHECK_EQ(weir_publish_message(
			 stage.publisher, wrap_guest(stage.publisher, &guest), &no_wait, NULL),
		WEIR_ETIMEDOUT);
	CHECK_EQ(guest.calls, 3);
	/* By unsubscribing from a queue that has it, and from one that handed it out. */
	CHECK_EQ(fixture_receive(stage.one), 1);
	CHECK_EQ(fixture_receive(stage.two), 1);
	CHECK_EQ(weir_publish_message(
			 stage.publisher, wrap_guest(stage.publisher, &guest), NULL, NULL),
		0);
	CHECK_EQ(weir_receive(stage.two, &delivery, 0), 0);
	CHECK_EQ(weir_unsubscribe(stage.one, NULL), 0);
	CHECK_EQ(weir_unsubscribe(stage.two, NULL), 0);
	CHECK_EQ(guest.calls, 4);
	/* By a publish that nobody wants. */
	CHECK_EQ(weir_publish_message(
			 stage.publisher, wrap_guest(stage.publisher, &guest), NULL, NULL),
		0);
	CHECK_EQ(guest.calls, 5);
	/* By a full DROP_NEWEST queue. */
	stage.one = fixture_subscribe_dropping(stage.broker, "t", 1);
	fixture_publish(stage.publisher, 1);
	CHECK_EQ(weir_publish_message(
			 stage.publisher, wrap_guest(stage.publisher, &guest), NULL, NULL),
		0);
	CHECK_EQ(guest.calls, 6);
	/* By close. */
	CHECK_EQ(fixture_receive(stage.one), 1);
	CHECK_EQ(weir_publish_message(
			 stage.publisher, wrap_guest(stage.publisher, &guest), NULL, NULL),
		0);
	guest.is_closing = true;
	CHECK_EQ(weir_broker_close(stage.broker, NULL), 0);
	CHECK_EQ(guest.calls, 7);
	CHECK_EQ(weir_unsubscribe(stage.one, NULL), 0);
	CHECK_EQ(weir_unsubscribe(guest.subscription, NULL), 0);
	weir_publisher_close(guest.publisher);
	weir_publisher_close(stage.publisher);
	fail_allocator_check_empty(&stage.memory);
}

/* A queue that throws out older messages frees them in a publish. */
WEIR_TEST(message, free_function_of_an_evicted_message_may_call_the_library)
{
	static const weir_overflow overflows[] = { WEIR_OVERFLOW_DROP_OLDEST,
		WEIR_OVERFLOW_DROP_LOWEST, WEIR_OVERFLOW_CONFLATE };
	static const weir_publish_options least = { .priority = 9 };

	for (int i = 0; i < 6; i++) {
		const weir_publish_options all = { .all_or_nothing = i >= 3 };
		struct stage stage = { 0 };
		struct guest guest = { 0 };

		/* Of an all-or-nothing publish both queues are locked at once. */
		stage_open(&stage, overflows[i % 3]);
		guest_open(&guest, &stage);
		CHECK_EQ(weir_publish_message(stage.publisher, wrap_guest(stage.publisher, &guest),
				 &least, NULL),
			0);
		CHECK_EQ(guest.calls, 0);
		CHECK_EQ(weir_publish(stage.publisher, "x", 1, &all, NULL), 0);
		CHECK_EQ(guest.calls, 1);
		CHECK_EQ(weir_unsubscribe(guest.subscription, NULL), 0);
		weir_publisher_close(guest.publisher);
		stage_close(&stage);
	}
}

struct threaded_publish {
	weir_publisher *publisher;
	weir_message *message;
};

static void *threaded_publish_run(void *argument)
{
	const struct threaded_publish *publish = argument;

	CHECK_EQ(weir_publish_message(publish->publisher, publish->message, NULL, NULL), 0);
	return NULL;
}

/* It was blocked, its only subscription has gone, so the publisher's thread frees. */
WEIR_TEST(message, free_function_may_call_the_library_at_the_end_of_a_blocked_publish)
{
	struct stage stage = { 0 };
	struct guest guest = { 0 };
	struct threaded_publish publish;
	pthread_t thread;

	stage_open(&stage, WEIR_OVERFLOW_BLOCK);
	guest_open(&guest, &stage);
	fixture_publish(stage.publisher, 1);
	publish.publisher = stage.publisher;
	publish.message = wrap_guest(stage.publisher, &guest);
	thread = fixture_thread(threaded_publish_run, &publish);
	FIXTURE_UNTIL(fixture_publishers_are_parked(stage.one, 1));
	CHECK_EQ(weir_unsubscribe(stage.one, NULL), 0);
	CHECK_EQ(weir_unsubscribe(stage.two, NULL), 0);
	fixture_join(thread);
	CHECK_EQ(guest.calls, 1);
	CHECK_EQ(weir_unsubscribe(guest.subscription, NULL), 0);
	weir_publisher_close(guest.publisher);
	weir_publisher_close(stage.publisher);
	CHECK_EQ(weir_broker_close(stage.broker, NULL), 0);
	fail_allocator_check_empty(&stage.memory);
}
