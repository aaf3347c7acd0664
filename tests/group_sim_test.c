/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups in virtual time: every policy, with one event at every step of a small
 * scenario. Three members share the messages of six keys; at some instant one joins,
 * leaves, dies with a message in hand, takes too long for one, or gives one back.
 *
 * Whatever happens: each message is acknowledged once; nobody gets one that another
 * has; keys keep their order and are in one hand; the active member is alone; nobody
 * sleeps while something waits that he may take; and the same again is the same run.
 */
#include "core/group.h"
#include "sim_bed.h"

#define WORKERS  4
#define MESSAGES 36
#define BURST    15
#define KEYS     6
#define STEPS    40
#define TIMEOUT  1.0
#define WORK     0.25
#define END      30.0

enum event {
	NOTHING,
	JOIN,
	LEAVE,
	STOP,
	DIE,
	SLOW,
	NACK,
	RELEASE,
	EVENTS
};

struct worker {
	weir_subscription *subscription; /* NULL: it has left, or has not come */
	weir_delivery delivery;
	enum event next; /* what it does with its next message */
	bool is_idle;    /* in a receive */
	bool is_dead;
};

/* What is known of a message. */
struct fate {
	struct worker *holder; /* whose hand it is in; NULL: nobody's */
	double deadline;
	unsigned int deliveries;
	unsigned int acknowledged;
	unsigned int returns; /* reasons for another delivery */
};

static struct {
	struct sim_bed bed;
	weir_publisher *publisher;
	weir_subscription_options options;
	struct worker workers[WORKERS];
	struct fate fates[MESSAGES];
	size_t done;
	uint64_t last_first; /* the last number that was delivered for the first time, plus 1 */
	enum event event;
	double when;
	uint64_t looks;
	uint64_t idles;
	uint64_t seen[EVENTS];
} run;

static weir_group_policy policy(void)
{
	return run.options.group_policy;
}

/* Keys of which each of the three gets some. */
static uint64_t key_of(uint64_t number)
{
	return 9 + number % KEYS;
}

/* Whether the message is in somebody's hand still. */
static bool is_held(const struct fate *fate)
{
	return fate->holder != NULL && weir_now(run.bed.clock) < fate->deadline;
}

static void order_check(const struct worker *self, uint64_t number)
{
	bool is_ordered = policy() == WEIR_GROUP_KEY || policy() == WEIR_GROUP_SINGLE_ACTIVE;

	for (uint64_t other = 0; is_ordered && other < MESSAGES; other++) {
		if (policy() == WEIR_GROUP_KEY && key_of(other) != key_of(number))
			continue;
		if (other < number)
			CHECK_EQ(run.fates[other].acknowledged, 1);
		if (is_held(&run.fates[other]))
			CHECK(run.fates[other].holder == self);
	}
}

static void delivered_check(struct worker *self)
{
	uint64_t number = fixture_number(&self->delivery);
	struct fate *fate = &run.fates[number];

	CHECK(!is_held(fate));
	CHECK_EQ(fate->acknowledged, 0);
	CHECK_EQ(self->delivery.missed, 0);
	if (fate->holder != NULL)
		fate->returns++; /* it timed out */
	order_check(self, number);
	fate->deliveries++;
	CHECK_EQ(fate->deliveries, fate->returns + 1);
	if (policy() == WEIR_GROUP_SHARED && fate->deliveries == 1) {
		CHECK(number >= run.last_first);
		run.last_first = number;
	}
	fate->holder = self;
	fate->deadline = self->delivery.deadline;
}

/* Ends the delivery by the worker's own will. */
static void settle(struct worker *self, enum event how)
{
	struct fate *fate = &run.fates[fixture_number(&self->delivery)];
	int error;

	if (how == NACK || how == RELEASE) {
		error = how == NACK ? weir_nack(&self->delivery, 0, NULL)
				    : weir_release(&self->delivery, 0);
		fate->returns += error == 0;
	} else {
		error = weir_ack(&self->delivery);
		fate->acknowledged += error == 0;
		run.done += error == 0;
	}
	/* One that came too late has nothing to say. */
	if (error == 0)
		fate->holder = NULL;
	else
		CHECK_EQ(error, WEIR_ESTALE);
}

static void work(void *argument)
{
	struct worker *self = argument;
	enum event how;
	int error;

	for (;;) {
		self->is_idle = true;
		error = weir_receive(self->subscription, &self->delivery, WEIR_FOREVER);
		self->is_idle = false;
		if (error != 0)
			break;
		delivered_check(self);
		how = self->next;
		self->next = NOTHING;
		run.seen[how]++;
		if (how == DIE) {
			self->is_dead = true;
			return;
		}
		CHECK_EQ(weir_sleep(run.bed.clock, how == SLOW ? 3.3 * TIMEOUT : WORK), 0);
		if (self->subscription == NULL)
			return; /* it has left meanwhile */
		settle(self, how);
	}
	CHECK(error == WEIR_ECLOSED || error == WEIR_ESHUTDOWN);
}

static void worker_join(struct worker *self)
{
	self->subscription = sim_bed_subscribe(&run.bed, "a", &run.options);
	CHECK_EQ(weir_sim_spawn(run.bed.sim, "worker", work, self), 0);
}

static void worker_leave(struct worker *self)
{
	weir_subscription *subscription = self->subscription;
	weir_subscription_statistics last;

	/* What it has in hand is anybody's. */
	for (size_t i = 0; i < MESSAGES; i++)
		if (run.fates[i].holder == self && run.fates[i].acknowledged == 0) {
			run.fates[i].returns++;
			run.fates[i].holder = NULL;
		}
	self->subscription = NULL;
	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	fixture_check_sums(&last);
}

