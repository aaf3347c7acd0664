/* SPDX-License-Identifier: BSD-2-Clause */
/* The telling side of a waiter. */
#include "clock/waiter.h"

#include "clock/clock.h"

bool weiri_waiter_notify(struct weir_clock *clock, struct weiri_waiter *waiter)
{
	uint32_t expected = WEIRI_WAITER_WAITING;

	if (clock->is_virtual) {
		/* One thread: there is no other teller to win against. */
		if (weiri_load_relaxed(&waiter->state) != WEIRI_WAITER_WAITING)
			return false;
		weiri_store_relaxed(&waiter->state, WEIRI_WAITER_NOTIFIED);
		clock->operations->unpark(clock, waiter);
		return true;
	}
	/* N1 (pairs with the acquire in park and disarm): what the teller did
	 * before is seen by the waiting side once it sees NOTIFIED. */
	if (!weiri_cas_acq_rel(&waiter->state, &expected, (uint32_t)WEIRI_WAITER_NOTIFIED))
		return false;
	clock->operations->unpark(clock, waiter);
	return true;
}
