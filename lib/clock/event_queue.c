/* SPDX-License-Identifier: BSD-2-Clause */
/* event_queue.c - see event_queue.h. */
#include "clock/event_queue.h"

#include <stdlib.h>

#include "base/debug.h"
#include <weir/error.h>

#define SIZE_MIN 16

/* The source that is not a lane. */
#define HEAP WEIRI_EVENT_LANES

void weiri_event_queue_init(struct weiri_event_queue *queue)
{
	*queue = (struct weiri_event_queue){ .places = NULL };
	weiri_event_heap_init(&queue->heap);
}

void weiri_event_queue_destroy(struct weiri_event_queue *queue)
{
	weiri_event_heap_destroy(&queue->heap);
	free(queue->places);
}

static struct weiri_event_lane_place *place_at(const struct weiri_event_queue *queue,
	const struct weiri_event_lane *lane, uint32_t position)
{
	return &lane->places[position & (queue->size - 1)];
}

/* The events of a lane, to the beginning of a larger array. */
static void lane_move(const struct weiri_event_queue *queue, struct weiri_event_lane *lane,
	struct weiri_event_lane_place *places)
{
	uint32_t count = 0;

	for (uint32_t position = lane->first; position != lane->end; position++) {
		struct weiri_event_lane_place place = *place_at(queue, lane, position);

		if (place.event == NULL)
			continue;
		place.event->number = count;
		places[count++] = place;
	}
	lane->places = places;
	lane->first = 0;
	lane->end = count;
}

int weiri_event_queue_reserve(struct weiri_event_queue *queue, size_t count)
{
	uint32_t size = queue->size > 0 ? queue->size : SIZE_MIN;
	struct weiri_event_lane_place *places;
	int error = weiri_event_heap_reserve(&queue->heap, count);

	if (error != 0 || count <= queue->size)
		return error;
	while (size < count)
		size *= 2;
	places = malloc((size_t)size * WEIRI_EVENT_LANES * sizeof(*places));
	if (places == NULL)
		return WEIR_ENOMEM;
	for (unsigned int i = 0; i < WEIRI_EVENT_LANES; i++)
		lane_move(queue, &queue->lanes[i], places + (size_t)i * size);
	free(queue->places);
	queue->places = places;
	queue->size = size;
	return 0;
}

bool weiri_event_queue_is_empty(const struct weiri_event_queue *queue)
{
	for (unsigned int i = 0; i < WEIRI_EVENT_LANES; i++)
		if (queue->lanes[i].first != queue->lanes[i].end)
			return false;
	return weiri_event_heap_count(&queue->heap) == 0;
}

/*
 * The lane whose end an event of that rank fits to best: the latest that is not
 * later; else an empty one; else none.  (Of equal ranks the serials grow.)
 */
static unsigned int lane_choose(const struct weiri_event_queue *queue, uint64_t rank)
{
	unsigned int chosen = HEAP;
	uint64_t latest = 0;

	for (unsigned int i = 0; i < WEIRI_EVENT_LANES; i++) {
		const struct weiri_event_lane *lane = &queue->lanes[i];
		/* An empty one is worse than any that holds something. */
		uint64_t last = lane->first != lane->end ? lane->last_rank : 0;

		if (last <= rank && lane->end - lane->first < queue->size &&
			(chosen == HEAP || last > latest)) {
			chosen = i;
			latest = last;
		}
	}
	return chosen;
}

void weiri_event_queue_add(struct weiri_event_queue *queue, struct weiri_event *event)
{
	uint64_t rank = weiri_event_rank(event->time);
	unsigned int chosen = lane_choose(queue, rank);
	struct weiri_event_lane *lane;

	event->lane = (uint8_t)chosen;
	if (chosen == HEAP) {
		weiri_event_heap_add(&queue->heap, event, event->time);
		return;
	}
	lane = &queue->lanes[chosen];
	lane->last_rank = rank;
	event->number = lane->end;
	*place_at(queue, lane, lane->end++) =
		(struct weiri_event_lane_place){ { rank, event->serial }, event };
}

const struct weiri_event_key *weiri_event_queue_first(struct weiri_event_queue *queue)
{
	const struct weiri_event_key *first = weiri_event_heap_first(&queue->heap);

	queue->source = HEAP;
	for (unsigned int i = 0; i < WEIRI_EVENT_LANES; i++) {
		const struct weiri_event_lane *lane = &queue->lanes[i];
		const struct weiri_event_key *key;

		if (lane->first == lane->end)
			continue;
		key = &place_at(queue, lane, lane->first)->key;
		if (first == NULL || weiri_event_key_precedes(key, first)) {
			first = key;
			queue->source = i;
		}
	}
	return first;
}

/* Past the places that were left empty. */
static void lane_settle(const struct weiri_event_queue *queue, struct weiri_event_lane *lane)
{
	while (lane->first != lane->end && place_at(queue, lane, lane->first)->event == NULL)
		lane->first++;
}

struct weiri_event *weiri_event_queue_take(struct weiri_event_queue *queue)
{
	struct weiri_event_lane *lane;
	struct weiri_event *event;

	if (queue->source == HEAP)
		return weiri_event_heap_take(&queue->heap);
	lane = &queue->lanes[queue->source];
	event = place_at(queue, lane, lane->first++)->event;
	lane_settle(queue, lane);
	if (lane->end - lane->first > 1) {
		struct weiri_event *second = place_at(queue, lane, lane->first + 1)->event;

		if (second != NULL)
			weiri_event_prefetch(second);
	}
	return event;
}

void weiri_event_queue_remove(struct weiri_event_queue *queue, struct weiri_event *event)
{
	struct weiri_event_lane *lane;

	if (event->lane == HEAP) {
		weiri_event_heap_remove(&queue->heap, event);
		return;
	}
	lane = &queue->lanes[event->lane];
	weiri_assert(place_at(queue, lane, event->number)->event == event);
	place_at(queue, lane, event->number)->event = NULL;
	lane_settle(queue, lane);
}
