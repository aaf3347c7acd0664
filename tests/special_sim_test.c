/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * special_sim_test.c - random programs in virtual time whose messages expire, come
 * later, carry ids and are confirmed: to the instant, balanced to the message, and the
 * same run for the same seed.
 */
#include <stdlib.h>

#include "sim_bed.h"

#define PUBLISHES  60
#define PUBLISHERS 2
#define KINDS      6
#define TAGS       (PUBLISHES * PUBLISHERS)

struct program;

struct party {
	struct program *program;
	uint64_t state;
	const weir_subscription_options *options;
	weir_subscription *subscription;
	weir_publisher *publisher;
};

struct program {
	struct sim_bed bed;
	weir_confirm *confirm;
	struct party publishers[PUBLISHERS];
	struct party receivers[KINDS];
	unsigned char told[TAGS];
	uint64_t tags;
	uint64_t accepted; /* with a confirm */
	uint64_t told_count;
	uint64_t hash; /* of what was received, when */
};

/* What was seen over all programs. */
static struct {
	uint64_t expired;
	uint64_t delayed;
	uint64_t duplicates;
	uint64_t outcomes[3];
} seen;

static const weir_subscription_options kinds[KINDS] = {
	{ .capacity = 4, .overflow = WEIR_OVERFLOW_DROP_NEWEST },
	{ .capacity = 2 },
	{ .capacity = 4, .overflow = WEIR_OVERFLOW_DROP_OLDEST, .expire_at_once = true },
	{ .capacity = 8,
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = 0.3,
		.max_attempts = 3,
		.max_in_flight = 4,
		.dead_letter_topic = "dead",
		.dead_letter_expired = true,
		.expire_at_once = true,
		.order = WEIR_ORDER_PRIORITY },
	{ .capacity = 8, .ack = WEIR_ACK_AUTO, .group = "g" },
	{ .capacity = 8, .ack = WEIR_ACK_AUTO, .group = "g" },
};

static uint64_t below(struct party *party, uint64_t bound)
{
	return harness_random_below(&party->state, bound);
}

static double draw(struct party *party, double most)
{
	return most * (double)(1 + below(party, 1000)) / 1000;
}

/* ---- Publishing ---- */

static weir_publish_options options_draw(struct party *party)
{
	weir_publish_options options = { .timeout = 0.05, .priority = (int32_t)below(party, 4) };

	if (below(party, 2) == 0)
		options.ttl = draw(party, 0.5);
	if (below(party, 4) == 0)
		options.delay = draw(party, 0.5);
	options.has_id = below(party, 3) == 0;
	options.id = below(party, 40);
	if (below(party, 2) == 0) {
		options.confirm = party->program->confirm;
		options.confirm_tag = party->program->tags++;
	}
	return options;
}

static void publisher_run(void *argument)
{
	struct party *party = argument;
	struct program *program = party->program;

	for (int i = 0; i < PUBLISHES; i++) {
		weir_publish_options options = options_draw(party);
		weir_receipt receipt = { .published = 0 };
		double due = weir_now(program->bed.clock) + options.delay;
		int error = weir_publish(party->publisher, &due, sizeof(due), &options, &receipt);
		const uint64_t taken = receipt.published + receipt.delayed;

		CHECK(error == 0 || error == WEIR_ETIMEDOUT || error == WEIR_ESHUTDOWN ||
			(error == WEIR_EDUPLICATE && options.has_id));
		CHECK(taken == 1 || error == WEIR_EDUPLICATE);
		seen.delayed += receipt.delayed;
		seen.duplicates += error == WEIR_EDUPLICATE;
		program->accepted += taken == 1 && options.confirm != NULL;
		/* The simulation may be stopped. */
		if (weir_sleep(program->bed.clock, draw(party, 0.1)) != 0)
			return;
	}
}

static void tell(void *context, const weir_confirmation *confirmation)
{
	struct program *program = context;

	CHECK_EQ(program->told[confirmation->tag]++, 0);
	program->told_count++;
	seen.outcomes[confirmation->outcome]++;
}

/* ---- Receiving ---- */

static void delivery_check(struct party *party, const weir_delivery *delivery)
{
	struct program *program = party->program;
	double now = weir_now(program->bed.clock);
	double due;

	CHECK(weir_message_expires_at(delivery->message) > now);
	memcpy(&due, delivery->data, sizeof(due));
	/* Neither early nor late, but for the wait for room. */
	CHECK(weir_message_timestamp(delivery->message) == due);
	program->hash = program->hash * 31 + weir_message_sequence(delivery->message);
	program->hash = program->hash * 31 + (uint64_t)(now * 1e6);
}

