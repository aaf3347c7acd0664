/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a group has as any subscription has it: capacity, overflow, order, time to
 * live, dead letters, acknowledgements; and what happens without memory.
 */
#include "base/random.h"
#include "sim_bed.h"

#define POLICIES (WEIR_GROUP_SINGLE_ACTIVE + 1)

static struct sim_bed bed;
static weir_publisher *publisher;
static weir_subscription *members[2];

static void open(const weir_subscription_options *options)
{
	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "a");
	for (int i = 0; i < 2; i++)
		members[i] = sim_bed_subscribe(&bed, "a", options);
}

static void end(void)
{
	weir_publisher_close(publisher);
	for (int i = 0; i < 2; i++)
		if (members[i] != NULL)
			(void)sim_bed_unsubscribe(members[i]);
	sim_bed_close(&bed);
}

static int send(uint64_t number, const weir_publish_options *options)
{
	return weir_publish(publisher, &number, sizeof(number), options, NULL);
}

/* The next number that the member gets, acknowledged if need be. */
static uint64_t next(int member)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(members[member], &delivery, 0), 0);
	if (delivery.token_ledger != 0)
		CHECK_EQ(weir_ack(&delivery), 0);
	return fixture_number(&delivery);
}

static weir_group_statistics group(void)
{
	weir_group_statistics statistics;

	CHECK_EQ(weir_group_statistics_get(members[1], &statistics, NULL, 0), 0);
	fixture_check_sums(&statistics.total);
	return statistics;
}

WEIR_TEST(group_queue, each_member_gets_its_own_by_priority)
{
	static const int32_t ranks[] = { 5, 4, 9, -3, 0, 4 };

	open(&(weir_subscription_options){ .group = "g",
		.group_policy = WEIR_GROUP_ROUND_ROBIN,
		.order = WEIR_ORDER_PRIORITY });
	for (uint64_t i = 0; i < 6; i++)
		CHECK_EQ(send(i, &(weir_publish_options){ .priority = ranks[i] }), 0);
	CHECK_EQ(next(0), 4);
	CHECK_EQ(next(1), 3);
	CHECK_EQ(next(1), 1);
	CHECK_EQ(next(0), 0);
	/* What was the one's goes among the other's. */
	(void)sim_bed_unsubscribe(members[0]);
	members[0] = NULL;
	CHECK_EQ(next(1), 5);
	CHECK_EQ(next(1), 2);
	fixture_check_empty(members[1]);
	end();
}

WEIR_TEST(group_queue, capacity_and_eviction_are_those_of_the_whole)
{
	for (int policy = 0; policy < POLICIES; policy++) {
		weir_delivery delivery;
		uint64_t sum = 0, count = 0, missed = 0;

		open(&(weir_subscription_options){ .group = "g",
			.group_policy = (weir_group_policy)policy,
			.capacity = 4,
			.overflow = WEIR_OVERFLOW_DROP_OLDEST });
		for (uint64_t i = 0; i < 7; i++)
			CHECK_EQ(send(i, &(weir_publish_options){ .has_key = true, .key = i }), 0);
		CHECK_EQ(group().queued, 4);
		CHECK_EQ(group().total.capacity, 4);
		CHECK_EQ(group().total.dropped[WEIR_DROP_OLDEST], 3);
		for (int i = 0; i < 2; i++)
			while (weir_receive(members[i], &delivery, 0) == 0) {
				sum += fixture_number(&delivery);
				missed += delivery.missed;
				count++;
			}
		CHECK_EQ(count, 4);
		CHECK_EQ(sum, 3 + 4 + 5 + 6);
		CHECK_EQ(missed, 3);
		end();
	}
}

WEIR_TEST(group_queue, a_conflated_message_stays_with_its_member)
{
	open(&(weir_subscription_options){ .group = "g",
		.group_policy = WEIR_GROUP_ROUND_ROBIN,
		.overflow = WEIR_OVERFLOW_CONFLATE });
	for (uint64_t i = 0; i < 5; i++)
		CHECK_EQ(send(i, &(weir_publish_options){ .has_key = true, .key = i % 2 }), 0);
	CHECK_EQ(group().queued, 2);
	CHECK_EQ(next(0), 4);
	CHECK_EQ(next(1), 3);
	end();
}

