/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * confirm_test.c - every message that is published with a confirm has one outcome: it
 * is done when all that it matched have settled it well, and failed as soon as one has
 * not, whatever way it went.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "sim_bed.h"

static weir_confirm *confirm_open(weir_broker *broker, const weir_confirm_options *options)
{
	weir_confirm *confirm;

	CHECK_EQ(weir_confirm_open(&confirm, broker, options), 0);
	return confirm;
}

static weir_confirm_counts counts_of(weir_confirm *confirm)
{
	weir_confirm_counts counts;

	CHECK_EQ(weir_confirm_counts_get(confirm, &counts), 0);
	CHECK_EQ(counts.published,
		counts.pending + counts.confirmed + counts.failed + counts.timed_out);
	return counts;
}

static void publish_with(weir_publisher *publisher, weir_confirm *confirm, uint64_t tag)
{
	(void)sim_bed_publish(
		publisher, "m", &(weir_publish_options){ .confirm = confirm, .confirm_tag = tag });
}

/* ---- What confirms ---- */

struct waiting {
	struct sim_bed *bed;
	weir_confirm *confirm;
	double timeout;
	double ended;
	weir_confirm_counts counts;
	int error;
};

static void wait_run(void *argument)
{
	struct waiting *waiting = argument;

	waiting->error = weir_confirm_wait(waiting->confirm, waiting->timeout, &waiting->counts);
	waiting->ended = weir_now(waiting->bed->clock);
}

WEIR_TEST(confirm, is_done_when_all_that_matched_have_settled_it_at_that_instant)
{
	const weir_subscription_options manual = { .ack = WEIR_ACK_MANUAL };
	struct sim_bed bed;
	struct waiting waiting = { .bed = &bed, .timeout = WEIR_FOREVER, .error = 1 };
	weir_subscription *plain, *acked, *wild;
	weir_publisher *publisher;
	weir_delivery one, two;

	sim_bed_open(&bed, NULL);
	plain = sim_bed_subscribe(&bed, "t", NULL);
	acked = sim_bed_subscribe(&bed, "t", &manual);
	wild = sim_bed_subscribe(&bed, "*", &(weir_subscription_options){ .ack = WEIR_ACK_AUTO });
	publisher = fixture_publisher(bed.broker, "t");
	waiting.confirm = confirm_open(bed.broker, NULL);
	publish_with(publisher, waiting.confirm, 0);
	CHECK_EQ(weir_sim_spawn(bed.sim, "waiter", wait_run, &waiting), 0);
	sim_bed_reach(&bed, 1.0);
	fixture_receive_text(plain, "m");
	CHECK_EQ(weir_receive(acked, &one, 0), 0);
	CHECK_EQ(weir_receive(wild, &two, 0), 0);
	sim_bed_reach(&bed, 2.0);
	/* The next receive acknowledges. */
	fixture_check_empty(wild);
	sim_bed_reach(&bed, 3.0);
	CHECK_EQ(waiting.error, 1);
	CHECK_EQ(counts_of(waiting.confirm).pending, 1);
	/* Given back is not settled. */
	CHECK_EQ(weir_nack(&one, 0, NULL), 0);
	CHECK_EQ(weir_receive(acked, &one, 0), 0);
	CHECK_EQ(weir_ack(&one), 0);
	sim_bed_reach(&bed, 4.0);
	CHECK_EQ(waiting.error, 0);
	CHECK(waiting.ended == 3.0);
	CHECK_EQ(waiting.counts.confirmed, 1);
	CHECK_EQ(waiting.counts.pending, 0);
	weir_confirm_close(waiting.confirm);
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(plain);
	(void)sim_bed_unsubscribe(acked);
	(void)sim_bed_unsubscribe(wild);
	sim_bed_close(&bed);
}

