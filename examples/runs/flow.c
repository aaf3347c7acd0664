/* SPDX-License-Identifier: BSD-2-Clause */
/* The publisher, the subscriber, and what they came to. */
#include "flow.h"

#include <stdio.h>
#include <string.h>

#include "../common/complain.h"
#include "options.h"
#include "stage.h"

struct source {
	struct stage *stage;
	struct flow *flow;
	weir_subscription *queue;
	weir_pacer pacer;
};

struct sink {
	struct stage *stage;
	struct flow *flow;
	weir_subscription *queue;
	double service;
};

static void depth_note(struct flow *flow, struct stage *stage, weir_subscription *queue)
{
	weir_subscription_statistics statistics;

	if (flow->is_recorded && weir_subscription_statistics_get(queue, &statistics) == 0)
		series_add(&flow->series, stage_now(stage), statistics.queued);
}

static void publish_told(
	struct source *self, const char *text, bool is_refused, double before, double after)
{
	if (is_refused) {
		self->flow->slowdowns++;
		stage_say(self->stage, "FastPublisher BACKPRESSURE - slowing to %.1fs interval",
			after);
	} else {
		stage_say(
			self->stage, "FastPublisher published: %s (interval: %.1fs)", text, before);
	}
	series_note_interval(&self->flow->series, after);
	depth_note(self->flow, self->stage, self->queue);
}

static void publish_fast(void *argument)
{
	struct source *self = argument;
	weir_publisher *publisher;
	weir_receipt receipt;
	char text[64];

	must(weir_publisher_open(&publisher, self->stage->broker, "events", NULL), "events");
	for (unsigned long number = 1;; number++) {
		double before = weir_pacer_interval(&self->pacer);
		double after;
		int error;

		(void)snprintf(text, sizeof(text), "Message %lu from FastPublisher", number);
		error = weir_publish(publisher, text, strlen(text), NULL, &receipt);
		if (error != 0)
			break;
		after = weir_pacer_feed(&self->pacer, error, &receipt);
		publish_told(self, text, receipt.dropped > 0, before, after);
		if (stage_sleep(self->stage, after) != 0)
			break;
	}
	weir_publisher_close(publisher);
}

static void receive_slowly(void *argument)
{
	struct sink *self = argument;
	struct flow *flow = self->flow;
	weir_delivery delivery;

	while (weir_receive(self->queue, &delivery, WEIR_FOREVER) == 0) {
		double published =
			stage_time(self->stage, weir_message_timestamp(delivery.message));
		double latency = stage_now(self->stage) - published;

		flow->received++;
		flow->latency_sum += latency;
		if (latency > flow->latency_max)
			flow->latency_max = latency;
		stage_say(self->stage, "SlowSubscriber received from '%s': %.*s (latency: %.1f)",
			weir_message_topic(delivery.message), (int)delivery.size,
			(const char *)delivery.data, latency);
		depth_note(flow, self->stage, self->queue);
		if (stage_sleep(self->stage, self->service) != 0)
			break;
	}
}

static void outcome_note(struct flow *flow, const struct source *source)
{
	weir_subscription_statistics statistics;

	must(weir_subscription_statistics_get(source->queue, &statistics), "events");
	flow->published = statistics.matched;
	flow->delivered = statistics.enqueued;
	flow->dropped = statistics.dropped[WEIR_DROP_NEWEST];
	flow->high_water = statistics.high_water;
	flow->last_interval = weir_pacer_interval(&source->pacer);
}

void flow_play(struct flow *flow, const struct options *options, bool is_quiet)
{
	weir_subscription_options bounded = {
		.capacity = options->capacity,
		.overflow = WEIR_OVERFLOW_DROP_NEWEST,
	};
	struct stage stage;
	struct source source = { .stage = &stage, .flow = flow };
	struct sink sink = { .stage = &stage, .flow = flow, .service = options->service };

	*flow = (struct flow){
		.capacity = options->capacity,
		.base_interval = options->interval,
		.is_recorded = options->plot != NULL,
	};
	series_open(&flow->series, options->interval);
	/* Without a longest interval, as in the lesson. */
	source.pacer = (weir_pacer){
		.base = options->interval,
		.multiplier = options->multiplier,
		.divisor = 1.5,
		.maximum = WEIR_FOREVER,
	};
	stage_open(&stage, options);
	stage.is_quiet = is_quiet;
	source.queue = sink.queue = stage_subscribe(&stage, stage.broker, "events", &bounded);
	stage_spawn(&stage, "FastPublisher", publish_fast, &source);
	stage_spawn(&stage, "SlowSubscriber", receive_slowly, &sink);
	stage_run(&stage);
	outcome_note(flow, &source);
	stage_close(&stage);
}

void flow_free(struct flow *flow)
{
	series_free(&flow->series);
}
