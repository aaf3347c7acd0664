/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wake_stress.c - looks for a lost wake-up: hand-overs one by one between threads
 * that sleep at once, so that every one of them needs its wake-up. One that is lost
 * ends the case, by a wait whose time runs out.
 */
#include <stdatomic.h>

#include "core/subscription.h"
#include "fixture.h"

/* Long enough for any machine, and shorter than a case may take. */
#define PATIENCE 20.0

struct player {
	weir_broker *broker;
	weir_subscription *in;
	weir_subscription *idle; /* for a select over two; nothing ever comes here */
	weir_publisher *out;
	weir_subscription *out_queue; /* what `out` publishes to */
	uint64_t rounds;
	uint64_t to_parked;   /* publishes that found the other asleep */
	uint64_t from_line;   /* receives that found the other asleep in line */
	uint64_t interrupted; /* receives that weir_wake has ended */
	bool by_select;
	bool by_batch;
};

static int receive_once(struct player *player, weir_delivery *delivery)
{
	size_t count;

	player->from_line +=
		(weiri_load_acquire(&player->in->attention) & WEIRI_ATTENTION_ROOM) != 0;
	if (player->by_select)
		return weir_select((weir_subscription *[]){ player->idle, player->in }, 2,
			WEIR_SELECT_FAIR, PATIENCE, delivery, &count);
	if (player->by_batch)
		return weir_receive_batch(player->in, delivery, 1, PATIENCE, &count);
	return weir_receive(player->in, delivery, PATIENCE);
}

static uint64_t receive_number(struct player *player)
{
	weir_delivery delivery;
	int error = receive_once(player, &delivery);

	while (error == WEIR_EINTR) {
		player->interrupted++;
		error = receive_once(player, &delivery);
	}
	CHECK_EQ(error, 0);
	return fixture_number(&delivery);
}

static void *player_run(void *argument)
{
	struct player *player = argument;

	for (uint64_t i = 0; i < player->rounds; i++) {
		CHECK_EQ(receive_number(player), i);
		player->to_parked += fixture_receiver_is_parked(player->out_queue);
		fixture_publish(player->out, i);
	}
	return NULL;
}

struct table {
	weir_broker *broker;
	struct player left;
	struct player right;
};

static weir_subscription *subscribe(weir_broker *broker, const char *topic, weir_wait wait)
{
	const weir_subscription_options options = { .capacity = 1, .wait = wait };
	weir_subscription *subscription;

	CHECK_EQ(weir_subscribe(&subscription, broker, topic, &options), 0);
	return subscription;
}

static weir_publisher *publisher(weir_broker *broker, const char *topic, weir_wait wait)
{
	const weir_publisher_options options = { .wait = wait, .timeout = PATIENCE };
	weir_publisher *made;

	CHECK_EQ(weir_publisher_open(&made, broker, topic, &options), 0);
	return made;
}

static void table_open(struct table *table, weir_wait wait, uint64_t rounds)
{
	weir_broker *broker = fixture_broker(NULL);

	*table = (struct table){ .broker = broker };
	table->left = (struct player){ .broker = broker, .rounds = rounds };
	table->right = (struct player){ .broker = broker, .rounds = rounds };
	table->left.in = table->right.out_queue = subscribe(broker, "left", wait);
	table->right.in = table->left.out_queue = subscribe(broker, "right", wait);
	table->left.out = publisher(broker, "right", wait);
	table->right.out = publisher(broker, "left", wait);
}

static void table_close(struct table *table)
{
	weir_publisher_close(table->left.out);
	weir_publisher_close(table->right.out);
	CHECK_EQ(weir_unsubscribe(table->left.in, NULL), 0);
	CHECK_EQ(weir_unsubscribe(table->right.in, NULL), 0);
	CHECK_EQ(weir_broker_close(table->broker, NULL), 0);
}

/* The left one serves: it publishes first, and takes the last. */
static void play(struct table *table)
{
	struct player *left = &table->left;
	pthread_t thread = fixture_thread(player_run, &table->right);

	for (uint64_t i = 0; i < left->rounds; i++) {
		left->to_parked += fixture_receiver_is_parked(left->out_queue);
		fixture_publish(left->out, i);
		CHECK_EQ(receive_number(left), i);
	}
	fixture_join(thread);
}

