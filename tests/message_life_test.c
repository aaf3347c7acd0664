/* SPDX-License-Identifier: BSD-2-Clause */
/* Who frees a message, when, and what that may do meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "weir/weir.h"

struct freed {
	weir_broker *broker;
	weir_subscription *subscription;
	int count;
};

static void free_and_subscribe(void *context, void *data)
{
	struct freed *freed = context;

	freed->count++;
	free(data);
	CHECK_EQ(weir_subscribe(&freed->subscription, freed->broker, "made.meanwhile", NULL), 0);
}

WEIR_TEST(message_life, a_free_function_may_subscribe_while_the_publish_goes_on)
{
	struct freed freed = { 0 };
	weir_publisher *publisher;
	weir_message *message;

	CHECK_EQ(weir_broker_open(&freed.broker, NULL), 0);
	CHECK_EQ(weir_publisher_open(&publisher, freed.broker, "nobody", NULL), 0);
	CHECK_EQ(weir_message_wrap(publisher, malloc(8), 8, free_and_subscribe, &freed, &message),
		0);
	CHECK_EQ(weir_publish_message(publisher, message, NULL, NULL), 0);
	CHECK_EQ(freed.count, 1);
	CHECK_EQ(weir_unsubscribe(freed.subscription, NULL), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(freed.broker, NULL), 0);
}

WEIR_TEST(message_life, a_free_function_may_subscribe_when_its_message_is_evicted)
{
	struct freed freed = { 0 };
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_message *message;

	CHECK_EQ(weir_broker_open(&freed.broker, NULL), 0);
	CHECK_EQ(weir_subscribe(&subscription, freed.broker, "t",
			 &(weir_subscription_options){
				 .capacity = 1, .overflow = WEIR_OVERFLOW_DROP_OLDEST }),
		0);
	CHECK_EQ(weir_publisher_open(&publisher, freed.broker, "t", NULL), 0);
	CHECK_EQ(weir_message_wrap(publisher, malloc(8), 8, free_and_subscribe, &freed, &message),
		0);
	CHECK_EQ(weir_publish_message(publisher, message, NULL, NULL), 0);
	CHECK_EQ(freed.count, 0);
	CHECK_EQ(weir_publish(publisher, "", 0, NULL, NULL), 0);
	CHECK_EQ(freed.count, 1);
	CHECK_EQ(weir_unsubscribe(freed.subscription, NULL), 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(freed.broker, NULL), 0);
}

WEIR_TEST(message_life, a_loan_kept_before_it_is_published_stays)
{
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_message *message;
	weir_broker *broker;
	weir_delivery delivery;

	CHECK_EQ(weir_broker_open(&broker, NULL), 0);
	CHECK_EQ(weir_subscribe(&subscription, broker, "t", NULL), 0);
	CHECK_EQ(weir_publisher_open(&publisher, broker, "t", NULL), 0);
	CHECK_EQ(weir_loan(publisher, 5, &message), 0);
	memcpy(weir_message_buffer(message), "hello", 5);
	CHECK_EQ(weir_message_keep(message), 0);
	CHECK_EQ(weir_publish_message(publisher, message, NULL, NULL), 0);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK(memcmp(weir_message_data(message), "hello", 5) == 0);
	CHECK_STR_EQ(weir_message_topic(message), "t");
	weir_message_release(message);
}
