/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lanes: a queue in order of up to 32 classes, lock-free: a ring for each class.
 *
 * The popper takes from the first ring that has something; within a class order
 * is that of arrival.  The capacity is of all rings together and exact: pushers
 * first take a place out of the common count, so that the ring of their class,
 * which alone could hold the capacity, has room for them.
 *
 * Looking at 32 rings costs the popper one cached load each; a map of the rings
 * that are not empty would cost each pusher an atomic write instead.
 *
 * Who may run with whom: as queue/ring.h.
 */
#ifndef WEIRI_LANES_H
#define WEIRI_LANES_H

#include "queue/ring.h"

#define WEIRI_LANES_MAX 32

struct weiri_lanes {
	size_t count;
	uint64_t capacity;
	size_t bytes;                                     /* of this allocation */
	_Alignas(WEIRI_CACHE_LINE) _Atomic uint64_t used; /* places taken, in all rings */
	_Atomic uint64_t high_water;
	struct weiri_ring rings[];
};

/* Returns 0 or WEIR_ENOMEM.  `count` is 1..WEIRI_LANES_MAX. */
int weiri_lanes_open(
	struct weiri_lanes **lanes, size_t count, size_t capacity, const weir_allocator *allocator);
void weiri_lanes_close(struct weiri_lanes *lanes, const weir_allocator *allocator);

/* Append a value to its class, the nearest one there is.  False: full. */
bool weiri_lanes_push(struct weiri_lanes *lanes, void *value, int32_t class);

/* One place for a value that comes later (fill), or does not (cancel); false: full. */
bool weiri_lanes_reserve(struct weiri_lanes *lanes);
void weiri_lanes_fill(struct weiri_lanes *lanes, void *value, int32_t class);
void weiri_lanes_cancel(struct weiri_lanes *lanes);

/* Take up to `count` values, the first classes first; returns how many. */
size_t weiri_lanes_pop(struct weiri_lanes *lanes, void **values, size_t count);

/* For the popper: whether pop would return 0. */
bool weiri_lanes_is_empty(struct weiri_lanes *lanes);

static inline uint64_t weiri_lanes_count(struct weiri_lanes *lanes)
{
	return weiri_load_acquire(&lanes->used);
}

#endif