WEIR_TEST(confirm, what_matched_nobody_is_done_at_once)
{
	struct sim_bed bed;
	weir_publisher *publisher;
	weir_confirm *confirm;

	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "t");
	confirm = confirm_open(bed.broker, NULL);
	CHECK_EQ(weir_confirm_wait(confirm, 0, NULL), 0);
	publish_with(publisher, confirm, 0);
	(void)sim_bed_publish(publisher, "m",
		&(weir_publish_options){ .confirm = confirm, .all_or_nothing = true });
	CHECK_EQ(weir_publish_to(bed.broker, "u", "m", 1,
			 &(weir_publish_options){ .confirm = confirm }, NULL),
		0);
	CHECK_EQ(weir_confirm_wait(confirm, WEIR_FOREVER, NULL), 0);
	CHECK_EQ(counts_of(confirm).confirmed, 3);
	weir_confirm_close(confirm);
	weir_confirm_close(NULL);
	weir_publisher_close(publisher);
	sim_bed_close(&bed);
}

WEIR_TEST(confirm, a_group_counts_once)
{
	static const weir_group_policy policies[] = { WEIR_GROUP_SHARED, WEIR_GROUP_ROUND_ROBIN };

	for (size_t i = 0; i < 4; i++) {
		const weir_subscription_options options = {
			.group = "g",
			.group_policy = policies[i / 2],
			.ack = i % 2 == 0 ? WEIR_ACK_NONE : WEIR_ACK_MANUAL,
		};
		struct sim_bed bed;
		weir_subscription *members[2], *other;
		weir_publisher *publisher;
		weir_confirm *confirm;
		weir_delivery delivery;
		int taken = 0;

		sim_bed_open(&bed, NULL);
		members[0] = sim_bed_subscribe(&bed, "t", &options);
		members[1] = sim_bed_subscribe(&bed, "t", &options);
		other = sim_bed_subscribe(&bed, "t", NULL);
		publisher = fixture_publisher(bed.broker, "t");
		confirm = confirm_open(bed.broker, NULL);
		publish_with(publisher, confirm, 0);
		fixture_receive_text(other, "m");
		CHECK_EQ(counts_of(confirm).pending, 1);
		for (int k = 0; k < 2; k++)
			if (weir_receive(members[k], &delivery, 0) == 0) {
				taken++;
				if (i % 2 == 1)
					CHECK_EQ(weir_ack(&delivery), 0);
			}
		CHECK_EQ(taken, 1);
		CHECK_EQ(weir_confirm_wait(confirm, 0, NULL), 0);
		CHECK_EQ(counts_of(confirm).confirmed, 1);
		weir_confirm_close(confirm);
		weir_publisher_close(publisher);
		for (int k = 0; k < 2; k++)
			CHECK_EQ(weir_unsubscribe(members[k], NULL), 0);
		(void)sim_bed_unsubscribe(other);
		sim_bed_close(&bed);
	}
}

/* ---- What makes it fail ---- */

struct failure {
	const char *name;
	weir_subscription_options options;
	weir_publish_options publish; /* of the one with the confirm */
	/* After one plain message, and the one with the confirm. */
	void (*act)(
		struct sim_bed *bed, weir_subscription **subscription, weir_publisher *publisher);
	bool comes_first; /* the one with the confirm is published before the plain one */
};

static void nothing_do(
	struct sim_bed *bed, weir_subscription **subscription, weir_publisher *publisher)
{
	(void)bed;
	(void)subscription;
	(void)publisher;
}

static void first_reject(
	struct sim_bed *bed, weir_subscription **subscription, weir_publisher *publisher)
{
	weir_delivery delivery;

	(void)bed;
	(void)publisher;
	CHECK_EQ(weir_receive(*subscription, &delivery, 0), 0);
	CHECK_EQ(weir_reject(&delivery, "no"), 0);
}

static void first_fail(
	struct sim_bed *bed, weir_subscription **subscription, weir_publisher *publisher)
{
	weir_delivery delivery;

	(void)bed;
	(void)publisher;
	CHECK_EQ(weir_receive(*subscription, &delivery, 0), 0);
	CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
}

static void first_time_out(
	struct sim_bed *bed, weir_subscription **subscription, weir_publisher *publisher)
{
	weir_delivery delivery;

