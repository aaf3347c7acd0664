/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * expiry_test.c - a message is handed out to nobody at its expiry or later, to the
 * very instant, whatever queue it is in and however often it was handed out before;
 * and it is counted, told, or becomes a dead letter.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/broker.h"
#include "sim_bed.h"

/* One of each kind of queue. */
static const weir_subscription_options kinds[] = {
	{ .capacity = 64 },
	{ .capacity = 64, .order = WEIR_ORDER_PRIORITY, .priority_classes = 4 },
	{ .capacity = 64, .order = WEIR_ORDER_PRIORITY },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const weir_publish_options two_seconds = { .ttl = 2.0 };

WEIR_TEST(expiry, the_last_instant_before_it_is_in_time_and_it_is_too_late_at_it)
{
	for (size_t i = 0; i < 2 * KINDS; i++) {
		weir_subscription_options options = kinds[i % KINDS];
		weir_subscription *early, *late;
		weir_subscription_statistics last;
		weir_publisher *publisher;
		struct sim_bed bed;

		if (i >= KINDS)
			options.ack = WEIR_ACK_MANUAL;
		sim_bed_open(&bed, NULL);
		early = sim_bed_subscribe(&bed, "t", &options);
		late = sim_bed_subscribe(&bed, "t", &options);
		publisher = fixture_publisher(bed.broker, "t");
		sim_bed_reach(&bed, 0.3);
		(void)sim_bed_publish(publisher, "m", &two_seconds);
		sim_bed_reach(&bed, sim_bed_before(0.3 + 2.0));
		fixture_receive_text(early, "m");
		sim_bed_reach(&bed, 0.3 + 2.0);
		fixture_check_empty(late);
		weir_publisher_close(publisher);
		CHECK_EQ(sim_bed_unsubscribe(early).expired, 0);
		last = sim_bed_unsubscribe(late);
		CHECK_EQ(last.expired, 1);
		CHECK_EQ(last.delivered, 0);
		sim_bed_close(&bed);
	}
}

WEIR_TEST(expiry, an_absolute_time_says_the_same)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery delivery;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	sim_bed_reach(&bed, 1.0);
	(void)sim_bed_publish(publisher, "a", &(weir_publish_options){ .expires_at = 3.5 });
	(void)sim_bed_publish(publisher, "b", &(weir_publish_options){ .expires_at = 3.5 });
	(void)sim_bed_publish(publisher, "c", &(weir_publish_options){ .ttl = WEIR_FOREVER });
	(void)sim_bed_publish(publisher, "past", &(weir_publish_options){ .expires_at = 0.5 });
	sim_bed_reach(&bed, sim_bed_before(3.5));
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK(weir_message_expires_at(delivery.message) == 3.5);
	sim_bed_reach(&bed, 3.5);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK(memcmp(delivery.data, "c", 1) == 0);
	CHECK(weir_message_expires_at(delivery.message) == WEIR_FOREVER);
	CHECK(weir_message_expires_at(NULL) == WEIR_FOREVER);
	CHECK_EQ(delivery.missed, 1);
	fixture_check_empty(subscription);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(subscription).expired, 2);
	sim_bed_close(&bed);
}

WEIR_TEST(expiry, the_receiver_is_told_what_it_missed_and_gets_what_is_behind)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery deliveries[8];
	size_t count;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	for (int i = 0; i < 5; i++) {
		(void)sim_bed_publish(publisher, "short", &two_seconds);
		(void)sim_bed_publish(publisher, "long",
			i % 2 == 0 ? NULL : &(weir_publish_options){ .ttl = 9.0 });
	}
	sim_bed_reach(&bed, 2.0);
	CHECK_EQ(weir_receive_batch(subscription, deliveries, 2, 0, &count), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(deliveries[0].missed, 1);
	CHECK_EQ(weir_receive_batch(subscription, deliveries, 8, 0, &count), 0);
	CHECK_EQ(count, 4);
	CHECK_EQ(deliveries[0].missed, 4);
	for (size_t i = 0; i < count; i++)
		CHECK_EQ(deliveries[i].size, 4);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(subscription).delivered, 5);
	sim_bed_close(&bed);
}

