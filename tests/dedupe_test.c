/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dedupe_test.c - a topic that remembers ids publishes each once: within its window
 * by count and by time, to the instant, by whatever form of a publish, and also when
 * several come at once.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "delivery/dedupe.h"
#include "manual_clock.h"
#include "sim_bed.h"

/* ---- The window against its model ---- */

#define MODEL_MAX 40

struct model {
	uint64_t ids[MODEL_MAX];
	uint64_t numbers[MODEL_MAX];
	double untils[MODEL_MAX];
	size_t count;
};

static void model_remove(struct model *model, size_t index)
{
	model->count--;
	for (size_t i = index; i < model->count; i++) {
		model->ids[i] = model->ids[i + 1];
		model->numbers[i] = model->numbers[i + 1];
		model->untils[i] = model->untils[i + 1];
	}
}

/* As weiri_dedupe_enter, for a window of so many. */
static bool model_enter(struct model *model, size_t count_max, double now, double seconds,
	uint64_t id, uint64_t *numbers, uint64_t *number)
{
	while (model->count > 0 && model->untils[0] <= now)
		model_remove(model, 0);
	for (size_t i = 0; i < model->count; i++)
		if (model->ids[i] == id) {
			*number = model->numbers[i];
			return false;
		}
	if (model->count == count_max)
		model_remove(model, 0);
	*number = ++*numbers;
	model->ids[model->count] = id;
	model->numbers[model->count] = *number;
	model->untils[model->count++] = now + seconds;
	return true;
}

WEIR_TEST(dedupe, a_window_agrees_with_its_model)
{
	uint64_t random = harness_seed();
	weir_allocator allocator = { 0 };
	uint64_t duplicates = 0, aged = 0;

	weiri_allocator_complete(&allocator);
	for (uint64_t run = 0; run < harness_scaled(200); run++) {
		const size_t count_max = 1 + (size_t)harness_random_below(&random, MODEL_MAX);
		const double seconds = run % 2 == 0 ? WEIR_FOREVER : 10.0;
		struct manual_clock clock = manual_clock_at(0);
		struct model model = { .count = 0 };
		struct weiri_dedupe *dedupe;
		_Atomic uint64_t numbers = 0;
		uint64_t model_numbers = 0;

		CHECK_EQ(weiri_dedupe_open(&dedupe, &clock.clock, count_max, seconds,
				 harness_seed(), &allocator),
			0);
		for (int step = 0; step < 400; step++) {
			const uint64_t id = harness_random_below(&random, 60);
			const size_t before = model.count;
			uint64_t number, expected;
			bool is_new;

			clock.now = clock.now + (double)harness_random_below(&random, 3) * 0.5;
			is_new = weiri_dedupe_enter(dedupe, id, &numbers, &number);
			CHECK_EQ(is_new, model_enter(&model, count_max, clock.now, seconds, id,
						 &model_numbers, &expected));
			CHECK_EQ(number, expected);
			duplicates += !is_new;
			aged += model.count < before;
		}
		weiri_dedupe_close(dedupe, &allocator);
	}
	CHECK(duplicates > 0 && aged > 0);
}

WEIR_TEST(dedupe, a_window_numbers_later_and_forgets_what_came_to_nothing)
{
	struct manual_clock clock = manual_clock_at(0);
	weir_allocator allocator = { 0 };
	_Atomic uint64_t numbers = 0;
	struct weiri_dedupe *dedupe;
	uint64_t number;

	weiri_allocator_complete(&allocator);
	CHECK_EQ(weiri_dedupe_open(&dedupe, &clock.clock, 3, WEIR_FOREVER, 7, &allocator), 0);
	CHECK(weiri_dedupe_enter(dedupe, 1, NULL, &number));
	CHECK_EQ(number, 0);
	CHECK(weiri_dedupe_enter(dedupe, 2, NULL, &number));
	CHECK(!weiri_dedupe_enter(dedupe, 1, &numbers, &number));
	CHECK_EQ(number, 0);
	weiri_dedupe_number(dedupe, 1, 55);
	CHECK(!weiri_dedupe_enter(dedupe, 1, &numbers, &number));
	CHECK_EQ(number, 55);
	/* Only what has no number can be forgotten. */
	weiri_dedupe_forget(dedupe, 1);
	weiri_dedupe_forget(dedupe, 2);
	weiri_dedupe_forget(dedupe, 3);
	weiri_dedupe_number(dedupe, 3, 9);
	CHECK(!weiri_dedupe_enter(dedupe, 1, &numbers, &number));
	CHECK(weiri_dedupe_enter(dedupe, 2, &numbers, &number));
	CHECK_EQ(number, 1);
	CHECK_EQ(weiri_dedupe_duplicates(dedupe), 3);
	weiri_dedupe_close(dedupe, &allocator);
}

