/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members that wait, to the instant: who is woken, who passes it on, who is told that
 * it is over; and who is avoided for how long.
 */
#include "sim_bed.h"

#define WAITERS 3

struct waiter {
	weir_subscription *subscription;
	weir_subscription *plain; /* selected first, or NULL */
	double work;              /* seconds for each message */
	weir_delivery delivery;
	uint64_t got;
	uint64_t plain_got;
	double when; /* it got the last one, or was told */
	int error;
};

static struct {
	struct sim_bed bed;
	weir_publisher *publisher;
	weir_publisher *other;
	struct waiter waiters[WAITERS];
} stage;

static int one_receive(struct waiter *self)
{
	weir_subscription *set[2] = { self->plain, self->subscription };
	size_t index = 1;
	int error = self->plain != NULL
			    ? weir_select(set, 2, WEIR_SELECT_PRIORITY, WEIR_FOREVER,
				      &self->delivery, &index)
			    : weir_receive(self->subscription, &self->delivery, WEIR_FOREVER);

	self->when = weir_now(stage.bed.clock);
	if (error == 0 && index == 0)
		self->plain_got++;
	else if (error == 0)
		self->got++;
	return error;
}

static void wait_run(void *argument)
{
	struct waiter *self = argument;

	for (;;) {
		self->error = one_receive(self);
		if (self->error == WEIR_EINTR)
			continue;
		if (self->error != 0)
			return;
		if (self->work > 0 && weir_sleep(stage.bed.clock, self->work) != 0)
			return;
		if (self->delivery.token_ledger != 0)
			(void)weir_ack(&self->delivery);
	}
}

static void stage_open(const weir_subscription_options *options)
{
	memset(&stage, 0, sizeof(stage));
	sim_bed_open(&stage.bed, NULL);
	stage.publisher = fixture_publisher(stage.bed.broker, "a");
	stage.other = fixture_publisher(stage.bed.broker, "b");
	for (int i = 0; i < WAITERS; i++)
		stage.waiters[i].subscription = sim_bed_subscribe(&stage.bed, "a", options);
}

static void waiter_start(int i)
{
	CHECK_EQ(weir_sim_spawn(stage.bed.sim, "waiter", wait_run, &stage.waiters[i]), 0);
	CHECK(weir_sim_run_until(stage.bed.sim, weir_now(stage.bed.clock)) >= 0);
}

static void stage_close(void)
{
	CHECK_EQ(weir_sim_stop(stage.bed.sim), 0);
	for (int i = 0; i < WAITERS; i++) {
		if (stage.waiters[i].plain != NULL)
			(void)sim_bed_unsubscribe(stage.waiters[i].plain);
		if (stage.waiters[i].subscription != NULL)
			(void)sim_bed_unsubscribe(stage.waiters[i].subscription);
	}
	weir_publisher_close(stage.publisher);
	weir_publisher_close(stage.other);
	sim_bed_close(&stage.bed);
}

static void publish(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		(void)fixture_publish(stage.publisher, i);
}

static const weir_subscription_options shared = { .group = "g" };

WEIR_TEST(group_wait, messages_of_one_instant_wake_one_member_each)
{
	stage_open(&shared);
	for (int i = 0; i < WAITERS; i++) {
		stage.waiters[i].work = 10;
		waiter_start(i);
	}
	sim_bed_reach(&stage.bed, 1);
	publish(WAITERS);
	sim_bed_reach(&stage.bed, 1);
	for (int i = 0; i < WAITERS; i++) {
		CHECK_EQ(stage.waiters[i].got, 1);
		CHECK(stage.waiters[i].when == 1);
	}
	stage_close();
}