WEIR_TEST(expiry, what_timed_out_or_was_given_back_is_not_handed_out_again_too_late)
{
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL, .ack_timeout = 1.0, .max_in_flight = 2, .max_attempts = 100
	};
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery first, second, held;
	weir_subscription_statistics last;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", &options);
	publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(publisher, "a", &two_seconds);
	(void)sim_bed_publish(publisher, "b", &two_seconds);
	(void)sim_bed_publish(publisher, "c", NULL);
	CHECK_EQ(weir_receive(subscription, &first, 0), 0);
	CHECK_EQ(weir_receive(subscription, &second, 0), 0);
	sim_bed_reach(&bed, sim_bed_before(2.0));
	/* Both have timed out; in time, the first is handed out again. */
	CHECK_EQ(weir_receive(subscription, &held, 0), 0);
	CHECK_EQ(held.attempt, 2);
	sim_bed_reach(&bed, 2.0);
	/* The second is not any more, and makes room in the window. */
	CHECK_EQ(weir_receive(subscription, &first, 0), 0);
	CHECK(memcmp(first.data, "c", 1) == 0);
	/* The receiver knew it: it is no gap. */
	CHECK_EQ(first.missed, 0);
	CHECK_EQ(weir_ack(&second), WEIR_ESTALE);
	/* What is in hand may still be settled. */
	CHECK_EQ(weir_ack(&held), 0);
	CHECK_EQ(weir_ack(&first), 0);
	weir_publisher_close(publisher);
	last = sim_bed_unsubscribe(subscription);
	CHECK_EQ(last.expired, 1);
	CHECK_EQ(last.acknowledged, 2);
	CHECK_EQ(last.delivered, 3);
	sim_bed_close(&bed);
}

static weir_dead_letter letter_receive(weir_subscription *dead, const char *text)
{
	weir_delivery delivery;
	weir_dead_letter letter;

	CHECK_EQ(weir_receive(dead, &delivery, 0), 0);
	CHECK_EQ(delivery.size, strlen(text));
	CHECK(memcmp(delivery.data, text, delivery.size) == 0);
	CHECK_EQ(weir_message_dead_letter(delivery.message, &letter), 0);
	CHECK_EQ(letter.reason, WEIR_DEAD_EXPIRED);
	CHECK_STR_EQ(letter.topic, "t");
	CHECK(weir_message_expires_at(delivery.message) == WEIR_FOREVER);
	return letter;
}

WEIR_TEST(expiry, becomes_a_dead_letter_on_request_with_acknowledgements_or_without)
{
	for (int with_acks = 0; with_acks < 2; with_acks++) {
		const weir_subscription_options options = {
			.ack = with_acks ? WEIR_ACK_MANUAL : WEIR_ACK_NONE,
			.dead_letter_topic = "dead",
			.dead_letter_expired = true,
			.count_priorities = true,
		};
		struct sim_bed bed;
		weir_subscription *subscription, *dead;
		weir_subscription_statistics last;
		weir_priority_statistics levels;
		weir_publisher *publisher;
		weir_delivery delivery;

		sim_bed_open(&bed, NULL);
		dead = sim_bed_subscribe(&bed, "dead", NULL);
		subscription = sim_bed_subscribe(&bed, "t", &options);
		publisher = fixture_publisher(bed.broker, "t");
		(void)sim_bed_publish(publisher, "tried", &two_seconds);
		(void)sim_bed_publish(publisher, "unseen", &two_seconds);
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		sim_bed_reach(&bed, 2.0);
		if (with_acks)
			CHECK_EQ(weir_nack(&delivery, 0, NULL), 0);
		fixture_check_empty(subscription);
		if (with_acks)
			CHECK_EQ(letter_receive(dead, "tried").attempts, 1);
		CHECK_EQ(letter_receive(dead, "unseen").attempts, 0);
		fixture_check_empty(dead);
		CHECK_EQ(weir_subscription_priorities_get(subscription, &levels), 0);
		CHECK_EQ(levels.dropped[0], 1);
		weir_publisher_close(publisher);
		last = sim_bed_unsubscribe(subscription);
		CHECK_EQ(last.expired, 0);
		CHECK_EQ(last.dead_lettered, with_acks ? 2 : 1);
		(void)sim_bed_unsubscribe(dead);
		sim_bed_close(&bed);
	}
}

WEIR_TEST(expiry, counts_by_its_priority)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_priority_statistics levels;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(
		&bed, "t", &(weir_subscription_options){ .count_priorities = true });
	publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(publisher, "m", &(weir_publish_options){ .ttl = 1, .priority = 7 });
	sim_bed_reach(&bed, 1.0);
	fixture_check_empty(subscription);
	CHECK_EQ(weir_subscription_priorities_get(subscription, &levels), 0);
	CHECK_EQ(levels.matched[7], 1);
	CHECK_EQ(levels.dropped[7], 1);
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

