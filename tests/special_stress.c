/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * special_stress.c - messages that expire, come later, carry ids and are waited for,
 * all at once, by threads, through queues of every kind with subscriptions that come
 * and go: none is handed out too late, each id is published once, each outcome is told
 * once, and the sums agree to the message (promises P3, P5).
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fail_allocator.h"
#include "fixture.h"

#define PUBLISHERS 3
#define RECEIVERS  6
#define TOPICS     2

static const char *const topics[TOPICS] = { "s.a", "s.b" };

struct stage {
	struct fail_allocator memory;
	weir_broker *broker;
	weir_confirm *confirm;
	uint64_t rounds; /* of each publisher; its ids are those of the others, too */
	_Atomic uint64_t tags;
	_Atomic unsigned char *told; /* by tag */
	_Atomic uint64_t told_count;
	_Atomic uint64_t confirmed;
	_Atomic uint64_t ids_published[TOPICS];
	_Atomic uint64_t ids_refused;
	_Atomic uint64_t delayed;
	_Atomic bool is_over;
	bool is_closed_early; /* so nobody may call the broker itself */
};

struct publishing {
	struct stage *stage;
	uint64_t state;
	weir_publisher *publishers[TOPICS];
};

struct receiving {
	struct stage *stage;
	weir_subscription *subscription;
	bool is_manual;
	uint64_t state;
	uint64_t received;
};

static bool chance(uint64_t *state, uint64_t of)
{
	return harness_random_below(state, of) == 0;
}

/* ---- Publishing ---- */

static weir_publish_options options_draw(struct publishing *publishing)
{
	uint64_t *state = &publishing->state;
	weir_publish_options options = { .timeout = 1e-4 };

	if (chance(state, 2))
		options.ttl = 1e-6 * (double)(1 + harness_random_below(state, 3000));
	if (chance(state, 6))
		options.delay = 1e-6 * (double)(1 + harness_random_below(state, 2000));
	options.priority = (int32_t)harness_random_below(state, 5);
	options.has_key = chance(state, 2);
	options.key = options.has_key ? harness_random_below(state, 8) : 0;
	if (chance(state, 2)) {
		options.confirm = publishing->stage->confirm;
		options.confirm_tag = atomic_fetch_add(&publishing->stage->tags, 1);
	}
	return options;
}

static int publish_draw(struct publishing *publishing, size_t topic,
	const weir_publish_options *options, weir_receipt *receipt)
{
	weir_publisher *publisher = publishing->publishers[topic];
	static const char bytes[200] = "bytes";
	size_t size = 1 + (size_t)harness_random_below(&publishing->state, sizeof(bytes));
	weir_message *loan;
	int error;

	switch (harness_random_below(
		&publishing->state, publishing->stage->is_closed_early ? 2 : 3)) {
	case 0:
		error = weir_loan(publisher, size, &loan);
		if (error != 0)
			return error;
		memcpy(weir_message_buffer(loan), bytes, size);
		error = weir_publish_message(publisher, loan, options, receipt);
		if (receipt->published + receipt->delayed == 0)
			weir_message_release(loan);
		return error;
	case 1:
		return weir_publish(publisher, bytes, size, options, receipt);
	default:
		return weir_publish_to(
			publishing->stage->broker, topics[topic], bytes, size, options, receipt);
	}
}