WEIR_TEST(group_wait, a_select_that_takes_elsewhere_passes_the_wake_on)
{
	stage_open(&shared);
	stage.waiters[0].plain = sim_bed_subscribe(&stage.bed, "b", NULL);
	stage.waiters[0].work = 10;
	for (int i = 0; i < WAITERS; i++)
		waiter_start(i);
	sim_bed_reach(&stage.bed, 1);
	/* The first in line is woken for the group, and finds the other first. */
	publish(1);
	(void)fixture_publish(stage.other, 0);
	sim_bed_reach(&stage.bed, 1);
	CHECK_EQ(stage.waiters[0].plain_got, 1);
	CHECK_EQ(stage.waiters[0].got, 0);
	CHECK_EQ(stage.waiters[1].got, 1);
	CHECK(stage.waiters[1].when == 1);
	CHECK_EQ(stage.waiters[2].got, 0);
	stage_close();
}

WEIR_TEST(group_wait, a_member_that_is_stopped_or_woken_leaves_the_work_to_others)
{
	stage_open(&shared);
	for (int i = 0; i < WAITERS; i++)
		waiter_start(i);
	sim_bed_reach(&stage.bed, 1);
	publish(1);
	CHECK_EQ(weir_subscription_stop(stage.waiters[0].subscription), 0);
	sim_bed_reach(&stage.bed, 1);
	CHECK_EQ(stage.waiters[0].error, WEIR_ECLOSED);
	CHECK_EQ(stage.waiters[0].got, 0);
	CHECK_EQ(stage.waiters[1].got, 1);
	CHECK_EQ(weir_wake(stage.waiters[1].subscription), 0);
	CHECK_EQ(weir_wake(stage.waiters[2].subscription), 0);
	sim_bed_reach(&stage.bed, 2);
	publish(2);
	sim_bed_reach(&stage.bed, 2);
	CHECK_EQ(stage.waiters[1].got + stage.waiters[2].got, 3);
	stage_close();
}

WEIR_TEST(group_wait, leaving_while_waiting_ends_that_wait_only)
{
	weir_subscription_options options = { .group = "g" };

	for (int policy = 0; policy <= WEIR_GROUP_SINGLE_ACTIVE; policy++) {
		uint64_t sum = 0;

		options.group_policy = (weir_group_policy)policy;
		stage_open(&options);
		for (int i = 0; i < WAITERS; i++)
			waiter_start(i);
		(void)sim_bed_unsubscribe(stage.waiters[0].subscription);
		stage.waiters[0].subscription = NULL;
		publish(4);
		sim_bed_reach(&stage.bed, 1);
		CHECK_EQ(stage.waiters[0].error, WEIR_ECLOSED);
		for (int i = 1; i < WAITERS; i++)
			sum += stage.waiters[i].got;
		CHECK_EQ(sum, 4);
		stage_close();
	}
}

static void drain_run(void *argument)
{
	CHECK_EQ(weir_broker_drain(stage.bed.broker, WEIR_FOREVER), 0);
	*(double *)argument = weir_now(stage.bed.clock);
}

WEIR_TEST(group_wait, a_drain_ends_when_the_last_member_is_done_and_tells_all)
{
	for (int policy = 0; policy <= WEIR_GROUP_SINGLE_ACTIVE * 2 + 1; policy++) {
		weir_subscription_options options = { .group = "g",
			.group_policy = (weir_group_policy)(policy / 2),
			.ack = policy % 2 == 0 ? WEIR_ACK_NONE : WEIR_ACK_MANUAL };
		double drained = 0;

		stage_open(&options);
		for (int i = 0; i < WAITERS; i++) {
			stage.waiters[i].work = 2;
			waiter_start(i);
		}
		publish(5);
		CHECK_EQ(weir_sim_spawn(stage.bed.sim, "drain", drain_run, &drained), 0);
		CHECK(weir_sim_run(stage.bed.sim) >= 0);
		CHECK(drained > 0);
		for (int i = 0; i < WAITERS; i++)
			CHECK_EQ(stage.waiters[i].error, WEIR_ESHUTDOWN);
		CHECK_EQ(stage.waiters[0].got + stage.waiters[1].got + stage.waiters[2].got, 5);
		stage_close();
	}
}

