/* SPDX-License-Identifier: BSD-2-Clause */
/* What all clocks have in common. */
#include "clock/clock.h"

#include <stddef.h>

#include <weir/error.h>

double weir_now(weir_clock *clock)
{
	return clock == NULL ? (double)NAN : weiri_clock_now(clock);
}

int weir_sleep(weir_clock *clock, double duration)
{
	if (clock == NULL || !weiri_duration_is_valid(duration))
		return WEIR_EINVAL;
	return clock->operations->sleep_until(clock, weiri_clock_now(clock) + duration);
}