static void *publishing_run(void *argument)
{
	struct publishing *publishing = argument;
	struct stage *stage = publishing->stage;

	for (uint64_t round = 0; round < stage->rounds; round++) {
		size_t topic = (size_t)harness_random_below(&publishing->state, TOPICS);
		weir_publish_options options = options_draw(publishing);
		weir_receipt receipt = { .published = 0 };
		int error;

		/* One round in four all of them publish the same id, on one topic. */
		options.has_id = round % 4 == 0;
		options.id = round;
		if (options.has_id)
			topic = round / 4 % TOPICS;
		error = publish_draw(publishing, topic, &options, &receipt);
		if (error == WEIR_ESHUTDOWN && stage->is_closed_early && receipt.published == 0)
			break;
		CHECK(error == 0 || error == WEIR_ETIMEDOUT || error == WEIR_ESHUTDOWN ||
			(error == WEIR_EDUPLICATE && options.has_id));
		CHECK_EQ(receipt.published + receipt.delayed, error != WEIR_EDUPLICATE);
		if (options.has_id)
			(void)atomic_fetch_add(error == WEIR_EDUPLICATE
						       ? &stage->ids_refused
						       : &stage->ids_published[topic],
				1);
		(void)atomic_fetch_add(&stage->delayed, receipt.delayed);
		if (error != WEIR_EDUPLICATE && options.confirm != NULL)
			(void)atomic_fetch_add(&stage->confirmed, 1);
	}
	for (int i = 0; i < TOPICS; i++)
		weir_publisher_close(publishing->publishers[i]);
	return NULL;
}

static pthread_t publishing_start(
	struct publishing *publishing, struct stage *stage, uint64_t state)
{
	*publishing = (struct publishing){ .stage = stage, .state = state };
	for (int i = 0; i < TOPICS; i++)
		publishing->publishers[i] = fixture_publisher(stage->broker, topics[i]);
	return fixture_thread(publishing_run, publishing);
}

static void tell(void *context, const weir_confirmation *confirmation)
{
	struct stage *stage = context;

	CHECK_EQ(atomic_fetch_add(&stage->told[confirmation->tag], 1), 0);
	CHECK(confirmation->outcome <= WEIR_CONFIRM_TIMED_OUT);
	(void)atomic_fetch_add(&stage->told_count, 1);
}

/* ---- Receiving ---- */

static void delivery_settle(struct receiving *receiving, const weir_delivery *delivery)
{
	switch (harness_random_below(&receiving->state, 8)) {
	case 0:
		(void)weir_nack(delivery, chance(&receiving->state, 2) ? 1e-4 : 0, NULL);
		break;
	case 1:
		(void)weir_reject(delivery, "at random");
		break;
	case 2:
		/* Until it times out. */
		break;
	default:
		(void)weir_ack(delivery);
		break;
	}
}

/* One receive; what comes is in time. */
static int receive_one(struct receiving *receiving, double timeout)
{
	double before = weir_now(weir_clock_real());
	weir_delivery deliveries[4];
	size_t count = 0;
	int error = weir_receive_batch(receiving->subscription, deliveries,
		1 + (size_t)harness_random_below(&receiving->state, 4), timeout, &count);

	for (size_t i = 0; i < count; i++) {
		CHECK(weir_message_expires_at(deliveries[i].message) > before);
		if (receiving->is_manual)
			delivery_settle(receiving, &deliveries[i]);
		receiving->received++;
	}
	return error;
}

static void *receiving_run(void *argument)
{
	struct receiving *receiving = argument;
	int error;

	do
		error = receive_one(receiving, WEIR_FOREVER);
	while (error == 0);
	CHECK_EQ(error, WEIR_ESHUTDOWN);
	return NULL;
}

static const weir_subscription_options kinds[RECEIVERS] = {
	{ .capacity = 64, .overflow = WEIR_OVERFLOW_DROP_NEWEST },
	{ .capacity = 4 },
	{ .capacity = 32, .overflow = WEIR_OVERFLOW_DROP_OLDEST, .expire_at_once = true },
	{ .overflow = WEIR_OVERFLOW_UNBOUNDED,
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = 1e-3,
		.max_attempts = 3,
		.dead_letter_topic = "dead",
		.dead_letter_expired = true,
		.expire_at_once = true },
	{ .overflow = WEIR_OVERFLOW_UNBOUNDED, .ack = WEIR_ACK_AUTO, .group = "g" },
	{ .overflow = WEIR_OVERFLOW_UNBOUNDED, .ack = WEIR_ACK_AUTO, .group = "g" },
};