/* ---- Waiting ---- */

struct waiting {
	struct sim_bed *bed;
	weir_publisher *publisher;
	weir_subscription *subscription;
	double ended;
	int error;
};

static void publish_and_wait(void *argument)
{
	struct waiting *waiting = argument;

	waiting->error = weir_publish(waiting->publisher, "w", 1, &two_seconds, NULL);
	waiting->ended = weir_now(waiting->bed->clock);
}

WEIR_TEST(expiry, ends_the_wait_of_its_own_publisher_for_room)
{
	struct sim_bed bed;
	struct waiting waiting = { .bed = &bed };
	weir_subscription_statistics last;

	sim_bed_open(&bed, NULL);
	waiting.subscription = fixture_subscribe(bed.broker, "t", 1);
	waiting.publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(waiting.publisher, "full", NULL);
	CHECK_EQ(weir_sim_spawn(bed.sim, "publisher", publish_and_wait, &waiting), 0);
	sim_bed_reach(&bed, 9.0);
	CHECK_EQ(waiting.error, WEIR_ETIMEDOUT);
	CHECK(waiting.ended == 2.0);
	weir_publisher_close(waiting.publisher);
	last = sim_bed_unsubscribe(waiting.subscription);
	CHECK_EQ(last.dropped[WEIR_DROP_TIMEOUT], 1);
	CHECK_EQ(last.expired, 0);
	sim_bed_close(&bed);
}

static void receive_and_wait(void *argument)
{
	struct waiting *waiting = argument;
	weir_delivery delivery;

	waiting->error = weir_receive(waiting->subscription, &delivery, 5.0);
	waiting->ended = weir_now(waiting->bed->clock);
}

WEIR_TEST(expiry, a_receive_that_finds_only_expired_ones_waits_on)
{
	for (int with_acks = 0; with_acks < 2; with_acks++) {
		const weir_subscription_options options = {
			.capacity = 40,
			.ack = with_acks ? WEIR_ACK_MANUAL : WEIR_ACK_NONE,
		};
		struct sim_bed bed;
		struct waiting waiting = { .bed = &bed };

		sim_bed_open(&bed, NULL);
		waiting.subscription = sim_bed_subscribe(&bed, "t", &options);
		waiting.publisher = fixture_publisher(bed.broker, "t");
		for (int i = 0; i < 40; i++)
			(void)sim_bed_publish(waiting.publisher, "old", &two_seconds);
		sim_bed_reach(&bed, 3.0);
		CHECK_EQ(weir_sim_spawn(bed.sim, "receiver", receive_and_wait, &waiting), 0);
		sim_bed_reach(&bed, 4.0);
		(void)sim_bed_publish(
			waiting.publisher, "past", &(weir_publish_options){ .expires_at = 4.0 });
		sim_bed_reach(&bed, 20.0);
		CHECK_EQ(waiting.error, WEIR_ETIMEDOUT);
		CHECK(waiting.ended == 8.0);
		weir_publisher_close(waiting.publisher);
		CHECK_EQ(sim_bed_unsubscribe(waiting.subscription).expired, 41);
		sim_bed_close(&bed);
	}
}

WEIR_TEST(expiry, lets_publishers_and_a_drain_go_on_when_it_is_noticed)
{
	struct sim_bed bed;
	struct waiting waiting = { .bed = &bed };
	weir_delivery delivery;

	sim_bed_open(&bed, NULL);
	waiting.subscription = fixture_subscribe(bed.broker, "t", 1);
	waiting.publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(waiting.publisher, "old", &(weir_publish_options){ .ttl = 1.0 });
	CHECK_EQ(weir_sim_spawn(bed.sim, "publisher", publish_and_wait, &waiting), 0);
	sim_bed_reach(&bed, 1.5);
	fixture_check_empty(waiting.subscription);
	sim_bed_reach(&bed, 1.75);
	CHECK_EQ(waiting.error, 0);
	CHECK(waiting.ended == 1.5);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), WEIR_ETIMEDOUT);
	sim_bed_reach(&bed, 2.0);
	CHECK_EQ(weir_receive(waiting.subscription, &delivery, 0), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), 0);
	weir_publisher_close(waiting.publisher);
	CHECK_EQ(sim_bed_unsubscribe(waiting.subscription).expired, 2);
	sim_bed_close(&bed);
}

/* ---- At once ---- */

