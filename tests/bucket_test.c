/* SPDX-License-Identifier: BSD-2-Clause */
/* The token bucket: when tokens are there, and that rounding does not add up. */
#include <math.h>

#include "flow/bucket.h"
#include "harness.h"

WEIR_TEST(bucket, is_full_at_first_whatever_the_time)
{
	struct weiri_bucket bucket;

	weiri_bucket_open(&bucket, 10, 3);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 3, 1e9), 1e9, 0);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 1, 0), 0, 0);
}

WEIR_TEST(bucket, lets_a_burst_go_and_then_spaces)
{
	struct weiri_bucket bucket;

	weiri_bucket_open(&bucket, 10, 3);
	for (int i = 0; i < 3; i++) {
		CHECK_NEAR(weiri_bucket_ready(&bucket, 1, 5), 5, 0);
		weiri_bucket_take(&bucket, 1, 5);
	}
	for (int i = 1; i <= 30; i++) {
		double ready = weiri_bucket_ready(&bucket, 1, 5);

		CHECK_NEAR(ready, 5 + i / 10.0, 0);
		weiri_bucket_take(&bucket, 1, ready);
	}
}

WEIR_TEST(bucket, times_of_a_long_run_are_each_rounded_once)
{
	struct weiri_bucket bucket;
	double now = 0;

	weiri_bucket_open(&bucket, 3, 1);
	for (uint64_t i = 0; i < harness_scaled(1000000); i++) {
		now = weiri_bucket_ready(&bucket, 1, now);
		CHECK_NEAR(now, (double)i / 3, 0);
		weiri_bucket_take(&bucket, 1, now);
	}
}

WEIR_TEST(bucket, holds_no_more_than_the_burst_after_a_pause)
{
	struct weiri_bucket bucket;

	weiri_bucket_open(&bucket, 10, 2);
	weiri_bucket_take(&bucket, 2, 0);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 2, 100), 100, 0);
	weiri_bucket_take(&bucket, 2, 100);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 1, 100), 100.1, 0);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 2, 100), 100.2, 0);
}

WEIR_TEST(bucket, more_than_the_burst_waits_for_all_of_it_and_leaves_a_debt)
{
	struct weiri_bucket bucket;

	weiri_bucket_open(&bucket, 10, 2);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 12, 0), 0, 0);
	weiri_bucket_take(&bucket, 12, 0);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 1, 0), 1.1, 0);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 2, 0), 1.2, 0);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 50, 0), 1.2, 0);
}

WEIR_TEST(bucket, what_is_returned_is_there_again)
{
	struct weiri_bucket bucket;

	weiri_bucket_open(&bucket, 10, 4);
	weiri_bucket_take(&bucket, 4, 0);
	weiri_bucket_return(&bucket, 3);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 3, 0), 0, 0);
	CHECK_NEAR(weiri_bucket_ready(&bucket, 4, 0), 0.1, 0);
}

/* A model that adds up what comes in, step by step, as one would at first. */
struct model {
	double level;
	double at;
};

static double model_level(const struct model *model, double rate, double burst, double now)
{
	return fmin(burst, model->level + (now - model->at) * rate);
}

WEIR_TEST(bucket, random_takings_agree_with_a_level_that_is_added_up)
{
	uint64_t random = harness_seed();
	uint64_t waits = 0;
	uint64_t bursts = 0;

	for (uint64_t run = 0; run < harness_scaled(2000); run++) {
		double rate = 0.5 + (double)harness_random_below(&random, 1000);
		uint64_t burst = 1 + harness_random_below(&random, 20);
		struct model model = { (double)burst, 0 };
		struct weiri_bucket bucket;
		double now = 0;

		weiri_bucket_open(&bucket, rate, burst);
		for (int i = 0; i < 100; i++) {
			uint64_t count = 1 + harness_random_below(&random, 30);
			double needed = fmin((double)count, (double)burst);
			double ready = weiri_bucket_ready(&bucket, count, now);
			double level = model_level(&model, rate, (double)burst, now);

			if (level + 1e-6 < needed) {
				CHECK_NEAR(ready, now + (needed - level) / rate, 1e-6);
				waits++;
			} else if (level > needed + 1e-6) {
				CHECK(ready <= now);
				bursts++;
			}
			now = fmax(now, ready) +
			      (double)harness_random_below(&random, 3) * 0.1 * (double)burst / rate;
			model.level = model_level(&model, rate, (double)burst, now) - (double)count;
			model.at = now;
			weiri_bucket_take(&bucket, count, now);
		}
	}
	CHECK(waits > 0 && bursts > 0);
}
