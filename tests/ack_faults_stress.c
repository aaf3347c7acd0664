/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ack_faults_stress.c - acknowledgements when everything goes wrong: subscribers that
 * forget, refuse, take their time, unsubscribe or exit with messages in hand; in
 * real time by threads, and in virtual time by many seeds.  No message is
 * acknowledged twice, and the sums agree to the message (promises P3, P5).
 *
 * With WEIR_STRESS=50 ten million messages are published to four subscribers, a
 * million are in flight when a broker is closed, and 100,000 seeds are run.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/atomics.h"
#include "fixture.h"

#define SUBSCRIBERS 4
#define BATCH_MAX   16

enum fault {
	ACK,
	ACK_BATCH,
	ACK_UP_TO,
	NACK,
	RELEASE,
	EXTEND, /* and acknowledge later */
	REJECT,
	IGNORE,
	UNSUBSCRIBE,
	EXIT,
	FAULTS
};

/* ---- In real time ---- */

struct faults {
	weir_broker *broker;
	uint64_t target;
	_Atomic uint64_t seen[FAULTS];
	_Atomic uint64_t stale;
	_Atomic bool is_over;
	_Atomic unsigned int subscribed;
};

/* A subscriber, through all its subscriptions and threads. */
struct subscriber {
	struct faults *faults;
	weir_subscription *subscription;
	unsigned int index;
	uint64_t state;
	uint8_t *won; /* by number: acknowledgements that returned 0 */
	uint64_t acknowledged;
	uint64_t settled;      /* by the last statistics of its subscriptions */
	weir_delivery ignored; /* the last one */
	uint64_t ignored_number;
	uint64_t threads;
	bool is_done;
};

static const weir_subscription_options faulty[SUBSCRIBERS] = {
	{ .ack = WEIR_ACK_MANUAL, .ack_timeout = 0.002, .max_attempts = 3 },
	{ .ack = WEIR_ACK_MANUAL,
		.ack_timeout = 0.001,
		.redelivery_delay = 0.0005,
		.redelivery_jitter = 1,
		.dead_letter_topic = "dead" },
	{ .ack = WEIR_ACK_MANUAL,
		.ack_timeout = 0.002,
		.redeliver_to_back = true,
		.max_attempts = 2,
		.park_max = 64 },
	{ .ack = WEIR_ACK_MANUAL, .ack_timeout = 0.003, .max_in_flight = 64 },
};

static void subscribe(struct subscriber *self)
{
	CHECK_EQ(weir_subscribe(
			 &self->subscription, self->faults->broker, "faults", &faulty[self->index]),
		0);
	(void)atomic_fetch_add(&self->faults->subscribed, 1);
}

static void unsubscribe(struct subscriber *self)
{
	weir_subscription_statistics last;

	(void)atomic_fetch_sub(&self->faults->subscribed, 1);
	CHECK_EQ(weir_unsubscribe(self->subscription, &last), 0);
	fixture_check_sums(&last);
	CHECK_EQ(last.queued + last.in_flight + last.parked, 0);
	self->settled += last.acknowledged;
}

static void win(struct subscriber *self, uint64_t number)
{
	CHECK_EQ(self->won[number]++, 0);
	self->acknowledged++;
}

/* Returns whether the verb was not too late. */
static bool settled(struct subscriber *self, int error)
{
	CHECK(error == 0 || error == WEIR_ESTALE);
	if (error != 0)
		(void)atomic_fetch_add(&self->faults->stale, 1);
	return error == 0;
}

static void ack_one(struct subscriber *self, const weir_delivery *delivery)
{
	if (settled(self, weir_ack(delivery)))
		win(self, fixture_number(delivery));
}

static enum fault fault_draw(struct subscriber *self)
{
	const uint64_t chance = harness_random_below(&self->state, 1000);

	if (chance < 800)
		return ACK;
	if (chance < 890)
		return ACK_BATCH;
	if (chance < 990)
		return (enum fault)(ACK_UP_TO + chance % (UNSUBSCRIBE - ACK_UP_TO));
	return chance % 2 == 0 ? UNSUBSCRIBE : EXIT;
}

/* All of a batch: what it says of them may be wrong of some, which says nothing of the
 * others, so wins are told one by one. */
static void ack_all(struct subscriber *self, const weir_delivery *deliveries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ack_one(self, &deliveries[i]);
}

/* One verb on each of what was received.  Returns the last one. */
static enum fault act(struct subscriber *self, const weir_delivery *deliveries, size_t count)
{
	const enum fault fault = fault_draw(self);
	const double delay = (double)harness_random_below(&self->state, 3) * 1e-4;
	size_t sum = 0;

