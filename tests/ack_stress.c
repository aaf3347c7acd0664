/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ack_stress.c - acknowledgements by several threads: against the timeout, against
 * the receiver that goes to sleep, and mixed with every fault.  Of each message
 * exactly one acknowledgement wins (promise P5), and the sums agree to the message
 * (P3).
 *
 * With WEIR_STRESS=50 the race against the timeout is run a million times.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "core/subscription.h"
#include "fixture.h"

#define WORKERS       3
#define SUBSCRIPTIONS 4
#define POOL          256

/* ---- Deliveries on their way from receivers to workers ---- */

struct work {
	weir_delivery delivery;
	uint64_t number;
	unsigned int subscription;
};

struct pool {
	pthread_mutex_t mutex;
	struct work works[POOL];
	size_t count;
};

static bool pool_put(struct pool *pool, const struct work *work)
{
	bool has_room;

	(void)pthread_mutex_lock(&pool->mutex);
	has_room = pool->count < POOL;
	if (has_room)
		pool->works[pool->count++] = *work;
	(void)pthread_mutex_unlock(&pool->mutex);
	return has_room;
}

/* Any of them. */
static bool pool_take(struct pool *pool, uint64_t *state, struct work *work)
{
	bool has_any;

	(void)pthread_mutex_lock(&pool->mutex);
	has_any = pool->count > 0;
	if (has_any) {
		const size_t i = (size_t)harness_random_below(state, pool->count);

		*work = pool->works[i];
		pool->works[i] = pool->works[--pool->count];
	}
	(void)pthread_mutex_unlock(&pool->mutex);
	return has_any;
}

/* ---- The timeout against the acknowledgement ---- */

#define RACE_TIMEOUT 100e-6

struct race {
	weir_broker *broker;
	weir_subscription *subscription;
	struct pool pool;
	uint64_t target;
	_Atomic uint8_t *won;       /* by number: acknowledgements that returned 0 */
	_Atomic uint32_t *attempts; /* by number: the last that was received */
	_Atomic uint64_t wins;
	_Atomic uint64_t late;       /* acknowledgements that were stale */
	_Atomic uint64_t wins_again; /* wins of second deliveries */
	_Atomic uint64_t withdrawn;  /* wins after the deadline */
};

struct racer {
	struct race *race;
	uint64_t state;
};

static void race_ack(struct racer *racer, const struct work *work)
{
	struct race *race = racer->race;
	/* Around the deadline, by some microseconds. */
	const double aim = work->delivery.deadline +
			   ((double)harness_random_below(&racer->state, 120) - 60) * 1e-6;
	int error;

	while (weir_now(weir_clock_real()) < aim)
		;
	/* Now and then so late that the message has been delivered again. */
	if (work->number % 256 == 1 && work->delivery.attempt == 1)
		FIXTURE_UNTIL(atomic_load(&race->attempts[work->number]) > 1);
	error = weir_ack(&work->delivery);
	if (error != 0) {
		CHECK_EQ(error, WEIR_ESTALE);
		(void)atomic_fetch_add(&race->late, 1);
		return;
	}
	CHECK_EQ(atomic_fetch_add(&race->won[work->number], 1), 0);
	(void)atomic_fetch_add(&race->wins_again, work->delivery.attempt > 1);
	(void)atomic_fetch_add(&race->withdrawn, aim > work->delivery.deadline);
	(void)atomic_fetch_add(&race->wins, 1);
}

static void *race_run(void *argument)
{
	struct racer *racer = argument;
	struct race *race = racer->race;
	struct work work;

	while (atomic_load(&race->wins) < race->target)
		if (pool_take(&race->pool, &racer->state, &work))
			race_ack(racer, &work);
		else
			(void)sched_yield();
	return NULL;
}

static void *race_receive(void *argument)
{
	struct race *race = argument;
	struct work work = { 0 };

	while (atomic_load(&race->wins) < race->target) {
		const int error = weir_receive(race->subscription, &work.delivery, 0.001);

		if (error == WEIR_ETIMEDOUT)
			continue;
		CHECK_EQ(error, 0);
		work.number = fixture_number(&work.delivery);
		atomic_store(&race->attempts[work.number], work.delivery.attempt);
		/* One that finds no room comes again. */
		(void)pool_put(&race->pool, &work);
	}
	return NULL;
}

