/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * instructions CASE MESSAGES - one thread publishes and receives so many messages
 * of 64 bytes, in the way of the case, and does nothing else that depends on their
 * number.  Run under valgrind with two numbers, the difference says how many
 * instructions a message takes: exactly, on any machine and whatever else it does.
 * bench/instructions.sh does that, and holds it against bench/instructions.txt.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

/* As many as every queue here has room for. */
#define ROUND 512
#define BATCH 32
#define SIZE  64

#define SUBSCRIPTIONS_MAX 4

struct shape {
	const char *name;
	unsigned int subscriptions;
	unsigned int batch; /* messages a call */
	bool is_virtual;
	bool is_loaned;
	weir_subscription_options options;
};

static const struct shape shapes[] = {
	{ .name = "one", .subscriptions = 1, .batch = 1 },
	{ .name = "batch", .subscriptions = 1, .batch = BATCH },
	{ .name = "fan-out", .subscriptions = 4, .batch = 1 },
	{ .name = "loaned", .subscriptions = 1, .batch = 1, .is_loaned = true },
	{ .name = "acknowledged",
		.subscriptions = 1,
		.batch = 1,
		.options = { .ack = WEIR_ACK_MANUAL } },
	{ .name = "classes",
		.subscriptions = 1,
		.batch = 1,
		.options = { .order = WEIR_ORDER_PRIORITY, .priority_classes = 4 } },
	{ .name = "priorities",
		.subscriptions = 1,
		.batch = 1,
		.options = { .order = WEIR_ORDER_PRIORITY } },
	{ .name = "drop-oldest",
		.subscriptions = 1,
		.batch = 1,
		.options = { .overflow = WEIR_OVERFLOW_DROP_OLDEST } },
	{ .name = "round-robin",
		.subscriptions = 1,
		.batch = 1,
		.options = { .group = "g", .group_policy = WEIR_GROUP_ROUND_ROBIN } },
	{ .name = "virtual", .subscriptions = 1, .batch = 1, .is_virtual = true },
};

struct bed {
	const struct shape *shape;
	weir_sim *sim;
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscriptions[SUBSCRIPTIONS_MAX];
	unsigned long rounds;
};

static void must(int error, const char *what)
{
	if (error == 0)
		return;
	(void)fprintf(stderr, "instructions: %s: %s\n", what, weir_strerror(error));
	exit(1);
}

static void publish_one(struct bed *bed, const char *data)
{
	weir_message *message;

	if (!bed->shape->is_loaned) {
		must(weir_publish(bed->publisher, data, SIZE, NULL, NULL), "weir_publish");
		return;
	}
	must(weir_loan(bed->publisher, SIZE, &message), "weir_loan");
	memcpy(weir_message_buffer(message), data, SIZE);
	must(weir_publish_message(bed->publisher, message, NULL, NULL), "weir_publish_message");
}

static void round_publish(struct bed *bed)
{
	static const char data[BATCH * SIZE];
	weir_payload payloads[BATCH];

	for (unsigned int i = 0; i < BATCH; i++)
		payloads[i] = (weir_payload){ data + (size_t)i * SIZE, SIZE };
	for (unsigned int done = 0; done < ROUND; done += bed->shape->batch) {
		if (bed->shape->batch == 1)
			publish_one(bed, data);
		else
			must(weir_publish_batch(bed->publisher, payloads, BATCH, NULL, NULL),
				"weir_publish_batch");
	}
}

static void round_receive(struct bed *bed, weir_subscription *subscription)
{
	weir_delivery deliveries[BATCH];
	size_t count = 1;

	for (size_t done = 0; done < ROUND; done += count) {
		if (bed->shape->batch == 1)
			must(weir_receive(subscription, deliveries, 0), "weir_receive");
		else
			must(weir_receive_batch(subscription, deliveries, BATCH, 0, &count),
				"weir_receive_batch");
		if (bed->shape->options.ack != WEIR_ACK_NONE)
			must(weir_ack(deliveries), "weir_ack");
	}
}

static void rounds_run(void *argument)
{
	struct bed *bed = argument;

	for (unsigned long i = 0; i < bed->rounds; i++) {
		round_publish(bed);
		for (unsigned int k = 0; k < bed->shape->subscriptions; k++)
			round_receive(bed, bed->subscriptions[k]);
	}
}

static void bed_open(struct bed *bed)
{
	weir_broker_options options = { .clock = NULL };

	if (bed->shape->is_virtual) {
		must(weir_sim_open(&bed->sim, NULL), "weir_sim_open");
		options.clock = weir_sim_clock(bed->sim);
	}
	must(weir_broker_open(&bed->broker, &options), "weir_broker_open");
	must(weir_publisher_open(&bed->publisher, bed->broker, "topic", NULL),
		"weir_publisher_open");
	for (unsigned int i = 0; i < bed->shape->subscriptions; i++)
		must(weir_subscribe(
			     &bed->subscriptions[i], bed->broker, "topic", &bed->shape->options),
			"weir_subscribe");
}

static void bed_close(struct bed *bed)
{
	for (unsigned int i = 0; i < bed->shape->subscriptions; i++)
		must(weir_unsubscribe(bed->subscriptions[i], NULL), "weir_unsubscribe");
	weir_publisher_close(bed->publisher);
	must(weir_broker_close(bed->broker, NULL), "weir_broker_close");
	if (bed->sim != NULL)
		must(weir_sim_close(bed->sim), "weir_sim_close");
}

int main(int count, char **arguments)
{
	struct bed bed = { .shape = NULL };

	for (size_t i = 0; count == 3 && i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (strcmp(arguments[1], shapes[i].name) == 0)
			bed.shape = &shapes[i];
	if (bed.shape == NULL) {
		(void)fprintf(stderr, "usage: instructions CASE MESSAGES\n");
		return 2;
	}
	bed.rounds = strtoul(arguments[2], NULL, 10) / ROUND;
	bed_open(&bed);
	if (bed.sim != NULL) {
		must(weir_sim_spawn(bed.sim, "rounds", rounds_run, &bed), "weir_sim_spawn");
		must(weir_sim_run(bed.sim), "weir_sim_run");
	} else {
		rounds_run(&bed);
	}
	bed_close(&bed);
	return 0;
}