WEIR_TEST(group_wait, closing_the_broker_ends_every_wait)
{
	for (int policy = 0; policy <= WEIR_GROUP_SINGLE_ACTIVE; policy++) {
		weir_subscription_options options = { .group = "g",
			.group_policy = (weir_group_policy)policy,
			.group_keep = policy % 2 == 0,
			.ack = WEIR_ACK_MANUAL };
		weir_broker_statistics last;

		stage_open(&options);
		for (int i = 1; i < WAITERS; i++) {
			stage.waiters[i].work = 5;
			waiter_start(i);
		}
		publish(9);
		sim_bed_reach(&stage.bed, 1);
		(void)sim_bed_unsubscribe(stage.waiters[0].subscription);
		weir_publisher_close(stage.publisher);
		weir_publisher_close(stage.other);
		CHECK_EQ(weir_broker_close(stage.bed.broker, &last), 0);
		fixture_check_broker_sums(&last);
		CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 9);
		CHECK(weir_sim_run(stage.bed.sim) >= 0);
		for (int i = 1; i < WAITERS; i++) {
			CHECK_EQ(stage.waiters[i].error, WEIR_ESHUTDOWN);
			CHECK_EQ(weir_unsubscribe(stage.waiters[i].subscription, NULL), 0);
		}
		CHECK_EQ(weir_sim_close(stage.bed.sim), 0);
		fail_allocator_check_empty(&stage.bed.memory);
	}
}

WEIR_TEST(group_wait, a_member_whose_time_ran_out_is_avoided_but_not_for_ever)
{
	const weir_subscription_options options = {
		.group = "g", .ack = WEIR_ACK_MANUAL, .ack_timeout = 4
	};
	weir_group_member_statistics members[WAITERS];
	weir_group_statistics group;

	stage_open(&options);
	stage.waiters[0].work = 5;
	waiter_start(0);
	publish(1);
	sim_bed_reach(&stage.bed, 1);
	waiter_start(1);
	/* It times out at 4, the other one has it, and at 5 it waits behind that one. */
	sim_bed_reach(&stage.bed, 5.5);
	CHECK_EQ(stage.waiters[0].got, 1);
	CHECK_EQ(stage.waiters[1].got, 1);
	CHECK_EQ(weir_group_statistics_get(stage.waiters[0].subscription, &group, members, WAITERS),
		0);
	CHECK_EQ(members[0].timeouts, 1);
	CHECK(members[0].is_avoided && !members[0].is_away);
	CHECK_EQ(members[1].redelivered, 1);
	CHECK_EQ(members[1].handled, 1);
	/* The other one goes to the end of the line, and gets it all the same. */
	publish(1);
	sim_bed_reach(&stage.bed, 6);
	publish(1);
	sim_bed_reach(&stage.bed, 6.5);
	CHECK_EQ(stage.waiters[0].got, 1);
	CHECK_EQ(stage.waiters[1].got, 3);
	/* With nobody else free it gets work. */
	stage.waiters[1].work = 1;
	publish(2);
	sim_bed_reach(&stage.bed, 7);
	CHECK_EQ(stage.waiters[1].got, 4);
	CHECK_EQ(stage.waiters[0].got, 2);
	stage_close();
}

WEIR_TEST(group_wait, it_is_trusted_again_when_its_time_has_passed)
{
	const weir_subscription_options options = {
		.group = "g", .ack = WEIR_ACK_MANUAL, .ack_timeout = 4
	};

	stage_open(&options);
	stage.waiters[0].work = 5;
	waiter_start(0);
	publish(1);
	sim_bed_reach(&stage.bed, 1);
	waiter_start(1);
	sim_bed_reach(&stage.bed, 8.5);
	/* The first in line now is the other; then each in turn. */
	stage.waiters[0].work = 0;
	for (int i = 0; i < 4; i++) {
		publish(1);
		sim_bed_reach(&stage.bed, 9 + i);
	}
	CHECK_EQ(stage.waiters[0].got, 1 + 2);
	CHECK_EQ(stage.waiters[1].got, 1 + 2);
	stage_close();
}

