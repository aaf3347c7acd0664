/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: options, joining and leaving, receiving in all ways, one thread.  What
 * policies do at each event is group_sim_test.c's.
 */
#include <string.h>

#include "fail_allocator.h"
#include "fixture.h"

static const weir_group_policy policies[] = { WEIR_GROUP_SHARED, WEIR_GROUP_ROUND_ROBIN,
	WEIR_GROUP_WEIGHTED, WEIR_GROUP_LEAST_LOADED, WEIR_GROUP_KEY, WEIR_GROUP_SINGLE_ACTIVE };
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

static weir_subscription *join(weir_broker *broker, const weir_subscription_options *options)
{
	weir_subscription *member;

	CHECK_EQ(weir_subscribe(&member, broker, "a", options), 0);
	return member;
}

static void leave(weir_subscription *member)
{
	weir_subscription_statistics last;

	CHECK_EQ(weir_unsubscribe(member, &last), 0);
	fixture_check_sums(&last);
}

static weir_group_statistics group_of(weir_subscription *member)
{
	weir_group_statistics statistics;

	CHECK_EQ(weir_group_statistics_get(member, &statistics, NULL, 0), 0);
	fixture_check_sums(&statistics.total);
	return statistics;
}

static void close_all(weir_broker *broker, weir_publisher *publisher)
{
	weir_broker_statistics last;

	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_close(broker, &last), 0);
	fixture_check_broker_sums(&last);
	CHECK_EQ(last.queued, 0);
}

/* Takes all that there is for this member now; returns how many. */
static uint64_t take_all(weir_subscription *member)
{
	weir_delivery delivery;
	uint64_t count = 0;

	while (weir_receive(member, &delivery, 0) == 0) {
		if (delivery.token_ledger != 0)
			CHECK_EQ(weir_ack(&delivery), 0);
		count++;
	}
	return count;
}

WEIR_TEST(group, each_message_goes_to_one_member_under_every_policy)
{
	for (size_t i = 0; i < POLICIES; i++) {
		weir_broker *broker = fixture_broker(NULL);
		weir_publisher *publisher = fixture_publisher(broker, "a");
		weir_subscription_options options = { .group = "g", .group_policy = policies[i] };
		weir_subscription *one = join(broker, &options), *other = join(broker, &options);
		weir_subscription *plain = fixture_subscribe(broker, "a", 0);
		uint64_t sum;

		for (uint64_t number = 0; number < 40; number++)
			CHECK_EQ(fixture_publish(publisher, number), 2);
		CHECK_EQ(group_of(one).queued, 40);
		CHECK_EQ(group_of(one).members, 2);
		sum = take_all(one);
		CHECK_EQ(sum + take_all(other), 40);
		CHECK_EQ(group_of(other).handled, 40);
		CHECK_EQ(group_of(other).total.acknowledged, 40);
		CHECK_EQ(take_all(plain), 40);
		leave(one);
		leave(other);
		leave(plain);
		close_all(broker, publisher);
	}
}

WEIR_TEST(group, what_a_leaver_had_goes_to_the_others_first_under_every_policy)
{
	for (size_t i = 0; i < POLICIES; i++) {
		weir_broker *broker = fixture_broker(NULL);
		weir_publisher *publisher = fixture_publisher(broker, "a");
		weir_subscription_options options = {
			.group = "g", .group_policy = policies[i], .ack = WEIR_ACK_MANUAL
		};
		weir_subscription *one = join(broker, &options), *other = join(broker, &options);
		weir_delivery delivery, again;
		uint64_t sum;

		for (uint64_t number = 0; number < 10; number++)
			CHECK_EQ(fixture_publish(publisher, number), 1);
		CHECK_EQ(weir_receive(one, &delivery, 0), 0);
		leave(one);
		CHECK_EQ(weir_ack(&delivery), WEIR_ESTALE);
		CHECK_EQ(weir_receive(other, &again, 0), 0);
		CHECK_EQ(again.attempt, 2);
		CHECK_EQ(fixture_number(&again), 0);
		CHECK_EQ(weir_ack(&again), 0);
		sum = take_all(other);
		CHECK_EQ(sum, 9);
		leave(other);
		close_all(broker, publisher);
	}
}

