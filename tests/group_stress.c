/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group_stress.c - eight members join and leave a group while two publishers run.
 *
 * By keys, what is known of a key is in plain memory: it is one member's at a time, and
 * the library orders one before the other, or ThreadSanitizer says so. Whatever the
 * policy, each message is settled once, and nothing is lost when all members leave,
 * for the group keeps its messages. WEIR_STRESS=50 makes it 10 million.
 *
 * And members that sleep without end: a wake-up that is lost would hang the case.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/random.h"
#include "fixture.h"

#define MEMBERS    8
#define PUBLISHERS 2
#define KEYS       64
#define BATCH      16
#define KEYED      200000
#define OTHERS     30000
#define SLEEPERS   4
#define BURSTS     4000

struct message {
	uint64_t key;
	uint64_t number; /* within its key */
};

struct stage {
	weir_broker *broker;
	weir_subscription_options options;
	uint64_t count; /* of each publisher */
	/* Settled messages of each key; keyed, touched by nobody but who has the key. */
	uint64_t settled[PUBLISHERS * KEYS];
	_Atomic uint64_t done;
	_Atomic uint64_t joins;
	_Atomic uint64_t left_behind; /* in a leaver's hand */
	_Atomic uint64_t next_thread;
};

static bool is_keyed(const struct stage *stage)
{
	return stage->options.group_policy == WEIR_GROUP_KEY;
}

static void *publish_run(void *argument)
{
	struct stage *stage = argument;
	uint64_t index = atomic_fetch_add(&stage->next_thread, 1);
	weir_publisher *publisher = fixture_publisher(stage->broker, "a");

	for (uint64_t i = 0; i < stage->count; i++) {
		struct message message = { .key = index * KEYS + i % KEYS, .number = i / KEYS };
		weir_publish_options options = {
			.has_key = true, .key = message.key, .timeout = WEIR_FOREVER
		};

		CHECK_EQ(weir_publish(publisher, &message, sizeof(message), &options, NULL), 0);
	}
	weir_publisher_close(publisher);
	return NULL;
}

static void settle(struct stage *stage, const weir_delivery *delivery)
{
	const struct message *message = delivery->data;

	if (is_keyed(stage)) {
		CHECK_EQ(message->number, stage->settled[message->key]);
		stage->settled[message->key]++;
	}
	if (stage->options.ack == WEIR_ACK_MANUAL)
		CHECK_EQ(weir_ack(delivery), 0);
	(void)atomic_fetch_add(&stage->done, 1);
}

/* Some receives; with acknowledgements the last one may be left unfinished. */
static void member_work(struct stage *stage, weir_subscription *member, struct weiri_random *random)
{
	weir_delivery deliveries[BATCH];

	for (uint64_t turns = 1 + weiri_random_below(random, 200); turns > 0; turns--) {
		size_t most = 1 + weiri_random_below(random, BATCH), count, done = most;
		int error = weir_receive_batch(member, deliveries, most, 0.002, &count);

		if (error == WEIR_ETIMEDOUT)
			continue;
		CHECK_EQ(error, 0);
		if (turns == 1 && stage->options.ack == WEIR_ACK_MANUAL)
			done = weiri_random_below(random, count + 1);
		for (size_t i = 0; i < count && i < done; i++)
			settle(stage, &deliveries[i]);
		if (done < count)
			(void)atomic_fetch_add(&stage->left_behind, count - done);
	}
}

static void *member_run(void *argument)
{
	struct stage *stage = argument;
	uint64_t index = atomic_fetch_add(&stage->next_thread, 1);
	struct weiri_random random = weiri_random_stream(harness_seed(), index);
	weir_subscription_options options = stage->options;

	options.group_weight = (uint32_t)index + 1;
	while (atomic_load(&stage->done) < stage->count * PUBLISHERS) {
		weir_subscription *member;
		weir_subscription_statistics last;

		CHECK_EQ(weir_subscribe(&member, stage->broker, "a", &options), 0);
		(void)atomic_fetch_add(&stage->joins, 1);
		member_work(stage, member, &random);
		if (weiri_random_below(&random, 2) == 0)
			CHECK_EQ(weir_subscription_stop(member), 0);
		CHECK_EQ(weir_unsubscribe(member, &last), 0);
		fixture_check_sums(&last);
	}
	return NULL;
}