WEIR_TEST(group_queue, what_has_expired_is_handed_to_nobody)
{
	for (int kind = 0; kind < POLICIES * 4; kind++) {
		bool has_acks = kind % 2 == 1, is_at_once = kind / 2 % 2 == 1;

		open(&(weir_subscription_options){ .group = "g",
			.group_policy = (weir_group_policy)(kind / 4),
			.ack = has_acks ? WEIR_ACK_MANUAL : WEIR_ACK_NONE,
			.expire_at_once = is_at_once });
		for (uint64_t i = 0; i < 40; i++)
			CHECK_EQ(send(i, &(weir_publish_options){ .has_key = true,
						 .key = i,
						 .ttl = i < 38 ? 1 : 0 }),
				0);
		sim_bed_reach(&bed, 1);
		if (is_at_once)
			CHECK_EQ(group().queued, 2);
		for (int i = 0; i < 2; i++) {
			weir_delivery delivery;

			while (weir_receive(members[i], &delivery, 0) == 0) {
				CHECK(fixture_number(&delivery) >= 38);
				if (has_acks)
					CHECK_EQ(weir_ack(&delivery), 0);
			}
		}
		CHECK_EQ(group().total.expired, 38);
		CHECK_EQ(group().total.acknowledged, 2);
		CHECK_EQ(group().handled, 2);
		end();
	}
}

WEIR_TEST(group_queue, a_leavers_last_attempt_is_a_dead_letter)
{
	for (int policy = 0; policy < POLICIES; policy++) {
		weir_subscription *dead;
		weir_dead_letter letter;
		weir_delivery delivery;

		open(&(weir_subscription_options){ .group = "g",
			.group_policy = (weir_group_policy)policy,
			.ack = WEIR_ACK_MANUAL,
			.max_attempts = 1,
			.dead_letter_topic = "dead" });
		dead = sim_bed_subscribe(&bed, "dead", NULL);
		CHECK_EQ(send(7, NULL), 0);
		CHECK_EQ(weir_receive(members[0], &delivery, 0), 0);
		CHECK_EQ(weir_unsubscribe(members[0], NULL), 0);
		members[0] = NULL;
		fixture_check_empty(members[1]);
		CHECK_EQ(group().total.dead_lettered, 1);
		CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
		CHECK_EQ(weir_message_dead_letter(delivery.message, &letter), 0);
		CHECK_EQ(letter.reason, WEIR_DEAD_TIMEOUT);
		CHECK_EQ(letter.subscription, group().id);
		/* And back again, to whom may have it. */
		CHECK_EQ(weir_redrive(&delivery), 0);
		CHECK_EQ(next(1), 7);
		(void)sim_bed_unsubscribe(dead);
		end();
	}
}

WEIR_TEST(group_queue, parked_messages_come_back_to_any_member_that_may_have_them)
{
	for (int policy = 0; policy < POLICIES; policy++) {
		uint64_t sum = 0;
		size_t redriven;

		open(&(weir_subscription_options){ .group = "g",
			.group_policy = (weir_group_policy)policy,
			.ack = WEIR_ACK_MANUAL,
			.max_in_flight = 3,
			.park_max = 10 });
		for (uint64_t i = 0; i < 6; i++)
			CHECK_EQ(send(i, &(weir_publish_options){ .has_key = true, .key = i }), 0);
		for (int i = 0; i < 2; i++) {
			weir_delivery delivery;

			while (weir_receive(members[i], &delivery, 0) == 0)
				CHECK_EQ(weir_reject(&delivery, "no"), 0);
		}
		CHECK_EQ(group().total.parked, 6);
		CHECK_EQ(weir_redrive_parked(members[0], SIZE_MAX, &redriven), 0);
		CHECK_EQ(redriven, 6);
		for (int i = 0; i < 2; i++) {
			weir_delivery delivery;

			while (weir_receive(members[i], &delivery, 0) == 0) {
				CHECK_EQ(weir_ack(&delivery), 0);
				sum++;
			}
		}
		CHECK_EQ(sum, 6);
		end();
	}
}

