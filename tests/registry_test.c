/* SPDX-License-Identifier: BSD-2-Clause */
/* registry_test.c - topics and subscriptions meet, in whatever order they come and go. */
#include <stdatomic.h>

#include "fixture.h"

/* ---- Topics come and go ---- */

WEIR_TEST(registry, forgets_a_topic_that_nobody_uses_and_begins_it_anew)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *wild = fixture_subscribe(broker, "*", 8);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_topic_statistics statistics;
	weir_delivery delivery;

	CHECK_EQ(weir_topic_remove(broker, "t"), WEIR_EBUSY);
	fixture_publish_text(publisher, "old");
	weir_publisher_close(publisher);
	CHECK_EQ(weir_topic_remove(broker, "t"), 0);
	CHECK_EQ(weir_topic_remove(broker, "t"), WEIR_ENOENT);
	CHECK_EQ(weir_topic_statistics_get(broker, "t", &statistics), WEIR_ENOENT);
	CHECK_EQ(fixture_broker_statistics(broker).published, 1);
	/* What is queued of it is still delivered, under its name. */
	CHECK_EQ(weir_receive(wild, &delivery, 0), 0);
	CHECK_STR_EQ(weir_message_topic(delivery.message), "t");
	CHECK_EQ(weir_message_sequence(delivery.message), 1);
	publisher = fixture_publisher(broker, "t");
	CHECK_EQ(fixture_publish_text(publisher, "new"), 1);
	CHECK_EQ(weir_receive(wild, &delivery, 0), 0);
	CHECK_EQ(weir_message_sequence(delivery.message), 1);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(wild, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(registry, keeps_a_topic_that_a_subscription_names)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, "a.b", 1);

	CHECK_EQ(weir_topic_remove(broker, "a.b"), WEIR_EBUSY);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_topic_remove(broker, "a.b"), 0);
	CHECK_EQ(weir_topic_remove(broker, "a.*"), WEIR_EINVAL);
	CHECK_EQ(weir_topic_remove(broker, ""), WEIR_EINVAL);
	CHECK_EQ(weir_topic_remove(broker, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_topic_remove(NULL, "a.b"), WEIR_EINVAL);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

struct remover {
	weir_broker *broker;
	_Atomic bool stop;
	_Atomic uint64_t removed;
};

static void *remover_run(void *argument)
{
	struct remover *remover = argument;

	while (!atomic_load(&remover->stop)) {
		int error = weir_topic_remove(remover->broker, "t");

		CHECK(error == 0 || error == WEIR_ENOENT);
		if (error == 0)
			(void)atomic_fetch_add(&remover->removed, 1);
	}
	return NULL;
}

WEIR_TEST(registry, loses_no_publish_by_name_to_the_removal_of_its_topic)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *wild = fixture_subscribe(broker, ">", 4);
	struct remover remover = { .broker = broker };
	pthread_t thread = fixture_thread(remover_run, &remover);
	const uint64_t removals = harness_scaled(100);
	uint64_t rounds = 0;

	for (; atomic_load(&remover.removed) < removals; rounds++) {
		weir_receipt receipt;

		CHECK_EQ(weir_publish_to(broker, "t", &rounds, sizeof(rounds), NULL, &receipt), 0);
		CHECK_EQ(receipt.enqueued, 1);
		CHECK_EQ(fixture_receive(wild), rounds);
	}
	atomic_store(&remover.stop, true);
	fixture_join(thread);
	CHECK_EQ(fixture_broker_statistics(broker).published, rounds);
	CHECK_EQ(weir_unsubscribe(wild, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(registry, a_stopped_subscription_is_in_no_topic_made_later)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription = fixture_subscribe(broker, ">", 0);
	weir_receipt receipt;

	CHECK_EQ(weir_subscription_stop(subscription), 0);
	CHECK_EQ(weir_publish_to(broker, "new", "x", 1, NULL, &receipt), 0);
	CHECK_EQ(receipt.matched, 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_publish_to(broker, "new", "x", 1, NULL, &receipt), 0);
	CHECK_EQ(receipt.matched, 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
