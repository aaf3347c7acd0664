/* SPDX-License-Identifier: BSD-2-Clause */
/* Comparing, number by number. */
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"
#include "manifest.h"
#include "perform.h"
#include "plain.h"

/* Where differences are counted, and whose they are. */
struct verdict {
	const char *who;
	uint64_t differences;
};

static void equal(struct verdict *verdict, const char *what, uint64_t found, uint64_t expected)
{
	char *who;

	if (found == expected)
		return;
	who = manifest_escape(verdict->who);
	complain("verify: %s: %s: %" PRIu64 ", expected %" PRIu64, who, what, found, expected);
	free(who);
	verdict->differences++;
}

/* ---- Counts ---- */

static void jobs_compare(struct verdict *verdict, const struct jobs *jobs, uint64_t *skipped)
{
	for (size_t i = 0; i < jobs->count; i++) {
		const struct job *job = jobs->all[i];

		verdict->who = job->path;
		equal(verdict, "steps done, skipped and failed",
			job->done + job->skipped + job->letters, job->published);
		*skipped += job->skipped;
	}
}

/* Promise P3, by the library's own counters. */
static void conservation_compare(
	struct verdict *verdict, const weir_subscription_statistics *group, uint64_t published)
{
	uint64_t dropped = 0;

	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		dropped += group->dropped[i];
	equal(verdict, "statistics: matched", group->matched, published);
	equal(verdict, "statistics: acknowledged, dead-lettered, dropped, queued, ...",
		group->acknowledged + group->dead_lettered + dropped + group->expired +
			group->queued + group->in_flight + group->parked,
		group->matched);
	equal(verdict, "statistics: dropped", dropped, 0);
	equal(verdict, "statistics: queued", group->queued, 0);
	equal(verdict, "statistics: in flight", group->in_flight, 0);
	if (group->high_water > group->capacity)
		equal(verdict, "statistics: high water", group->high_water, group->capacity);
}

bool verify_counts(const struct intake *intake, const struct worker *workers, size_t count,
	const struct letters *letters, const weir_subscription_statistics *group)
{
	struct verdict verdict = { .differences = 0 };
	uint64_t taken = 0, done = 0, worker_skipped = 0, skipped = 0;
	uint64_t received = atomic_load_explicit(&letters->count, memory_order_relaxed);

	for (size_t i = 0; i < count; i++) {
		const struct worker *worker = &workers[i];

		taken += worker->taken;
		done += worker->done;
		worker_skipped += worker->skipped;
		verdict.who = "a worker";
		equal(&verdict, "deliveries settled",
			worker->done + worker->skipped + worker->failed + worker->rejected +
				worker->stale + (worker->has_crashed ? 1 : 0),
			worker->taken);
	}
	jobs_compare(&verdict, intake->jobs, &skipped);
	verdict.who = "all";
	equal(&verdict, "steps skipped", worker_skipped, skipped);
	equal(&verdict, "steps done, skipped and failed", done + skipped + received, intake->steps);
	equal(&verdict, "statistics: acknowledged", group->acknowledged, done + skipped);
	equal(&verdict, "statistics: dead-lettered", group->dead_lettered, received);
	equal(&verdict, "statistics: delivered and redelivered",
		group->delivered + group->redelivered, taken);
	conservation_compare(&verdict, group, intake->steps);
	return verdict.differences == 0;
}

/* ---- Results ---- */

static bool is_failed_by(const struct job *job, int error)
{
	return job->letter != NULL && strcmp(job->letter->error, perform_text(error)) == 0;
}

/* May the file be another than it was, or its directory? Then there is nothing to
 * compare with. So it is with errors that come and go. */
static bool is_comparable(const struct job *job, const struct plain *plain, bool is_exact)
{
	if (plain->error == PERFORM_CHANGED)
		return false;
	if (plain->error == PERFORM_INJECTED || is_failed_by(job, PERFORM_INJECTED))
		return is_exact;
	if (plain->error != 0)
		return job->letter != NULL;
	return job->letter == NULL || job->letter->reason == WEIR_DEAD_REJECTED;
}

static void result_compare(
	struct verdict *verdict, const struct job *job, const struct plain *plain)
{
	equal(verdict, "steps done", job->done, plain->step);
	equal(verdict, "dead letters", job->letters, plain->error != 0 ? 1 : 0);
	if (plain->error == 0) {
		equal(verdict, "size", job->result.size, plain->result.size);
		equal(verdict, "compressed size", job->result.compressed, plain->result.compressed);
		equal(verdict, "checksum", job->result.checksum, plain->result.checksum);
		return;
	}
	if (!is_failed_by(job, plain->error)) {
		complain("verify: %s: '%s', expected '%s'", verdict->who,
			job->letter != NULL ? job->letter->error : "", perform_text(plain->error));
		verdict->differences++;
	}
}

bool verify_results(const struct jobs *jobs, const struct options *options,
	const weir_subscription_statistics *group, uint64_t *compared)
{
	struct verdict verdict = { .differences = 0 };
	struct squeeze *squeeze = squeeze_make((int)options->level);

	*compared = 0;
	for (size_t i = 0; i < jobs->count; i++) {
		const struct job *job = jobs->all[i];
		struct plain plain;

		if (atomic_load_explicit(&job->is_cut, memory_order_relaxed))
			continue;
		plain = plain_do(job, options, squeeze);
		/* A time that ran out took an attempt, too, nobody noted which. */
		if (!is_comparable(job, &plain, group->timeouts == 0))
			continue;
		verdict.who = job->path;
		result_compare(&verdict, job, &plain);
		(*compared)++;
	}
	squeeze_free(squeeze);
	return verdict.differences == 0;
}