/* What came out at which instant, and in which order. */
static void log_letters(struct sim_bed *bed, weir_subscription *dead, char *log, size_t size)
{
	weir_delivery delivery;

	while (weir_receive(dead, &delivery, 0) == 0) {
		size_t length = strlen(log);

		(void)snprintf(log + length, size - length, " %g:%.*s", weir_now(bed->clock),
			(int)delivery.size, (const char *)delivery.data);
	}
}

WEIR_TEST(expiry, at_once_a_message_leaves_at_its_instant_at_any_depth)
{
	static const struct {
		const char *text;
		double ttl;
	} messages[] = { { "a", 0 }, { "b", 5 }, { "c", 3 }, { "d", 0.1 }, { "e", 3 }, { "f", 7 } };
	const weir_subscription_options options = {
		.expire_at_once = true, .dead_letter_topic = "dead", .dead_letter_expired = true
	};
	struct sim_bed bed;
	weir_subscription *subscription, *dead;
	weir_publisher *publisher;
	char log[256] = "";

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", &options);
	dead = sim_bed_subscribe(&bed, "dead", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		(void)sim_bed_publish(publisher, messages[i].text,
			&(weir_publish_options){ .ttl = messages[i].ttl });
	for (double time = 0; time < 6; time += 1) {
		sim_bed_reach(&bed, sim_bed_before(time + 1));
		log_letters(&bed, dead, log, sizeof(log));
		if (time + 1 == 3)
			CHECK_EQ(fixture_statistics(subscription).queued, 5);
		sim_bed_reach(&bed, time + 1);
		log_letters(&bed, dead, log, sizeof(log));
	}
	CHECK_STR_EQ(log, " 1:d 3:c 3:e 5:b");
	fixture_receive_text(subscription, "a");
	sim_bed_reach(&bed, 6.5);
	fixture_receive_text(subscription, "f");
	fixture_check_empty(subscription);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(subscription).dead_lettered, 4);
	(void)sim_bed_unsubscribe(dead);
	sim_bed_close(&bed);
}

WEIR_TEST(expiry, at_once_gives_room_back_to_those_who_wait_for_it)
{
	const weir_subscription_options options = { .capacity = 2, .expire_at_once = true };
	struct sim_bed bed;
	struct waiting waiting = { .bed = &bed };
	weir_subscription_statistics last;

	sim_bed_open(&bed, NULL);
	waiting.subscription = sim_bed_subscribe(&bed, "t", &options);
	waiting.publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(waiting.publisher, "stays", NULL);
	(void)sim_bed_publish(waiting.publisher, "goes", &(weir_publish_options){ .ttl = 1.25 });
	CHECK_EQ(weir_sim_spawn(bed.sim, "publisher", publish_and_wait, &waiting), 0);
	sim_bed_reach(&bed, 1.5);
	CHECK_EQ(waiting.error, 0);
	CHECK(waiting.ended == 1.25);
	CHECK_EQ(fixture_statistics(waiting.subscription).queued, 2);
	sim_bed_reach(&bed, 2.0);
	CHECK_EQ(fixture_statistics(waiting.subscription).expired, 2);
	fixture_receive_text(waiting.subscription, "stays");
	weir_publisher_close(waiting.publisher);
	last = sim_bed_unsubscribe(waiting.subscription);
	CHECK_EQ(last.expired, 2);
	CHECK_EQ(last.delivered, 1);
	sim_bed_close(&bed);
}

struct drain {
	struct sim_bed *bed;
	weir_subscription *subscription;
	double ended;
	double receive_ended;
	int error;
	int receive_error;
};

static void drain_and_wait(void *argument)
{
	struct drain *drain = argument;

	drain->error = weir_broker_drain(drain->bed->broker, WEIR_FOREVER);
	drain->ended = weir_now(drain->bed->clock);
}

static void receive_full_window(void *argument)
{
	struct drain *drain = argument;
	weir_delivery delivery, next;

	CHECK_EQ(weir_receive(drain->subscription, &delivery, 0), 0);
	drain->receive_error = weir_receive(drain->subscription, &next, WEIR_FOREVER);
	drain->receive_ended = weir_now(drain->bed->clock);
	if (drain->receive_error == WEIR_EINTR)
		CHECK_EQ(weir_ack(&delivery), 0);
}

