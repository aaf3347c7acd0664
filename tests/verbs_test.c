/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every verb of a receiver on a delivery in every state of its message, in virtual
 * time: what it returns, what becomes of the message, and the instant at which it
 * comes again: not at the double before it, and at it.
 */
#include <math.h>

#include "fixture.h"

#define NEVER WEIR_FOREVER

enum verb {
	ACK,
	ACK_BATCH,
	ACK_UP_TO,
	NACK,
	RELEASE,
	EXTEND,
	EXTEND_FOREVER,
	REJECT,
	VERBS,
};

enum state {
	IN_HAND,          /* since 0, until 5 */
	IN_HAND_EXTENDED, /* until 11 */
	TIMED_OUT,        /* at 5, waits until 7 */
	TIMED_OUT_READY,  /* since 7 */
	GIVEN_BACK,       /* at 0, waits until 12 */
	RELEASED,         /* ready since 0 */
	DELIVERED_AGAIN,  /* at 7, until 12 */
	ACKNOWLEDGED,
	REJECTED,
	PARKED,
	OUT_OF_ATTEMPTS, /* at 5 */
	CLOSED,
	BROKER_CLOSED,
	STATES,
};

/* What follows if nothing is changed by a verb: the next hand-over, none with NEVER. */
struct next {
	double time;
	uint32_t attempt;
};

static const struct {
	double now; /* when the verb is called */
	bool ack_wins;
	bool others_win;
	struct next next;
} states[STATES] = {
	[IN_HAND] = { 1, true, true, { 7, 2 } },
	[IN_HAND_EXTENDED] = { 1, true, true, { 13, 2 } },
	[TIMED_OUT] = { 6, true, false, { 7, 2 } },
	[TIMED_OUT_READY] = { 8, true, false, { 8, 2 } },
	[GIVEN_BACK] = { 1, false, false, { 12, 2 } },
	[RELEASED] = { 1, false, false, { 1, 1 } },
	[DELIVERED_AGAIN] = { 8, false, false, { 16, 3 } },
	[ACKNOWLEDGED] = { 1, false, false, { NEVER, 0 } },
	[REJECTED] = { 1, false, false, { NEVER, 0 } },
	[PARKED] = { 1, false, false, { NEVER, 0 } },
	[OUT_OF_ATTEMPTS] = { 6, false, false, { NEVER, 0 } },
	[CLOSED] = { 1, false, false, { NEVER, 0 } },
	[BROKER_CLOSED] = { 1, false, false, { NEVER, 0 } },
};

/* The next hand-over of a message in hand, after the verb at time 1. */
static const struct next after[VERBS] = {
	[ACK] = { NEVER, 0 },
	[ACK_BATCH] = { NEVER, 0 },
	[ACK_UP_TO] = { NEVER, 0 },
	[NACK] = { 1 + 0.5 + 2, 2 },
	[RELEASE] = { 1 + 0.5, 1 },
	[EXTEND] = { 1 + 0.25 + 2, 2 },
	[EXTEND_FOREVER] = { NEVER, 0 },
	[REJECT] = { NEVER, 0 },
};

struct bed {
	weir_sim *sim;
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscription;
	weir_delivery first;
};

static int verb_do(enum verb verb, const weir_delivery *delivery)
{
	switch (verb) {
	case ACK:
		return weir_ack(delivery);
	case ACK_BATCH:
		return weir_ack_batch(delivery, 1, NULL);
	case ACK_UP_TO:
		return weir_ack_up_to(delivery, NULL);
	case NACK:
		return weir_nack(delivery, 0.5, "nack");
	case RELEASE:
		return weir_release(delivery, 0.5);
	case EXTEND:
		return weir_extend(delivery, 0.25);
	case EXTEND_FOREVER:
		return weir_extend(delivery, WEIR_FOREVER);
	case REJECT:
		return weir_reject(delivery, "reject");
	case VERBS:
		break;
	}
	return 1;
}

