/* SPDX-License-Identifier: BSD-2-Clause */
/* The line of publishers at a full queue. */
#include "core/room.h"

#include "core/broker.h"
#include "core/subscription.h"
#include <weir/error.h>

int weiri_room_open(struct weiri_room *room)
{
	return pthread_mutex_init(&room->mutex, NULL) == 0 ? 0 : WEIR_ESYSTEM;
}

void weiri_room_close(struct weiri_room *room)
{
	(void)pthread_mutex_destroy(&room->mutex);
}

/* Mutex held: tell up to `count` of the line, the first ones first.  One that
 * was told before and has not run yet is on its way to take its share. */
static void line_tell(struct weir_subscription *subscription, uint64_t count)
{
	struct weiri_room_place *place = subscription->room.first;

	for (; place != NULL && count > 0; place = place->next, count--)
		(void)weiri_waiter_notify(subscription->broker->clock, place->waiter);
}

static uint64_t room_count(struct weir_subscription *subscription)
{
	uint64_t used = weiri_queue_count(&subscription->queue);
	uint64_t capacity = subscription->queue.capacity;

	/* How many a store has room for depends on what they bring. */
	if (subscription->queue.kind == WEIRI_QUEUE_STORE)
		return UINT64_MAX;

	return used < capacity ? capacity - used : 0;
}

void weiri_room_join(struct weir_subscription *subscription, struct weiri_room_place *place)
{
	struct weiri_room *room = &subscription->room;

	if (place->is_joined)
		return;
	(void)pthread_mutex_lock(&room->mutex);
	place->is_joined = true;
	place->next = NULL;
	place->previous = room->last;
	if (room->last != NULL)
		room->last->next = place;
	else
		room->first = place;
	room->last = place;
	weiri_attention_set(subscription, WEIRI_ATTENTION_ROOM);
	(void)pthread_mutex_unlock(&room->mutex);
}

void weiri_room_leave(struct weir_subscription *subscription, struct weiri_room_place *place)
{
	struct weiri_room *room = &subscription->room;

	if (!place->is_joined)
		return;
	(void)pthread_mutex_lock(&room->mutex);
	place->is_joined = false;
	if (place->previous != NULL)
		place->previous->next = place->next;
	else
		room->first = place->next;
	if (place->next != NULL)
		place->next->previous = place->previous;
	else
		room->last = place->previous;
	if (room->first == NULL)
		weiri_attention_clear(subscription, WEIRI_ATTENTION_ROOM);
	else
		line_tell(subscription, room_count(subscription));
	(void)pthread_mutex_unlock(&room->mutex);
}

void weiri_room_tell(struct weir_subscription *subscription)
{
	struct weir_clock *clock = subscription->broker->clock;
	struct weiri_room *room = &subscription->room;
	uint64_t count = room_count(subscription);
	double now = weiri_clock_now(clock);

	(void)pthread_mutex_lock(&room->mutex);
	if (clock->is_virtual || count >= subscription->queue.capacity / 2 ||
		now - room->told >= WEIRI_ROOM_PAUSE) {
		room->told = now;
		line_tell(subscription, count);
	}
	(void)pthread_mutex_unlock(&room->mutex);
}

void weiri_room_tell_all(struct weir_subscription *subscription)
{
	(void)pthread_mutex_lock(&subscription->room.mutex);
	line_tell(subscription, UINT64_MAX);
	(void)pthread_mutex_unlock(&subscription->room.mutex);
}