WEIR_TEST(expiry, at_once_ends_a_drain)
{
	const weir_subscription_options options = { .expire_at_once = true };
	struct sim_bed bed;
	struct drain drain = { .bed = &bed };
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	drain.subscription = sim_bed_subscribe(&bed, "t", &options);
	publisher = fixture_publisher(bed.broker, "t");
	for (int i = 0; i < 100; i++)
		(void)sim_bed_publish(publisher, "m", &two_seconds);
	CHECK_EQ(weir_sim_spawn(bed.sim, "drain", drain_and_wait, &drain), 0);
	sim_bed_reach(&bed, 3.0);
	CHECK_EQ(drain.error, 0);
	CHECK(drain.ended == 2.0);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(drain.subscription).expired, 100);
	sim_bed_close(&bed);
}

WEIR_TEST(expiry, at_once_ends_a_drain_behind_a_full_window)
{
	const weir_subscription_options options = { .expire_at_once = true,
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = WEIR_FOREVER,
		.max_in_flight = 1 };
	struct sim_bed bed;
	struct drain drain = { .bed = &bed };
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	drain.subscription = sim_bed_subscribe(&bed, "t", &options);
	publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(publisher, "in hand", NULL);
	(void)sim_bed_publish(publisher, "behind", &two_seconds);
	CHECK_EQ(weir_sim_spawn(bed.sim, "receiver", receive_full_window, &drain), 0);
	sim_bed_reach(&bed, 1.0);
	CHECK_EQ(weir_sim_spawn(bed.sim, "drain", drain_and_wait, &drain), 0);
	sim_bed_reach(&bed, 2.0);
	CHECK_EQ(fixture_statistics(drain.subscription).expired, 1);
	CHECK(drain.ended == 0);
	sim_bed_reach(&bed, 3.0);
	CHECK_EQ(weir_wake(drain.subscription), 0);
	sim_bed_reach(&bed, 4.0);
	CHECK_EQ(drain.receive_error, WEIR_EINTR);
	CHECK_EQ(drain.error, 0);
	CHECK(drain.ended == 3.0);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(drain.subscription).acknowledged, 1);
	sim_bed_close(&bed);
}

struct recovery {
	unsigned int slow;
	unsigned int recovered;
	weir_subscription *ended; /* by the hook */
};

static void slow_note(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct recovery *recovery = context;

	(void)subscription;
	CHECK_EQ(queued, 3);
	recovery->slow++;
}

static void recovered_end(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct recovery *recovery = context;
	weir_subscription_statistics last;

	CHECK_EQ(queued, 1);
	recovery->recovered++;
	CHECK_EQ(weir_unsubscribe(subscription, &last), 0);
	fixture_check_sums(&last);
	CHECK_EQ(last.expired, 2);
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], 1);
}

WEIR_TEST(expiry, at_once_brings_a_queue_to_its_low_watermark_where_the_hook_may_end_it)
{
	struct recovery recovery = { 0 };
	const weir_subscription_options options = { .expire_at_once = true,
		.high_watermark = 3,
		.low_watermark = 1,
		.on_slow = slow_note,
		.on_recovered = recovered_end,
		.hook_context = &recovery };
	struct sim_bed bed;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	(void)sim_bed_subscribe(&bed, "t", &options);
	publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(publisher, "m", NULL);
	(void)sim_bed_publish(publisher, "m", &two_seconds);
	(void)sim_bed_publish(publisher, "m", &two_seconds);
	CHECK_EQ(recovery.slow, 1);
	sim_bed_reach(&bed, sim_bed_before(2.0));
	CHECK_EQ(recovery.recovered, 0);
	sim_bed_reach(&bed, 2.0);
	CHECK_EQ(recovery.recovered, 1);
	weir_publisher_close(publisher);
	sim_bed_close(&bed);
}

static void select_and_wait(void *argument)
{
	weir_subscription **set = argument;
	weir_delivery delivery;
	size_t index;

	CHECK_EQ(weir_select(set, 2, WEIR_SELECT_PRIORITY, WEIR_FOREVER, &delivery, &index), 0);
	CHECK_EQ(index, 1);
}

