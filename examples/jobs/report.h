/* SPDX-License-Identifier: BSD-2-Clause */
/* Report: what was done and by whom, for people, on standard output. */
#ifndef JOBS_REPORT_H
#define JOBS_REPORT_H

#include "intake.h"
#include "worker.h"

/* What became of the files: `failed` of them did, and the queue had up to `high_water`
 * steps in it. */
void report_total(
	const struct intake *intake, uint64_t failed, uint64_t high_water, double seconds);

/* A table of the workers, and a line on the group. */
void report_workers(const struct options *options, const struct worker *workers,
	const weir_group_statistics *group);

#endif