	(void)publisher;
	CHECK_EQ(weir_receive(*subscription, &delivery, 0), 0);
	sim_bed_reach(bed, 100.0);
}

static void time_pass(
	struct sim_bed *bed, weir_subscription **subscription, weir_publisher *publisher)
{
	weir_delivery delivery;

	(void)publisher;
	sim_bed_reach(bed, 100.0);
	(void)weir_receive(*subscription, &delivery, 0);
	(void)weir_receive(*subscription, &delivery, 0);
}

static void leave(struct sim_bed *bed, weir_subscription **subscription, weir_publisher *publisher)
{
	(void)bed;
	(void)publisher;
	CHECK_EQ(weir_unsubscribe(*subscription, NULL), 0);
	*subscription = NULL;
}

static void take_and_leave(
	struct sim_bed *bed, weir_subscription **subscription, weir_publisher *publisher)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(*subscription, &delivery, 0), 0);
	leave(bed, subscription, publisher);
}

static const struct failure failures[] = {
	{ .name = "refused",
		.options = { .overflow = WEIR_OVERFLOW_DROP_NEWEST, .capacity = 1 },
		.act = nothing_do },
	{ .name = "waited in vain",
		.options = { .capacity = 1 },
		.publish = { .no_wait = true },
		.act = nothing_do },
	{ .name = "the oldest",
		.options = { .overflow = WEIR_OVERFLOW_DROP_OLDEST, .capacity = 1 },
		.act = nothing_do,
		.comes_first = true },
	{ .name = "the lowest",
		.options = { .overflow = WEIR_OVERFLOW_DROP_LOWEST, .capacity = 1 },
		.publish = { .priority = 5 },
		.act = nothing_do,
		.comes_first = true },
	{ .name = "the lowest refused",
		.options = { .overflow = WEIR_OVERFLOW_DROP_LOWEST, .capacity = 1 },
		.publish = { .priority = 5 },
		.act = nothing_do },
	{ .name = "conflated",
		.options = { .overflow = WEIR_OVERFLOW_CONFLATE },
		.act = nothing_do,
		.comes_first = true },
	{ .name = "no memory",
		.options = { .overflow = WEIR_OVERFLOW_UNBOUNDED, .capacity_bytes = 65 },
		.act = nothing_do },
	{ .name = "rejected",
		.options = { .ack = WEIR_ACK_MANUAL },
		.act = first_reject,
		.comes_first = true },
	{ .name = "a dead letter",
		.options = { .ack = WEIR_ACK_MANUAL, .dead_letter_topic = "dead" },
		.act = first_reject,
		.comes_first = true },
	{ .name = "parked",
		.options = { .ack = WEIR_ACK_MANUAL, .park_max = 5 },
		.act = first_reject,
		.comes_first = true },
	{ .name = "out of attempts",
		.options = { .ack = WEIR_ACK_MANUAL, .max_attempts = 1 },
		.act = first_fail,
		.comes_first = true },
	{ .name = "out of time",
		.options = { .ack = WEIR_ACK_MANUAL, .max_attempts = 1, .ack_timeout = 1.0 },
		.act = first_time_out,
		.comes_first = true },
	{ .name = "expired", .publish = { .ttl = 1.0 }, .act = time_pass, .comes_first = true },
	{ .name = "expired in a ledger",
		.options = { .ack = WEIR_ACK_MANUAL },
		.publish = { .ttl = 1.0 },
		.act = time_pass,
		.comes_first = true },
	{ .name = "expired to the dead",
		.options = { .dead_letter_topic = "dead", .dead_letter_expired = true },
		.publish = { .ttl = 1.0 },
		.act = time_pass,
		.comes_first = true },
	{ .name = "expired at once",
		.options = { .expire_at_once = true },
		.publish = { .ttl = 1.0 },
		.act = time_pass,
		.comes_first = true },
	{ .name = "left behind", .act = leave, .comes_first = true },
	{ .name = "left in hand",
		.options = { .ack = WEIR_ACK_MANUAL },
		.act = take_and_leave,
		.comes_first = true },
	{ .name = "left by a group",
		.options = { .group = "g" },
		.act = leave,
		.comes_first = true },
	{ .name = "left assigned",
		.options = { .group = "g", .group_policy = WEIR_GROUP_ROUND_ROBIN },
		.act = leave,
		.comes_first = true },
};