WEIR_TEST(expiry, at_once_empties_also_the_hand_of_a_receiver)
{
	const weir_subscription_options options = { .expire_at_once = true };
	struct sim_bed bed;
	weir_subscription *set[2];
	weir_publisher *publisher;
	weir_subscription_statistics last;

	/* A select at two, one publish to both: it takes from one, and the other
	 * keeps the message in its hand. */
	for (int i = 0; i < 2; i++) {
		sim_bed_open(&bed, NULL);
		set[0] = sim_bed_subscribe(&bed, "a", &options);
		set[1] = sim_bed_subscribe(&bed, "*", &options);
		publisher = fixture_publisher(bed.broker, "a");
		CHECK_EQ(weir_sim_spawn(bed.sim, "receiver", select_and_wait, set), 0);
		sim_bed_reach(&bed, 1.0);
		CHECK_EQ(weir_publish(publisher, "m", 1,
				 &(weir_publish_options){ .ttl = 2.0, .all_or_nothing = true },
				 NULL),
			0);
		sim_bed_reach(&bed, i == 0 ? 2.0 : 3.0);
		CHECK_EQ(weir_subscription_statistics_get(set[0], &last), 0);
		CHECK_EQ(last.queued, i == 0);
		CHECK_EQ(last.expired, i);
		weir_publisher_close(publisher);
		last = sim_bed_unsubscribe(set[0]);
		CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], i == 0);
		CHECK_EQ(last.delivered, 0);
		CHECK_EQ(sim_bed_unsubscribe(set[1]).delivered, 1);
		sim_bed_close(&bed);
	}
}

WEIR_TEST(expiry, at_once_holds_under_every_policy)
{
	static const weir_overflow policies[] = { WEIR_OVERFLOW_BLOCK, WEIR_OVERFLOW_DROP_NEWEST,
		WEIR_OVERFLOW_DROP_OLDEST, WEIR_OVERFLOW_DROP_LOWEST, WEIR_OVERFLOW_CONFLATE,
		WEIR_OVERFLOW_UNBOUNDED };

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		const weir_subscription_options options = { .expire_at_once = true,
			.overflow = policies[i],
			.capacity = policies[i] == WEIR_OVERFLOW_UNBOUNDED ? 0 : 2,
			.order = i % 2 == 0 ? WEIR_ORDER_ARRIVAL : WEIR_ORDER_PRIORITY };
		struct sim_bed bed;
		weir_subscription *subscription;
		weir_subscription_statistics last;
		weir_publisher *publisher;

		sim_bed_open(&bed, &(weir_broker_options){ .capacity_bytes = 1000 });
		subscription = sim_bed_subscribe(&bed, "t", &options);
		publisher = fixture_publisher(bed.broker, "t");
		for (int k = 0; k < 5; k++)
			(void)weir_publish(publisher, "m", 1,
				&(weir_publish_options){ .ttl = 1.0 + k,
					.no_wait = true,
					.priority = -k,
					.has_key = true,
					.key = (uint64_t)k % 3 },
				NULL);
		for (int k = 0; k < 5; k++) {
			sim_bed_reach(&bed, 1.0 + k);
			(void)fixture_statistics(subscription);
		}
		last = fixture_statistics(subscription);
		CHECK_EQ(last.queued, 0);
		CHECK_EQ(last.expired, policies[i] == WEIR_OVERFLOW_UNBOUNDED ? 5 : 2);
		CHECK_EQ(bed.broker->queued_bytes, 0);
		weir_publisher_close(publisher);
		(void)sim_bed_unsubscribe(subscription);
		sim_bed_close(&bed);
	}
}

WEIR_TEST(expiry, at_once_holds_in_groups_of_every_policy)
{
	static const weir_group_policy policies[] = { WEIR_GROUP_SHARED, WEIR_GROUP_ROUND_ROBIN,
		WEIR_GROUP_WEIGHTED, WEIR_GROUP_LEAST_LOADED, WEIR_GROUP_KEY,
		WEIR_GROUP_SINGLE_ACTIVE };

	for (size_t i = 0; i < 2 * sizeof(policies) / sizeof(policies[0]); i++) {
		const weir_subscription_options options = { .group = "g",
			.group_policy = policies[i / 2],
			.ack = i % 2 == 0 ? WEIR_ACK_NONE : WEIR_ACK_MANUAL,
			.expire_at_once = true,
			.capacity = 6 };
		struct sim_bed bed;
		weir_subscription *members[2];
		weir_subscription_statistics last;
		weir_publisher *publisher;
		weir_delivery delivery;
		uint64_t received = 0;

		sim_bed_open(&bed, NULL);
		members[0] = sim_bed_subscribe(&bed, "t", &options);
		members[1] = sim_bed_subscribe(&bed, "t", &options);
		publisher = fixture_publisher(bed.broker, "t");
		for (uint64_t k = 0; k < 6; k++)
			(void)sim_bed_publish(publisher, "m",
				&(weir_publish_options){
					.ttl = k % 3 == 0 ? 1.0 : 3.0, .has_key = true, .key = k });
		sim_bed_reach(&bed, 1.0);
		CHECK_EQ(fixture_broker_statistics(bed.broker).expired, 2);
		CHECK_EQ(fixture_broker_statistics(bed.broker).queued, 4);
		for (int k = 0; k < 2; k++)
			while (weir_receive(members[k], &delivery, 0) == 0) {
				received++;
				if (i % 2 == 1)
					CHECK_EQ(weir_ack(&delivery), 0);
			}
		CHECK_EQ(received, 4);
		/* There is room for as many again. */
		for (uint64_t k = 0; k < 6; k++)
			(void)sim_bed_publish(publisher, "m",
				&(weir_publish_options){
					.ttl = 1.0, .no_wait = true, .has_key = true, .key = k });
		sim_bed_reach(&bed, 2.0);
		CHECK_EQ(fixture_broker_statistics(bed.broker).expired, 8);
		CHECK_EQ(fixture_broker_statistics(bed.broker).queued, 0);
		weir_publisher_close(publisher);
		CHECK_EQ(weir_unsubscribe(members[0], NULL), 0);
		CHECK_EQ(weir_unsubscribe(members[1], &last), 0);
		sim_bed_close(&bed);
	}
}

