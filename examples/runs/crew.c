/* SPDX-License-Identifier: BSD-2-Clause */
/* The source, the workers, and what they came to. */
#include "crew.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../common/complain.h"
#include "options.h"
#include "python_random.h"
#include "stage.h"

#define TOPIC     "jobs"
#define TEXT_SIZE 32

/* How much slower the slow one is, and how much less its weight. */
#define SLOWNESS 10

/* Different keys of jobs. */
#define KEYS 24

const struct crew_policy crew_policies[CREW_POLICIES] = {
	{ "round-robin", WEIR_GROUP_ROUND_ROBIN },
	{ "weighted", WEIR_GROUP_WEIGHTED },
	{ "least-loaded", WEIR_GROUP_LEAST_LOADED },
	{ "shared", WEIR_GROUP_SHARED },
	{ "key", WEIR_GROUP_KEY },
	{ "single-active", WEIR_GROUP_SINGLE_ACTIVE },
};

static const struct {
	const char *name;
	uint32_t weight;
	double slowness;
} trades[CREW_WORKERS] = {
	{ "Fast-1", SLOWNESS, 1 },
	{ "Fast-2", SLOWNESS, 1 },
	{ "Slow", 1, SLOWNESS },
};

struct source {
	struct stage *stage;
	struct crew *crew;
	double interval;
	struct python_random random;
};

struct post {
	struct stage *stage;
	struct crew_worker *worker;
	weir_subscription *member;
	double service;
	double begun; /* the job in hand */
	struct latencies latencies;
};

const struct crew_policy *crew_policy_find(const char *name)
{
	for (size_t i = 0; i < CREW_POLICIES; i++)
		if (strcmp(crew_policies[i].name, name) == 0)
			return &crew_policies[i];
	return NULL;
}

static void publish_jobs(void *argument)
{
	struct source *self = argument;
	weir_publisher *publisher;
	weir_receipt receipt;
	char text[TEXT_SIZE];

	must(weir_publisher_open(&publisher, self->stage->broker, TOPIC, NULL), TOPIC);
	for (unsigned long number = 1;; number++) {
		int key = python_random_randint(&self->random, 0, KEYS - 1);
		weir_publish_options options = { .has_key = true, .key = (uint64_t)key };

		(void)snprintf(text, sizeof(text), "Job %lu", number);
		if (weir_publish(publisher, text, strlen(text), &options, &receipt) != 0)
			break;
		self->crew->published++;
		stage_say(self->stage, "Source %s: %s (key %d)",
			receipt.dropped > 0 ? "REFUSED" : "published", text, key);
		/* Anything from 0 to twice the interval: so jobs come in bursts. */
		if (stage_sleep(self->stage,
			    2 * self->interval * python_random_random(&self->random)) != 0)
			break;
	}
	weir_publisher_close(publisher);
}

static void work(void *argument)
{
	struct post *self = argument;
	struct crew_worker *worker = self->worker;
	weir_delivery delivery;

	while (weir_receive(self->member, &delivery, WEIR_FOREVER) == 0) {
		double published =
			stage_time(self->stage, weir_message_timestamp(delivery.message));

		self->begun = stage_now(self->stage);
		worker->received++;
		latencies_add(&self->latencies, self->begun - published);
		stage_say(self->stage, "%s received %.*s (latency: %.1f)", worker->name,
			(int)delivery.size, (const char *)delivery.data, self->begun - published);
		if (stage_sleep(self->stage, self->service) != 0)
			break;
		worker->busy += stage_now(self->stage) - self->begun;
		if (weir_ack(&delivery) == 0)
			worker->done++;
	}
}

/* One that the slow worker may take its time with is not to be timed out. */
static weir_subscription_options member_options(
	const struct crew *crew, size_t index, const struct options *options)
{
	bool is_weighted = crew->policy->policy == WEIR_GROUP_WEIGHTED;

	return (weir_subscription_options){
		.capacity = options->capacity,
		.overflow = WEIR_OVERFLOW_DROP_NEWEST,
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = WEIR_FOREVER,
		.group = "crew",
		.group_policy = crew->policy->policy,
		.group_weight = is_weighted ? trades[index].weight : 1,
	};
}

/* What nobody has received counts too, with as long as it has waited so far; or else
 * those that a policy leaves lying would make its latencies look good. */
static void left_note(
	const struct post *self, struct latencies *latencies, struct latencies *all, double until)
{
	weir_delivery delivery;

	while (weir_receive(self->member, &delivery, 0) == 0) {
		double published =
			stage_time(self->stage, weir_message_timestamp(delivery.message));

		if (latencies != NULL)
			latencies_add(latencies, until - published);
		latencies_add(all, until - published);
		(void)weir_ack(&delivery);
	}
}

static void worker_note(
	struct crew *crew, const struct post *self, struct latencies *all, double until)
{
	struct crew_worker *worker = self->worker;

	crew->received += worker->received;
	crew->done += worker->done;
	/* The job in hand at the end, as far as it came. */
	if (worker->received > worker->done)
		worker->busy += fmax(0, until - self->begun);
	latencies_join(all, &self->latencies);
}

static void outcome_note(struct crew *crew, struct post *posts, double until)
{
	weir_group_member_statistics members[CREW_WORKERS];
	struct latencies all = { 0 };
	weir_group_statistics group;

	must(weir_group_statistics_get(posts[0].member, &group, members, CREW_WORKERS), TOPIC);
	crew->dropped = group.total.dropped[WEIR_DROP_NEWEST];
	crew->waiting = group.queued;
	crew->imbalance = group.imbalance;
	for (size_t i = 0; i < CREW_WORKERS; i++) {
		struct post *post = &posts[i];

		post->worker->waiting = members[i].queued;
		post->worker->share = members[i].share;
		worker_note(crew, post, &all, until);
		left_note(post, members[i].queued > 0 ? &post->latencies : NULL, &all, until);
		post->worker->latency = latencies_summarize(&post->latencies);
		latencies_free(&post->latencies);
	}
	crew->latency = latencies_summarize(&all);
	latencies_free(&all);
}

void crew_play(struct crew *crew, const struct crew_policy *policy, const struct options *options,
	bool is_quiet)
{
	struct stage stage;
	struct source source = { .stage = &stage, .crew = crew, .interval = options->interval };
	struct post posts[CREW_WORKERS];

	*crew = (struct crew){ .policy = policy };
	stage_open(&stage, options);
	stage.is_quiet = is_quiet;
	python_random_seed(&source.random, options->seed, options->seed_size);
	for (size_t i = 0; i < CREW_WORKERS; i++) {
		weir_subscription_options member = member_options(crew, i, options);

		crew->workers[i].name = trades[i].name;
		crew->workers[i].weight = member.group_weight;
		posts[i] = (struct post){
			.stage = &stage,
			.worker = &crew->workers[i],
			.member = stage_subscribe(&stage, stage.broker, TOPIC, &member),
			.service = options->service * trades[i].slowness,
		};
	}
	stage_spawn(&stage, "Source", publish_jobs, &source);
	for (size_t i = 0; i < CREW_WORKERS; i++)
		stage_spawn(&stage, trades[i].name, work, &posts[i]);
	stage_run(&stage);
	outcome_note(crew, posts, options->until);
	stage_close(&stage);
}
