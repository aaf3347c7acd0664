/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parking: messages that failed for good, kept aside until somebody sends them
 * back.  A ring of fixed size; the first `returning` of it are on their way back
 * and wait until the window has room for them.
 *
 * Threads: under the mutex of the ledger that it belongs to.
 */
#ifndef WEIRI_PARKING_H
#define WEIRI_PARKING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/allocator.h"

/* Why a message will not be tried again. */
enum weiri_ledger_reason {
	WEIRI_LEDGER_TIMED_OUT,
	WEIRI_LEDGER_NACKED,
	WEIRI_LEDGER_REJECTED,
	WEIRI_LEDGER_EXPIRED, /* as its owner knows */
};

/* Such a message. */
struct weiri_exhausted {
	void *value;
	uint32_t attempt;
	uint32_t redrives; /* how often it was sent back */
	enum weiri_ledger_reason reason;
	char *error; /* the last text that came back with it, or NULL */
};

struct weiri_parking {
	struct weiri_exhausted *places;
	size_t size;
	size_t first;
	size_t count;
	size_t returning; /* of them */
	uint64_t behind;  /* how many must be taken from the queue before those */
};

/* Room for `size`, which may be 0.  Returns 0 or WEIR_ENOMEM. */
int weiri_parking_open(struct weiri_parking *parking, size_t size, const weir_allocator *allocator);
void weiri_parking_close(struct weiri_parking *parking, const weir_allocator *allocator);

/* Keep one; false: there is no room. */
bool weiri_parking_put(struct weiri_parking *parking, const struct weiri_exhausted *exhausted);

/* Send up to `count_max` back, the oldest first.  Returns how many. */
size_t weiri_parking_return(struct weiri_parking *parking, size_t count_max, uint64_t behind);

/* Take the oldest, sent back or not; false: there is none. */
bool weiri_parking_take(struct weiri_parking *parking, struct weiri_exhausted *exhausted);

#endif
