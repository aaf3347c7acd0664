/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event_queue.h - the events of the future, in the order of (time, serial).
 *
 * Processes that sleep for the same time again and again schedule events that are
 * each later than the one before: these stand in a lane, one behind the other, and
 * cost nothing to order.  A few lanes take a few such intervals side by side.  What
 * fits at the end of no lane goes into a heap (event_heap.h).  The first event is
 * the first of the lanes' first ones and the heap's.
 *
 *   lane 0    3.00  3.25  4.00        times of sleeps of 1.00
 *   lane 1    2.25  2.75              ... of 0.25
 *   heap      2.80  7.00  3.10        all the rest
 *
 * An event that is removed leaves its place in a lane empty until it comes to the
 * front.  A lane is an array of as many places as events were reserved; one that is
 * full takes no more, so adding cannot fail.
 *
 * Threads: one at a time.  Nothing blocks.
 */
#ifndef WEIRI_CLOCK_EVENT_QUEUE_H
#define WEIRI_CLOCK_EVENT_QUEUE_H

#include "clock/event_heap.h"

#define WEIRI_EVENT_LANES 4

struct weiri_event_lane_place {
	struct weiri_event_key key;
	struct weiri_event *event; /* NULL: it was removed */
};

/* A ring; positions count on, and the place is what the mask leaves of them. */
struct weiri_event_lane {
	struct weiri_event_lane_place *places;
	uint32_t first; /* never an empty place */
	uint32_t end;
	uint64_t last_rank; /* of the last one that came */
};

struct weiri_event_queue {
	struct weiri_event_heap heap;
	struct weiri_event_lane lanes[WEIRI_EVENT_LANES];
	struct weiri_event_lane_place *places; /* of all lanes */
	uint32_t size;                         /* of a lane, a power of two */
	unsigned int source;                   /* of the first event: a lane, or the heap */
};

void weiri_event_queue_init(struct weiri_event_queue *queue);
void weiri_event_queue_destroy(struct weiri_event_queue *queue);

/* Make room for `count` events in all.  Returns 0, WEIR_ENOMEM, or WEIR_ELIMIT
 * for more than WEIRI_EVENT_HEAP_MAX. */
int weiri_event_queue_reserve(struct weiri_event_queue *queue, size_t count);

bool weiri_event_queue_is_empty(const struct weiri_event_queue *queue);

/* Add an event that is in no queue, by its time and serial; room was reserved. */
void weiri_event_queue_add(struct weiri_event_queue *queue, struct weiri_event *event);

/* The key of the first event, NULL if there is none; valid until the next change. */
const struct weiri_event_key *weiri_event_queue_first(struct weiri_event_queue *queue);

/* Take out the first event, right after weiri_event_queue_first has found one. */
struct weiri_event *weiri_event_queue_take(struct weiri_event_queue *queue);

/* Take out an event that is in it. */
void weiri_event_queue_remove(struct weiri_event_queue *queue, struct weiri_event *event);

#endif /* WEIRI_CLOCK_EVENT_QUEUE_H */