static void reach(struct bed *bed, double time)
{
	const int result = weir_sim_run_until(bed->sim, time);

	CHECK(result == WEIR_SIM_DONE || result == WEIR_SIM_MORE);
}

static void bed_open(struct bed *bed, enum state state)
{
	const weir_subscription_options options = {
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = 5,
		.redelivery_delay = 2,
		.max_attempts = state == OUT_OF_ATTEMPTS ? 1 : 0,
		.park_max = state == PARKED ? 1 : 0,
	};

	CHECK_EQ(weir_sim_open(&bed->sim, NULL), 0);
	bed->broker = fixture_broker(&(weir_broker_options){ .clock = weir_sim_clock(bed->sim) });
	CHECK_EQ(weir_subscribe(&bed->subscription, bed->broker, "work", &options), 0);
	bed->publisher = fixture_publisher(bed->broker, "work");
	(void)fixture_publish(bed->publisher, 1);
	CHECK_EQ(weir_receive(bed->subscription, &bed->first, 0), 0);
	CHECK_NEAR(bed->first.deadline, 5, 0);
}

static void state_make(struct bed *bed, enum state state)
{
	weir_delivery again;

	switch (state) {
	case IN_HAND_EXTENDED:
		CHECK_EQ(weir_extend(&bed->first, 11), 0);
		break;
	case GIVEN_BACK:
		CHECK_EQ(weir_nack(&bed->first, 10, NULL), 0);
		break;
	case RELEASED:
		CHECK_EQ(weir_release(&bed->first, 0), 0);
		break;
	case DELIVERED_AGAIN:
		reach(bed, 7);
		CHECK_EQ(weir_receive(bed->subscription, &again, 0), 0);
		CHECK_NEAR(again.deadline, 12, 0);
		break;
	case ACKNOWLEDGED:
		CHECK_EQ(weir_ack(&bed->first), 0);
		break;
	case REJECTED:
	case PARKED:
		CHECK_EQ(weir_reject(&bed->first, NULL), 0);
		break;
	case CLOSED:
		CHECK_EQ(weir_unsubscribe(bed->subscription, NULL), 0);
		break;
	case BROKER_CLOSED:
		CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
		break;
	case IN_HAND:
	case TIMED_OUT:
	case TIMED_OUT_READY:
	case OUT_OF_ATTEMPTS:
	case STATES:
		break;
	}
	reach(bed, states[state].now);
}

/* The message comes at that instant, and not before. */
static void next_check(struct bed *bed, double now, const struct next *next)
{
	weir_delivery delivery;

	if (next->time > now) {
		reach(bed, next->time < NEVER ? nextafter(next->time, 0) : 1e9);
		fixture_check_empty(bed->subscription);
	}
	if (next->time == NEVER)
		return;
	reach(bed, next->time);
	CHECK_EQ(weir_receive(bed->subscription, &delivery, 0), 0);
	CHECK_EQ(delivery.attempt, next->attempt);
	CHECK_EQ(fixture_number(&delivery), 1);
	CHECK_EQ(weir_ack(&delivery), 0);
	CHECK_EQ(weir_ack(&bed->first), WEIR_ESTALE);
}

static void statistics_check(struct bed *bed, enum verb verb, enum state state, bool wins)
{
	weir_subscription_statistics now = fixture_statistics(bed->subscription);

	CHECK_EQ(now.matched, 1);
	CHECK_EQ(now.lateness_max, 0);
	CHECK_EQ(now.in_flight, wins && verb == EXTEND_FOREVER ? 1 : 0);
	CHECK_EQ(now.parked, state == PARKED ? 1 : 0);
	CHECK_EQ(now.dropped[WEIR_DROP_REJECTED],
		state == REJECTED || (wins && verb == REJECT) ? 1 : 0);
	CHECK_EQ(now.dropped[WEIR_DROP_ATTEMPTS], state == OUT_OF_ATTEMPTS ? 1 : 0);
}

