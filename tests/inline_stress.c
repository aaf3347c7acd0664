/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline_stress.c - inline messages where threads meet: publishers that both want the last
 * place of one of two queues, a subscription that leaves between two looks at it, and
 * keepers that release in other threads.
 */
#include "inline_fixture.h"

#include <stdatomic.h>
#include <stdlib.h>

static void all_slots_provide(
	weir_publisher *publisher, weir_subscription *const *subscriptions, size_t count)
{
	for (uint64_t number = 0; number < ENOUGH; number++) {
		CHECK_EQ(fixture_publish(publisher, number), count);
		for (size_t i = 0; i < count; i++)
			CHECK_EQ(fixture_receive(subscriptions[i]), number);
	}
	for (size_t i = 0; i < count; i++)
		CHECK(has_slots(subscriptions[i]));
}

/* ---- Two queues, one of which has room for one more ---- */

struct race {
	uint64_t rounds;
	weir_publisher *publisher;
	_Atomic uint64_t begun; /* rounds */
	_Atomic uint64_t ended; /* of the other thread */
};

static void *race_run(void *argument)
{
	struct race *race = argument;

	for (uint64_t round = 1; round <= race->rounds; round++) {
		while (atomic_load(&race->begun) < round)
			;
		CHECK_EQ(weir_publish(race->publisher, &round, sizeof(round), NULL, NULL), 0);
		atomic_store(&race->ended, round);
	}
	return NULL;
}

static uint64_t taken_count(weir_subscription *subscription)
{
	weir_delivery delivery;
	uint64_t count = 0;

	while (weir_receive(subscription, &delivery, 0) == 0)
		count++;
	return count;
}