static void receiver_run(void *argument)
{
	struct party *party = argument;
	weir_delivery delivery;

	while (weir_receive(party->subscription, &delivery, WEIR_FOREVER) == 0) {
		delivery_check(party, &delivery);
		if (weir_sleep(party->program->bed.clock, draw(party, 0.05)) != 0)
			return;
		if (party->options->ack != WEIR_ACK_MANUAL)
			continue;
		switch (below(party, 6)) {
		case 0:
			(void)weir_nack(&delivery, draw(party, 0.2), NULL);
			break;
		case 1:
			(void)weir_reject(&delivery, NULL);
			break;
		case 2:
			break;
		default:
			(void)weir_ack(&delivery);
			break;
		}
	}
}

/* ---- Programs ---- */

static void program_open(struct program *program, uint64_t seed)
{
	const weir_confirm_options options = {
		.timeout = 0.4, .on_outcome = tell, .context = program
	};

	*program = (struct program){ .hash = 17 };
	sim_bed_open(&program->bed, &(weir_broker_options){ .timestamps = true });
	CHECK_EQ(weir_confirm_open(&program->confirm, program->bed.broker, &options), 0);
	CHECK_EQ(weir_topic_dedupe(program->bed.broker, "t", 10, 0.7), 0);
	for (unsigned int i = 0; i < KINDS; i++) {
		program->receivers[i] = (struct party){
			.program = program, .state = seed * 100 + i, .options = &kinds[i]
		};
		program->receivers[i].subscription =
			sim_bed_subscribe(&program->bed, "t", &kinds[i]);
		CHECK_EQ(weir_sim_spawn(program->bed.sim, "receiver", receiver_run,
				 &program->receivers[i]),
			0);
	}
	for (unsigned int i = 0; i < PUBLISHERS; i++) {
		program->publishers[i] = (struct party){ .program = program,
			.state = seed * 100 + 50 + i,
			.publisher = fixture_publisher(program->bed.broker, "t") };
		CHECK_EQ(weir_sim_spawn(program->bed.sim, "publisher", publisher_run,
				 &program->publishers[i]),
			0);
	}
}

static void program_check(struct program *program)
{
	weir_confirm_counts counts;

	CHECK_EQ(weir_confirm_counts_get(program->confirm, &counts), 0);
	CHECK_EQ(counts.pending, 0);
	CHECK_EQ(counts.published, program->accepted);
	CHECK_EQ(program->told_count, program->accepted);
}

/* Runs one to its end, or closes its broker before that; gives what stands for it. */
static uint64_t program_run(uint64_t seed)
{
	static struct program program;
	weir_broker_statistics last;
	uint64_t hash;

	program_open(&program, seed);
	sim_bed_reach(&program.bed, seed % 3 == 0 ? 1.5 : 60.0);
	hash = program.hash ^ weir_sim_trace_hash(program.bed.sim);
	if (seed % 3 == 0)
		CHECK_EQ(weir_sim_stop(program.bed.sim), 0);
	else
		CHECK_EQ(fixture_broker_statistics(program.bed.broker).delayed, 0);
	for (int i = 0; i < PUBLISHERS; i++)
		weir_publisher_close(program.publishers[i].publisher);
	CHECK_EQ(weir_broker_close(program.bed.broker, &last), 0);
	fixture_check_broker_sums(&last);
	seen.expired += last.expired;
	(void)weir_sim_run(program.bed.sim);
	for (int i = 0; i < KINDS; i++)
		CHECK_EQ(weir_unsubscribe(program.receivers[i].subscription, NULL), 0);
	program_check(&program);
	weir_confirm_close(program.confirm);
	CHECK_EQ(weir_sim_close(program.bed.sim), 0);
	fail_allocator_check_empty(&program.bed.memory);
	return hash;
}

WEIR_TEST(special_sim, random_programs_are_exact_balanced_and_repeat_themselves)
{
	for (uint64_t i = 0; i < harness_scaled(300); i++) {
		const uint64_t seed = harness_seed() * 1000000 + i;
		const uint64_t hash = program_run(seed);

		if (i % 10 == 0)
			CHECK_EQ(program_run(seed), hash);
	}
	CHECK(seen.expired > 0 && seen.delayed > 0 && seen.duplicates > 0);
	for (int i = 0; i < 3; i++)
		CHECK(seen.outcomes[i] > 0);
}
