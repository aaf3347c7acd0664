/* SPDX-License-Identifier: BSD-2-Clause */
/* schedule.c - see schedule.h. */
#include "clock/schedule.h"

#include "base/debug.h"

/* The streams of a seed, see random.h; the program's own is in sim.c. */
#define STREAM_CHOICES 1

/* Change points may coincide: then so many fall at that step. */
static void draw_changes(struct weiri_schedule *schedule, unsigned count, uint64_t steps)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t step = 1 + weiri_random_below(&schedule->random, steps);
		unsigned place = i;

		for (; place > 0 && schedule->changes[place - 1] > step; place--)
			schedule->changes[place] = schedule->changes[place - 1];
		schedule->changes[place] = step;
	}
	schedule->change_count = count;
}

void weiri_schedule_init(struct weiri_schedule *schedule, const weir_sim_options *options)
{
	*schedule = (struct weiri_schedule){
		.kind = options->schedule,
		.random = weiri_random_stream(options->seed, STREAM_CHOICES),
	};
	weiri_event_heap_init(&schedule->heap);
	if (options->schedule == WEIR_SCHEDULE_PCT)
		draw_changes(schedule, options->pct_change_points, options->pct_steps);
}

void weiri_schedule_destroy(struct weiri_schedule *schedule)
{
	weiri_event_heap_destroy(&schedule->heap);
}

int weiri_schedule_reserve(struct weiri_schedule *schedule, size_t count)
{
	if (schedule->kind == WEIR_SCHEDULE_ORDER)
		return 0;
	return weiri_event_heap_reserve(&schedule->heap, count);
}

void weiri_schedule_admit(struct weiri_schedule *schedule, struct weiri_event *event)
{
	/* 53 random bits, all exact in a double; those that fall go below 0. */
	if (schedule->kind == WEIR_SCHEDULE_PCT)
		event->priority = (double)(weiri_random_next(&schedule->random) >> 11);
}

bool weiri_schedule_is_empty(const struct weiri_schedule *schedule)
{
	if (schedule->kind == WEIR_SCHEDULE_ORDER)
		return schedule->first == NULL;
	return weiri_event_heap_count(&schedule->heap) == 0;
}

static void append(struct weiri_schedule *schedule, struct weiri_event *event)
{
	event->next = NULL;
	event->previous = schedule->last;
	if (schedule->last != NULL)
		schedule->last->next = event;
	else
		schedule->first = event;
	schedule->last = event;
}

static void unlink_event(struct weiri_schedule *schedule, struct weiri_event *event)
{
	if (event->previous != NULL)
		event->previous->next = event->next;
	else
		schedule->first = event->next;
	if (event->next != NULL)
		event->next->previous = event->previous;
	else
		schedule->last = event->previous;
}

void weiri_schedule_add(struct weiri_schedule *schedule, struct weiri_event *event)
{
	if (schedule->kind == WEIR_SCHEDULE_ORDER)
		append(schedule, event);
	else if (schedule->kind == WEIR_SCHEDULE_RANDOM)
		weiri_event_heap_add(&schedule->heap, event, 0);
	else
		weiri_event_heap_add(&schedule->heap, event, -event->priority);
}

static struct weiri_event *take_random(struct weiri_schedule *schedule)
{
	uint32_t count = weiri_event_heap_count(&schedule->heap);
	uint64_t choice = weiri_random_below(&schedule->random, count);
	struct weiri_event *event = weiri_event_heap_at(&schedule->heap, (uint32_t)choice);

	weiri_event_heap_remove(&schedule->heap, event);
	return event;
}

static struct weiri_event *take_highest(struct weiri_schedule *schedule)
{
	struct weiri_event *event = weiri_event_heap_take(&schedule->heap);

	schedule->step++;
	while (schedule->change_next < schedule->change_count &&
		schedule->changes[schedule->change_next] <= schedule->step) {
		/* Each that falls goes below those that fell before. */
		event->priority = -(double)++schedule->change_next;
		weiri_event_heap_add(&schedule->heap, event, -event->priority);
		event = weiri_event_heap_take(&schedule->heap);
	}
	return event;
}

struct weiri_event *weiri_schedule_take(struct weiri_schedule *schedule)
{
	struct weiri_event *event = schedule->first;

	if (schedule->kind == WEIR_SCHEDULE_RANDOM)
		return take_random(schedule);
	if (schedule->kind == WEIR_SCHEDULE_PCT)
		return take_highest(schedule);
	unlink_event(schedule, event);
	return event;
}

void weiri_schedule_remove(struct weiri_schedule *schedule, struct weiri_event *event)
{
	if (schedule->kind == WEIR_SCHEDULE_ORDER)
		unlink_event(schedule, event);
	else
		weiri_event_heap_remove(&schedule->heap, event);
}