WEIR_TEST(group_wait, what_waits_for_one_that_is_away_wakes_another_at_once)
{
	static const weir_group_policy policies[] = { WEIR_GROUP_ROUND_ROBIN, WEIR_GROUP_WEIGHTED,
		WEIR_GROUP_LEAST_LOADED, WEIR_GROUP_SINGLE_ACTIVE };
	weir_subscription_options options = {
		.group = "g", .ack = WEIR_ACK_MANUAL, .ack_timeout = 4, .redelivery_delay = 10
	};
	weir_delivery lost;

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		bool is_single = policies[i] == WEIR_GROUP_SINGLE_ACTIVE;

		options.group_policy = policies[i];
		stage_open(&options);
		publish(1);
		CHECK_EQ(weir_receive(stage.waiters[0].subscription, &lost, 0), 0);
		waiter_start(1);
		waiter_start(2);
		publish(6);
		sim_bed_reach(&stage.bed, sim_bed_before(4));
		CHECK(stage.waiters[1].got + stage.waiters[2].got < 6);
		/* The late one itself comes at 14. */
		sim_bed_reach(&stage.bed, 4);
		CHECK_EQ(stage.waiters[1].got + stage.waiters[2].got, 6);
		CHECK_EQ(is_single ? stage.waiters[2].got : 0, 0);
		sim_bed_reach(&stage.bed, 14);
		CHECK_EQ(stage.waiters[1].got + stage.waiters[2].got, 7);
		stage_close();
	}
}

WEIR_TEST(group_wait, who_is_woken_in_vain_wakes_the_one_that_is_trusted_again)
{
	const weir_subscription_options options = { .group = "g",
		.group_policy = WEIR_GROUP_ROUND_ROBIN,
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = 4,
		.redelivery_delay = 5 };
	weir_delivery late[2];

	stage_open(&options);
	publish(2);
	CHECK_EQ(weir_receive(stage.waiters[0].subscription, &late[0], 0), 0);
	sim_bed_reach(&stage.bed, 3);
	CHECK_EQ(weir_receive(stage.waiters[1].subscription, &late[1], 0), 0);
	waiter_start(1);
	waiter_start(0);
	/* They time out at 4 and 7, inside a receive, and are suspected until 8 and 11.
	 * What the first one had comes at 9, when nobody has looked at that since. */
	sim_bed_reach(&stage.bed, 9);
	CHECK_EQ(stage.waiters[0].got, 1);
	CHECK_EQ(stage.waiters[1].got, 0);
	sim_bed_reach(&stage.bed, 12);
	CHECK_EQ(stage.waiters[0].got + stage.waiters[1].got, 2);
	stage_close();
}

WEIR_TEST(group_wait, one_that_is_trusted_again_at_that_instant_is_woken_before_the_first_in_line)
{
	const weir_subscription_options options = {
		.group = "g", .ack = WEIR_ACK_MANUAL, .ack_timeout = 4
	};
	weir_delivery late;

	stage_open(&options);
	publish(1);
	CHECK_EQ(weir_receive(stage.waiters[0].subscription, &late, 0), 0);
	sim_bed_reach(&stage.bed, 4);
	CHECK_EQ(weir_receive(stage.waiters[1].subscription, &late, 0), 0);
	waiter_start(1);
	waiter_start(0);
	/* The one is suspected until 8, when the other's time runs out. */
	sim_bed_reach(&stage.bed, 8);
	CHECK_EQ(stage.waiters[0].got, 1);
	CHECK_EQ(stage.waiters[1].got, 0);
	stage_close();
}

