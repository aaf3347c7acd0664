/* SPDX-License-Identifier: BSD-2-Clause */
/* harness_criterion.c - runs the cases of harness.h under Criterion, which brings main. */
#include "harness.h"
#include "harness_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

void harness_driver_replay(char *command, size_t size, const char *suite, const char *name)
{
	char program[512];
	const ssize_t length = readlink("/proc/self/exe", program, sizeof(program));

	/* A case runs in a process that Criterion has given a name of its own. */
	(void)snprintf(command, size, "%.*s --filter %s/%s", length > 0 ? (int)length : 0, program,
		suite, name);
}