static void failure_check(const struct failure *failure)
{
	weir_publish_options options = failure->publish;
	struct sim_bed bed;
	weir_subscription *good, *bad;
	weir_publisher *publisher;
	weir_confirm *confirm;

	sim_bed_open(&bed, NULL);
	good = sim_bed_subscribe(&bed, "t", NULL);
	bad = sim_bed_subscribe(&bed, "t", &failure->options);
	publisher = fixture_publisher(bed.broker, "t");
	confirm = confirm_open(bed.broker, NULL);
	options.confirm = confirm;
	if (!failure->comes_first)
		(void)weir_publish(publisher, "x", 1, NULL, NULL);
	(void)weir_publish(publisher, "m", 1, &options, NULL);
	if (failure->comes_first)
		(void)weir_publish(publisher, "x", 1, NULL, NULL);
	failure->act(&bed, &bad, publisher);
	/* The good one has not taken it yet. */
	if (counts_of(confirm).failed != 1)
		harness_fail(__FILE__, __LINE__, "%s has not failed", failure->name);
	CHECK_EQ(weir_confirm_wait(confirm, 0, NULL), WEIR_ELOST);
	CHECK_EQ(weir_confirm_wait(confirm, 0, NULL), 0);
	CHECK_EQ(weir_unsubscribe(good, NULL), 0);
	CHECK_EQ(counts_of(confirm).failed, 1);
	weir_confirm_close(confirm);
	weir_publisher_close(publisher);
	if (bad != NULL)
		CHECK_EQ(weir_unsubscribe(bad, NULL), 0);
	sim_bed_close(&bed);
}

WEIR_TEST(confirm, fails_as_soon_as_one_subscription_loses_it_whatever_way)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		failure_check(&failures[i]);
}

WEIR_TEST(confirm, what_is_sent_back_after_its_failure_changes_nothing)
{
	const weir_subscription_options options = { .ack = WEIR_ACK_MANUAL,
		.dead_letter_topic = "dead" };
	struct sim_bed bed;
	weir_subscription *subscription, *other, *dead;
	weir_publisher *publisher;
	weir_confirm *confirm;
	weir_delivery delivery;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", &options);
	other = sim_bed_subscribe(&bed, "t", &options);
	dead = sim_bed_subscribe(&bed, "dead", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	confirm = confirm_open(bed.broker, NULL);
	publish_with(publisher, confirm, 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(weir_reject(&delivery, "no"), 0);
		CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
		CHECK_EQ(weir_redrive(&delivery), 0);
	}
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_ack(&delivery), 0);
	CHECK_EQ(weir_receive(other, &delivery, 0), 0);
	CHECK_EQ(weir_ack(&delivery), 0);
	CHECK_EQ(counts_of(confirm).failed, 1);
	CHECK_EQ(counts_of(confirm).published, 1);
	weir_confirm_close(confirm);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_unsubscribe(other, NULL), 0);
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	sim_bed_close(&bed);
}

/* ---- Who is told ---- */

struct told {
	struct sim_bed *bed;
	weir_confirm **closes; /* at the first call */
	weir_publisher *publishes;
	char log[512];
};

static void tell(void *context, const weir_confirmation *confirmation)
{
	static const char letters[] = "dft";
	struct told *told = context;
	size_t length = strlen(told->log);

	(void)snprintf(told->log + length, sizeof(told->log) - length, " %g:%llu%c%llu",
		weir_now(told->bed->clock), (unsigned long long)confirmation->tag,
		letters[confirmation->outcome], (unsigned long long)confirmation->sequence);
	if (told->closes != NULL)
		weir_confirm_close(*told->closes);
	if (told->publishes != NULL)
		(void)sim_bed_publish(told->publishes, "told", NULL);
}

