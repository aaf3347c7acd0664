/* SPDX-License-Identifier: BSD-2-Clause */
/* harness_criterion.c - runs the cases of harness.h under Criterion, which brings main. */
#include "harness.h"
#include "harness_driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void harness_driver_fail(const char *message, bool own_thread)
{
	if (!own_thread) {
		(void)fprintf(stderr, "# %s\n", message);
		abort();
	}
	cr_assert_fail("%s", message);
	abort();
}

void harness_driver_skip(const char *reason)
{
	cr_skip_test("%s", reason);
	abort();
}

const char *harness_driver_program(void)
{
	return program_invocation_name;
}