WEIR_TEST(ack_stress, one_acknowledgement_wins_against_every_timeout)
{
	static struct race race = { .pool.mutex = PTHREAD_MUTEX_INITIALIZER };
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = RACE_TIMEOUT,
		.max_attempts = UINT32_MAX,
		.max_in_flight = 16,
	};
	struct racer racers[2];
	pthread_t threads[3];
	weir_publisher *publisher;
	weir_subscription_statistics last;

	race.target = harness_scaled(20000);
	race.won = calloc(race.target + 1, sizeof(*race.won));
	race.attempts = calloc(race.target + 1, sizeof(*race.attempts));
	CHECK(race.won != NULL && race.attempts != NULL);
	race.broker = fixture_broker(NULL);
	CHECK_EQ(weir_subscribe(&race.subscription, race.broker, "race", &options), 0);
	publisher = fixture_publisher(race.broker, "race");
	threads[0] = fixture_thread(race_receive, &race);
	for (unsigned int i = 0; i < 2; i++) {
		racers[i] = (struct racer){ &race, harness_seed() + i };
		threads[1 + i] = fixture_thread(race_run, &racers[i]);
	}
	for (uint64_t number = 1; number <= race.target; number++)
		CHECK_EQ(weir_publish(publisher, &number, sizeof(number), NULL, NULL), 0);
	for (int i = 0; i < 3; i++)
		fixture_join(threads[i]);
	for (uint64_t number = 1; number <= race.target; number++)
		CHECK_EQ(race.won[number], 1);
	last = fixture_statistics(race.subscription);
	CHECK_EQ(last.matched, race.target);
	CHECK_EQ(last.acknowledged, race.target);
	CHECK_EQ(last.in_flight, 0);
	CHECK_EQ(weir_unsubscribe(race.subscription, NULL), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(race.broker, NULL), 0);
	free((void *)race.won);
	free((void *)race.attempts);
	/* Both sides won, and in both ways. */
	CHECK(last.timeouts > 0);
	CHECK(race.late > 0);
	CHECK(race.wins_again > 0);
	CHECK(race.withdrawn > 0);
	CHECK(race.target > race.wins_again);
}

/* ---- A window that opens while the receiver goes to sleep ---- */

struct relay {
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery delivery;
	_Atomic bool is_full;
	uint64_t rounds;
};

static void *relay_run(void *argument)
{
	struct relay *relay = argument;

	for (uint64_t round = 0; round < relay->rounds; round++) {
		weir_delivery delivery;

		FIXTURE_UNTIL(atomic_load_explicit(&relay->is_full, memory_order_acquire));
		delivery = relay->delivery;
		atomic_store_explicit(&relay->is_full, false, memory_order_release);
		CHECK_EQ(weir_ack(&delivery), 0);
		CHECK_EQ(weir_publish(relay->publisher, &round, sizeof(round), NULL, NULL), 0);
	}
	return NULL;
}

