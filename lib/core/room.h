/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room: the line of publishers that wait at a full queue.
 *
 * A publisher that may wait stands in the line of each queue that is full, all
 * with its one waiter.  The receiver that makes room tells the first in line.
 *
 * When to tell (real time).  Letting a publisher go for each single message taken
 * costs two context switches a message; so the line is told when half the queue
 * is free, or at a taking more than ROOM_PAUSE after it was told last.  A
 * publisher whom neither reaches (two takings close together, then none) looks
 * by itself, first after ROOM_LOOK_FIRST, then at doubling intervals up to
 * ROOM_LOOK_LAST.  In virtual time switches cost nothing: the line is told at
 * once, as many as there is room for.
 */
#ifndef WEIRI_ROOM_H
#define WEIRI_ROOM_H

#include <pthread.h>
#include <stddef.h>

#include "clock/waiter.h"

#define WEIRI_ROOM_PAUSE      50e-6
#define WEIRI_ROOM_LOOK_FIRST 100e-6
#define WEIRI_ROOM_LOOK_LAST  50e-3

struct weir_subscription;

/* A place in line; the publisher's memory. */
struct weiri_room_place {
	struct weiri_waiter *waiter;
	struct weiri_room_place *next;
	struct weiri_room_place *previous;
	bool is_joined;
};

struct weiri_room {
	pthread_mutex_t mutex;
	struct weiri_room_place *first;
	struct weiri_room_place *last;
	double told; /* when the line was told last */
};

/* Returns 0 or WEIR_ESYSTEM. */
int weiri_room_open(struct weiri_room *room);
void weiri_room_close(struct weiri_room *room);

/* Stand in line, at its end; the waiter is armed.  After it a receiver that
 * takes a message sees the line.  Nothing if already there. */
void weiri_room_join(struct weir_subscription *subscription, struct weiri_room_place *place);

/* Leave the line; room that is left goes to the next.  Nothing if not there. */
void weiri_room_leave(struct weir_subscription *subscription, struct weiri_room_place *place);

/* A receiver took messages and saw the line: tell it if the time has come. */
void weiri_room_tell(struct weir_subscription *subscription);

/* Tell everybody, for the queue is closed. */
void weiri_room_tell_all(struct weir_subscription *subscription);

#endif