	(void)atomic_fetch_add(&self->faults->seen[fault], 1);
	switch (fault) {
	case ACK:
		ack_all(self, deliveries, count);
		break;
	case ACK_BATCH:
		/* Those of one batch are all good, or it is told how many. */
		if (weir_ack_batch(deliveries, count, &sum) == 0)
			for (size_t i = 0; i < count; i++)
				win(self, fixture_number(&deliveries[i]));
		else
			self->acknowledged += sum;
		break;
	case ACK_UP_TO:
		if (settled(self, weir_ack_up_to(&deliveries[count - 1], &sum)))
			self->acknowledged += sum;
		break;
	case NACK:
		for (size_t i = 0; i < count; i++)
			(void)settled(self, weir_nack(&deliveries[i], delay, "fault"));
		break;
	case RELEASE:
		for (size_t i = 0; i < count; i++)
			(void)settled(self, weir_release(&deliveries[i], delay));
		break;
	case EXTEND:
		for (size_t i = 0; i < count; i++)
			(void)settled(self, weir_extend(&deliveries[i], 0.01));
		ack_all(self, deliveries, count);
		break;
	case REJECT:
		(void)settled(self, weir_reject(&deliveries[0], "fault"));
		ack_all(self, deliveries + 1, count - 1);
		break;
	case UNSUBSCRIBE:
		unsubscribe(self);
		CHECK_EQ(weir_ack(&(weir_delivery){ .broker = deliveries[0].broker,
				 .token_ledger = deliveries[0].token_ledger,
				 .token_index = deliveries[0].token_index,
				 .token_generation = deliveries[0].token_generation }),
			WEIR_ESTALE);
		subscribe(self);
		break;
	case IGNORE:
		/* But the one before is remembered, much too late. */
		if (self->ignored.broker != NULL && settled(self, weir_ack(&self->ignored)))
			win(self, self->ignored_number);
		self->ignored = deliveries[0];
		self->ignored_number = fixture_number(&deliveries[0]);
		break;
	case EXIT:
	case FAULTS:
		break;
	}
	return fault;
}

static bool is_empty(weir_subscription *subscription)
{
	weir_subscription_statistics now;

	CHECK_EQ(weir_subscription_statistics_get(subscription, &now), 0);
	return now.queued + now.in_flight == 0;
}

/* Until the end, or until it exits with messages in hand. */
static void *subscriber_run(void *argument)
{
	struct subscriber *self = argument;
	weir_delivery deliveries[BATCH_MAX];
	size_t count;

	for (;;) {
		const size_t count_max = 1 + (size_t)harness_random_below(&self->state, BATCH_MAX);
		const int error = weir_receive_batch(
			self->subscription, deliveries, count_max, 0.001, &count);

		if (error == WEIR_ETIMEDOUT && atomic_load(&self->faults->is_over) &&
			is_empty(self->subscription))
			break;
		if (error == WEIR_ETIMEDOUT)
			continue;
		CHECK_EQ(error, 0);
		if (act(self, deliveries, count) == EXIT)
			pthread_exit(NULL);
	}
	self->is_done = true;
	return NULL;
}

/* Starts a thread whenever one has exited. */
static void *subscriber_keep(void *argument)
{
	struct subscriber *self = argument;

	while (!self->is_done) {
		fixture_join(fixture_thread(subscriber_run, self));
		self->threads++;
	}
	unsubscribe(self);
	return NULL;
}

static void publish_all(struct faults *faults)
{
	weir_publisher *publisher = fixture_publisher(faults->broker, "faults");

	for (uint64_t number = 0; number < faults->target; number++) {
		/* Or it is done before those that were gone are back. */
		FIXTURE_UNTIL(atomic_load(&faults->subscribed) > SUBSCRIBERS / 2);
		CHECK_EQ(weir_publish(publisher, &number, sizeof(number), NULL, NULL), 0);
	}
	weir_publisher_close(publisher);
}