/* Subscriptions that come, take some, and go. */
static void *churn_run(void *argument)
{
	struct receiving *receiving = argument;

	while (!atomic_load(&receiving->stage->is_over)) {
		const weir_subscription_options options = {
			.capacity = 16,
			.overflow = chance(&receiving->state, 2) ? WEIR_OVERFLOW_CONFLATE
								 : WEIR_OVERFLOW_DROP_OLDEST,
			.ack = chance(&receiving->state, 2) ? WEIR_ACK_MANUAL : WEIR_ACK_NONE,
			.expire_at_once = chance(&receiving->state, 2),
		};
		weir_subscription_statistics last;

		CHECK_EQ(weir_subscribe(&receiving->subscription, receiving->stage->broker, "s.*",
				 &options),
			0);
		receiving->is_manual = options.ack != WEIR_ACK_NONE;
		for (int i = 0; i < 20; i++)
			(void)receive_one(receiving, 1e-4);
		CHECK_EQ(weir_unsubscribe(receiving->subscription, &last), 0);
		fixture_check_sums(&last);
	}
	return NULL;
}

/* ---- All together ---- */

static void stage_open(struct stage *stage)
{
	const weir_broker_options options = { .allocator = fail_allocator_hook(&stage->memory) };
	const weir_confirm_options confirm = {
		.timeout = 0.05, .on_outcome = tell, .context = stage
	};

	stage->rounds = harness_scaled(4000);
	stage->broker = fixture_broker(&options);
	CHECK_EQ(weir_confirm_open(&stage->confirm, stage->broker, &confirm), 0);
	stage->told = calloc(stage->rounds * PUBLISHERS, sizeof(*stage->told));
	CHECK(stage->told != NULL);
	for (int i = 0; i < TOPICS; i++)
		CHECK_EQ(weir_topic_dedupe(stage->broker, topics[i], (size_t)stage->rounds, 0), 0);
}

static void stage_check(struct stage *stage)
{
	weir_confirm_counts counts;
	uint64_t ids = 0;

	CHECK_EQ(weir_confirm_counts_get(stage->confirm, &counts), 0);
	CHECK_EQ(counts.pending, 0);
	CHECK_EQ(counts.published, atomic_load(&stage->confirmed));
	CHECK_EQ(atomic_load(&stage->told_count), counts.published);
	for (int i = 0; i < TOPICS; i++)
		ids += atomic_load(&stage->ids_published[i]);
	CHECK_EQ(ids, (stage->rounds + 3) / 4);
	CHECK_EQ(atomic_load(&stage->ids_refused), ids * (PUBLISHERS - 1));
	/* It would prove little if the rare had not been. */
	CHECK(counts.confirmed > 0 && counts.failed > 0);
	CHECK(atomic_load(&stage->delayed) > 0);
}

static void kinds_open(struct stage *stage, struct receiving *receivings, pthread_t *threads)
{
	for (unsigned int i = 0; i < RECEIVERS; i++) {
		receivings[i] = (struct receiving){ .stage = stage,
			.is_manual = kinds[i].ack == WEIR_ACK_MANUAL,
			.state = harness_seed() + 10 + i };
		CHECK_EQ(weir_subscribe(
				 &receivings[i].subscription, stage->broker, "s.*", &kinds[i]),
			0);
		threads[i] = fixture_thread(receiving_run, &receivings[i]);
	}
}

static void kinds_close(struct receiving *receivings)
{
	uint64_t expired = 0, dead = 0;

	for (int i = 0; i < RECEIVERS; i++) {
		weir_subscription_statistics last;

		/* Of the group one member may be enough. */
		CHECK(receivings[i].received > 0 || kinds[i].group != NULL);
		CHECK_EQ(weir_unsubscribe(receivings[i].subscription, &last), 0);
		fixture_check_sums(&last);
		expired += last.expired;
		dead += last.dead_lettered;
	}
	CHECK(expired > 0 && dead > 0);
}

