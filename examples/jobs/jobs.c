/* SPDX-License-Identifier: BSD-2-Clause */
/* An array that grows. */
#include "jobs.h"

#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

#define SIZE_FIRST 64

void jobs_add(struct jobs *jobs, struct job *job)
{
	if (jobs->count == jobs->size) {
		jobs->size = jobs->size > 0 ? 2 * jobs->size : SIZE_FIRST;
		jobs->all = memory_resize(jobs->all, jobs->size, sizeof(struct job *));
	}
	jobs->all[jobs->count++] = job;
}

static int by_path(const void *left, const void *right)
{
	const struct job *const *one = left;
	const struct job *const *other = right;

	return strcmp((*one)->path, (*other)->path);
}

void jobs_sort(struct jobs *jobs)
{
	if (jobs->count > 0)
		qsort(jobs->all, jobs->count, sizeof(struct job *), by_path);
}

void jobs_free(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		job_free(jobs->all[i]);
	free(jobs->all);
}