WEIR_TEST(group_queue, acknowledging_up_to_a_delivery_leaves_what_others_have)
{
	weir_delivery first, second, third;
	size_t acknowledged;

	open(&(weir_subscription_options){ .group = "g", .ack = WEIR_ACK_MANUAL });
	for (uint64_t i = 0; i < 3; i++)
		CHECK_EQ(send(i, NULL), 0);
	CHECK_EQ(weir_receive(members[0], &first, 0), 0);
	CHECK_EQ(weir_receive(members[1], &second, 0), 0);
	CHECK_EQ(weir_receive(members[0], &third, 0), 0);
	CHECK_EQ(weir_ack_up_to(&third, &acknowledged), 0);
	CHECK_EQ(acknowledged, 2);
	CHECK_EQ(weir_ack(&first), WEIR_ESTALE);
	CHECK_EQ(weir_ack(&second), 0);
	end();
}

WEIR_TEST(group_queue, automatic_acknowledgement_is_each_members_own)
{
	weir_delivery batch[4];
	size_t count;

	open(&(weir_subscription_options){ .group = "g", .ack = WEIR_ACK_AUTO });
	for (uint64_t i = 0; i < 6; i++)
		CHECK_EQ(send(i, NULL), 0);
	CHECK_EQ(weir_receive_batch(members[0], batch, 4, 0, &count), 0);
	CHECK_EQ(count, 4);
	CHECK_EQ(weir_receive(members[1], batch, 0), 0);
	CHECK_EQ(group().in_flight, 5);
	CHECK_EQ(weir_receive(members[1], batch, 0), 0);
	CHECK_EQ(group().handled, 1);
	(void)sim_bed_unsubscribe(members[0]);
	members[0] = NULL;
	CHECK_EQ(weir_receive_batch(members[1], batch, 4, 0, &count), 0);
	CHECK_EQ(count, 4);
	for (uint64_t i = 0; i < 4; i++) {
		CHECK_EQ(fixture_number(&batch[i]), i);
		CHECK_EQ(batch[i].attempt, 2);
	}
	CHECK_EQ(weir_receive(members[1], batch, 0), WEIR_EAGAIN);
	CHECK_EQ(group().handled, 6);
	end();
}

WEIR_TEST(group_queue, statistics_tell_who_did_how_much)
{
	weir_group_member_statistics each[2];
	weir_group_statistics statistics;
	weir_subscription_statistics own;

	open(&(weir_subscription_options){
		.group = "g", .group_policy = WEIR_GROUP_LEAST_LOADED, .ack = WEIR_ACK_MANUAL });
	for (uint64_t i = 0; i < 8; i++)
		CHECK_EQ(send(i, NULL), 0);
	for (int i = 0; i < 3; i++)
		(void)next(0);
	(void)next(1);
	CHECK_EQ(weir_group_statistics_get(members[0], &statistics, each, 2), 0);
	CHECK_EQ(statistics.members, 2);
	CHECK_EQ(statistics.queued, 4);
	CHECK_EQ(statistics.handled, 4);
	CHECK_EQ(statistics.rebalances, 2);
	CHECK(statistics.imbalance == 0.5);
	CHECK_EQ(each[0].queued, 1);
	CHECK_EQ(each[1].queued, 3);
	CHECK(each[0].share == 0.75 && each[1].share == 0.25);
	CHECK_EQ(each[1].id, weir_subscription_id(members[1]));
	CHECK_EQ(weir_subscription_statistics_get(members[0], &own), 0);
	fixture_check_sums(&own);
	CHECK_EQ(own.acknowledged, 3);
	CHECK_EQ(own.queued, 1);
	/* The next ones go to who has least. */
	CHECK_EQ(send(8, NULL), 0);
	CHECK_EQ(send(9, NULL), 0);
	(void)sim_bed_unsubscribe(members[0]);
	members[0] = NULL;
	statistics = group();
	CHECK_EQ(statistics.moved, 3);
	CHECK_EQ(statistics.queued, 6);
	end();
}

