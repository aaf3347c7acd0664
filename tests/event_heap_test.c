/* SPDX-License-Identifier: BSD-2-Clause */
/* event_heap_test.c - the heap gives what a search through all of them would. */
#include "harness.h"

#include <stdlib.h>

#include "clock/event_heap.h"

#include <weir/error.h>

/* ---- The oracle: an unordered list that is searched from end to end ---- */

#define EVENTS_MAX 300

struct model {
	struct weiri_event_heap heap;
	struct weiri_event events[EVENTS_MAX];
	bool is_in[EVENTS_MAX];
	uint64_t serial;
	uint32_t count;
	/* How often what is rare was seen. */
	unsigned int ties, removals_behind_gap, fills_of_gap;
};

static struct weiri_event *first_of(struct model *model)
{
	struct weiri_event *first = NULL;

	for (int i = 0; i < EVENTS_MAX; i++) {
		struct weiri_event *event = &model->events[i];

		if (!model->is_in[i])
			continue;
		if (first != NULL && event->time == first->time)
			model->ties++;
		if (first == NULL || event->time < first->time ||
			(event->time == first->time && event->serial < first->serial))
			first = event;
	}
	return first;
}

static void add(struct model *model, int index, double key)
{
	struct weiri_event *event = &model->events[index];

	model->fills_of_gap += model->heap.has_gap;
	event->time = key;
	event->serial = ++model->serial;
	weiri_event_heap_add(&model->heap, event, key);
	model->is_in[index] = true;
	model->count++;
}

static void take(struct model *model)
{
	struct weiri_event *expected = first_of(model);
	const struct weiri_event_key *first = weiri_event_heap_first(&model->heap);

	if (expected == NULL) {
		CHECK(first == NULL);
		return;
	}
	CHECK(first != NULL && first->serial == expected->serial);
	CHECK_EQ(first->rank, weiri_event_rank(expected->time));
	CHECK(weiri_event_heap_take(&model->heap) == expected);
	model->is_in[expected - model->events] = false;
	model->count--;
}

static void take_out(struct model *model, int index)
{
	model->removals_behind_gap += model->heap.has_gap;
	weiri_event_heap_remove(&model->heap, &model->events[index]);
	model->is_in[index] = false;
	model->count--;
}

/* Few different keys, so that many are equal; some of them negative. */
static double key_of(uint64_t *random)
{
	return ((double)harness_random_below(random, 40) - 20) * 0.25;
}

static void step(struct model *model, uint64_t *random)
{
	int index = (int)harness_random_below(random, EVENTS_MAX);

	if (harness_random_below(random, 3) == 0)
		take(model);
	else if (model->is_in[index])
		take_out(model, index);
	else
		add(model, index, key_of(random));
	CHECK_EQ(weiri_event_heap_count(&model->heap), model->count);
	CHECK(weiri_event_heap_check(&model->heap));
}

WEIR_TEST(event_heap, gives_what_a_search_through_all_would)
{
	static struct model model;
	uint64_t random = harness_seed();

	weiri_event_heap_init(&model.heap);
	CHECK_EQ(weiri_event_heap_reserve(&model.heap, EVENTS_MAX), 0);
	for (uint64_t i = harness_scaled(20000); i > 0; i--)
		step(&model, &random);
	while (model.count > 0)
		take(&model);
	CHECK(model.ties > 100);
	CHECK(model.removals_behind_gap > 100);
	CHECK(model.fills_of_gap > 100);
	weiri_event_heap_destroy(&model.heap);
}

WEIR_TEST(event_heap, keeps_events_of_one_key_in_the_order_of_their_serials)
{
	static struct weiri_event events[1000];
	struct weiri_event_heap heap;

	weiri_event_heap_init(&heap);
	CHECK_EQ(weiri_event_heap_reserve(&heap, 1000), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		/* 389 and 1000 have no common factor: every serial comes once. */
		events[i].serial = i * 389 % 1000;
		weiri_event_heap_add(&heap, &events[i], 7.5);
	}
	for (uint64_t i = 0; i < 1000; i++)
		CHECK_EQ(weiri_event_heap_take(&heap)->serial, i);
	weiri_event_heap_destroy(&heap);
}

WEIR_TEST(event_heap, orders_infinities_and_numbers_of_both_signs)
{
	static const double keys[] = { -1.0 / 0.0, -1e300, -2, -1, -1e-300, 0, 1e-300, 1, 2, 1e300,
		1.0 / 0.0 };
	enum {
		COUNT = sizeof(keys) / sizeof(keys[0])
	};
	struct weiri_event events[COUNT];
	struct weiri_event_heap heap;

	weiri_event_heap_init(&heap);
	CHECK_EQ(weiri_event_heap_reserve(&heap, COUNT), 0);
	for (uint64_t i = COUNT; i-- > 0;) {
		events[i].serial = COUNT - i;
		weiri_event_heap_add(&heap, &events[i], keys[i]);
	}
	for (uint64_t i = 0; i < COUNT; i++)
		CHECK(weiri_event_heap_take(&heap) == &events[i]);
	weiri_event_heap_destroy(&heap);
}

WEIR_TEST(event_heap, refuses_room_beyond_its_limit)
{
	struct weiri_event_heap heap;

	weiri_event_heap_init(&heap);
	CHECK_EQ(weiri_event_heap_reserve(&heap, (size_t)WEIRI_EVENT_HEAP_MAX + 1), WEIR_ELIMIT);
	CHECK(weiri_event_heap_first(&heap) == NULL);
	weiri_event_heap_destroy(&heap);
}
