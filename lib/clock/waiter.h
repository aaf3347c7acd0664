/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiter: one place where one thread, or one simulated process, waits to be
 * told that something it looks for may have come true.
 *
 * The waiting side                         The telling side
 *   weiri_waiter_arm(w)                      make the condition true
 *   look at the condition again              weiri_fence_full()
 *   true: weiri_waiter_disarm(w), go on      w found armed: weiri_waiter_notify(w)
 *   else: weiri_clock_park(clock, w, deadline)
 *
 * arm ends with a full fence, so of "the waiter sees the condition" and "the
 * teller sees the waiter" at least one comes true: no wake-up is lost.
 *
 * State machine of `state` (only the waiting side leaves IDLE; of several
 * tellers exactly one wins the step WAITING -> NOTIFIED, and it alone wakes):
 *
 *   IDLE --arm--> WAITING --notify--> NOTIFIED --disarm/park returns--> IDLE
 *                 WAITING --disarm/deadline--> IDLE
 *
 * Memory: a teller may touch the waiter after the waiting side has seen
 * NOTIFIED, so a waiter lives in memory that outlives its tellers (a
 * subscription or a publisher, never a stack frame).
 */
#ifndef WEIRI_WAITER_H
#define WEIRI_WAITER_H

#include "base/atomics.h"

struct weir_clock;

enum {
	WEIRI_WAITER_IDLE,
	WEIRI_WAITER_WAITING,
	WEIRI_WAITER_NOTIFIED,
};

struct weiri_waiter {
	_Atomic uint32_t state;    /* the futex word of the real clock */
	void *process;             /* the virtual clock's: the process that waits, else NULL */
	const char *operation;     /* for reports: "receive", "publish", ... a literal */
	const char *object;        /* for reports: the filter or topic waited on, owned by it */
	struct weiri_waiter *next; /* for lists of the waiter's owner */
};

/* Announce that the caller is about to wait.  The condition must be looked at
 * again after it. */
static inline void weiri_waiter_arm(struct weiri_waiter *waiter)
{
	weiri_store_relaxed(&waiter->state, WEIRI_WAITER_WAITING);
	weiri_fence_full();
}

/* Take the announcement back.  Returns whether a teller had already won. */
static inline bool weiri_waiter_disarm(struct weiri_waiter *waiter)
{
	return weiri_exchange_acq_rel(&waiter->state, WEIRI_WAITER_IDLE) == WEIRI_WAITER_NOTIFIED;
}

/* Wake the waiting side if it waits.  Returns whether this call was the one
 * that did; false if it did not wait or another teller was first.
 * Threads: any, at once. */
bool weiri_waiter_notify(struct weir_clock *clock, struct weiri_waiter *waiter);

#endif