WEIR_TEST(ack_faults, nothing_is_lost_or_acknowledged_twice_whatever_subscribers_do)
{
	static struct faults faults;
	static struct subscriber subscribers[SUBSCRIBERS];
	pthread_t threads[SUBSCRIBERS];
	weir_broker_statistics sums;
	uint64_t acknowledged = 0, settled_sum = 0, started = 0;

	faults.target = harness_scaled(200000);
	faults.broker = fixture_broker(NULL);
	for (unsigned int i = 0; i < SUBSCRIBERS; i++) {
		subscribers[i] = (struct subscriber){
			.faults = &faults, .index = i, .state = harness_seed() + i
		};
		subscribers[i].won = calloc(faults.target, 1);
		CHECK(subscribers[i].won != NULL);
		subscribe(&subscribers[i]);
		threads[i] = fixture_thread(subscriber_keep, &subscribers[i]);
	}
	publish_all(&faults);
	atomic_store(&faults.is_over, true);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		fixture_join(threads[i]);
		acknowledged += subscribers[i].acknowledged;
		settled_sum += subscribers[i].settled;
		started += subscribers[i].threads;
		free(subscribers[i].won);
	}
	CHECK_EQ(weir_broker_close(faults.broker, &sums), 0);
	fixture_check_broker_sums(&sums);
	/* Most messages found most of them there. */
	CHECK(sums.matched > faults.target * SUBSCRIBERS / 2);
	CHECK_EQ(sums.acknowledged, acknowledged);
	CHECK_EQ(settled_sum, acknowledged);
	for (int i = 0; i < FAULTS; i++)
		CHECK(faults.seen[i] > 0);
	CHECK_EQ(started, SUBSCRIBERS + faults.seen[EXIT]);
	CHECK(faults.stale > 0);
}

/* ---- A close with many in flight ---- */

WEIR_TEST(ack_faults, a_close_with_a_full_window_takes_no_time_to_speak_of)
{
	static weir_delivery deliveries[WEIR_BATCH_MAX];
	const uint64_t scaled = harness_scaled(100000);
	const uint64_t many = scaled < WEIR_CAPACITY_MAX ? scaled : WEIR_CAPACITY_MAX;
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = 1000,
		.capacity = many,
		.max_in_flight = many,
	};
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_broker_statistics last;
	uint64_t received = 0;
	double begin, seconds;
	size_t count;

	CHECK_EQ(weir_subscribe(&subscription, broker, "many", &options), 0);
	publisher = fixture_publisher(broker, "many");
	for (uint64_t number = 0; number < many; number++)
		CHECK_EQ(weir_publish(publisher, &number, sizeof(number), NULL, NULL), 0);
	for (; received < many; received += count)
		CHECK_EQ(
			weir_receive_batch(subscription, deliveries, WEIR_BATCH_MAX, 0, &count), 0);
	CHECK_EQ(fixture_statistics(subscription).in_flight, many);
	begin = weir_now(weir_clock_real());
	CHECK_EQ(weir_broker_close(broker, &last), 0);
	seconds = weir_now(weir_clock_real()) - begin;
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], many);
	fixture_check_broker_sums(&last);
	CHECK_EQ(weir_ack(&deliveries[0]), WEIR_ESTALE);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	/* 0.2 us for each, measured; a hundred times that is another order of cost, but
	 * a busy machine may take its time. */
	CHECK(seconds < 5 + (double)many * 20e-6);
}

/* ---- In virtual time, by seeds ---- */

#define SEED_MESSAGES 12

/* ThreadSanitizer takes a hundred times as long to make a process of a simulation. */
#ifdef WEIRI_SANITIZE_THREAD
#define SEEDS 200
#else
#define SEEDS 2000
#endif

struct world {
	weir_sim *sim;
	weir_broker *broker;
	weir_subscription *subscriptions[2]; /* the second gets the dead letters of the first */
	uint64_t won[2][SEED_MESSAGES + 1];
	uint64_t seen[FAULTS];
	uint64_t late;
	uint64_t redriven;
};

static double some_time(struct world *world)
{
	return (double)(weir_sim_random(world->sim) % 8) * 0.25;
}

static void seed_publish(void *argument)
{
	struct world *world = argument;
	weir_publisher *publisher = fixture_publisher(world->broker, "work");

	for (uint64_t number = 1; number <= SEED_MESSAGES; number++) {
		CHECK_EQ(weir_publish(publisher, &number, sizeof(number), NULL, NULL), 0);
		CHECK_EQ(weir_sleep(weir_sim_clock(world->sim), some_time(world)), 0);
	}
	weir_publisher_close(publisher);
}

static int seed_verb(struct world *world, const weir_delivery *delivery, enum fault fault)
{
	switch (fault) {
	case NACK:
		return weir_nack(delivery, some_time(world), "seed");
	case RELEASE:
		return weir_release(delivery, some_time(world));
	case EXTEND:
		return weir_extend(delivery, some_time(world));
	case REJECT:
		return weir_reject(delivery, "seed");
	case UNSUBSCRIBE:
		/* Here: sent back, if it is a dead letter. */
		return weir_redrive(delivery);
	case ACK:
	case ACK_BATCH:
	case ACK_UP_TO:
	case IGNORE:
	case EXIT:
	case FAULTS:
		break;
	}
	return weir_ack(delivery);
}

