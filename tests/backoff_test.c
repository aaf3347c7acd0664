/* SPDX-License-Identifier: BSD-2-Clause */
/* Backoff: how long a message waits before its next attempt. */
#include "delivery/backoff.h"

#include "harness.h"

WEIR_TEST(backoff, the_wait_grows_by_the_factor_up_to_the_maximum)
{
	const struct weiri_backoff backoff = { .first = 0.5, .factor = 2, .maximum = 3 };
	static const double waits[] = { 0.5, 1, 2, 3, 3 };

	for (uint32_t i = 0; i < 5; i++)
		CHECK_NEAR(weiri_backoff_delay(&backoff, i + 1, 0.7), waits[i], 0);
	CHECK_NEAR(weiri_backoff_delay(&backoff, UINT32_MAX, 0.7), 3, 0);
}

WEIR_TEST(backoff, a_factor_of_one_keeps_the_wait)
{
	const struct weiri_backoff backoff = { .first = 0.25, .factor = 1, .maximum = 60 };

	CHECK_NEAR(weiri_backoff_delay(&backoff, 1, 0), 0.25, 0);
	CHECK_NEAR(weiri_backoff_delay(&backoff, 1000000, 0), 0.25, 0);
}

WEIR_TEST(backoff, no_wait_stays_none_after_any_number_of_attempts)
{
	const struct weiri_backoff backoff = { .factor = 2, .maximum = 60, .jitter = 0.5 };
	static const uint32_t attempts[] = { 1, 5, 1024, 1025, 1026, 100000, UINT32_MAX };

	for (int i = 0; i < 7; i++)
		CHECK_NEAR(weiri_backoff_delay(&backoff, attempts[i], 0.5), 0, 0);
}

WEIR_TEST(backoff, jitter_takes_off_at_most_its_share)
{
	const struct weiri_backoff backoff = {
		.first = 1, .factor = 3, .maximum = 20, .jitter = 0.25
	};
	uint64_t state = harness_seed();
	double least = 9, most = 0;

	for (int i = 0; i < 10000; i++) {
		const double random = (double)(harness_random(&state) >> 11) * 0x1p-53;
		const double delay = weiri_backoff_delay(&backoff, 3, random);

		CHECK(delay >= 0.75 * 9 && delay <= 9);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	/* All of the range is used. */
	CHECK(least < 0.77 * 9);
	CHECK(most > 0.98 * 9);
}
