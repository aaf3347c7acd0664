/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiters in slabs that live as long as the broker. */
#include "core/waiters.h"

#define SLAB_WAITERS 8

struct weiri_waiter_slab {
	struct weiri_waiter_slab *next;
	struct {
		/* A futex word that others' wake-ups do not slow down. */
		_Alignas(WEIRI_CACHE_LINE) struct weiri_waiter waiter;
	} places[SLAB_WAITERS];
};

static void slab_add(struct weiri_waiters *waiters, const weir_allocator *allocator)
{
	struct weiri_waiter_slab *slab = weiri_allocate(allocator, sizeof(*slab), WEIRI_CACHE_LINE);

	if (slab == NULL)
		return;
	slab->next = waiters->slabs;
	waiters->slabs = slab;
	for (size_t i = 0; i < SLAB_WAITERS; i++)
		weiri_waiters_give_back(waiters, &slab->places[i].waiter);
}

struct weiri_waiter *weiri_waiters_lend(
	struct weiri_waiters *waiters, const weir_allocator *allocator)
{
	struct weiri_waiter *waiter;

	if (waiters->idle == NULL)
		slab_add(waiters, allocator);
	waiter = waiters->idle;
	if (waiter != NULL)
		waiters->idle = waiter->next;
	return waiter;
}

void weiri_waiters_give_back(struct weiri_waiters *waiters, struct weiri_waiter *waiter)
{
	waiter->next = waiters->idle;
	waiters->idle = waiter;
}

void weiri_waiters_close(struct weiri_waiters *waiters, const weir_allocator *allocator)
{
	while (waiters->slabs != NULL) {
		struct weiri_waiter_slab *slab = waiters->slabs;

		waiters->slabs = slab->next;
		weiri_deallocate(allocator, slab, sizeof(*slab));
	}
}