WEIR_TEST(expiry, a_broker_may_close_before_or_after_the_time_has_come)
{
	for (int i = 0; i < 3; i++) {
		const weir_subscription_options options = { .expire_at_once = true };
		struct sim_bed bed;
		weir_broker_statistics last;
		weir_subscription *subscription;
		weir_publisher *publisher;

		sim_bed_open(&bed, NULL);
		subscription = sim_bed_subscribe(&bed, "t", &options);
		publisher = fixture_publisher(bed.broker, "t");
		(void)sim_bed_publish(publisher, "m", &two_seconds);
		if (i == 2)
			sim_bed_reach(&bed, 2.0);
		weir_publisher_close(publisher);
		if (i == 1)
			CHECK_EQ(sim_bed_unsubscribe(subscription).dropped[WEIR_DROP_CLOSED], 1);
		CHECK_EQ(weir_broker_close(bed.broker, &last), 0);
		fixture_check_broker_sums(&last);
		CHECK_EQ(last.expired, i == 2);
		/* The event of a shell finds nothing. */
		(void)weir_sim_run_until(bed.sim, 5.0);
		if (i != 1)
			(void)sim_bed_unsubscribe(subscription);
		CHECK_EQ(weir_sim_close(bed.sim), 0);
		fail_allocator_check_empty(&bed.memory);
	}
}

/* ---- Real time ---- */