WEIR_TEST(ack_stress, a_receiver_that_goes_to_sleep_with_a_full_window_hears_of_all_that_comes)
{
	static struct relay relay;
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = WEIR_FOREVER,
		.max_in_flight = 1,
		.wait = WEIR_WAIT_PARK,
	};
	weir_broker *broker = fixture_broker(NULL);
	pthread_t thread;

	relay.rounds = harness_scaled(50000);
	CHECK_EQ(weir_subscribe(&relay.subscription, broker, "relay", &options), 0);
	relay.publisher = fixture_publisher(broker, "relay");
	CHECK_EQ(weir_publish(relay.publisher, "", 0, NULL, NULL), 0);
	thread = fixture_thread(relay_run, &relay);
	for (uint64_t round = 0; round < relay.rounds; round++) {
		CHECK_EQ(weir_receive(relay.subscription, &relay.delivery, WEIR_FOREVER), 0);
		atomic_store_explicit(&relay.is_full, true, memory_order_release);
	}
	fixture_join(thread);
	CHECK_EQ(weir_unsubscribe(relay.subscription, NULL), 0);
	weir_publisher_close(relay.publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- Every fault at once ---- */

enum fault {
	ACK,
	NACK,
	EXTEND,
	RELEASE,
	REJECT,
	IGNORE,
	FAULTS
};

struct chaos {
	weir_broker *broker;
	weir_subscription *subscriptions[SUBSCRIPTIONS];
	struct pool pool;
	uint64_t target;
	uint64_t *numbers; /* the payloads, which outlive all messages */
	_Atomic uint8_t *won[SUBSCRIPTIONS];
	_Atomic uint64_t acknowledged[SUBSCRIPTIONS];
	_Atomic uint64_t seen[FAULTS];
	_Atomic uint64_t stale;
	_Atomic bool is_over;
};

struct actor {
	struct chaos *chaos;
	unsigned int index;
	uint64_t state;
};

static const weir_subscription_options chaotic[SUBSCRIPTIONS] = {
	{ .ack = WEIR_ACK_MANUAL, .ack_timeout = 0.001, .max_in_flight = 1 },
	{ .ack = WEIR_ACK_MANUAL,
		.ack_timeout = 0.002,
		.max_in_flight = 8,
		.max_attempts = 2,
		.redeliver_to_back = true,
		.dead_letter_topic = "dead" },
	{ .ack = WEIR_ACK_MANUAL,
		.ack_timeout = 0.001,
		.redelivery_delay = 0.0002,
		.redelivery_jitter = 1,
		.dead_letter_topic = "dead" },
	{ .ack = WEIR_ACK_MANUAL,
		.capacity = 16,
		.overflow = WEIR_OVERFLOW_DROP_OLDEST,
		.ack_timeout = 0.003,
		.max_attempts = 1 },
};

static int fault_do(enum fault fault, const weir_delivery *delivery, uint64_t random)
{
	switch (fault) {
	case ACK:
		return weir_ack(delivery);
	case NACK:
		return weir_nack(delivery, (double)(random % 3) * 1e-4, NULL);
	case EXTEND:
		return weir_extend(delivery, 0.0005);
	case RELEASE:
		return weir_release(delivery, 0);
	case REJECT:
		return weir_reject(delivery, "chaos");
	case IGNORE:
	case FAULTS:
		break;
	}
	return 0;
}

static void act(struct actor *actor, const struct work *work)
{
	struct chaos *chaos = actor->chaos;
	const uint64_t random = harness_random(&actor->state);
	const enum fault fault = random % 2 == 0 ? ACK : (enum fault)(random / 2 % FAULTS);
	const int error = fault_do(fault, &work->delivery, random >> 32);

	(void)atomic_fetch_add(&chaos->seen[fault], 1);
	if (error != 0) {
		CHECK_EQ(error, WEIR_ESTALE);
		(void)atomic_fetch_add(&chaos->stale, 1);
		return;
	}
	if (fault != EXTEND && fault != IGNORE && random >> 32 & 1) {
		/* Whoever has settled it or given it back has no say any more. */
		CHECK_EQ(weir_ack(&work->delivery), WEIR_ESTALE);
		(void)atomic_fetch_add(&chaos->stale, 1);
	}
	if (fault != ACK)
		return;
	CHECK_EQ(atomic_fetch_add(&chaos->won[work->subscription][work->number], 1), 0);
	(void)atomic_fetch_add(&chaos->acknowledged[work->subscription], 1);
}

static void *act_run(void *argument)
{
	struct actor *actor = argument;
	struct work work;

	while (!atomic_load(&actor->chaos->is_over))
		if (pool_take(&actor->chaos->pool, &actor->state, &work))
			act(actor, &work);
		else
			(void)sched_yield();
	return NULL;
}

static void *chaos_receive(void *argument)
{
	struct actor *actor = argument;
	struct chaos *chaos = actor->chaos;
	struct work work = { .subscription = actor->index };
	int error;

	while ((error = weir_receive(
			chaos->subscriptions[actor->index], &work.delivery, WEIR_FOREVER)) == 0) {
		/* The bytes are the case's: the message may be gone. */
		work.number = *(const uint64_t *)work.delivery.data;
		/* One that finds no room is forgotten: it times out. */
		(void)pool_put(&chaos->pool, &work);
	}
	CHECK_EQ(error, WEIR_ECLOSED);
	return NULL;
}

static void nothing_freed(void *context, void *data)
{
	(void)context;
	(void)data;
}

static void chaos_publish(struct chaos *chaos)
{
	weir_publisher *publisher = fixture_publisher(chaos->broker, "chaos");

	for (uint64_t number = 1; number <= chaos->target; number++) {
		weir_message *message;

		chaos->numbers[number] = number;
		CHECK_EQ(weir_message_wrap(publisher, &chaos->numbers[number], sizeof(number),
				 nothing_freed, NULL, &message),
			0);
		CHECK_EQ(weir_publish_message(publisher, message, NULL, NULL), 0);
	}
	weir_publisher_close(publisher);
}

/* Half of the subscriptions are emptied, half end with what they have. */
static void chaos_end(struct chaos *chaos, const pthread_t *receivers)
{
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		weir_subscription_statistics last;

		if (i % 2 == 0)
			FIXTURE_UNTIL(weiri_subscription_count(chaos->subscriptions[i]) == 0);
		CHECK_EQ(weir_subscription_stop(chaos->subscriptions[i]), 0);
		fixture_join(receivers[i]);
		CHECK_EQ(weir_unsubscribe(chaos->subscriptions[i], &last), 0);
		CHECK_EQ(last.matched, chaos->target);
		CHECK_EQ(last.queued, 0);
		CHECK_EQ(last.in_flight, 0);
		CHECK_EQ(last.matched,
			last.acknowledged + last.dead_lettered + fixture_dropped(&last));
		CHECK(last.timeouts > 0);
		CHECK(last.redelivered > 0 || chaotic[i].max_attempts == 1);
		CHECK((last.dead_lettered > 0) == (chaotic[i].dead_letter_topic != NULL));
	}
}