WEIR_TEST(group, without_members_it_ends_or_keeps_its_messages)
{
	for (size_t i = 0; i < POLICIES * 2; i++) {
		weir_broker *broker = fixture_broker(NULL);
		weir_publisher *publisher = fixture_publisher(broker, "a");
		weir_subscription_options options = { .group = "g",
			.group_policy = policies[i / 2],
			.ack = WEIR_ACK_MANUAL,
			.capacity = 5,
			.overflow = WEIR_OVERFLOW_DROP_NEWEST,
			.group_keep = i % 2 == 1 };
		weir_subscription *member = join(broker, &options);
		weir_subscription_statistics last;
		weir_delivery delivery;

		for (uint64_t number = 0; number < 3; number++)
			CHECK_EQ(fixture_publish(publisher, number), 1);
		CHECK_EQ(weir_receive(member, &delivery, 0), 0);
		CHECK_EQ(weir_unsubscribe(member, &last), 0);
		fixture_check_sums(&last);
		CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], options.group_keep ? 0 : 3);
		for (uint64_t number = 3; number < 9; number++)
			(void)weir_publish(publisher, &number, sizeof(number), NULL, NULL);
		member = join(broker, &options);
		CHECK_EQ(group_of(member).total.dropped[WEIR_DROP_NEWEST],
			options.group_keep ? 3 : 0);
		CHECK_EQ(take_all(member), options.group_keep ? 6 : 0);
		leave(member);
		CHECK_EQ(weir_publish(publisher, "x", 1, NULL, NULL), 0);
		close_all(broker, publisher);
	}
}

WEIR_TEST(group, is_told_apart_by_name_and_filter_and_refuses_other_options)
{
	weir_broker *broker = fixture_broker(NULL);
	weir_subscription_options options = { .group = "g", .capacity = 7 };
	weir_subscription *members[4], *refused = NULL;
	uint64_t ids[3];

	members[0] = join(broker, &options);
	options.wait = WEIR_WAIT_PARK;
	options.group_weight = 3;
	members[1] = join(broker, &options);
	options.capacity = 8;
	CHECK_EQ(weir_subscribe(&refused, broker, "a", &options), WEIR_EMISMATCH);
	CHECK(refused == NULL);
	CHECK_EQ(weir_subscribe(&members[2], broker, "*", &options), 0);
	options.group = "h";
	CHECK_EQ(weir_subscribe(&members[3], broker, "a", &options), 0);
	for (int i = 0; i < 3; i++)
		ids[i] = group_of(members[i + 1]).id;
	CHECK_EQ(group_of(members[0]).id, ids[0]);
	CHECK(ids[1] != ids[0] && ids[2] != ids[0] && ids[1] != ids[2]);
	for (int i = 0; i < 4; i++)
		leave(members[i]);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(group, refuses_options_that_are_out_of_range)
{
	weir_broker *broker = fixture_broker(NULL);
	char name[WEIR_GROUP_NAME_MAX + 2];
	const weir_subscription_options wrong[] = { { .group = "" }, { .group = name },
		{ .group = "g", .group_policy = (weir_group_policy)6 },
		{ .group = "g", .group_weight = WEIR_GROUP_WEIGHT_MAX + 1 },
		{ .group = "g", .high_watermark = 5 },
		{ .group = "g",
			.group_policy = WEIR_GROUP_KEY,
			.ack = WEIR_ACK_MANUAL,
			.redeliver_to_back = true },
		{ .group_policy = WEIR_GROUP_KEY }, { .group_weight = 1 }, { .group_keep = true } };
	weir_subscription *subscription;
	weir_group_statistics statistics;

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_EQ(weir_subscribe(&subscription, broker, "a", &wrong[i]), WEIR_EINVAL);
	CHECK_EQ(weir_subscribe(&subscription, broker, "a", NULL), 0);
	CHECK_EQ(weir_group_statistics_get(subscription, &statistics, NULL, 0), WEIR_EINVAL);
	CHECK_EQ(weir_group_statistics_get(NULL, &statistics, NULL, 0), WEIR_EINVAL);
	leave(subscription);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}