WEIR_TEST(expiry, the_timer_thread_takes_what_has_expired_and_wakes_the_publisher)
{
	const weir_subscription_options options = { .capacity = 1,
		.expire_at_once = true,
		.dead_letter_topic = "dead",
		.dead_letter_expired = true };
	weir_broker *broker = fixture_broker(NULL);
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription, *dead = fixture_subscribe(broker, "dead", 0);
	const double begin = weir_now(weir_clock_real());
	weir_delivery delivery;

	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
	CHECK_EQ(weir_publish(publisher, "m", 1, &(weir_publish_options){ .ttl = 0.01 }, NULL), 0);
	/* There is room only when the first one has gone. */
	CHECK_EQ(weir_publish(publisher, "n", 1, NULL, NULL), 0);
	CHECK(weir_now(weir_clock_real()) >= begin + 0.01);
	CHECK_EQ(weir_receive(dead, &delivery, WEIR_FOREVER), 0);
	fixture_receive_text(subscription, "n");
	CHECK_EQ(fixture_statistics(subscription).dead_lettered, 1);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_unsubscribe(dead, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- All forms of a publish ---- */

static void count_free(void *context, void *data)
{
	++*(int *)context;
	free(data);
}

static void loan_publish(weir_publisher *publisher, size_t size, bool keep)
{
	weir_message *loan;
	weir_receipt receipt = { .published = 0 };

	CHECK_EQ(weir_loan(publisher, size, &loan), 0);
	memset(weir_message_buffer(loan), 'l', size);
	if (keep)
		CHECK_EQ(weir_message_keep(loan), 0);
	CHECK_EQ(weir_publish_message(publisher, loan, &two_seconds, &receipt), 0);
	CHECK_EQ(receipt.published, 1);
	if (keep) {
		CHECK(weir_message_buffer(loan) == NULL);
		CHECK_EQ(((const char *)weir_message_data(loan))[size - 1], 'l');
		weir_message_release(loan);
	}
}

static void wrap_publish(weir_publisher *publisher, size_t size, int *freed)
{
	char *data = malloc(size);
	weir_message *message;

	CHECK(data != NULL);
	memset(data, 'w', size);
	CHECK_EQ(weir_message_wrap(publisher, data, size, count_free, freed, &message), 0);
	CHECK_EQ(weir_publish_message(publisher, message, &two_seconds, NULL), 0);
}

WEIR_TEST(expiry, holds_for_every_form_of_a_publish_and_every_size)
{
	/* Around the sizes of blocks, and apart from them. */
	static const size_t sizes[] = { 1, 47, 48, 49, 55, 56, 57, 63, 64, 65, 120, 128, 1000, 4088,
		4096, 131056, 131065, 131072, 131073, 300000 };
	const size_t count = sizeof(sizes) / sizeof(sizes[0]);
	static char data[300000];
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery delivery;
	int freed = 0;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	for (size_t i = 0; i < count; i++) {
		const weir_payload payloads[] = { { data, sizes[i] }, { data, 5 } };

		(void)weir_publish(publisher, data, sizes[i], &two_seconds, NULL);
		CHECK_EQ(weir_publish_batch(publisher, payloads, 2, &two_seconds, NULL), 0);
		CHECK_EQ(weir_publish_to(bed.broker, "t", data, sizes[i], &two_seconds, NULL), 0);
		loan_publish(publisher, sizes[i], i % 2 == 0);
		wrap_publish(publisher, sizes[i], &freed);
	}
	for (size_t i = 0; i < count; i++) {
		static const int expected[] = { 0, 0, 0, 0, 'l', 'w' };

		for (size_t k = 0; k < 6; k++) {
			CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
			CHECK_EQ(delivery.size, k == 2 ? 5 : sizes[i]);
			CHECK_EQ(((const char *)delivery.data)[delivery.size - 1], expected[k]);
			CHECK(weir_message_expires_at(delivery.message) == 2.0);
		}
	}
	fixture_check_empty(subscription);
	CHECK_EQ(freed, count);
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

WEIR_TEST(expiry, a_loan_that_was_refused_is_its_owners_again_as_it_was)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	subscription = fixture_subscribe_dropping(bed.broker, "t", 1);
	publisher = fixture_publisher(bed.broker, "t");
	(void)sim_bed_publish(publisher, "full", NULL);
	/* One with room for what it needs, and one without. */
	for (size_t size = 10; size <= 64; size += 54) {
		const weir_publish_options all = { .ttl = 1.0, .all_or_nothing = true };
		weir_message *loan;
		weir_delivery delivery;
		void *buffer;

		CHECK_EQ(weir_loan(publisher, size, &loan), 0);
		buffer = weir_message_buffer(loan);
		memset(buffer, 'x', size);
		CHECK_EQ(weir_publish_message(publisher, loan, &all, NULL), WEIR_EFULL);
		CHECK(weir_message_buffer(loan) == buffer);
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(weir_publish_message(publisher, loan, NULL, NULL), 0);
		sim_bed_reach(&bed, weir_now(bed.clock) + 5.0);
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK(weir_message_expires_at(delivery.message) == WEIR_FOREVER);
		CHECK_EQ(delivery.size, size);
		(void)sim_bed_publish(publisher, "full", NULL);
	}
	weir_publisher_close(publisher);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

WEIR_TEST(expiry, refuses_times_that_are_none_and_options_that_contradict_each_other)
{
	const weir_publish_options bad[] = {
		{ .ttl = -1 },
		{ .ttl = (double)NAN },
		{ .expires_at = (double)NAN },
		{ .ttl = 1, .expires_at = 1 },
	};
	const weir_subscription_options bad_subscriptions[] = {
		{ .dead_letter_expired = true },
		{ .dead_letter_expired = true, .dead_letter_topic = "a..b" },
		{ .dead_letter_topic = "dead" },
		{ .dead_letter_expired = true, .ack = WEIR_ACK_MANUAL },
	};
	struct sim_bed bed;
	weir_publisher *publisher;
	weir_subscription *subscription;

	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "t");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(weir_publish(publisher, "m", 1, &bad[i], NULL), WEIR_EINVAL);
		CHECK_EQ(weir_publish_to(bed.broker, "t", "m", 1, &bad[i], NULL), WEIR_EINVAL);
	}
	for (size_t i = 0; i < sizeof(bad_subscriptions) / sizeof(bad_subscriptions[0]); i++)
		CHECK_EQ(weir_subscribe(&subscription, bed.broker, "t", &bad_subscriptions[i]),
			WEIR_EINVAL);
	weir_publisher_close(publisher);
	sim_bed_close(&bed);
}
