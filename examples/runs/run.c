/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of runs. */
#include "run.h"

#include <stdio.h>
#include <string.h>

static const struct run *const runs[] = {
	&run_simple,
	&run_backpressure,
	&run_priority,
	&run_ack,
	&run_group,
};

#define RUNS (sizeof(runs) / sizeof(runs[0]))

const struct run *run_find(const char *name)
{
	for (size_t i = 0; i < RUNS; i++)
		if (strcmp(runs[i]->name, name) == 0)
			return runs[i];
	return NULL;
}

void run_list(void)
{
	for (size_t i = 0; i < RUNS; i++)
		(void)printf("%-12s  %s\n", runs[i]->name, runs[i]->summary);
}

const char *run_names(void)
{
	static char names[256];
	size_t length = 0;

	for (size_t i = 0; i < RUNS; i++)
		length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
			i > 0 ? ", " : "", runs[i]->name);
	return names;
}