WEIR_TEST(group_queue, keys_that_move_are_counted_once_a_time)
{
	uint64_t keys_of_first = 0;
	weir_group_member_statistics each[2];
	weir_group_statistics statistics;

	open(&(weir_subscription_options){ .group = "g", .group_policy = WEIR_GROUP_KEY });
	for (uint64_t i = 0; i < 40; i++)
		CHECK_EQ(send(i, &(weir_publish_options){ .has_key = true, .key = i % 20 }), 0);
	CHECK_EQ(weir_group_statistics_get(members[0], &statistics, each, 2), 0);
	keys_of_first = each[0].queued / 2;
	CHECK(keys_of_first > 0 && keys_of_first < 20);
	(void)sim_bed_unsubscribe(members[0]);
	members[0] = NULL;
	statistics = group();
	CHECK_EQ(statistics.keys_moved, keys_of_first);
	CHECK_EQ(statistics.moved, keys_of_first * 2);
	/* In the order in which they came, whoever had them. */
	for (uint64_t i = 0; i < 40; i++)
		CHECK_EQ(next(1), i);
	end();
}

#define KEYS   32
#define ROUNDS 40
#define CROWD  6

static void keyed_send(uint64_t number)
{
	CHECK_EQ(send(number, &(weir_publish_options){ .has_key = true, .key = number % KEYS }), 0);
}

/* Member 0 has one message of each key in hand, one more of each is queued, and member
 * 1 joins.  Returns how many keys are its own now. */
static uint64_t second_join(weir_subscription *other)
{
	const weir_subscription_options options = { .group = "g", .group_policy = WEIR_GROUP_KEY };
	weir_subscription *both[2] = { other, members[0] };
	weir_delivery deliveries[KEYS];
	size_t count, index;

	for (uint64_t i = 0; i < 2 * KEYS; i++)
		keyed_send(i);
	CHECK_EQ(weir_receive_batch(members[0], deliveries, KEYS, 0, &count), 0);
	CHECK_EQ(count, KEYS);
	if (other != NULL)
		CHECK_EQ(weir_select(both, 2, WEIR_SELECT_PRIORITY, 0, deliveries, &index), 0);
	members[1] = sim_bed_subscribe(&bed, "a", &options);
	return group().keys_moved;
}

WEIR_TEST(group_queue, a_key_in_hand_that_moves_is_had_when_the_other_begins_to_receive)
{
	const weir_subscription_options options = { .group = "g", .group_policy = WEIR_GROUP_KEY };
	weir_delivery deliveries[KEYS];
	weir_subscription *other;
	uint64_t moved;
	size_t count;

	for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
		open(&options);
		(void)sim_bed_unsubscribe(members[1]);
		other = sim_bed_subscribe(&bed, "other", NULL);
		CHECK_EQ(weir_publish_to(bed.broker, "other", "x", 1, NULL, NULL), 0);
		moved = second_join(elsewhere ? other : NULL);
		CHECK(moved > 0 && moved < KEYS);
		/* A receive that took elsewhere has let go as well. */
		if (!elsewhere) {
			CHECK_EQ(weir_receive(members[1], deliveries, 0), WEIR_EAGAIN);
			CHECK_EQ(weir_receive(members[0], deliveries, 0), 0);
		}
		CHECK_EQ(weir_receive_batch(members[1], deliveries, KEYS, 0, &count), 0);
		CHECK_EQ(count, moved);
		(void)sim_bed_unsubscribe(other);
		end();
	}
}

/* All that is queued for the member: each key is its alone, and in order. */
static size_t keys_check(
	weir_subscription *member, const weir_subscription **owners, uint64_t *latest)
{
	weir_delivery delivery;
	size_t count = 0;

	for (; weir_receive(member, &delivery, 0) == 0; count++) {
		uint64_t number = fixture_number(&delivery);
		uint64_t key = number % KEYS;

		CHECK(owners[key] == NULL || owners[key] == member);
		CHECK(owners[key] == NULL || number > latest[key]);
		owners[key] = member;
		latest[key] = number;
	}
	return count;
}

