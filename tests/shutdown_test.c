/* SPDX-License-Identifier: BSD-2-Clause */
/* shutdown_test.c - the end of a broker: drain, close, and handles that outlive it. */
#include <string.h>

#include "core/broker.h"
#include "core/subscription.h"
#include "fail_allocator.h"
#include "fixture.h"

/* ---- Draining ---- */

struct drain {
	weir_broker *broker;
	double timeout;
	int result;
};

static void *drain_run(void *argument)
{
	struct drain *drain = argument;

	drain->result = weir_broker_drain(drain->broker, drain->timeout);
	return NULL;
}

static bool drain_is_parked(weir_broker *broker)
{
	return weiri_load_acquire(&broker->drain_waiter.state) == WEIRI_WAITER_WAITING;
}

WEIR_TEST(shutdown, drain_of_empty_queues_succeeds_at_once)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 1);
	weir_delivery delivery;

	CHECK_EQ(weir_broker_drain(broker, 0), 0);
	CHECK_EQ(weir_broker_drain(broker, WEIR_FOREVER), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(shutdown, drain_refuses_everything_new_and_lets_receivers_go_on)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 4), *other = NULL;
	weir_publisher *publisher = fixture_publisher(broker, "t"), *second = NULL;
	const weir_payload payload = { "x", 1 };
	weir_message *loan = NULL, *late = NULL;
	weir_receipt receipt = { .published = 77 };
	weir_delivery delivery;

	CHECK_EQ(weir_loan(publisher, 1, &loan), 0);
	CHECK_EQ(fixture_publish(publisher, 1), 1);
	CHECK_EQ(fixture_publish(publisher, 2), 1);
	CHECK_EQ(weir_broker_drain(broker, 0), WEIR_ETIMEDOUT);

	CHECK_EQ(weir_publish(publisher, "x", 1, NULL, &receipt), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_publish_batch(publisher, &payload, 1, NULL, &receipt), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_publish_to(broker, "t", "x", 1, NULL, &receipt), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_publish_to(broker, "new", "x", 1, NULL, &receipt), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_publish_message(publisher, loan, NULL, &receipt), WEIR_ESHUTDOWN);
	CHECK_EQ(receipt.published, 77);
	CHECK_EQ(weir_loan(publisher, 1, &late), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_publisher_open(&second, broker, "t", NULL), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_subscribe(&other, broker, ">", NULL), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_topic_remove(broker, "t"), WEIR_ESHUTDOWN);
	CHECK(late == NULL && second == NULL && other == NULL);
	weir_message_release(loan);

	CHECK_EQ(fixture_receive(subscription), 1);
	CHECK_EQ(weir_broker_drain(broker, 1e-4), WEIR_ETIMEDOUT);
	CHECK_EQ(fixture_receive(subscription), 2);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_broker_drain(broker, WEIR_FOREVER), 0);
	CHECK_EQ(fixture_statistics(subscription).delivered, 2);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(shutdown, drain_waits_until_the_last_message_is_received)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 4);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	struct drain drain = { broker, WEIR_FOREVER, 1 };
	pthread_t thread;

	fixture_publish(publisher, 1);
	fixture_publish(publisher, 2);
	thread = fixture_thread(drain_run, &drain);
	FIXTURE_UNTIL(drain_is_parked(broker));
	CHECK_EQ(fixture_receive(subscription), 1);
	CHECK(drain_is_parked(broker));
	CHECK_EQ(fixture_receive(subscription), 2);
	fixture_join(thread);
	CHECK_EQ(drain.result, 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(shutdown, drain_is_over_when_the_last_full_subscription_is_unsubscribed)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 4);
	struct drain drain = { broker, WEIR_FOREVER, 1 };
	weir_subscription_statistics last;
	pthread_t thread;

	CHECK_EQ(weir_publish_to(broker, "t", "x", 1, NULL, NULL), 0);
	thread = fixture_thread(drain_run, &drain);
	FIXTURE_UNTIL(drain_is_parked(broker));
	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 1);
	fixture_join(thread);
	CHECK_EQ(drain.result, 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* What two all-or-nothing publishes leave that were both refused elsewhere. */
WEIR_TEST(shutdown, drain_is_not_held_up_by_a_place_that_was_cancelled)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 4);
	struct weiri_ring *ring = &subscription->queue.ring;
	struct drain drain = { broker, WEIR_FOREVER, 1 };
	uint64_t first, second;
	weir_delivery delivery;
	pthread_t thread;

	CHECK(weiri_ring_reserve(ring, &first) && weiri_ring_reserve(ring, &second));
	weiri_ring_cancel(ring, first);
	weiri_ring_cancel(ring, second);
	CHECK_EQ(weiri_ring_count(ring), 1);
	thread = fixture_thread(drain_run, &drain);
	FIXTURE_UNTIL(drain_is_parked(broker));
	CHECK_EQ(weir_receive(subscription, &delivery, WEIR_FOREVER), WEIR_ESHUTDOWN);
	fixture_join(thread);
	CHECK_EQ(drain.result, 0);
	CHECK_EQ(fixture_statistics(subscription).delivered, 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(shutdown, second_drain_at_once_is_refused_and_does_not_disturb_the_first)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 4);
	struct drain drain = { broker, WEIR_FOREVER, 1 };
	pthread_t thread;

	CHECK_EQ(weir_publish_to(broker, "t", "x", 1, NULL, NULL), 0);
	thread = fixture_thread(drain_run, &drain);
	FIXTURE_UNTIL(drain_is_parked(broker));
	CHECK_EQ(weir_broker_drain(broker, 0), WEIR_EBUSY);
	CHECK_EQ(weir_broker_drain(broker, WEIR_FOREVER), WEIR_EBUSY);
	CHECK(drain_is_parked(broker));
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	fixture_join(thread);
	CHECK_EQ(drain.result, 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(shutdown, close_ends_a_drain_that_waits)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "t", 4);
	struct drain drain = { broker, WEIR_FOREVER, 1 };
	weir_broker_statistics last;
	pthread_t thread;

	CHECK_EQ(weir_publish_to(broker, "t", "x", 1, NULL, NULL), 0);
	thread = fixture_thread(drain_run, &drain);
	FIXTURE_UNTIL(drain_is_parked(broker));
	CHECK_EQ(weir_broker_close(broker, &last), 0);
	fixture_join(thread);
	CHECK_EQ(drain.result, WEIR_ESHUTDOWN);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 1);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}