WEIR_TEST(confirm, tells_each_outcome_once_at_its_instant)
{
	const weir_subscription_options manual = { .ack = WEIR_ACK_MANUAL, .ack_timeout = 99 };
	struct sim_bed bed;
	struct told told = { .bed = &bed };
	const weir_confirm_options options = {
		.timeout = 2.5, .on_outcome = tell, .context = &told
	};
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_confirm *confirm;
	weir_delivery deliveries[5];
	size_t count;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", &manual);
	publisher = fixture_publisher(bed.broker, "t");
	confirm = confirm_open(bed.broker, &options);
	sim_bed_reach(&bed, 0.5);
	for (uint64_t tag = 11; tag <= 14; tag++)
		publish_with(publisher, confirm, tag);
	sim_bed_reach(&bed, 1.0);
	publish_with(publisher, confirm, 15);
	CHECK_EQ(weir_receive_batch(subscription, deliveries, 5, 0, &count), 0);
	CHECK_EQ(count, 5);
	CHECK_EQ(weir_ack(&deliveries[2]), 0);
	/* Not by the one who settles it. */
	CHECK_STR_EQ(told.log, "");
	sim_bed_reach(&bed, 2.0);
	CHECK_EQ(weir_reject(&deliveries[0], "no"), 0);
	sim_bed_reach(&bed, sim_bed_before(3.0));
	CHECK_EQ(counts_of(confirm).timed_out, 0);
	sim_bed_reach(&bed, 3.0);
	CHECK_EQ(counts_of(confirm).timed_out, 2);
	/* Too late for that, and for the others. */
	CHECK_EQ(weir_ack(&deliveries[1]), 0);
	CHECK_EQ(weir_reject(&deliveries[3], "no"), 0);
	sim_bed_reach(&bed, 3.25);
	CHECK_EQ(weir_ack(&deliveries[4]), 0);
	sim_bed_reach(&bed, 9.0);
	CHECK_STR_EQ(told.log, " 1:13d3 2:11f1 3:12t2 3:14t4 3.25:15d5");
	CHECK_EQ(counts_of(confirm).pending, 0);
	weir_confirm_close(confirm);
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

WEIR_TEST(confirm, who_is_told_may_publish_or_close_the_confirm)
{
	for (int closes = 0; closes < 2; closes++) {
		struct sim_bed bed;
		struct told told = { .bed = &bed };
		const weir_confirm_options options = { .on_outcome = tell, .context = &told };
		weir_subscription *subscription;
		weir_publisher *publisher;
		weir_confirm *confirm;

		sim_bed_open(&bed, NULL);
		publisher = fixture_publisher(bed.broker, "t");
		confirm = confirm_open(bed.broker, &options);
		for (uint64_t tag = 1; tag <= 3; tag++)
			publish_with(publisher, confirm, tag);
		subscription = sim_bed_subscribe(&bed, "t", NULL);
		publish_with(publisher, confirm, 4);
		if (closes)
			told.closes = &confirm;
		else
			told.publishes = publisher;
		sim_bed_reach(&bed, 1.0);
		CHECK_STR_EQ(told.log, closes ? " 0:1d1" : " 0:1d1 0:2d2 0:3d3");
		fixture_receive_text(subscription, "m");
		if (!closes) {
			sim_bed_reach(&bed, 2.0);
			CHECK_STR_EQ(told.log, " 0:1d1 0:2d2 0:3d3 1:4d4");
			weir_confirm_close(confirm);
		}
		weir_publisher_close(publisher);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		sim_bed_close(&bed);
	}
}

WEIR_TEST(confirm, after_its_close_messages_go_their_way_and_nobody_is_told)
{
	struct sim_bed bed;
	struct told told = { .bed = &bed };
	const weir_confirm_options options = {
		.timeout = 1.0, .on_outcome = tell, .context = &told
	};
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_confirm *confirm;

	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "t");
	confirm = confirm_open(bed.broker, &options);
	/* Decided, and still to be told. */
	publish_with(publisher, confirm, 1);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publish_with(publisher, confirm, 2);
	publish_with(publisher, confirm, 3);
	weir_confirm_close(confirm);
	sim_bed_reach(&bed, 2.0);
	fixture_receive_text(subscription, "m");
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	CHECK_STR_EQ(told.log, "");
	sim_bed_close(&bed);
}