static void seed_act(struct world *world, int which, const weir_delivery *delivery)
{
	const enum fault fault = (enum fault)(weir_sim_random(world->sim) % FAULTS);
	int error;

	world->seen[fault]++;
	if (fault == IGNORE || fault == EXIT)
		return;
	error = seed_verb(world, delivery, fault);
	CHECK(error == 0 || error == WEIR_ESTALE ||
		(fault == UNSUBSCRIBE &&
			(error == WEIR_EINVAL || error == WEIR_EFULL || error == WEIR_ESHUTDOWN)));
	world->late += error == WEIR_ESTALE;
	world->redriven += fault == UNSUBSCRIBE && error == 0;
	if (error == 0 && fault <= ACK_UP_TO)
		world->won[which][fixture_number(delivery)]++;
}

/* Works on what comes to one subscription, until it dies. */
static void seed_receive(struct world *world, int which)
{
	weir_delivery delivery;

	while (weir_receive(world->subscriptions[which], &delivery, WEIR_FOREVER) == 0) {
		CHECK_EQ(weir_sleep(weir_sim_clock(world->sim), some_time(world)), 0);
		seed_act(world, which, &delivery);
	}
}

static void seed_work(void *argument)
{
	seed_receive(argument, 0);
}

static void seed_bury(void *argument)
{
	seed_receive(argument, 1);
}

static void seed_drain(void *argument)
{
	struct world *world = argument;

	CHECK_EQ(weir_sleep(weir_sim_clock(world->sim), SEED_MESSAGES * 2), 0);
	CHECK_EQ(weir_broker_drain(world->broker, WEIR_FOREVER), 0);
}

static void seed_run(struct world *world, uint64_t seed)
{
	const weir_subscription_options work = {
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = 1,
		.max_in_flight = 3,
		.max_attempts = 3,
		.redelivery_delay = seed % 2 == 0 ? 0.5 : 0,
		.redeliver_to_back = seed % 3 == 0,
		.dead_letter_topic = "dead",
	};
	const weir_subscription_options dead = {
		.ack = WEIR_ACK_MANUAL, .ack_timeout = 1, .park_max = seed % 4
	};
	const weir_sim_options options = {
		.seed = seed,
		.schedule = seed % 2 == 0 ? WEIR_SCHEDULE_PCT : WEIR_SCHEDULE_ORDER,
	};
	weir_broker_statistics sums;

	CHECK_EQ(weir_sim_open(&world->sim, &options), 0);
	world->broker =
		fixture_broker(&(weir_broker_options){ .clock = weir_sim_clock(world->sim) });
	CHECK_EQ(weir_subscribe(&world->subscriptions[0], world->broker, "work", &work), 0);
	CHECK_EQ(weir_subscribe(&world->subscriptions[1], world->broker, "dead", &dead), 0);
	CHECK_EQ(weir_sim_spawn(world->sim, "publisher", seed_publish, world), 0);
	CHECK_EQ(weir_sim_spawn(world->sim, "worker", seed_work, world), 0);
	CHECK_EQ(weir_sim_spawn(world->sim, "undertaker", seed_bury, world), 0);
	CHECK_EQ(weir_sim_spawn(world->sim, "closer", seed_drain, world), 0);
	CHECK_EQ(weir_sim_run(world->sim), WEIR_SIM_DONE);
	for (int i = 0; i < 2; i++) {
		weir_subscription_statistics last;

		CHECK_EQ(weir_unsubscribe(world->subscriptions[i], &last), 0);
		fixture_check_sums(&last);
		/* All that failed became dead letters, during the drain too. */
		CHECK(i == 1 || fixture_dropped(&last) == 0);
		CHECK_EQ(last.lateness_max, 0);
	}
	CHECK_EQ(weir_broker_close(world->broker, &sums), 0);
	fixture_check_broker_sums(&sums);
	CHECK_EQ(weir_sim_close(world->sim), 0);
	for (uint64_t number = 1; number <= SEED_MESSAGES; number++)
		CHECK(world->won[0][number] <= 1);
}

WEIR_TEST(ack_faults, every_seed_balances_in_virtual_time)
{
	const uint64_t seeds = harness_scaled(SEEDS);
	uint64_t seen[FAULTS] = { 0 };
	uint64_t late = 0, redriven = 0;

	for (uint64_t i = 0; i < seeds; i++) {
		struct world world = { 0 };

		seed_run(&world, harness_seed() + i);
		for (int fault = 0; fault < FAULTS; fault++)
			seen[fault] += world.seen[fault];
		late += world.late;
		redriven += world.redriven;
	}
	for (int fault = 0; fault < FAULTS; fault++)
		CHECK(seen[fault] > 0);
	CHECK(late > 0);
	CHECK(redriven > 0);
}