WEIR_TEST(group_wait, the_last_receive_of_one_that_is_stopped_lets_go_of_what_it_had)
{
	static const weir_group_policy policies[] = { WEIR_GROUP_KEY, WEIR_GROUP_SINGLE_ACTIVE };
	const weir_publish_options keyed = { .has_key = true, .key = 7 };
	weir_subscription_options options = { .group = "g" };
	weir_delivery delivery;

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		int holder = 0;

		options.group_policy = policies[i];
		stage_open(&options);
		(void)sim_bed_publish(stage.publisher, "1", &keyed);
		while (weir_receive(stage.waiters[holder].subscription, &delivery, 0) != 0)
			holder++;
		for (int other = 0; other < WAITERS; other++)
			if (other != holder)
				waiter_start(other);
		(void)sim_bed_publish(stage.publisher, "2", &keyed);
		CHECK_EQ(weir_subscription_stop(stage.waiters[holder].subscription), 0);
		sim_bed_reach(&stage.bed, 1);
		CHECK_EQ(stage.waiters[0].got + stage.waiters[1].got + stage.waiters[2].got, 0);
		CHECK_EQ(weir_receive(stage.waiters[holder].subscription, &delivery, 0),
			WEIR_ECLOSED);
		sim_bed_reach(&stage.bed, 2);
		CHECK_EQ(stage.waiters[0].got + stage.waiters[1].got + stage.waiters[2].got, 1);
		stage_close();
	}
}

WEIR_TEST(group_wait, one_that_is_stopped_has_let_go_by_a_select_that_took_elsewhere)
{
	const weir_subscription_options options = { .group = "g",
		.group_policy = WEIR_GROUP_SINGLE_ACTIVE };
	weir_subscription *set[2];
	weir_delivery delivery;
	size_t index;

	stage_open(&options);
	stage.waiters[0].plain = sim_bed_subscribe(&stage.bed, "b", NULL);
	set[0] = stage.waiters[0].plain;
	set[1] = stage.waiters[0].subscription;
	waiter_start(1);
	publish(2);
	CHECK_EQ(weir_receive(set[1], &delivery, 0), 0);
	(void)fixture_publish(stage.other, 0);
	CHECK_EQ(weir_select(set, 2, WEIR_SELECT_PRIORITY, 0, &delivery, &index), 0);
	CHECK_EQ(index, 0);
	CHECK_EQ(weir_subscription_stop(set[1]), 0);
	CHECK_EQ(weir_receive(set[1], &delivery, 0), WEIR_ECLOSED);
	sim_bed_reach(&stage.bed, 1);
	CHECK_EQ(stage.waiters[1].got, 1);
	stage_close();
}

WEIR_TEST(group_wait, the_last_receive_of_one_that_is_stopped_acknowledges_if_all_do)
{
	const weir_subscription_options options = { .group = "g", .ack = WEIR_ACK_AUTO };
	weir_delivery delivery;

	stage_open(&options);
	publish(1);
	CHECK_EQ(weir_receive(stage.waiters[0].subscription, &delivery, 0), 0);
	CHECK_EQ(weir_subscription_stop(stage.waiters[0].subscription), 0);
	CHECK_EQ(weir_receive(stage.waiters[0].subscription, &delivery, 0), WEIR_ECLOSED);
	CHECK_EQ(sim_bed_unsubscribe(stage.waiters[0].subscription).acknowledged, 1);
	stage.waiters[0].subscription = NULL;
	CHECK_EQ(weir_receive(stage.waiters[1].subscription, &delivery, 0), WEIR_EAGAIN);
	stage_close();
}

WEIR_TEST(group_wait, room_that_an_expired_message_leaves_is_told_to_others)
{
	const weir_subscription_options options = { .group = "g",
		.group_policy = WEIR_GROUP_ROUND_ROBIN,
		.ack = WEIR_ACK_MANUAL,
		.max_in_flight = 1 };
	const weir_publish_options brief = { .ttl = 2 };
	weir_delivery delivery;

	stage_open(&options);
	(void)sim_bed_publish(stage.publisher, "brief", &brief);
	publish(1);
	CHECK_EQ(weir_receive(stage.waiters[0].subscription, &delivery, 0), 0);
	CHECK_EQ(weir_release(&delivery, 5), 0);
	/* The first in line finds that it has expired; the other has a message. */
	waiter_start(2);
	waiter_start(1);
	sim_bed_reach(&stage.bed, sim_bed_before(5));
	CHECK_EQ(stage.waiters[1].got, 0);
	sim_bed_reach(&stage.bed, 5);
	CHECK_EQ(stage.waiters[1].got, 1);
	CHECK_EQ(stage.waiters[2].got, 0);
	stage_close();
}