/* ---- Blocked and parked ones, and how drain and close end them ---- */

struct blocked {
	weir_broker *broker;
	weir_publisher *publisher; /* NULL: by name */
	weir_receipt receipt;
	int result;
};

static void *blocked_publish(void *argument)
{
	struct blocked *blocked = argument;

	if (blocked->publisher != NULL)
		blocked->result = weir_publish(blocked->publisher, "x", 1, NULL, &blocked->receipt);
	else
		blocked->result =
			weir_publish_to(blocked->broker, "t", "x", 1, NULL, &blocked->receipt);
	return NULL;
}

struct parked {
	weir_subscription *subscription;
	int result;
};

static void *parked_receive(void *argument)
{
	struct parked *parked = argument;
	weir_delivery delivery;

	parked->result = weir_receive(parked->subscription, &delivery, WEIR_FOREVER);
	return NULL;
}

static void check_shut_down(const struct blocked *blocked)
{
	CHECK_EQ(blocked->result, WEIR_ESHUTDOWN);
	CHECK_EQ(blocked->receipt.published, 1);
	CHECK_EQ(blocked->receipt.matched, 1);
	CHECK_EQ(blocked->receipt.enqueued, 0);
	CHECK_EQ(blocked->receipt.dropped, 1);
	CHECK_EQ(blocked->receipt.timed_out, 0);
}