WEIR_TEST(ack_stress, the_sums_agree_to_the_message_after_every_fault)
{
	static struct chaos chaos = { .pool.mutex = PTHREAD_MUTEX_INITIALIZER };
	static struct actor actors[WORKERS + SUBSCRIPTIONS];
	pthread_t receivers[SUBSCRIPTIONS], workers[WORKERS];
	weir_broker_statistics sums;
	uint64_t acknowledged = 0;

	chaos.target = harness_scaled(4000);
	chaos.numbers = calloc(chaos.target + 1, sizeof(*chaos.numbers));
	CHECK(chaos.numbers != NULL);
	chaos.broker = fixture_broker(NULL);
	for (unsigned int i = 0; i < WORKERS + SUBSCRIPTIONS; i++)
		actors[i] = (struct actor){ &chaos, i, harness_seed() + i };
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		chaos.won[i] = calloc(chaos.target + 1, sizeof(*chaos.won[i]));
		CHECK(chaos.won[i] != NULL);
		CHECK_EQ(
			weir_subscribe(&chaos.subscriptions[i], chaos.broker, "chaos", &chaotic[i]),
			0);
		receivers[i] = fixture_thread(chaos_receive, &actors[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		workers[i] = fixture_thread(act_run, &actors[SUBSCRIPTIONS + i]);
	chaos_publish(&chaos);
	chaos_end(&chaos, receivers);
	atomic_store(&chaos.is_over, true);
	for (int i = 0; i < WORKERS; i++)
		fixture_join(workers[i]);
	CHECK_EQ(weir_broker_close(chaos.broker, &sums), 0);
	fixture_check_broker_sums(&sums);
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		acknowledged += chaos.acknowledged[i];
		free((void *)chaos.won[i]);
	}
	CHECK_EQ(sums.acknowledged, acknowledged);
	for (int i = 0; i < FAULTS; i++)
		CHECK(chaos.seen[i] > 0);
	CHECK(chaos.stale > 0);
	free(chaos.numbers);
}