/* ---- Publishing ---- */

static weir_publish_options with_id(uint64_t id)
{
	return (weir_publish_options){ .has_id = true, .id = id };
}

/* Publishes, and gives the sequence; negative: that of the first one. */
static int64_t publish_id(weir_publisher *publisher, uint64_t id)
{
	const weir_publish_options options = with_id(id);
	weir_receipt receipt = { .published = 77 };
	int error = weir_publish(publisher, "m", 1, &options, &receipt);

	CHECK(error == 0 || error == WEIR_EDUPLICATE);
	CHECK_EQ(receipt.published, error == 0);
	if (error != 0)
		CHECK_EQ(receipt.matched + receipt.enqueued + receipt.dropped, 0);
	return error == 0 ? (int64_t)receipt.sequence : -(int64_t)receipt.sequence;
}

WEIR_TEST(dedupe, an_id_is_published_once_within_the_count)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_topic_statistics topic;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 2, 0), 0);
	CHECK_EQ(publish_id(publisher, 10), 1);
	CHECK_EQ(publish_id(publisher, 10), -1);
	(void)sim_bed_publish(publisher, "without", NULL);
	CHECK_EQ(publish_id(publisher, 20), 3);
	CHECK_EQ(publish_id(publisher, 10), -1);
	CHECK_EQ(publish_id(publisher, 0), 4);
	/* The window has 20 and 0 now. */
	CHECK_EQ(publish_id(publisher, 10), 5);
	CHECK_EQ(publish_id(publisher, 0), -4);
	CHECK_EQ(weir_topic_statistics_get(bed.broker, "t", &topic), 0);
	CHECK_EQ(topic.published, 5);
	CHECK_EQ(topic.duplicates, 3);
	weir_publisher_close(publisher);
	CHECK_EQ(sim_bed_unsubscribe(subscription).matched, 5);
	sim_bed_close(&bed);
}

WEIR_TEST(dedupe, an_id_is_forgotten_at_its_instant)
{
	struct sim_bed bed;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 100, 2.5), 0);
	sim_bed_reach(&bed, 0.1);
	CHECK_EQ(publish_id(publisher, 1), 1);
	sim_bed_reach(&bed, sim_bed_before(0.1 + 2.5));
	/* That does not make it last longer. */
	CHECK_EQ(publish_id(publisher, 1), -1);
	sim_bed_reach(&bed, 0.1 + 2.5);
	CHECK_EQ(publish_id(publisher, 1), 2);
	CHECK_EQ(publish_id(publisher, 1), -2);
	weir_publisher_close(publisher);
	sim_bed_close(&bed);
}

WEIR_TEST(dedupe, every_form_of_a_publish_looks_in_the_same_window)
{
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher, *other;
	weir_publish_options options = with_id(1);
	const weir_publish_options all = { .has_id = true, .id = 1, .all_or_nothing = true };
	const weir_payload payload = { "m", 1 };
	weir_pacer pacer = { .base = 1e-9 };
	weir_receipt receipt = { .published = 77 };
	weir_message *loan;

	sim_bed_open(&bed, NULL);
	subscription = sim_bed_subscribe(&bed, "t", NULL);
	publisher = fixture_publisher(bed.broker, "t");
	other = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 8, 0), 0);
	CHECK_EQ(weir_publish_to(bed.broker, "t", "m", 1, &options, &receipt), 0);
	CHECK_EQ(receipt.sequence, 1);
	CHECK_EQ(publish_id(publisher, 1), -1);
	CHECK_EQ(publish_id(other, 1), -1);
	receipt = (weir_receipt){ .published = 77 };
	CHECK_EQ(weir_publish_to(bed.broker, "t", "m", 1, &options, &receipt), WEIR_EDUPLICATE);
	CHECK_EQ(receipt.published, 0);
	CHECK_EQ(receipt.sequence, 1);
	receipt = (weir_receipt){ .published = 77 };
	CHECK_EQ(weir_publish(publisher, "m", 1, &all, &receipt), WEIR_EDUPLICATE);
	CHECK_EQ(receipt.sequence, 1);
	receipt = (weir_receipt){ .published = 77 };
	CHECK_EQ(
		weir_publish_paced(publisher, &pacer, "m", 1, &options, &receipt), WEIR_EDUPLICATE);
	CHECK_EQ(receipt.sequence, 1);
	CHECK_EQ(weir_loan(publisher, 1, &loan), 0);
	CHECK_EQ(weir_publish_message(publisher, loan, &options, &receipt), WEIR_EDUPLICATE);
	CHECK_EQ(receipt.published, 0);
	/* It is still its owner's. */
	options.id = 2;
	CHECK_EQ(weir_publish_message(publisher, loan, &options, &receipt), 0);
	CHECK_EQ(publish_id(other, 2), -2);
	CHECK_EQ(weir_publish_batch(publisher, &payload, 1, &options, NULL), WEIR_EINVAL);
	weir_publisher_close(publisher);
	weir_publisher_close(other);
	CHECK_EQ(sim_bed_unsubscribe(subscription).matched, 2);
	sim_bed_close(&bed);
}