WEIR_TEST(confirm, the_close_of_the_broker_decides_and_tells_what_is_left)
{
	const weir_subscription_options manual = { .ack = WEIR_ACK_MANUAL };
	struct sim_bed bed;
	struct told told = { .bed = &bed };
	const weir_confirm_options options = { .on_outcome = tell, .context = &told };
	weir_subscription *subscription, *stopped;
	weir_publisher *publisher;
	weir_confirm *confirm;
	weir_delivery delivery;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", &manual);
	stopped = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	confirm = confirm_open(bed.broker, &options);
	publish_with(publisher, confirm, 1);
	publish_with(publisher, confirm, 2);
	(void)sim_bed_publish(publisher, "m",
		&(weir_publish_options){ .delay = 9.0, .confirm = confirm, .confirm_tag = 3 });
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(weir_ack(&delivery), 0);
	/* Only its owner ends what is queued in it, after the close. */
	CHECK_EQ(weir_subscription_stop(stopped), 0);
	CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
	CHECK_STR_EQ(told.log, " 0:3f0 0:2f2 0:1f1");
	CHECK_EQ(weir_confirm_wait(confirm, WEIR_FOREVER, NULL), WEIR_ELOST);
	CHECK_EQ(weir_publish(
			 publisher, "m", 1, &(weir_publish_options){ .confirm = confirm }, NULL),
		WEIR_ESHUTDOWN);
	CHECK_EQ(counts_of(confirm).published, 3);
	CHECK_EQ(weir_unsubscribe(stopped, NULL), 0);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	weir_publisher_close(publisher);
	(void)weir_sim_run_until(bed.sim, 9.0);
	weir_confirm_close(confirm);
	CHECK_EQ(weir_sim_close(bed.sim), 0);
	fail_allocator_check_empty(&bed.memory);
}

/* ---- Waiting ---- */

WEIR_TEST(confirm, a_wait_is_for_what_was_published_before_it)
{
	struct sim_bed bed;
	struct waiting waiting = { .bed = &bed, .timeout = 50.0, .error = 1 };
	weir_subscription *subscription;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	waiting.confirm = confirm_open(bed.broker, NULL);
	publish_with(publisher, waiting.confirm, 0);
	publish_with(publisher, waiting.confirm, 0);
	CHECK_EQ(weir_confirm_wait(waiting.confirm, 0, NULL), WEIR_ETIMEDOUT);
	CHECK_EQ(weir_confirm_wait(waiting.confirm, 1.0, NULL), WEIR_EDEADLK);
	CHECK_EQ(weir_sim_spawn(bed.sim, "waiter", wait_run, &waiting), 0);
	sim_bed_reach(&bed, 1.0);
	CHECK_EQ(weir_confirm_wait(waiting.confirm, 0, NULL), WEIR_EBUSY);
	publish_with(publisher, waiting.confirm, 0);
	fixture_receive_text(subscription, "m");
	sim_bed_reach(&bed, 2.0);
	CHECK_EQ(waiting.error, 1);
	fixture_receive_text(subscription, "m");
	sim_bed_reach(&bed, 3.0);
	CHECK_EQ(waiting.error, 0);
	CHECK(waiting.ended == 2.0);
	CHECK_EQ(waiting.counts.pending, 1);
	waiting.timeout = 1.5;
	CHECK_EQ(weir_sim_spawn(bed.sim, "waiter", wait_run, &waiting), 0);
	sim_bed_reach(&bed, 9.0);
	CHECK_EQ(waiting.error, WEIR_ETIMEDOUT);
	CHECK(waiting.ended == 4.5);
	weir_confirm_close(waiting.confirm);
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

WEIR_TEST(confirm, a_wait_ends_with_the_broker)
{
	struct sim_bed bed;
	struct waiting waiting = { .bed = &bed, .timeout = WEIR_FOREVER, .error = 1 };
	weir_subscription *subscription;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	waiting.confirm = confirm_open(bed.broker, NULL);
	publish_with(publisher, waiting.confirm, 0);
	CHECK_EQ(weir_sim_spawn(bed.sim, "waiter", wait_run, &waiting), 0);
	sim_bed_reach(&bed, 1.0);
	CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
	CHECK(weir_sim_run_until(bed.sim, 2.0) >= 0);
	/* The close has discarded it meanwhile. */
	CHECK_EQ(waiting.error, WEIR_ELOST);
	CHECK(waiting.ended == 1.0);
	weir_confirm_close(waiting.confirm);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_sim_close(bed.sim), 0);
	fail_allocator_check_empty(&bed.memory);
}