WEIR_TEST(shutdown, drain_wakes_blocked_publishers_and_parked_receivers)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *full = fixture_subscribe(broker, "t", 1);
	struct parked parked = { fixture_subscribe(broker, "empty", 1), 1 };
	struct blocked bound = { broker, fixture_publisher(broker, "t"), { 0 }, 1 };
	struct blocked by_name = { broker, NULL, { 0 }, 1 };
	pthread_t threads[3];

	CHECK_EQ(fixture_publish(bound.publisher, 1), 1);
	threads[0] = fixture_thread(blocked_publish, &bound);
	threads[1] = fixture_thread(blocked_publish, &by_name);
	threads[2] = fixture_thread(parked_receive, &parked);
	FIXTURE_UNTIL(fixture_publishers_are_parked(full, 2));
	FIXTURE_UNTIL(fixture_receiver_is_parked(parked.subscription));
	CHECK_EQ(weir_broker_drain(broker, 0), WEIR_ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		fixture_join(threads[i]);
	check_shut_down(&bound);
	check_shut_down(&by_name);
	CHECK_EQ(parked.result, WEIR_ESHUTDOWN);
	CHECK_EQ(fixture_receive(full), 1);
	CHECK_EQ(fixture_statistics(full).dropped[WEIR_DROP_CLOSED], 2);
	CHECK_EQ(weir_broker_drain(broker, WEIR_FOREVER), 0);
	weir_publisher_close(bound.publisher);
	CHECK_EQ(weir_unsubscribe(full, NULL), 0);
	CHECK_EQ(weir_unsubscribe(parked.subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(shutdown, close_wakes_blocked_publishers_and_parked_receivers)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *full = fixture_subscribe(broker, "t", 1);
	struct parked parked = { fixture_subscribe(broker, "empty", 1), 1 };
	struct blocked bound = { broker, fixture_publisher(broker, "t"), { 0 }, 1 };
	struct blocked by_name = { broker, NULL, { 0 }, 1 };
	weir_broker_statistics last;
	weir_delivery delivery;
	pthread_t threads[3];

	CHECK_EQ(fixture_publish(bound.publisher, 1), 1);
	threads[0] = fixture_thread(blocked_publish, &bound);
	threads[1] = fixture_thread(blocked_publish, &by_name);
	threads[2] = fixture_thread(parked_receive, &parked);
	FIXTURE_UNTIL(fixture_publishers_are_parked(full, 2));
	FIXTURE_UNTIL(fixture_receiver_is_parked(parked.subscription));
	CHECK_EQ(weir_broker_close(broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.published, 3);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 3);
	for (int i = 0; i < 3; i++)
		fixture_join(threads[i]);
	check_shut_down(&bound);
	check_shut_down(&by_name);
	CHECK_EQ(parked.result, WEIR_ESHUTDOWN);
	CHECK_EQ(weir_receive(full, &delivery, 0), WEIR_ESHUTDOWN);
	weir_publisher_close(bound.publisher);
	CHECK_EQ(weir_unsubscribe(full, NULL), 0);
	CHECK_EQ(weir_unsubscribe(parked.subscription, NULL), 0);
}

/* The same races again and again: what close says at the end adds up, and when it
 * has returned nobody runs inside the broker any more. */
WEIR_TEST(shutdown, close_returns_when_calls_under_way_are_over_and_its_sums_are_final)
{
	const uint64_t rounds = harness_scaled(2000);

	for (uint64_t i = 0; i < rounds; i++) {
		struct fail_allocator memory = { 0 };
		const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
		weir_broker *broker = fixture_broker(&options);
		weir_subscription *full = fixture_subscribe(broker, "t", 1);
		struct blocked bound = { broker, fixture_publisher(broker, "t"), { 0 }, 1 };
		struct blocked by_name = { broker, NULL, { 0 }, 1 };
		weir_broker_statistics last;
		pthread_t threads[2];

		CHECK_EQ(fixture_publish(bound.publisher, 1), 1);
		threads[0] = fixture_thread(blocked_publish, &bound);
		threads[1] = fixture_thread(blocked_publish, &by_name);
		FIXTURE_UNTIL(weiri_load_acquire(&full->pins) == 2);
		CHECK_EQ(weir_broker_close(broker, &last), 0);
		fixture_check_broker_sums(&last);
		CHECK_EQ(last.published, 3);
		fixture_join(threads[0]);
		weir_publisher_close(bound.publisher);
		CHECK_EQ(weir_unsubscribe(full, NULL), 0);
		/* The publish by name has no handle: it is over already. */
		fail_allocator_check_empty(&memory);
		fixture_join(threads[1]);
		check_shut_down(&bound);
		check_shut_down(&by_name);
	}
}

/* ---- Handles after close ---- */

enum handle {
	PUBLISHER,
	SUBSCRIPTION,
	LOAN,
	KEPT,
	BROKER,
	HANDLES
};

struct handles {
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscription;
	weir_message *loan;
	weir_message *kept;
};

static void handle_end(struct handles *handles, enum handle handle)
{
	switch (handle) {
	case PUBLISHER:
		weir_publisher_close(handles->publisher);
		break;
	case SUBSCRIPTION:
		CHECK_EQ(weir_unsubscribe(handles->subscription, NULL), 0);
		break;
	case LOAN:
		weir_message_release(handles->loan);
		break;
	case KEPT:
		CHECK_STR_EQ(weir_message_topic(handles->kept), "t");
		CHECK(memcmp(weir_message_data(handles->kept), "kept", 4) == 0);
		weir_message_release(handles->kept);
		break;
	case BROKER:
		CHECK_EQ(weir_broker_close(handles->broker, NULL), 0);
		break;
	case HANDLES:
		break;
	}
}

static struct handles handles_open(const weir_broker_options *options)
{
	struct handles handles = { .broker = fixture_broker(options) };
	weir_delivery delivery;

	handles.publisher = fixture_publisher(handles.broker, "t");
	handles.subscription = fixture_subscribe(handles.broker, "*", 4);
	CHECK_EQ(weir_loan(handles.publisher, 10, &handles.loan), 0);
	fixture_publish_text(handles.publisher, "kept");
	fixture_publish_text(handles.publisher, "held");
	fixture_publish_text(handles.publisher, "queued");
	CHECK_EQ(weir_receive(handles.subscription, &delivery, 0), 0);
	handles.kept = delivery.message;
	CHECK_EQ(weir_message_keep(handles.kept), 0);
	CHECK_EQ(weir_receive(handles.subscription, &delivery, 0), 0);
	return handles;
}

WEIR_TEST(shutdown, and_all_its_handles_may_be_closed_in_every_order)
{
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	int orders = 0;

	/* All numbers of HANDLES digits whose digits are all different. */
	for (int number = 0; number < 5 * 5 * 5 * 5 * 5; number++) {
		struct handles handles;
		unsigned int seen = 0;

		for (int rest = number, i = 0; i < HANDLES; i++, rest /= HANDLES)
			seen |= 1U << rest % HANDLES;
		if (seen != (1U << HANDLES) - 1)
			continue;
		orders++;
		handles = handles_open(&options);
		for (int rest = number, i = 0; i < HANDLES; i++, rest /= HANDLES)
			handle_end(&handles, (enum handle)(rest % HANDLES));
		fail_allocator_check_empty(&memory);
	}
	CHECK_EQ(orders, 120);
}

WEIR_TEST(shutdown, handles_are_shells_after_close)
{
	struct handles handles = handles_open(NULL);
	weir_subscription_statistics statistics;
	const weir_payload payload = { "x", 1 };
	weir_message *message = NULL;
	weir_receipt receipt = { .published = 77 };
	weir_delivery delivery = { .size = 77 };
	size_t count = 77;

	CHECK_EQ(weir_broker_close(handles.broker, NULL), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(weir_publish(handles.publisher, "x", 1, NULL, &receipt), WEIR_ESHUTDOWN);
		CHECK_EQ(weir_publish_batch(handles.publisher, &payload, 1, NULL, &receipt),
			WEIR_ESHUTDOWN);
		CHECK_EQ(weir_loan(handles.publisher, 1, &message), WEIR_ESHUTDOWN);
		CHECK_EQ(weir_publish_message(handles.publisher, handles.loan, NULL, &receipt),
			WEIR_ESHUTDOWN);
		CHECK_EQ(weir_receive(handles.subscription, &delivery, WEIR_FOREVER),
			WEIR_ESHUTDOWN);
		CHECK_EQ(weir_receive_batch(handles.subscription, &delivery, 1, 0, &count),
			WEIR_ESHUTDOWN);
		CHECK_EQ(weir_wake(handles.subscription), 0);
		CHECK_STR_EQ(weir_subscription_filter(handles.subscription), "*");
	}
	CHECK(message == NULL);
	CHECK_EQ(receipt.published, 77);
	CHECK_EQ(delivery.size, 77);
	CHECK_EQ(count, 77);
	statistics = fixture_statistics(handles.subscription);
	CHECK_EQ(statistics.delivered, 2);
	CHECK_EQ(statistics.dropped[WEIR_DROP_CLOSED], 1);
	for (int i = PUBLISHER; i < BROKER; i++)
		handle_end(&handles, (enum handle)i);
}

WEIR_TEST(shutdown, close_gives_final_statistics_with_everything_discarded)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *gone = fixture_subscribe(broker, "t", 2);
	weir_subscription *here = fixture_subscribe(broker, "t", 2);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_broker_statistics last;

	fixture_publish(publisher, 1);
	fixture_publish(publisher, 2);
	CHECK_EQ(fixture_receive(gone), 1);
	CHECK_EQ(weir_unsubscribe(gone, NULL), 0);
	CHECK_EQ(fixture_receive(here), 1);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.published, 2);
	CHECK_EQ(last.matched, 4);
	CHECK_EQ(last.enqueued, 4);
	CHECK_EQ(last.delivered, 2);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 2);
	CHECK_EQ(last.queued, 0);
	CHECK_EQ(last.topics, 1);
	CHECK_EQ(last.subscriptions, 1);
	CHECK_EQ(last.publishers, 0);
	CHECK_EQ(weir_unsubscribe(here, NULL), 0);
}
