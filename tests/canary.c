/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * canary.c - cases that must fail, so that harness_test.sh sees the drivers call
 * them failed. No part of `make check` by itself.
 */
#include "harness.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

WEIR_TEST(canary, passes)
{
	CHECK(true);
	CHECK_EQ(-1, -1);
	CHECK_STR_EQ("weir", "weir");
	CHECK_STR_EQ(NULL, NULL);
	CHECK_NEAR(1.0, 1.0 + 1e-9, 1e-6);
}

WEIR_TEST(canary, fails_a_check)
{
	CHECK(1 + 1 == 3);
}

WEIR_TEST(canary, fails_an_equality_of_different_signs)
{
	CHECK_EQ(-1, UINTMAX_MAX);
}

WEIR_TEST(canary, fails_an_equality_of_strings)
{
	CHECK_STR_EQ("weir", NULL);
}

WEIR_TEST(canary, fails_nearness_to_nan)
{
	CHECK_NEAR((double)NAN, 0.0, INFINITY);
}

WEIR_TEST(canary, crashes)
{
	abort();
}

static void *fail_in_thread(void *argument)
{
	CHECK_EQ(*(const int *)argument, 43);
	return NULL;
}

WEIR_TEST(canary, fails_in_another_thread)
{
	int number = 42;
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, fail_in_thread, &number), 0);
	(void)pthread_join(thread, NULL);
}

WEIR_TEST(canary, skips)
{
	SKIP("this machine has no canary");
}

#ifndef HARNESS_CRITERION
/* Criterion's own limit of time is tested by Criterion. */
WEIR_TEST(canary, hangs)
{
	for (volatile int forever = 1; forever == 1;)
		continue;
}
#endif