/* ---- Publishes that fail, or come later ---- */

WEIR_TEST(confirm, knows_nothing_of_publishes_that_failed)
{
	struct sim_bed bed;
	struct told told = { .bed = &bed };
	const weir_confirm_options options = {
		.on_outcome = tell, .context = &told, .pending_max = 2
	};
	weir_broker *other_broker;
	weir_subscription *subscription;
	weir_publisher *publisher, *stranger;
	weir_confirm *confirm;
	weir_publish_options all, twice, now;
	const weir_payload batch[] = { { "a", 1 }, { "b", 1 }, { "c", 1 } };
	weir_receipt receipt = { .published = 77 };
	weir_message *loan;

	sim_bed_open(&bed, NULL);
	other_broker = fixture_broker(NULL);
	stranger = fixture_publisher(other_broker, "t");
	subscription = fixture_subscribe_dropping(bed.broker, "t", 2);
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 9, 0), 0);
	confirm = confirm_open(bed.broker, &options);
	all = (weir_publish_options){ .confirm = confirm, .all_or_nothing = true };
	twice = (weir_publish_options){ .confirm = confirm, .has_id = true, .id = 1 };
	now = (weir_publish_options){ .confirm = confirm, .confirm_tag = 9 };
	CHECK_EQ(weir_publish(stranger, "m", 1, &now, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_publish(publisher, "m", 1, &twice, NULL), 0);
	CHECK_EQ(weir_publish(publisher, "m", 1, &twice, NULL), WEIR_EDUPLICATE);
	(void)sim_bed_publish(publisher, "full", NULL);
	CHECK_EQ(weir_publish(publisher, "m", 1, &all, NULL), WEIR_EFULL);
	CHECK_EQ(weir_loan(publisher, 64, &loan), 0);
	CHECK_EQ(weir_publish_message(publisher, loan, &all, NULL), WEIR_EFULL);
	CHECK_EQ(counts_of(confirm).published, 1);
	fixture_receive_text(subscription, "m");
	fixture_receive_text(subscription, "full");
	CHECK_EQ(weir_publish_batch(publisher, batch, 3, &now, &receipt), WEIR_ELIMIT);
	CHECK_EQ(receipt.published, 77);
	CHECK_EQ(weir_publish_batch(publisher, batch, 2, &now, &receipt), 0);
	CHECK_EQ(weir_publish_message(publisher, loan, &now, NULL), WEIR_ELIMIT);
	fixture_receive_text(subscription, "a");
	CHECK_EQ(weir_publish_message(publisher, loan, &now, NULL), 0);
	CHECK_EQ(counts_of(confirm).pending, 2);
	sim_bed_reach(&bed, 1.0);
	CHECK_STR_EQ(told.log, " 0:0d1 0:9d3");
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	sim_bed_reach(&bed, 2.0);
	CHECK_STR_EQ(told.log, " 0:0d1 0:9d3 1:9f4 1:9f5");
	weir_confirm_close(confirm);
	weir_publisher_close(stranger);
	CHECK_EQ(weir_broker_close(other_broker, NULL), 0);
	sim_bed_close(&bed);
}

