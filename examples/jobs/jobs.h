/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs: all the files, in the order in which they were found, and the counts that
 * show how far the work is.
 *
 * The list is the thread's that walks, until it ends. The counts may be looked at by
 * any thread at any time.
 */
#ifndef JOBS_JOBS_H
#define JOBS_JOBS_H

#include "job.h"

struct jobs {
	struct job **all;
	size_t count;
	size_t size;
	/* What there is, as far as the walk is or, if it was counted before, in all. */
	_Atomic uint64_t files_found;
	_Atomic uint64_t bytes_found;
	_Atomic uint64_t files_done;
	_Atomic uint64_t bytes_done; /* also those of files that are not done yet */
};

void jobs_add(struct jobs *jobs, struct job *job);

/* By path. */
void jobs_sort(struct jobs *jobs);

void jobs_free(struct jobs *jobs);

#endif