static void bed_close(struct bed *bed, enum state state)
{
	if (state != CLOSED)
		CHECK_EQ(weir_unsubscribe(bed->subscription, NULL), 0);
	weir_publisher_close(bed->publisher);
	if (state != BROKER_CLOSED)
		CHECK_EQ(weir_broker_close(bed->broker, NULL), 0);
	CHECK_EQ(weir_sim_close(bed->sim), 0);
}

static void verb_in_state(enum verb verb, enum state state)
{
	const bool wins = verb <= ACK_UP_TO ? states[state].ack_wins : states[state].others_win;
	struct bed bed;

	bed_open(&bed, state);
	state_make(&bed, state);
	CHECK_EQ(verb_do(verb, &bed.first), wins ? 0 : WEIR_ESTALE);
	/* One that has settled it has no further say; one that extends has. */
	if (wins && verb != EXTEND && verb != EXTEND_FOREVER)
		for (int second = 0; second < VERBS; second++)
			CHECK_EQ(verb_do((enum verb)second, &bed.first), WEIR_ESTALE);
	if (state < CLOSED) {
		next_check(&bed, states[state].now, wins ? &after[verb] : &states[state].next);
		statistics_check(&bed, verb, state, wins);
	}
	bed_close(&bed, state);
}

WEIR_TEST(verbs, each_in_each_state_does_what_the_table_says_at_the_instant_that_it_says)
{
	for (int state = 0; state < STATES; state++)
		for (int verb = 0; verb < VERBS; verb++)
			verb_in_state((enum verb)verb, (enum state)state);
}

/* The table's own numbers: in hand, and nothing is done. */
WEIR_TEST(verbs, without_one_the_message_goes_its_way)
{
	for (int state = 0; state < CLOSED; state++) {
		struct bed bed;

		bed_open(&bed, (enum state)state);
		state_make(&bed, (enum state)state);
		next_check(&bed, states[state].now, &states[state].next);
		bed_close(&bed, (enum state)state);
	}
}

WEIR_TEST(verbs, a_token_is_good_for_its_own_subscription_only)
{
	for (int verb = 0; verb < VERBS; verb++) {
		weir_subscription *other;
		weir_delivery foreign, forged;
		struct bed bed;

		bed_open(&bed, IN_HAND);
		CHECK_EQ(weir_subscribe(&other, bed.broker, "work",
				 &(weir_subscription_options){ .ack = WEIR_ACK_MANUAL }),
			0);
		(void)fixture_publish(bed.publisher, 2);
		CHECK_EQ(weir_receive(other, &foreign, 0), 0);
		/* Both are the first of their ledgers. */
		CHECK_EQ(foreign.token_index, bed.first.token_index);
		CHECK_EQ(verb_do((enum verb)verb, &foreign), 0);
		CHECK_EQ(fixture_statistics(bed.subscription).in_flight, 1);

		for (int i = 0; i < 5; i++) {
			forged = bed.first;
			forged.token_ledger += i == 0 ? 2 : i == 1 ? UINT32_MAX / 2 : 0;
			forged.token_index += i == 2 ? 1 : i == 3 ? UINT32_MAX / 2 : 0;
			forged.token_generation += i == 4 ? 1 : 0;
			CHECK_EQ(verb_do((enum verb)verb, &forged), WEIR_ESTALE);
		}
		forged = bed.first;
		forged.token_ledger = 0;
		CHECK_EQ(verb_do((enum verb)verb, &forged), WEIR_EINVAL);
		forged = (weir_delivery){ 0 };
		CHECK_EQ(verb_do((enum verb)verb, &forged), WEIR_EINVAL);
		CHECK_EQ(verb_do((enum verb)verb, NULL), WEIR_EINVAL);
		CHECK_EQ(weir_ack(&bed.first), 0);
		CHECK_EQ(weir_unsubscribe(other, NULL), 0);
		bed_close(&bed, IN_HAND);
	}
}