WEIR_TEST(confirm, a_delayed_message_is_pending_from_the_call)
{
	struct sim_bed bed;
	struct told told = { .bed = &bed };
	const weir_confirm_options options = {
		.timeout = 3.0, .on_outcome = tell, .context = &told
	};
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_confirm *confirm;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	confirm = confirm_open(bed.broker, &options);
	for (uint64_t i = 1; i <= 3; i++)
		(void)sim_bed_publish(publisher, "m",
			&(weir_publish_options){ .delay = 2.0 * (double)i,
				.ttl = 5.0,
				.confirm = confirm,
				.confirm_tag = i });
	CHECK_EQ(counts_of(confirm).pending, 3);
	sim_bed_reach(&bed, 2.0);
	fixture_receive_text(subscription, "m");
	sim_bed_reach(&bed, 6.0);
	fixture_receive_text(subscription, "m");
	fixture_receive_text(subscription, "m");
	sim_bed_reach(&bed, 7.0);
	CHECK_STR_EQ(told.log, " 2:1d1 3:2t0 3:3t0");
	(void)sim_bed_publish(publisher, "m",
		&(weir_publish_options){ .delay = 2.0, .confirm = confirm, .confirm_tag = 4 });
	CHECK_EQ(weir_broker_drain(bed.broker, 0), 0);
	sim_bed_reach(&bed, 9.0);
	CHECK_STR_EQ(told.log, " 2:1d1 3:2t0 3:3t0 9:4f0");
	weir_confirm_close(confirm);
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

WEIR_TEST(confirm, refuses_bad_options_and_survives_want_of_memory)
{
	const weir_confirm_options bad[] = {
		{ .timeout = -1.0 },
		{ .timeout = (double)NAN },
		{ .reserved = { 1 } },
	};
	const weir_confirm_options timed = { .timeout = 1.0 };
	struct sim_bed bed;
	weir_publisher *publisher;
	weir_confirm *confirm;
	weir_publish_options with;
	uint64_t failures_seen = 0;
	int error;

	sim_bed_open(&bed, NULL);
	CHECK_EQ(weir_confirm_open(NULL, bed.broker, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_confirm_open(&confirm, NULL, NULL), WEIR_EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(weir_confirm_open(&confirm, bed.broker, &bad[i]), WEIR_EINVAL);
	CHECK_EQ(weir_confirm_wait(NULL, 0, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_confirm_counts_get(NULL, NULL), WEIR_EINVAL);
	publisher = fixture_publisher(bed.broker, "t");
	for (uint64_t fail_at = 1;; fail_at++) {
		fail_allocator_arm(&bed.memory, fail_at, false);
		error = weir_confirm_open(&confirm, bed.broker, &timed);
		if (error == 0)
			break;
		CHECK_EQ(error, WEIR_ENOMEM);
	}
	CHECK_EQ(weir_confirm_wait(confirm, -1.0, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_confirm_counts_get(confirm, NULL), WEIR_EINVAL);
	with = (weir_publish_options){ .confirm = confirm };
	for (uint64_t fail_at = 1;; fail_at++) {
		fail_allocator_arm(&bed.memory, fail_at, false);
		error = weir_publish(publisher, "m", 1, &with, NULL);
		if (error == 0)
			break;
		CHECK_EQ(error, WEIR_ENOMEM);
		CHECK_EQ(counts_of(confirm).published, 0);
		failures_seen++;
	}
	fail_allocator_arm(&bed.memory, 0, false);
	CHECK(failures_seen >= 2);
	CHECK_EQ(counts_of(confirm).confirmed, 1);
	weir_confirm_close(confirm);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), 0);
	CHECK_EQ(weir_confirm_open(&confirm, bed.broker, &timed), WEIR_ESHUTDOWN);
	sim_bed_close(&bed);
}
