/* SPDX-License-Identifier: BSD-2-Clause */
/* A loop. */
#include "plain.h"

#include "perform.h"

/* Does every attempt at the step fail? That in which a worker crashed does not
 * count: nobody knows how it would have ended. */
static bool is_doomed(const struct job *job, const struct options *options, uint64_t step)
{
	for (uint32_t attempt = 1; attempt <= options->attempts; attempt++) {
		if (step == job->lost_step && attempt == job->lost_attempt)
			continue;
		if (!faults_strike(&options->faults, job->key, step, attempt))
			return false;
	}
	return true;
}

struct plain plain_do(const struct job *job, const struct options *options, struct squeeze *squeeze)
{
	struct plain plain = { .error = 0 };
	uint64_t steps = job_steps(job);

	squeeze_reset(squeeze);
	while (plain.step < steps && plain.error == 0) {
		plain.error = perform(job, plain.step, squeeze, NULL, NULL);
		if (plain.error == 0 && is_doomed(job, options, plain.step))
			plain.error = PERFORM_INJECTED;
		if (plain.error == 0)
			plain.step++;
	}
	plain.result = squeeze->result;
	return plain;
}
