/* SPDX-License-Identifier: BSD-2-Clause */
/* Exponential backoff with jitter. */
#include "delivery/backoff.h"

#include <math.h>

double weiri_backoff_delay(const struct weiri_backoff *backoff, uint32_t attempt, double random)
{
	double delay = backoff->first * pow(backoff->factor, (double)attempt - 1);

	/* No wait stays none, also when the power is infinite and the product no number. */
	if (backoff->first == 0)
		return 0;
	if (!(delay < backoff->maximum))
		delay = backoff->maximum;
	return delay - delay * backoff->jitter * random;
}