WEIR_TEST(wake_stress, ping_pong_of_threads_that_sleep_at_once)
{
	struct table table;

	table_open(&table, WEIR_WAIT_PARK, harness_scaled(100000));
	play(&table);
	CHECK(table.left.to_parked > 0);
	CHECK(table.right.to_parked > 0);
	table_close(&table);
}

WEIR_TEST(wake_stress, ping_pong_of_threads_that_spin_first)
{
	struct table table;

	table_open(&table, WEIR_WAIT_SPIN_THEN_PARK, harness_scaled(100000));
	play(&table);
	table_close(&table);
}

/* ---- weir_wake among it ---- */

struct waker {
	struct table *table;
	_Atomic bool stop;
	uint64_t wakes;
};

static void *waker_run(void *argument)
{
	struct waker *waker = argument;

	while (!atomic_load(&waker->stop)) {
		CHECK_EQ(weir_wake(waker->table->left.in), 0);
		CHECK_EQ(weir_wake(waker->table->right.in), 0);
		waker->wakes += 2;
		(void)sched_yield();
	}
	return NULL;
}

WEIR_TEST(wake_stress, ping_pong_while_others_wake_the_players)
{
	struct table table;
	struct waker waker = { .table = &table };
	pthread_t thread;

	table_open(&table, WEIR_WAIT_PARK, harness_scaled(20000));
	table.left.by_batch = true;
	table.right.by_select = true;
	table.right.idle = subscribe(table.broker, "idle", WEIR_WAIT_PARK);
	thread = fixture_thread(waker_run, &waker);
	play(&table);
	atomic_store(&waker.stop, true);
	fixture_join(thread);
	CHECK(table.left.interrupted > 0);
	CHECK(table.right.interrupted > 0);
	CHECK(table.left.interrupted + table.right.interrupted <= waker.wakes);
	CHECK_EQ(weir_unsubscribe(table.right.idle, NULL), 0);
	table_close(&table);
}

/* Nothing but wakes: each one ends exactly one wait. */
struct sleeper {
	weir_subscription *subscription;
	_Atomic uint64_t woken;
	uint64_t rounds;
};

static void *sleeper_run(void *argument)
{
	struct sleeper *sleeper = argument;

	for (uint64_t i = 0; i < sleeper->rounds; i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_receive(sleeper->subscription, &delivery, PATIENCE), WEIR_EINTR);
		(void)atomic_fetch_add(&sleeper->woken, 1);
	}
	return NULL;
}

WEIR_TEST(wake_stress, every_wake_ends_exactly_one_wait)
{
	weir_broker *broker = fixture_broker(NULL);
	struct sleeper sleeper = {
		.subscription = subscribe(broker, "t", WEIR_WAIT_PARK),
		.rounds = harness_scaled(50000),
	};
	pthread_t thread = fixture_thread(sleeper_run, &sleeper);
	uint64_t parked = 0;

	for (uint64_t i = 0; i < sleeper.rounds; i++) {
		if (i % 2 == 0)
			FIXTURE_UNTIL(fixture_receiver_is_parked(sleeper.subscription));
		parked += fixture_receiver_is_parked(sleeper.subscription);
		CHECK_EQ(weir_wake(sleeper.subscription), 0);
		FIXTURE_UNTIL(atomic_load(&sleeper.woken) > i);
	}
	fixture_join(thread);
	CHECK(parked >= sleeper.rounds / 2);
	CHECK_EQ(weir_unsubscribe(sleeper.subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- A publisher that sleeps for room ---- */

static void *pusher_run(void *argument)
{
	struct player *player = argument;

	for (uint64_t i = 0; i < player->rounds; i++)
		fixture_publish(player->out, i);
	return NULL;
}

/* The queue holds one, so the publisher waits for each that is taken. */
WEIR_TEST(wake_stress, publisher_that_sleeps_at_a_full_queue_is_always_told_of_room)
{
	struct table table;
	pthread_t thread;

	table_open(&table, WEIR_WAIT_PARK, harness_scaled(50000));
	thread = fixture_thread(pusher_run, &table.left);
	for (uint64_t i = 0; i < table.left.rounds; i++)
		CHECK_EQ(receive_number(&table.right), i);
	fixture_join(thread);
	CHECK(table.right.from_line > 0);
	table_close(&table);
}
