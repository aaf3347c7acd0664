/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain: the work on one file as it is without a broker: all steps one after another,
 * here and now. It is what the workers' results are compared with, the failures that
 * were asked for included.
 */
#ifndef JOBS_PLAIN_H
#define JOBS_PLAIN_H

#include "job.h"
#include "options.h"

struct plain {
	int error;     /* 0, an errno, PERFORM_CHANGED or PERFORM_INJECTED */
	uint64_t step; /* that failed */
	struct result result;
};

struct plain plain_do(
	const struct job *job, const struct options *options, struct squeeze *squeeze);

#endif
