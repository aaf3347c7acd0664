/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dedupe: a window over the ids that came last, bounded by their count and by their
 * age, with the number that each got.
 *
 * Entries are in a ring in the order in which their ids came, and chained by their
 * ids.  All memory is there from the start, so entering cannot fail.  An id is looked
 * up, entered and numbered in one step, so of several that come at once exactly one
 * is new.
 *
 *   ring      [ id 7 no 12 ] [ id 3 no 13 ] [ forgotten ] [ id 9 no 15 ]
 *               ^ first: the next to go                    ^ the latest
 *
 * Threads: any, each call takes the mutex, but open and close.
 */
#ifndef WEIRI_DEDUPE_H
#define WEIRI_DEDUPE_H

#include <pthread.h>

#include "base/allocator.h"
#include "base/atomics.h"
#include "clock/clock.h"

struct weiri_dedupe_entry {
	uint64_t id;
	uint64_t number; /* 0: none yet */
	double until;    /* the first instant at which it is no longer known */
	uint64_t next;   /* of its chain: a position, or 0 */
	bool is_known;
};

struct weiri_dedupe {
	pthread_mutex_t mutex;
	struct weir_clock *clock;
	double seconds;
	uint64_t secret; /* so that a stranger's ids cannot be made to collide */
	size_t count_max;
	struct weiri_dedupe_entry *entries; /* of position p: entries[(p - 1) % count_max] */
	uint64_t first;                     /* positions run freely, from 1 */
	uint64_t end;                       /* behind the latest */
	uint64_t *chains;                   /* by id: a position, or 0 */
	size_t chain_count;                 /* a power of two */
	uint64_t duplicates;                /* ever refused */
};

/* A window of `count` (at least 1) ids that are known for `seconds` (above 0, or
 * WEIR_FOREVER).  Returns 0, WEIR_ENOMEM or WEIR_ESYSTEM. */
int weiri_dedupe_open(struct weiri_dedupe **dedupe, struct weir_clock *clock, size_t count,
	double seconds, uint64_t secret, const weir_allocator *allocator);

/* NULL is fine. */
void weiri_dedupe_close(struct weiri_dedupe *dedupe, const weir_allocator *allocator);

/*
 * Enter an id, unless it is known.  A new one gets the next of `numbers`, the last of
 * which that is; NULL: none yet (weiri_dedupe_number).  Returns whether it is new;
 * *number is its number, or that of the known one.
 */
bool weiri_dedupe_enter(
	struct weiri_dedupe *dedupe, uint64_t id, _Atomic uint64_t *numbers, uint64_t *number);

/* The number of an id that had none; nothing if it is not known any more. */
void weiri_dedupe_number(struct weiri_dedupe *dedupe, uint64_t id, uint64_t number);

/* What had this id did not come about: forget it, if it has no number. */
void weiri_dedupe_forget(struct weiri_dedupe *dedupe, uint64_t id);

uint64_t weiri_dedupe_duplicates(struct weiri_dedupe *dedupe);

#endif