static void stage_run(weir_group_policy policy, weir_ack_mode ack, uint64_t count)
{
	static struct stage stage;
	pthread_t threads[MEMBERS + PUBLISHERS];
	weir_broker_statistics last;

	stage = (struct stage){ .broker = fixture_broker(NULL),
		.count = count / PUBLISHERS,
		.options = { .group = "g",
			.group_policy = policy,
			.group_keep = true,
			.ack = ack,
			.ack_timeout = ack == WEIR_ACK_NONE ? 0 : WEIR_FOREVER,
			.max_attempts = ack == WEIR_ACK_NONE ? 0 : UINT32_MAX } };
	/* The group is there before the first message. */
	for (int i = 0; i < PUBLISHERS + MEMBERS; i++) {
		if (i == 0) {
			weir_subscription *first;

			CHECK_EQ(weir_subscribe(&first, stage.broker, "a", &stage.options), 0);
			CHECK_EQ(weir_unsubscribe(first, NULL), 0);
		}
		threads[i] = fixture_thread(i < PUBLISHERS ? publish_run : member_run, &stage);
		if (i == PUBLISHERS - 1)
			FIXTURE_UNTIL(atomic_load(&stage.next_thread) == PUBLISHERS);
	}
	for (int i = 0; i < PUBLISHERS + MEMBERS; i++)
		fixture_join(threads[i]);
	CHECK_EQ(atomic_load(&stage.done), stage.count * PUBLISHERS);
	CHECK(atomic_load(&stage.joins) > MEMBERS);
	if (ack == WEIR_ACK_MANUAL)
		CHECK(atomic_load(&stage.left_behind) > 0);
	CHECK_EQ(weir_broker_close(stage.broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.acknowledged, stage.count * PUBLISHERS);
	CHECK_EQ(last.queued + last.in_flight, 0);
}

WEIR_TEST(group_stress, keys_keep_their_order_while_members_come_and_go)
{
	stage_run(WEIR_GROUP_KEY, WEIR_ACK_MANUAL, harness_scaled(KEYED));
}

WEIR_TEST(group_stress, keys_keep_their_order_without_acknowledgements_too)
{
	stage_run(WEIR_GROUP_KEY, WEIR_ACK_NONE, harness_scaled(OTHERS));
}

WEIR_TEST(group_stress, shared_loses_and_doubles_nothing)
{
	stage_run(WEIR_GROUP_SHARED, WEIR_ACK_MANUAL, harness_scaled(OTHERS));
	stage_run(WEIR_GROUP_SHARED, WEIR_ACK_NONE, harness_scaled(OTHERS));
}

WEIR_TEST(group_stress, turns_weights_and_loads_lose_and_double_nothing)
{
	stage_run(WEIR_GROUP_ROUND_ROBIN, WEIR_ACK_MANUAL, harness_scaled(OTHERS));
	stage_run(WEIR_GROUP_WEIGHTED, WEIR_ACK_NONE, harness_scaled(OTHERS));
	stage_run(WEIR_GROUP_LEAST_LOADED, WEIR_ACK_MANUAL, harness_scaled(OTHERS));
}

WEIR_TEST(group_stress, a_single_active_member_loses_and_doubles_nothing)
{
	stage_run(WEIR_GROUP_SINGLE_ACTIVE, WEIR_ACK_MANUAL, harness_scaled(OTHERS));
	stage_run(WEIR_GROUP_SINGLE_ACTIVE, WEIR_ACK_NONE, harness_scaled(OTHERS));
}

/* ---- Failing ---- */

#define FRAIL 4000

struct frailty {
	weir_broker *broker;
	weir_subscription_options options;
	uint64_t count;
	_Atomic uint8_t *acknowledged; /* of each message */
	_Atomic uint64_t done;
	_Atomic uint64_t late;
	_Atomic uint64_t next_thread;
};

/* What a member may do with a message; it forgets some. */
static void frail_settle(
	struct frailty *stage, const weir_delivery *delivery, struct weiri_random *random)
{
	uint64_t number = fixture_number(delivery);

	switch (weiri_random_below(random, 16)) {
	case 0:
		return;
	case 1:
		(void)weir_nack(delivery, 0, "no");
		return;
	case 2:
		(void)weir_release(delivery, 0.0005);
		return;
	default:
		break;
	}
	if (weir_ack(delivery) != 0) {
		(void)atomic_fetch_add(&stage->late, 1);
		return;
	}
	CHECK_EQ(atomic_fetch_add(&stage->acknowledged[number], 1), 0);
	(void)atomic_fetch_add(&stage->done, 1);
}

static void *frail_run(void *argument)
{
	struct frailty *stage = argument;
	uint64_t index = atomic_fetch_add(&stage->next_thread, 1);
	struct weiri_random random = weiri_random_stream(harness_seed(), index);

	while (atomic_load(&stage->done) < stage->count) {
		weir_subscription *member;

		CHECK_EQ(weir_subscribe(&member, stage->broker, "a", &stage->options), 0);
		for (int i = 0; i < 200 && atomic_load(&stage->done) < stage->count; i++) {
			weir_delivery delivery;

			if (weir_receive(member, &delivery, 0.002) == 0)
				frail_settle(stage, &delivery, &random);
			/* Out of every receive, for longer than it has time. */
			if (weiri_random_below(&random, 64) == 0)
				CHECK_EQ(weir_sleep(weir_broker_clock(stage->broker), 0.006), 0);
		}
		CHECK_EQ(weir_unsubscribe(member, NULL), 0);
	}
	return NULL;
}

static void frailty_run(weir_group_policy policy)
{
	uint64_t count = harness_scaled(FRAIL);
	struct frailty stage = { .broker = fixture_broker(NULL),
		.count = count,
		.acknowledged = calloc(count, 1),
		.options = { .group = "g",
			.group_policy = policy,
			.group_keep = true,
			.ack = WEIR_ACK_MANUAL,
			.ack_timeout = 0.004,
			.max_attempts = UINT32_MAX } };
	weir_publisher *publisher = fixture_publisher(stage.broker, "a");
	pthread_t threads[SLEEPERS];
	weir_subscription *first;
	weir_broker_statistics last;

	CHECK(stage.acknowledged != NULL);
	CHECK_EQ(weir_subscribe(&first, stage.broker, "a", &stage.options), 0);
	CHECK_EQ(weir_unsubscribe(first, NULL), 0);
	for (int i = 0; i < SLEEPERS; i++)
		threads[i] = fixture_thread(frail_run, &stage);
	for (uint64_t i = 0; i < count; i++) {
		weir_publish_options options = {
			.has_key = true, .key = i % 50, .timeout = WEIR_FOREVER
		};

		CHECK_EQ(weir_publish(publisher, &i, sizeof(i), &options, NULL), 0);
	}
	for (int i = 0; i < SLEEPERS; i++)
		fixture_join(threads[i]);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(stage.broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.acknowledged, count);
	CHECK_EQ(last.queued + last.in_flight, 0);
	free(stage.acknowledged);
}

WEIR_TEST(group_stress, members_that_forget_and_sleep_lose_and_double_nothing)
{
	for (int policy = 0; policy <= WEIR_GROUP_SINGLE_ACTIVE; policy++)
		frailty_run((weir_group_policy)policy);
}

/* ---- Waking ---- */

static void *sleep_run(void *argument)
{
	struct stage *stage = argument;
	uint64_t index = atomic_fetch_add(&stage->next_thread, 1);
	weir_subscription_options options = stage->options;
	weir_subscription *member;
	weir_delivery delivery;
	int error;

	options.wait = index % 2 == 0 ? WEIR_WAIT_PARK : WEIR_WAIT_SPIN_THEN_PARK;
	CHECK_EQ(weir_subscribe(&member, stage->broker, "a", &options), 0);
	(void)atomic_fetch_add(&stage->joins, 1);
	while ((error = weir_receive(member, &delivery, WEIR_FOREVER)) == 0) {
		if (delivery.token_ledger != 0)
			CHECK_EQ(weir_ack(&delivery), 0);
		(void)atomic_fetch_add(&stage->done, 1);
	}
	CHECK_EQ(error, WEIR_ESHUTDOWN);
	CHECK_EQ(weir_unsubscribe(member, NULL), 0);
	return NULL;
}

/* Some messages, and no more before they are done with. */
static void bursts_run(weir_group_policy policy, weir_ack_mode ack)
{
	static struct stage stage;
	struct weiri_random random = weiri_random_stream(harness_seed(), policy);
	pthread_t threads[SLEEPERS];
	weir_publisher *publisher;
	uint64_t sent = 0;

	stage = (struct stage){ .broker = fixture_broker(NULL),
		.options = { .group = "g", .group_policy = policy, .ack = ack } };
	publisher = fixture_publisher(stage.broker, "a");
	for (int i = 0; i < SLEEPERS; i++)
		threads[i] = fixture_thread(sleep_run, &stage);
	FIXTURE_UNTIL(atomic_load(&stage.joins) == SLEEPERS);
	for (uint64_t i = harness_scaled(BURSTS); i > 0; i--) {
		for (uint64_t k = 1 + weiri_random_below(&random, 6); k > 0; k--, sent++) {
			weir_publish_options options = { .has_key = true, .key = sent % 7 };

			CHECK_EQ(weir_publish(publisher, &sent, sizeof(sent), &options, NULL), 0);
		}
		FIXTURE_UNTIL(atomic_load(&stage.done) == sent);
	}
	CHECK_EQ(weir_broker_drain(stage.broker, WEIR_FOREVER), 0);
	for (int i = 0; i < SLEEPERS; i++)
		fixture_join(threads[i]);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(stage.broker, NULL), 0);
}

WEIR_TEST(group_stress, no_wake_up_is_lost_under_any_policy)
{
	for (int policy = 0; policy <= WEIR_GROUP_SINGLE_ACTIVE; policy++) {
		bursts_run((weir_group_policy)policy, WEIR_ACK_NONE);
		bursts_run((weir_group_policy)policy, WEIR_ACK_MANUAL);
	}
}