WEIR_TEST(special_stress, all_of_it_at_once_conserves_messages_ids_and_outcomes)
{
	static struct stage stage;
	static struct publishing publishings[PUBLISHERS];
	static struct receiving receivings[RECEIVERS + 2];
	pthread_t threads[RECEIVERS + 2], publishers[PUBLISHERS];
	weir_broker_statistics statistics;
	weir_confirm_counts counts;

	stage_open(&stage);
	kinds_open(&stage, receivings, threads);
	/* The dead letters, and the churn. */
	receivings[RECEIVERS] = (struct receiving){ .stage = &stage, .state = harness_seed() };
	CHECK_EQ(weir_subscribe(&receivings[RECEIVERS].subscription, stage.broker, "dead",
			 &(weir_subscription_options){ .overflow = WEIR_OVERFLOW_UNBOUNDED }),
		0);
	threads[RECEIVERS] = fixture_thread(receiving_run, &receivings[RECEIVERS]);
	receivings[RECEIVERS + 1] = (struct receiving){ .stage = &stage, .state = harness_seed() };
	threads[RECEIVERS + 1] = fixture_thread(churn_run, &receivings[RECEIVERS + 1]);
	for (unsigned int i = 0; i < PUBLISHERS; i++)
		publishers[i] = publishing_start(&publishings[i], &stage, 1 + harness_seed() + i);
	for (int i = 0; i < PUBLISHERS; i++)
		fixture_join(publishers[i]);
	do
		CHECK_EQ(weir_broker_statistics_get(stage.broker, &statistics), 0);
	while (statistics.delayed > 0);
	CHECK_EQ(statistics.delayed_discarded, 0);
	(void)weir_confirm_wait(stage.confirm, WEIR_FOREVER, &counts);
	CHECK_EQ(counts.pending, 0);
	atomic_store(&stage.is_over, true);
	fixture_join(threads[RECEIVERS + 1]);
	CHECK_EQ(weir_broker_drain(stage.broker, WEIR_FOREVER), 0);
	for (int i = 0; i <= RECEIVERS; i++)
		fixture_join(threads[i]);
	(void)fixture_broker_statistics(stage.broker);
	kinds_close(receivings);
	CHECK_EQ(weir_unsubscribe(receivings[RECEIVERS].subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(stage.broker, &statistics), 0);
	fixture_check_broker_sums(&statistics);
	stage_check(&stage);
	weir_confirm_close(stage.confirm);
	fail_allocator_check_empty(&stage.memory);
	free((void *)stage.told);
}

WEIR_TEST(special_stress, a_close_in_the_middle_decides_and_tells_every_outcome)
{
	for (uint64_t round = 0; round < harness_scaled(20); round++) {
		static struct stage stage;
		static struct publishing publishings[PUBLISHERS];
		static struct receiving receivings[RECEIVERS];
		pthread_t threads[RECEIVERS], publishers[PUBLISHERS];
		weir_broker_statistics last;
		weir_confirm_counts counts;

		stage = (struct stage){ .is_closed_early = true };
		stage_open(&stage);
		kinds_open(&stage, receivings, threads);
		for (unsigned int i = 0; i < PUBLISHERS; i++)
			publishers[i] = publishing_start(
				&publishings[i], &stage, harness_seed() + PUBLISHERS * round + i);
		FIXTURE_UNTIL(atomic_load(&stage.confirmed) > 100 * (1 + round % 5));
		CHECK_EQ(weir_broker_close(stage.broker, &last), 0);
		fixture_check_broker_sums(&last);
		CHECK_EQ(last.delayed, 0);
		for (int i = 0; i < PUBLISHERS; i++)
			fixture_join(publishers[i]);
		for (int i = 0; i < RECEIVERS; i++) {
			fixture_join(threads[i]);
			CHECK_EQ(weir_unsubscribe(receivings[i].subscription, NULL), 0);
		}
		CHECK_EQ(weir_confirm_counts_get(stage.confirm, &counts), 0);
		CHECK_EQ(counts.pending, 0);
		CHECK_EQ(counts.published, atomic_load(&stage.confirmed));
		CHECK_EQ(atomic_load(&stage.told_count), counts.published);
		weir_confirm_close(stage.confirm);
		fail_allocator_check_empty(&stage.memory);
		free((void *)stage.told);
	}
}