WEIR_TEST(dedupe, an_id_of_a_publish_that_failed_may_come_again)
{
	const weir_publish_options all = { .has_id = true, .id = 5, .all_or_nothing = true };
	const weir_publisher_options slow = { .max_rate = 1.0, .burst = 1 };
	const weir_publish_options at_once = { .has_id = true, .id = 6, .no_wait = true };
	struct sim_bed bed;
	weir_subscription *subscription;
	weir_publisher *publisher, *limited;

	sim_bed_open(&bed, NULL);
	subscription = fixture_subscribe_dropping(bed.broker, "t", 1);
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_publisher_open(&limited, bed.broker, "t", &slow), 0);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 8, 0), 0);
	(void)sim_bed_publish(publisher, "full", NULL);
	CHECK_EQ(weir_publish(publisher, "m", 1, &all, NULL), WEIR_EFULL);
	fixture_receive_text(subscription, "full");
	CHECK_EQ(weir_publish(publisher, "m", 1, &all, NULL), 0);
	CHECK_EQ(publish_id(publisher, 5), -2);
	/* What no subscription took was published all the same. */
	CHECK_EQ(publish_id(publisher, 55), 3);
	CHECK_EQ(publish_id(publisher, 55), -3);
	/* The rate did not let it go. */
	CHECK_EQ(weir_publish(limited, "m", 1, NULL, NULL), 0);
	CHECK_EQ(weir_publish(limited, "m", 1, &at_once, NULL), WEIR_EAGAIN);
	CHECK_EQ(publish_id(publisher, 6), 5);
	weir_publisher_close(publisher);
	weir_publisher_close(limited);
	(void)sim_bed_unsubscribe(subscription);
	sim_bed_close(&bed);
}

WEIR_TEST(dedupe, a_window_begins_anew_when_it_is_set_again_and_ends_with_its_topic)
{
	const weir_publish_options options = with_id(1);
	struct sim_bed bed;
	weir_publisher *publisher;

	sim_bed_open(&bed, NULL);
	publisher = fixture_publisher(bed.broker, "t");
	CHECK_EQ(weir_publish(publisher, "m", 1, &options, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 8, 0), 0);
	CHECK_EQ(publish_id(publisher, 1), 1);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 8, 5.0), 0);
	CHECK_EQ(publish_id(publisher, 1), 2);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 0, 0), 0);
	CHECK_EQ(weir_publish(publisher, "m", 1, &options, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 8, 0), 0);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_topic_remove(bed.broker, "t"), 0);
	CHECK_EQ(weir_publish_to(bed.broker, "t", "m", 1, &options, NULL), WEIR_EINVAL);
	/* It makes its topic. */
	CHECK_EQ(weir_topic_dedupe(bed.broker, "u", 8, WEIR_FOREVER), 0);
	CHECK_EQ(weir_publish_to(bed.broker, "u", "m", 1, &options, NULL), 0);
	sim_bed_close(&bed);
}

