/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiters: lent to subscriptions, and freed only with the broker.
 *
 * A thread that selects over several subscriptions shows the waiter of the first
 * in all of them.  Whoever wakes it through another one has nothing that keeps
 * the first one's memory; so the waiter's must not go with it.  One that was
 * lent again meanwhile may be woken without a reason, which every wait copes
 * with by looking again.
 */
#ifndef WEIRI_WAITERS_H
#define WEIRI_WAITERS_H

#include "base/allocator.h"
#include "clock/waiter.h"

struct weiri_waiters {
	struct weiri_waiter_slab *slabs;
	struct weiri_waiter *idle;
};

/* An idle waiter, NULL: no memory.  lend and give_back are serialized by the caller. */
struct weiri_waiter *weiri_waiters_lend(
	struct weiri_waiters *waiters, const weir_allocator *allocator);
void weiri_waiters_give_back(struct weiri_waiters *waiters, struct weiri_waiter *waiter);
void weiri_waiters_close(struct weiri_waiters *waiters, const weir_allocator *allocator);

#endif