WEIR_TEST(group_queue, what_is_queued_of_a_key_stays_together_and_in_order_whoever_comes_and_goes)
{
	const weir_subscription_options options = {
		.group = "g", .group_policy = WEIR_GROUP_KEY, .capacity = 2 * KEYS * ROUNDS
	};
	const weir_subscription *owners[KEYS] = { NULL };
	struct weiri_random random = weiri_random_stream(harness_seed(), 0);
	weir_subscription *crowd[CROWD] = { NULL };
	uint64_t latest[KEYS], sent = 0;
	size_t count = 0;

	open(&options);
	for (int i = 0; i < ROUNDS; i++) {
		weir_subscription **one = &crowd[weiri_random_below(&random, CROWD)];

		for (int k = 0; k < KEYS; k++)
			keyed_send(sent++);
		if (*one != NULL)
			(void)sim_bed_unsubscribe(*one);
		*one = *one != NULL ? NULL : sim_bed_subscribe(&bed, "a", &options);
	}
	for (int i = 0; i < 2; i++)
		count += keys_check(members[i], owners, latest);
	for (int i = 0; i < CROWD; i++)
		if (crowd[i] != NULL)
			count += keys_check(crowd[i], owners, latest);
	CHECK_EQ(count, sent);
	for (int i = 0; i < CROWD; i++)
		if (crowd[i] != NULL)
			(void)sim_bed_unsubscribe(crowd[i]);
	end();
}

/* ---- Without memory ---- */

/* Joins until there are many, with all kinds of parts; counts what failed. */
static uint64_t join_without_memory(
	const weir_subscription_options *options, uint64_t fail_at, bool keep_failing)
{
	weir_subscription *all[10];
	weir_delivery deliveries[200];
	uint64_t failed = 0, got = 0, sent = 0;
	size_t count;

	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "a");
	fail_allocator_arm(&bed.memory, fail_at, keep_failing);
	for (int i = 0; i < 10; i++) {
		int error = weir_subscribe(&all[i], bed.broker, "a", options);

		if (error == 0)
			continue;
		CHECK_EQ(error, WEIR_ENOMEM);
		failed++;
		fail_allocator_arm(&bed.memory, 0, false);
		CHECK_EQ(weir_subscribe(&all[i], bed.broker, "a", options), 0);
	}
	for (uint64_t i = 0; i < 300; i++) {
		weir_receipt receipt = { 0 };
		int error = weir_publish(publisher, &i, sizeof(i),
			&(weir_publish_options){ .has_key = true, .key = i % 90 }, &receipt);

		CHECK(error == 0 || error == WEIR_ENOMEM);
		sent += receipt.enqueued;
	}
	for (int i = 0; i < 10; i++)
		while (weir_receive_batch(all[i], deliveries, 200, 0, &count) == 0) {
			got += count;
			if (options->ack != WEIR_ACK_NONE)
				CHECK_EQ(weir_ack_batch(deliveries, count, NULL), 0);
		}
	CHECK_EQ(got, sent);
	for (int i = 0; i < 10; i++)
		(void)sim_bed_unsubscribe(all[i]);
	weir_publisher_close(publisher);
	failed += atomic_load(&bed.memory.failed) > 0;
	sim_bed_close(&bed);
	return failed;
}

WEIR_TEST(group_queue, without_memory_a_join_fails_and_has_changed_nothing)
{
	for (int kind = 0; kind < POLICIES * 4; kind++) {
		const weir_subscription_options options = { .group = "g",
			.group_policy = (weir_group_policy)(kind / 4),
			.order = kind % 2 == 0 ? WEIR_ORDER_ARRIVAL : WEIR_ORDER_PRIORITY,
			.overflow = WEIR_OVERFLOW_DROP_NEWEST,
			.ack = kind / 2 % 2 == 0 ? WEIR_ACK_NONE : WEIR_ACK_MANUAL };
		uint64_t at = 1;

		while (join_without_memory(&options, at, at % 2 == 0) > 0)
			at++;
		CHECK(at > 20);
	}
}