WEIR_TEST(inline_stress, a_queue_with_room_refuses_nothing_because_another_is_full)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription *subscriptions[2] = {
		fixture_subscribe_dropping(broker, "t", 4),
		fixture_subscribe_dropping(broker, "t", 3),
	};
	weir_publisher *publisher = fixture_publisher(broker, "t");
	struct race race = { .rounds = harness_scaled(100000) };
	pthread_t thread;

	all_slots_provide(publisher, subscriptions, 2);
	race.publisher = fixture_publisher(broker, "t");
	thread = fixture_thread(race_run, &race);
	for (uint64_t round = 1; round <= race.rounds; round++) {
		CHECK_EQ(fixture_publish(publisher, round), 2);
		CHECK_EQ(fixture_publish(publisher, round), 2);
		atomic_store(&race.begun, round);
		CHECK_EQ(weir_publish(publisher, &round, sizeof(round), NULL, NULL), 0);
		while (atomic_load(&race.ended) < round)
			;
		CHECK_EQ(taken_count(subscriptions[0]), 4);
		CHECK_EQ(taken_count(subscriptions[1]), 3);
	}
	fixture_join(thread);
	weir_publisher_close(publisher);
	weir_publisher_close(race.publisher);
	CHECK_EQ(weir_unsubscribe(subscriptions[0], NULL), 0);
	CHECK_EQ(weir_unsubscribe(subscriptions[1], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- A subscription leaves, and there is no memory for a snapshot without it ---- */

static _Thread_local bool is_refused;

static void *memory_take(void *context, size_t size, size_t alignment)
{
	(void)context;
	return is_refused
		       ? NULL
		       : aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void memory_give(void *context, void *block, size_t size)
{
	(void)context;
	(void)size;
	free(block);
}

struct leaving {
	weir_publisher *publisher;
	_Atomic uint64_t published;
	_Atomic bool stop;
};

static void *leaving_run(void *argument)
{
	struct leaving *leaving = argument;
	uint64_t number = 0;

	while (!atomic_load_explicit(&leaving->stop, memory_order_relaxed)) {
		const weir_payload payload = { &number, sizeof(number) };

		number++;
		if (number % 4 == 0)
			CHECK_EQ(
				weir_publish_batch(leaving->publisher, &payload, 1, NULL, NULL), 0);
		else
			CHECK_EQ(weir_publish(
					 leaving->publisher, &number, sizeof(number), NULL, NULL),
				0);
		atomic_store_explicit(&leaving->published, number, memory_order_relaxed);
	}
	return NULL;
}

static void published_await(struct leaving *leaving, uint64_t count)
{
	uint64_t last = atomic_load(&leaving->published);

	FIXTURE_UNTIL(atomic_load(&leaving->published) >= last + count);
}

static void leaving_round(uint64_t *random)
{
	const weir_allocator memory = { .allocate = memory_take, .deallocate = memory_give };
	weir_broker *broker = fixture_broker(&(weir_broker_options){ .allocator = memory });
	const size_t count = 1 + harness_random_below(random, 2);
	const size_t leaves = harness_random_below(random, count);
	weir_subscription *subscriptions[2];
	struct leaving leaving = { .publisher = fixture_publisher(broker, "t") };
	pthread_t thread;

	for (size_t i = 0; i < count; i++)
		subscriptions[i] = fixture_subscribe_dropping(broker, "t", 2048);
	all_slots_provide(leaving.publisher, subscriptions, count);
	thread = fixture_thread(leaving_run, &leaving);
	published_await(&leaving, 10 + harness_random_below(random, 500));
	is_refused = true;
	CHECK_EQ(weir_unsubscribe(subscriptions[leaves], NULL), 0);
	is_refused = false;
	published_await(&leaving, 10);
	atomic_store(&leaving.stop, true);
	fixture_join(thread);
	weir_publisher_close(leaving.publisher);
	if (count == 2)
		CHECK_EQ(weir_unsubscribe(subscriptions[1 - leaves], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(inline_stress, a_subscription_that_leaves_without_memory_is_not_pushed_to)
{
	const uint64_t rounds = harness_scaled(300);
	uint64_t random = harness_seed();

	for (uint64_t round = 0; round < rounds; round++)
		leaving_round(&random);
}

/* ---- Senders, keepers, and one that comes and goes ---- */

#define SENDERS_MAX 2
#define KEEPS       32

struct traffic {
	weir_broker *broker;
	weir_subscription *subscription;
	weir_subscription *guest;
	uint64_t senders;
	uint64_t target; /* messages of each sender */
	weir_message *_Atomic kept[KEEPS];
	_Atomic bool is_over;
	uint64_t inlined;
	uint64_t pointers;
	uint64_t both_inlined; /* copies of such, for the one that comes and goes */
};

struct sender {
	struct traffic *traffic;
	uint64_t index;
	uint64_t state;
};

/* Number and sender of a message, and its size, from the bytes themselves. */
struct words {
	uint64_t number;
	uint64_t sender;
	uint64_t repeated[14]; /* number, to the end */
};

static size_t words_make(struct words *words, const struct sender *sender, uint64_t number)
{
	words->number = number;
	words->sender = sender->index;
	for (int i = 0; i < 14; i++)
		words->repeated[i] = number;
	return 16 + 8 * (number % 12);
}

static void words_check(const weir_message *message)
{
	const struct words *words = weir_message_data(message);

	CHECK_EQ(weir_message_size(message), 16 + 8 * (words->number % 12));
	for (uint64_t i = 0; i < words->number % 12; i++)
		CHECK_EQ(words->repeated[i], words->number);
}

static void *sender_run(void *argument)
{
	static const weir_publish_options defaults;
	struct sender *sender = argument;
	struct traffic *traffic = sender->traffic;
	weir_publisher *publisher = fixture_publisher(traffic->broker, "t");
	struct words words[4];
	weir_payload payloads[4];

	for (uint64_t number = 1; number <= traffic->target;) {
		const uint64_t left = traffic->target - number + 1;
		const weir_publish_options *options =
			harness_random_below(&sender->state, 8) == 0 ? &defaults : NULL;
		size_t count = 1 + harness_random_below(&sender->state, 4);

		if (count > left)
			count = left;
		for (size_t i = 0; i < count; i++)
			payloads[i] = (weir_payload){ &words[i],
				words_make(&words[i], sender, number + i) };
		if (count == 1)
			CHECK_EQ(
				weir_publish(publisher, words, payloads[0].size, options, NULL), 0);
		else
			CHECK_EQ(weir_publish_batch(publisher, payloads, count, options, NULL), 0);
		number += count;
	}
	weir_publisher_close(publisher);
	return NULL;
}

/* Gives back what the receiver keeps. */
static void *releaser_run(void *argument)
{
	struct traffic *traffic = argument;

	for (size_t i = 0; !atomic_load(&traffic->is_over); i++) {
		weir_message *message = atomic_exchange(&traffic->kept[i % KEEPS], NULL);

		if (message != NULL) {
			words_check(message);
			weir_message_release(message);
		} else if (i % KEEPS == 0) {
			(void)sched_yield();
		}
	}
	return NULL;
}

/* Comes and goes, so that the other one is alone now and then; some have slots in the end. */
static void *visitor_run(void *argument)
{
	struct traffic *traffic = argument;
	weir_subscription *subscription = traffic->guest;

	for (;;) {
		weir_delivery delivery;
		int error = 0;

		for (int i = 0; i < 200 && error == 0; i++) {
			const bool is_over = atomic_load(&traffic->is_over);

			error = weir_receive(subscription, &delivery, is_over ? 0 : 1e-3);
			if (error != 0)
				continue;
			words_check(delivery.message);
			traffic->both_inlined += is_inline(subscription, delivery.message);
		}
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		if (atomic_load(&traffic->is_over))
			return NULL;
		for (int i = 0; i < 50; i++)
			(void)sched_yield();
		subscription = fixture_subscribe_dropping(traffic->broker, "t", 64);
	}
}

/* Both begin with slots. */
static void traffic_begin(struct traffic *traffic, weir_ack_mode ack)
{
	weir_publisher *publisher = fixture_publisher(traffic->broker, "t");
	const weir_subscription_options options = { .capacity = 50, .ack = ack };

	CHECK_EQ(weir_subscribe(&traffic->subscription, traffic->broker, "t", &options), 0);
	traffic->guest = fixture_subscribe_dropping(traffic->broker, "t", 64);
	for (int i = 0; i < ENOUGH; i++) {
		CHECK_EQ(fixture_publish(publisher, 1), 2);
		CHECK_EQ(fixture_receive(traffic->subscription), 1);
		CHECK_EQ(fixture_receive(traffic->guest), 1);
	}
	CHECK(has_slots(traffic->subscription) && has_slots(traffic->guest));
	weir_publisher_close(publisher);
}

static void traffic_keep(struct traffic *traffic, weir_message *message, uint64_t *state)
{
	size_t i = harness_random_below(state, KEEPS);

	if (atomic_load(&traffic->kept[i]) != NULL)
		return;
	CHECK_EQ(weir_message_keep(message), 0);
	atomic_store(&traffic->kept[i], message);
}

static void traffic_receive(struct traffic *traffic)
{
	uint64_t last[SENDERS_MAX] = { 0 }, left = traffic->senders * traffic->target;
	uint64_t state = harness_seed();
	weir_delivery deliveries[16];

	while (left > 0) {
		size_t most = harness_random_below(&state, 2) == 0
				      ? 1
				      : 1 + harness_random_below(&state, 16);
		size_t got;

		CHECK_EQ(weir_receive_batch(
				 traffic->subscription, deliveries, most, WEIR_FOREVER, &got),
			0);
		for (size_t i = 0; i < got; i++) {
			weir_message *message = deliveries[i].message;
			const struct words *words = deliveries[i].data;
			const bool is_now = is_inline(traffic->subscription, message);

			words_check(message);
			CHECK(words->sender < traffic->senders);
			CHECK_EQ(words->number, ++last[words->sender]);
			traffic->inlined += is_now;
			traffic->pointers += !is_now;
			if (words->number % 5 == 0)
				traffic_keep(traffic, message, &state);
		}
		left -= got;
	}
}

static void traffic_run(weir_ack_mode ack, uint64_t count)
{
	struct traffic traffic = {
		.broker = fixture_broker(NULL), .senders = count, .target = harness_scaled(20000)
	};
	struct sender senders[SENDERS_MAX];
	pthread_t threads[SENDERS_MAX], releaser, visitor;
	weir_subscription_statistics last;

	traffic_begin(&traffic, ack);
	for (uint64_t i = 0; i < count; i++) {
		senders[i] = (struct sender){ &traffic, i, harness_seed() + 1 + i };
		threads[i] = fixture_thread(sender_run, &senders[i]);
	}
	releaser = fixture_thread(releaser_run, &traffic);
	visitor = fixture_thread(visitor_run, &traffic);
	traffic_receive(&traffic);
	for (uint64_t i = 0; i < count; i++)
		fixture_join(threads[i]);
	atomic_store(&traffic.is_over, true);
	fixture_join(releaser);
	fixture_join(visitor);
	CHECK(traffic.inlined > 0);
	CHECK(traffic.pointers > 0);
	/* Copies for two are a topic's only publisher's. */
	CHECK(traffic.both_inlined > 0 || count > 1);
	CHECK_EQ(weir_unsubscribe(traffic.subscription, &last), 0);
	CHECK_EQ(last.delivered, ENOUGH + count * traffic.target);
	CHECK_EQ(weir_broker_close(traffic.broker, NULL), 0);
	for (int i = 0; i < KEEPS; i++) {
		weir_message *message = atomic_load(&traffic.kept[i]);

		if (message == NULL)
			continue;
		words_check(message);
		weir_message_release(message);
	}
}

WEIR_TEST(inline_stress, messages_of_many_threads_are_kept_by_others_while_one_more_comes_and_goes)
{
	for (uint64_t senders = 1; senders <= SENDERS_MAX; senders++) {
		traffic_run(WEIR_ACK_NONE, senders);
		traffic_run(WEIR_ACK_AUTO, senders);
	}
}
