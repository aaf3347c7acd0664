/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publisher_test.c - every way to publish, what it answers to every mistake and in
 * every difficulty, and that receipts are filled in when and only when they should.
 */
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/publisher.h"
#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

#define NOT_A_NUMBER ((double)NAN)

static const weir_publish_options bad_options[] = {
	{ .timeout = -1 },
	{ .timeout = -1e-300 },
	{ .timeout = NOT_A_NUMBER },
	{ .timeout = -HUGE_VAL },
	{ .timeout = 1, .no_wait = true },
	{ .reserved = { 1 } },
	{ .reserved = { [7] = 1 } },
};

#define BAD_OPTIONS (sizeof(bad_options) / sizeof(bad_options[0]))

struct stage {
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscription; /* of one place */
	weir_receipt receipt;            /* .published is 77: untouched */
};

static struct stage stage_open(const weir_publisher_options *options)
{
	struct stage stage = { .broker = fixture_broker(NULL), .receipt = { .published = 77 } };

	CHECK_EQ(weir_publisher_open(&stage.publisher, stage.broker, "t", options), 0);
	stage.subscription = fixture_subscribe(stage.broker, "t", 1);
	return stage;
}

static void stage_close(struct stage *stage)
{
	weir_publisher_close(stage->publisher);
	CHECK_EQ(weir_unsubscribe(stage->subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(stage->broker, NULL), 0);
}

static void check_untouched(const struct stage *stage, uint64_t published)
{
	CHECK_EQ(stage->receipt.published, 77);
	CHECK_EQ(stage->receipt.matched, 0);
	CHECK_EQ(fixture_broker_statistics(stage->broker).published, published);
	CHECK_EQ(fixture_statistics(stage->subscription).matched, published);
}

/* ---- Opening ---- */

WEIR_TEST(publisher, options_out_of_range_are_refused_and_change_nothing)
{
	static const weir_publisher_options bad[] = {
		{ .timeout = -1 },
		{ .timeout = NOT_A_NUMBER },
		{ .wait = (weir_wait)4 },
		{ .wait = (weir_wait)-1 },
		{ .max_rate = -1 },
		{ .max_rate = NOT_A_NUMBER },
		{ .max_rate = HUGE_VAL },
		{ .burst = 1 },
		{ .max_rate = 1, .burst = ((uint64_t)1 << 53) + 1 },
		{ .reserved = { 1 } },
	};
	static const char *const names[] = { "", ".", "a.", "a.*", ">", "a\n", NULL };
	weir_publisher *const untouched = (weir_publisher *)(uintptr_t)0x10;
	weir_publisher *publisher = untouched;
	weir_broker *broker = fixture_broker(NULL);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(weir_publisher_open(&publisher, broker, "t", &bad[i]), WEIR_EINVAL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK_EQ(weir_publisher_open(&publisher, broker, names[i], NULL), WEIR_EINVAL);
		CHECK_EQ(weir_publish_to(broker, names[i], "x", 1, NULL, NULL), WEIR_EINVAL);
	}
	CHECK_EQ(weir_publisher_open(&publisher, NULL, "t", NULL), WEIR_EINVAL);
	CHECK(publisher == untouched);
	CHECK_EQ(weir_publisher_open(NULL, broker, "t", NULL), WEIR_EINVAL);
	CHECK_EQ(fixture_broker_statistics(broker).topics, 0);
	CHECK_EQ(fixture_broker_statistics(broker).publishers, 0);
	weir_publisher_close(NULL);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- Mistakes ---- */

WEIR_TEST(publisher, every_form_refuses_bad_arguments_and_publishes_nothing)
{
	struct stage stage = stage_open(NULL);
	const weir_payload payload = { "x", 1 }, none = { NULL, 1 }, good[] = { payload, none };
	weir_pacer pacer = { 0 }, bad_pacer = { .base = -1 };
	weir_receipt *receipt = &stage.receipt;
	weir_message *loan;

	CHECK_EQ(weir_loan(stage.publisher, 1, &loan), 0);
	for (size_t i = 0; i < BAD_OPTIONS; i++) {
		const weir_publish_options *bad = &bad_options[i];

		CHECK_EQ(weir_publish(stage.publisher, "x", 1, bad, receipt), WEIR_EINVAL);
		CHECK_EQ(weir_publish_batch(stage.publisher, &payload, 1, bad, receipt),
			WEIR_EINVAL);
		CHECK_EQ(weir_publish_message(stage.publisher, loan, bad, receipt), WEIR_EINVAL);
		CHECK_EQ(weir_publish_to(stage.broker, "t", "x", 1, bad, receipt), WEIR_EINVAL);
		CHECK_EQ(weir_publish_paced(stage.publisher, &pacer, "x", 1, bad, receipt),
			WEIR_EINVAL);
	}
	CHECK_EQ(weir_publish(NULL, "x", 1, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish(stage.publisher, NULL, 1, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_batch(NULL, &payload, 1, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_batch(stage.publisher, NULL, 1, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_batch(stage.publisher, &payload, 0, NULL, receipt), WEIR_EINVAL);
	/* The second one is bad: the first does not go either. */
	CHECK_EQ(weir_publish_batch(stage.publisher, good, 2, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_message(NULL, loan, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_message(stage.publisher, NULL, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_to(NULL, "t", "x", 1, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_to(stage.broker, "t", NULL, 1, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_paced(NULL, &pacer, "x", 1, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_paced(stage.publisher, NULL, "x", 1, NULL, receipt), WEIR_EINVAL);
	CHECK_EQ(weir_publish_paced(stage.publisher, &bad_pacer, "x", 1, NULL, receipt),
		WEIR_EINVAL);
	CHECK_EQ(weir_loan(NULL, 1, &loan), WEIR_EINVAL);
	CHECK_EQ(weir_loan(stage.publisher, 1, NULL), WEIR_EINVAL);
	check_untouched(&stage, 0);
	weir_message_release(loan);
	stage_close(&stage);
}

WEIR_TEST(publisher, nothing_is_a_message_too)
{
	struct stage stage = stage_open(NULL);
	const weir_payload nothing = { NULL, 0 };
	weir_delivery delivery;

	CHECK_EQ(weir_publish(stage.publisher, NULL, 0, NULL, NULL), 0);
	CHECK_EQ(weir_receive(stage.subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.size, 0);
	CHECK_EQ(weir_publish_batch(stage.publisher, &nothing, 1, NULL, NULL), 0);
	CHECK_EQ(weir_receive(stage.subscription, &delivery, 0), 0);
	CHECK_EQ(weir_publish_to(stage.broker, "t", NULL, 0, NULL, NULL), 0);
	CHECK_EQ(weir_receive(stage.subscription, &delivery, 0), 0);
	CHECK_EQ(weir_message_sequence(delivery.message), 3);
	stage_close(&stage);
}

/* ---- Difficulties ---- */

WEIR_TEST(publisher, times_out_at_a_full_queue_and_the_others_have_the_message)
{
	static const weir_publish_options waits[] = { { .no_wait = true }, { .timeout = 1e-9 },
		{ .timeout = 2e-3 } };
	struct stage stage = stage_open(NULL);
	weir_subscription *other = fixture_subscribe(stage.broker, "*", 100);
	const weir_payload payload = { "x", 1 };
	weir_receipt *receipt = &stage.receipt;
	uint64_t sequence = 1;

	fixture_publish(stage.publisher, 0);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		for (int form = 0; form < 4; form++) {
			weir_pacer pacer = { .base = 1e-9 };
			const double before = weir_now(weir_clock_real());
			weir_message *loan = NULL;
			int error = 0;

			*receipt = (weir_receipt){ .published = 77 };
			if (form == 0)
				error = weir_publish(stage.publisher, "x", 1, &waits[i], receipt);
			else if (form == 1)
				error = weir_publish_batch(
					stage.publisher, &payload, 1, &waits[i], receipt);
			else if (form == 2)
				error = weir_publish_to(
					stage.broker, "t", "x", 1, &waits[i], receipt);
			else if (weir_loan(stage.publisher, 1, &loan) == 0)
				error = weir_publish_message(
					stage.publisher, loan, &waits[i], receipt);
			CHECK_EQ(error, WEIR_ETIMEDOUT);
			CHECK(weir_now(weir_clock_real()) - before >= waits[i].timeout);
			CHECK_EQ(receipt->published, 1);
			CHECK_EQ(receipt->sequence, ++sequence);
			CHECK_EQ(receipt->matched, 2);
			CHECK_EQ(receipt->enqueued, 1);
			CHECK_EQ(receipt->dropped, 1);
			CHECK_EQ(receipt->timed_out, 1);
			CHECK_EQ(weir_publish_paced(
					 stage.publisher, &pacer, "x", 1, &waits[i], NULL),
				WEIR_ETIMEDOUT);
			sequence++;
		}
	}
	CHECK_EQ(fixture_statistics(stage.subscription).dropped[WEIR_DROP_TIMEOUT], 24);
	CHECK_EQ(fixture_statistics(other).enqueued, 25);
	CHECK_EQ(weir_unsubscribe(other, NULL), 0);
	stage_close(&stage);
}

WEIR_TEST(publisher, own_timeout_is_the_default_of_its_publishes)
{
	struct stage stage = stage_open(&(weir_publisher_options){ .timeout = 1e-3 });
	const double before = weir_now(weir_clock_real());

	fixture_publish(stage.publisher, 0);
	CHECK_EQ(weir_publish(stage.publisher, "x", 1, NULL, NULL), WEIR_ETIMEDOUT);
	CHECK(weir_now(weir_clock_real()) - before >= 1e-3);
	stage_close(&stage);
}

struct late {
	weir_publisher *publisher;
	int result;
	weir_receipt receipt;
};

static void *late_run(void *argument)
{
	struct late *late = argument;
	const weir_payload payloads[] = { { "1", 1 }, { "2", 1 }, { "3", 1 } };

	late->result = weir_publish_batch(late->publisher, payloads, 3, NULL, &late->receipt);
	return NULL;
}

WEIR_TEST(publisher, waits_for_room_in_every_way_of_waiting)
{
	static const weir_wait waits[] = { WEIR_WAIT_SPIN_THEN_PARK, WEIR_WAIT_SPIN, WEIR_WAIT_PARK,
		WEIR_WAIT_YIELD };

	for (int i = 0; i < 4; i++) {
		struct stage stage = stage_open(&(weir_publisher_options){ .wait = waits[i] });
		struct late late = { .publisher = stage.publisher, .result = 1 };
		weir_delivery delivery;
		pthread_t thread;

		fixture_publish_text(stage.publisher, "0");
		thread = fixture_thread(late_run, &late);
		FIXTURE_UNTIL(weiri_load_acquire(&stage.subscription->pins) == 1);
		for (char c = '0'; c <= '3'; c++) {
			CHECK_EQ(weir_receive(stage.subscription, &delivery, WEIR_FOREVER), 0);
			CHECK_EQ(*(const char *)delivery.data, c);
		}
		fixture_join(thread);
		CHECK_EQ(late.result, 0);
		CHECK_EQ(late.receipt.published, 3);
		CHECK_EQ(late.receipt.enqueued, 3);
		CHECK_EQ(late.receipt.sequence, 4);
		stage_close(&stage);
	}
}

WEIR_TEST(publisher, all_or_nothing_says_who_refused_and_counts_nothing)
{
	struct stage stage = stage_open(NULL);
	const weir_publish_options all = { .all_or_nothing = true, .no_wait = true };
	weir_subscription *dropping = fixture_subscribe_dropping(stage.broker, "*", 1);
	weir_subscription *roomy = fixture_subscribe(stage.broker, ">", 9);

	fixture_publish(stage.publisher, 0);
	CHECK_EQ(fixture_receive(stage.subscription), 0);
	/* One that does not wait refuses. */
	CHECK_EQ(weir_publish(stage.publisher, "x", 1, &all, &stage.receipt), WEIR_EFULL);
	CHECK_EQ(stage.receipt.published, 0);
	CHECK_EQ(stage.receipt.refused_by, weir_subscription_id(dropping));
	CHECK_EQ(fixture_receive(dropping), 0);
	CHECK_EQ(weir_publish(stage.publisher, "x", 1, &all, &stage.receipt), 0);
	CHECK_EQ(stage.receipt.enqueued, 3);
	CHECK_EQ(stage.receipt.refused_by, 0);
	/* One that would wait, and may not. */
	fixture_receive_text(dropping, "x");
	CHECK_EQ(weir_publish(stage.publisher, "y", 1, &all, &stage.receipt), WEIR_ETIMEDOUT);
	CHECK_EQ(stage.receipt.refused_by, weir_subscription_id(stage.subscription));
	CHECK_EQ(fixture_broker_statistics(stage.broker).published, 2);
	CHECK_EQ(fixture_statistics(dropping).matched, 2);
	CHECK_EQ(fixture_statistics(roomy).matched, 2);
	CHECK_EQ(weir_unsubscribe(dropping, NULL), 0);
	CHECK_EQ(weir_unsubscribe(roomy, NULL), 0);
	stage_close(&stage);
}

WEIR_TEST(publisher, ahead_of_its_rate_says_so_and_has_published_nothing)
{
	struct stage stage = stage_open(&(weir_publisher_options){ .max_rate = 1e-3, .burst = 1 });
	const weir_publish_options no_wait = { .no_wait = true };
	/* So short that it is over when the rate is looked at. */
	const weir_publish_options brief = { .timeout = DBL_MIN };
	weir_receipt *receipt = &stage.receipt;
	weir_message *loan;

	fixture_publish(stage.publisher, 0);
	CHECK_EQ(weir_publish(stage.publisher, "x", 1, &no_wait, receipt), WEIR_EAGAIN);
	CHECK_EQ(weir_publish(stage.publisher, "x", 1, &brief, receipt), WEIR_ETIMEDOUT);
	CHECK_EQ(weir_loan(stage.publisher, 1, &loan), 0);
	CHECK_EQ(weir_publish_message(stage.publisher, loan, &no_wait, receipt), WEIR_EAGAIN);
	CHECK_EQ(weir_publish_message(stage.publisher, loan, &brief, receipt), WEIR_ETIMEDOUT);
	check_untouched(&stage, 1);
	CHECK(weir_message_buffer(loan) != NULL);
	weir_message_release(loan);
	stage_close(&stage);
}

WEIR_TEST(publisher, refused_memory_by_a_limit_says_so_and_the_receipt_tells)
{
	weir_broker *broker = fixture_broker(&(weir_broker_options){ .capacity_bytes = 200 });
	weir_subscription *subscription = fixture_subscribe(broker, "t", 0);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	static const char bytes[100];
	weir_receipt receipt = { .published = 77 };

	CHECK_EQ(weir_publish(publisher, bytes, 100, NULL, NULL), 0);
	CHECK_EQ(weir_publish(publisher, bytes, 100, NULL, &receipt), WEIR_ENOMEM);
	CHECK_EQ(receipt.published, 1);
	CHECK_EQ(receipt.dropped, 1);
	CHECK_EQ(fixture_statistics(subscription).dropped[WEIR_DROP_MEMORY], 1);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- What it promises of order and rooms ---- */

WEIR_TEST(publisher, full_queue_does_not_keep_a_message_from_the_others)
{
	struct stage stage = stage_open(NULL);
	weir_subscription *before = fixture_subscribe(stage.broker, "*", 9);
	struct late late = { .publisher = stage.publisher, .result = 1 };
	pthread_t thread;

	fixture_publish_text(stage.publisher, "0");
	thread = fixture_thread(late_run, &late);
	FIXTURE_UNTIL(fixture_publishers_are_parked(stage.subscription, 1));
	/* It waits, and the whole batch is here already. */
	for (char c = '0'; c <= '3'; c++)
		fixture_receive_text(before, (char[]){ c, '\0' });
	CHECK_EQ(weir_subscription_stop(stage.subscription), 0);
	fixture_join(thread);
	CHECK_EQ(late.result, 0);
	CHECK_EQ(late.receipt.enqueued, 3);
	CHECK_EQ(late.receipt.dropped, 3);
	CHECK_EQ(late.receipt.timed_out, 0);
	CHECK_EQ(weir_unsubscribe(before, NULL), 0);
	stage_close(&stage);
}

WEIR_TEST(publisher, steady_publishing_in_any_form_allocates_nothing)
{
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_subscription *ring = fixture_subscribe(broker, "t", 200), *lanes, *store;
	weir_subscription *const *all[] = { &ring, &lanes, &store };
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_payload payloads[50];
	uint64_t calls = 0;

	CHECK_EQ(weir_subscribe(&lanes, broker, "t",
			 &(weir_subscription_options){
				 .order = WEIR_ORDER_PRIORITY, .priority_classes = 3 }),
		0);
	CHECK_EQ(weir_subscribe(&store, broker, ">",
			 &(weir_subscription_options){
				 .overflow = WEIR_OVERFLOW_DROP_OLDEST, .capacity = 30 }),
		0);
	for (int i = 0; i < 50; i++)
		payloads[i] = (weir_payload){ "0123456789", (size_t)i % 11 };
	for (int round = 0; round < 200; round++) {
		weir_delivery deliveries[100];
		weir_message *loan;
		size_t count;

		if (round == 20)
			calls = atomic_load(&memory.calls);
		CHECK_EQ(weir_publish_batch(publisher, payloads, 50, NULL, NULL), 0);
		CHECK_EQ(weir_publish_to(broker, "t", "by name", 7, NULL, NULL), 0);
		CHECK_EQ(weir_loan(publisher, 500, &loan), 0);
		CHECK_EQ(weir_publish_message(publisher, loan, NULL, NULL), 0);
		for (int i = 0; i < 3; i++)
			while (weir_receive_batch(*all[i], deliveries, 100, 0, &count) == 0)
				continue;
	}
	CHECK_EQ(atomic_load(&memory.calls), calls);
	weir_publisher_close(publisher);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weir_unsubscribe(*all[i], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}