static void publish(void *argument)
{
	(void)argument;
	for (uint64_t number = 0; number < MESSAGES; number++) {
		weir_publish_options options = { .key = key_of(number), .has_key = true };

		if (number >= BURST)
			CHECK_EQ(weir_sleep(run.bed.clock, 0.1), 0);
		CHECK_EQ(weir_publish(run.publisher, &number, sizeof(number), &options, NULL), 0);
	}
}

static void act(void *argument)
{
	struct worker *victim = &run.workers[0];

	(void)argument;
	CHECK_EQ(weir_sleep(run.bed.clock, run.when), 0);
	switch (run.event) {
	case JOIN:
		worker_join(&run.workers[WORKERS - 1]);
		run.seen[JOIN]++;
		break;
	case LEAVE:
		worker_leave(victim);
		run.seen[LEAVE]++;
		break;
	case STOP:
		CHECK_EQ(weir_subscription_stop(victim->subscription), 0);
		run.seen[STOP]++;
		break;
	case DIE:
	case SLOW:
	case NACK:
	case RELEASE:
		victim->next = run.event;
		break;
	case NOTHING:
	case EVENTS:
		break;
	}
}

/* Nobody sleeps beside work. */
static void look(void)
{
	weir_group_statistics statistics;
	bool has_idle = false;

	for (size_t i = 0; i < WORKERS; i++) {
		const struct worker *worker = &run.workers[i];
		struct weir_subscription *subscription = worker->subscription;

		if (subscription == NULL || !worker->is_idle || subscription->is_stopped)
			continue;
		has_idle = true;
		run.idles++;
		weiri_group_lock(subscription->group);
		CHECK(!weiri_group_can_take(subscription->group, subscription->member));
		weiri_group_unlock(subscription->group);
		CHECK_EQ(weir_group_statistics_get(subscription, &statistics, NULL, 0), 0);
	}
	if (has_idle && policy() == WEIR_GROUP_SHARED)
		CHECK_EQ(statistics.queued, 0);
	run.looks++;
}

/* At instants at which nothing else happens. */
static void watch(void *argument)
{
	(void)argument;
	CHECK_EQ(weir_sleep(run.bed.clock, 0.0123), 0);
	while (weir_now(run.bed.clock) < END) {
		look();
		CHECK_EQ(weir_sleep(run.bed.clock, 0.0250001), 0);
	}
}

/* One run; returns what stands for it. */
static uint64_t scenario(weir_group_policy which, enum event event, int step)
{
	uint64_t hash;

	memset(&run.workers, 0, sizeof(run.workers));
	memset(&run.fates, 0, sizeof(run.fates));
	run.done = 0;
	run.last_first = 0;
	run.event = event;
	run.when = 0.0061 + 0.0773 * step;
	run.options = (weir_subscription_options){ .group = "g",
		.group_policy = which,
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = TIMEOUT,
		.max_attempts = UINT32_MAX };
	sim_bed_open(&run.bed, NULL);
	run.publisher = fixture_publisher(run.bed.broker, "a");
	for (int i = 0; i < WORKERS - 1; i++)
		worker_join(&run.workers[i]);
	CHECK_EQ(weir_sim_spawn(run.bed.sim, "publish", publish, NULL), 0);
	CHECK_EQ(weir_sim_spawn(run.bed.sim, "act", act, NULL), 0);
	CHECK_EQ(weir_sim_spawn(run.bed.sim, "watch", watch, NULL), 0);
	CHECK(weir_sim_run(run.bed.sim) >= 0);
	CHECK_EQ(run.done, MESSAGES);
	for (size_t i = 0; i < MESSAGES; i++)
		CHECK_EQ(run.fates[i].acknowledged, 1);
	hash = weir_sim_trace_hash(run.bed.sim);
	CHECK_EQ(weir_sim_stop(run.bed.sim), 0);
	for (int i = 0; i < WORKERS; i++)
		if (run.workers[i].subscription != NULL)
			worker_leave(&run.workers[i]);
	weir_publisher_close(run.publisher);
	sim_bed_close(&run.bed);
	return hash;
}

static void all_events(weir_group_policy which)
{
	memset(run.seen, 0, sizeof(run.seen));
	run.idles = 0;
	run.looks = 0;
	for (int event = NOTHING; event < EVENTS; event++) {
		for (int step = 0; step < STEPS; step++) {
			uint64_t hash = scenario(which, (enum event)event, step);

			if (step % 8 == 0)
				CHECK_EQ(scenario(which, (enum event)event, step), hash);
		}
		CHECK(run.seen[event] > 0);
	}
	CHECK(run.idles > 0);
	CHECK(run.looks > run.idles / WORKERS);
}

WEIR_TEST(group_sim, shared_loses_doubles_and_idles_nothing_at_any_event)
{
	all_events(WEIR_GROUP_SHARED);
}

WEIR_TEST(group_sim, round_robin_loses_doubles_and_idles_nothing_at_any_event)
{
	all_events(WEIR_GROUP_ROUND_ROBIN);
}

WEIR_TEST(group_sim, weighted_loses_doubles_and_idles_nothing_at_any_event)
{
	all_events(WEIR_GROUP_WEIGHTED);
}

WEIR_TEST(group_sim, least_loaded_loses_doubles_and_idles_nothing_at_any_event)
{
	all_events(WEIR_GROUP_LEAST_LOADED);
}

WEIR_TEST(group_sim, keys_keep_their_order_and_are_in_one_hand_at_any_event)
{
	all_events(WEIR_GROUP_KEY);
}

WEIR_TEST(group_sim, a_single_active_member_is_alone_and_in_order_at_any_event)
{
	all_events(WEIR_GROUP_SINGLE_ACTIVE);
}