WEIR_TEST(dedupe, refuses_what_is_no_window_and_survives_want_of_memory)
{
	struct sim_bed bed;
	int error;

	sim_bed_open(&bed, &(weir_broker_options){ .topics_max = 1 });
	CHECK_EQ(weir_topic_dedupe(NULL, "t", 1, 0), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t.*", 1, 0), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, NULL, 1, 0), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", WEIR_DEDUPE_MAX + 1, 0), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 1, -1.0), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 1, (double)NAN), WEIR_EINVAL);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 0, 1.0), WEIR_EINVAL);
	for (uint64_t fail_at = 1;; fail_at++) {
		fail_allocator_arm(&bed.memory, fail_at, false);
		error = weir_topic_dedupe(bed.broker, "t", 10, 0);
		if (error == 0)
			break;
		CHECK_EQ(error, WEIR_ENOMEM);
	}
	fail_allocator_arm(&bed.memory, 0, false);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "u", 1, 0), WEIR_ELIMIT);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 20, 0), 0);
	CHECK_EQ(weir_broker_drain(bed.broker, 0), 0);
	CHECK_EQ(weir_topic_dedupe(bed.broker, "t", 1, 0), WEIR_ESHUTDOWN);
	sim_bed_close(&bed);
}

/* ---- Several at once ---- */

#define THREADS 4

struct race {
	weir_broker *broker;
	uint64_t ids;
	_Atomic uint64_t *sequences; /* of the winner of each id */
	_Atomic uint64_t won;
	_Atomic uint64_t lost;
};

static void *race_run(void *argument)
{
	struct race *race = argument;
	weir_publisher *publisher = fixture_publisher(race->broker, "t");

	for (uint64_t id = 0; id < race->ids; id++) {
		const weir_publish_options options = with_id(id);
		weir_receipt receipt = { .published = 0 };
		uint64_t none = 0;
		int error;

		error = id % 2 == 0
				? weir_publish(publisher, "m", 1, &options, &receipt)
				: weir_publish_to(race->broker, "t", "m", 1, &options, &receipt);
		CHECK(receipt.sequence != 0);
		/* All are told the same number. */
		if (!atomic_compare_exchange_strong(&race->sequences[id], &none, receipt.sequence))
			CHECK_EQ(none, receipt.sequence);
		(void)atomic_fetch_add(error == 0 ? &race->won : &race->lost, 1);
		CHECK(error == 0 || error == WEIR_EDUPLICATE);
	}
	weir_publisher_close(publisher);
	return NULL;
}

WEIR_TEST(dedupe, of_several_publishers_at_once_exactly_one_wins)
{
	struct race race = { .ids = harness_scaled(20000) };
	pthread_t threads[THREADS];
	weir_topic_statistics topic;

	race.broker = fixture_broker(NULL);
	race.sequences = calloc(race.ids, sizeof(*race.sequences));
	CHECK(race.sequences != NULL);
	/* So large that the latest thread still finds the first id. */
	CHECK_EQ(weir_topic_dedupe(race.broker, "t", (size_t)race.ids, 0), 0);
	for (int i = 0; i < THREADS; i++)
		threads[i] = fixture_thread(race_run, &race);
	for (int i = 0; i < THREADS; i++)
		fixture_join(threads[i]);
	CHECK_EQ(atomic_load(&race.won), race.ids);
	CHECK_EQ(atomic_load(&race.lost), race.ids * (THREADS - 1));
	CHECK_EQ(weir_topic_statistics_get(race.broker, "t", &topic), 0);
	CHECK_EQ(topic.published, race.ids);
	CHECK_EQ(topic.duplicates, race.ids * (THREADS - 1));
	CHECK_EQ(weir_broker_close(race.broker, NULL), 0);
	free(race.sequences);
}

static void *window_change(void *argument)
{
	struct race *race = argument;

	for (uint64_t i = 0; i < 300; i++)
		CHECK_EQ(weir_topic_dedupe(race->broker, "t", 1 + (size_t)(i % 50), 0), 0);
	return NULL;
}

static void *window_use(void *argument)
{
	struct race *race = argument;
	weir_publisher *publisher = fixture_publisher(race->broker, "t");

	for (uint64_t i = 0; i < harness_scaled(20000); i++)
		(void)publish_id(publisher, i % 30);
	weir_publisher_close(publisher);
	return NULL;
}

WEIR_TEST(dedupe, a_window_may_be_replaced_while_it_is_used)
{
	struct race race = { .ids = 0 };
	pthread_t threads[3];

	race.broker = fixture_broker(NULL);
	CHECK_EQ(weir_topic_dedupe(race.broker, "t", 10, 0), 0);
	threads[0] = fixture_thread(window_change, &race);
	threads[1] = fixture_thread(window_use, &race);
	threads[2] = fixture_thread(window_use, &race);
	for (int i = 0; i < 3; i++)
		fixture_join(threads[i]);
	CHECK_EQ(weir_broker_close(race.broker, NULL), 0);
}
