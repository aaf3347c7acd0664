/* SPDX-License-Identifier: BSD-2-Clause */
/* event_queue_test.c - the queue gives what a search through all of them would. */
#include "harness.h"

#include "clock/event_queue.h"

#include <weir/error.h>

#define EVENTS_MAX 200

/* The oracle: an unordered list that is searched from end to end. */
struct model {
	struct weiri_event_queue queue;
	struct weiri_event events[EVENTS_MAX];
	bool is_in[EVENTS_MAX];
	double now;
	uint64_t serial;
	/* How often what is rare was seen. */
	unsigned int in_lanes, in_heap, removals_in_lanes, growths;
};

static struct weiri_event *first_of(struct model *model)
{
	struct weiri_event *first = NULL;

	for (int i = 0; i < EVENTS_MAX; i++) {
		struct weiri_event *event = &model->events[i];

		if (model->is_in[i] &&
			(first == NULL || event->time < first->time ||
				(event->time == first->time && event->serial < first->serial)))
			first = event;
	}
	return first;
}

static void take(struct model *model)
{
	struct weiri_event *expected = first_of(model);
	const struct weiri_event_key *first = weiri_event_queue_first(&model->queue);

	CHECK_EQ(weiri_event_queue_is_empty(&model->queue), expected == NULL);
	if (expected == NULL) {
		CHECK(first == NULL);
		return;
	}
	CHECK(first != NULL && first->serial == expected->serial);
	CHECK_EQ(first->rank, weiri_event_rank(expected->time));
	CHECK(weiri_event_queue_take(&model->queue) == expected);
	model->is_in[expected - model->events] = false;
	model->now = expected->time;
}

/* Mostly one of a few intervals, as sleeps are; sometimes any. */
static double interval_of(uint64_t *random)
{
	static const double intervals[] = { 0.25, 1, 1, 3, 7, 40 };

	if (harness_random_below(random, 4) == 0)
		return (double)(1 + harness_random_below(random, 1000)) / 64;
	return intervals[harness_random_below(random, 6)];
}

static void add(struct model *model, int index, uint64_t *random)
{
	struct weiri_event *event = &model->events[index];

	event->time = model->now + interval_of(random);
	event->serial = ++model->serial;
	weiri_event_queue_add(&model->queue, event);
	model->is_in[index] = true;
	if (event->lane < WEIRI_EVENT_LANES)
		model->in_lanes++;
	else
		model->in_heap++;
}

static void remove_one(struct model *model, int index)
{
	model->removals_in_lanes += model->events[index].lane < WEIRI_EVENT_LANES;
	weiri_event_queue_remove(&model->queue, &model->events[index]);
	model->is_in[index] = false;
}

/* More room while the queue holds something: what is in it is moved. */
static void grow(struct model *model, int step)
{
	uint32_t size = model->queue.size;

	CHECK_EQ(weiri_event_queue_reserve(&model->queue, (size_t)step / 20 + 1), 0);
	model->growths += model->queue.size > size && !weiri_event_queue_is_empty(&model->queue);
}

WEIR_TEST(event_queue, gives_what_a_search_through_all_would)
{
	static struct model model;
	uint64_t random = harness_seed();

	weiri_event_queue_init(&model.queue);
	for (int i = 0; i < 20000; i++) {
		int room = i / 20 < EVENTS_MAX ? i / 20 + 1 : EVENTS_MAX;
		int index = (int)harness_random_below(&random, (uint64_t)room);

		if (i / 20 < EVENTS_MAX)
			grow(&model, i);
		if (harness_random_below(&random, 3) == 0)
			take(&model);
		else if (!model.is_in[index])
			add(&model, index, &random);
		else if (harness_random_below(&random, 4) == 0)
			remove_one(&model, index);
	}
	while (first_of(&model) != NULL)
		take(&model);
	take(&model);
	CHECK(model.in_lanes > 100);
	CHECK(model.in_heap > 100);
	CHECK(model.removals_in_lanes > 100);
	CHECK(model.growths > 1);
	weiri_event_queue_destroy(&model.queue);
}

WEIR_TEST(event_queue, puts_equal_intervals_side_by_side)
{
	static const double intervals[WEIRI_EVENT_LANES] = { 1, 0.5, 3, 2 };
	struct weiri_event events[WEIRI_EVENT_LANES * 8] = { { 0 } };
	struct weiri_event_queue queue;
	uint64_t serial = 0;

	weiri_event_queue_init(&queue);
	CHECK_EQ(weiri_event_queue_reserve(&queue, WEIRI_EVENT_LANES * 8), 0);
	for (int turn = 0; turn < 8; turn++) {
		for (int i = 0; i < WEIRI_EVENT_LANES; i++) {
			struct weiri_event *event = &events[turn * WEIRI_EVENT_LANES + i];

			event->time = turn * 0.125 + intervals[i];
			event->serial = ++serial;
			weiri_event_queue_add(&queue, event);
			CHECK(event->lane < WEIRI_EVENT_LANES);
		}
	}
	weiri_event_queue_destroy(&queue);
}

WEIR_TEST(event_queue, refuses_more_than_its_limit)
{
	struct weiri_event_queue queue;

	weiri_event_queue_init(&queue);
	CHECK_EQ(weiri_event_queue_reserve(&queue, (size_t)WEIRI_EVENT_HEAP_MAX + 1), WEIR_ELIMIT);
	CHECK(weiri_event_queue_first(&queue) == NULL);
	CHECK(weiri_event_queue_is_empty(&queue));
	weiri_event_queue_destroy(&queue);
}
