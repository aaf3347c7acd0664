/* SPDX-License-Identifier: BSD-2-Clause */
/* Verify: is it all as it should be? Every difference is complained of. */
#ifndef JOBS_VERIFY_H
#define JOBS_VERIFY_H

#include "intake.h"
#include "letters.h"
#include "worker.h"

/* When all threads have ended: every step that was published was done, skipped or has
 * become a dead letter, by this program's counts and by the library's. */
bool verify_counts(const struct intake *intake, const struct worker *workers, size_t count,
	const struct letters *letters, const weir_subscription_statistics *group);

/* Do it all again, plainly, and compare: which files failed, in which step and why,
 * and the results of the others. `compared` gets how many files: not those that were
 * changed since, or cut. */
bool verify_results(const struct jobs *jobs, const struct options *options,
	const weir_subscription_statistics *group, uint64_t *compared);

#endif
