/* SPDX-License-Identifier: BSD-2-Clause */
/* Sums, and a table. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* What became of the files. */
struct sums {
	uint64_t files; /* done */
	uint64_t cut;   /* neither done nor failed */
	uint64_t bytes;
	uint64_t compressed;
};

static struct sums sums_of(const struct jobs *jobs)
{
	struct sums sums = { .files = 0 };

	for (size_t i = 0; i < jobs->count; i++) {
		const struct job *job = jobs->all[i];

		if (job_is_complete(job)) {
			sums.files++;
			sums.bytes += job->result.size;
			sums.compressed += job->result.compressed;
		} else if (job->letter == NULL) {
			sums.cut++;
		}
	}
	return sums;
}

void report_total(const struct intake *intake, uint64_t failed, uint64_t high_water, double seconds)
{
	struct sums sums = sums_of(intake->jobs);

	(void)printf("%" PRIu64 " file%s, %.1f MB, compressed %.1f MB, in %.2f s: %.1f MB/s\n",
		sums.files, plural(sums.files), (double)sums.bytes * 1e-6,
		(double)sums.compressed * 1e-6, seconds,
		seconds > 0 ? (double)sums.bytes * 1e-6 / seconds : 0);
	if (failed > 0)
		(void)printf("%" PRIu64 " file%s failed\n", failed, plural(failed));
	if (sums.cut > 0)
		(void)printf("%" PRIu64 " file%s not finished\n", sums.cut, plural(sums.cut));
	if (intake->others > 0)
		(void)printf("%" PRIu64 " passed over that %s no file%s (links, sockets, ...)\n",
			intake->others, intake->others == 1 ? "is" : "are", plural(intake->others));
	(void)printf("%" PRIu64 " step%s, at most %" PRIu64
		     " queued; the walk waited %.2f s for room\n",
		intake->steps, plural(intake->steps), high_water, intake->held);
}

static void worker_print(size_t number, const struct worker *worker, uint64_t bytes)
{
	char share[8] = "-";

	if (bytes > 0)
		(void)snprintf(share, sizeof(share), "%.1f %%",
			(double)worker->bytes * 100 / (double)bytes);
	(void)printf("%6zu %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
		     " %8" PRIu64 " %9.1f %8s %8.2f%s\n",
		number, worker->taken, worker->done, worker->failed, worker->rejected,
		worker->skipped, worker->stale, (double)worker->bytes * 1e-6, share, worker->busy,
		worker->has_crashed ? "  crashed" : "");
}

void report_workers(const struct options *options, const struct worker *workers,
	const weir_group_statistics *group)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < options->workers; i++)
		bytes += workers[i].bytes;
	(void)printf("\n%6s %8s %8s %8s %8s %8s %8s %9s %8s %8s\n", "worker", "taken", "done",
		"failed", "rejected", "skipped", "late", "MB", "share", "busy s");
	for (size_t i = 0; i < options->workers; i++)
		worker_print(i + 1, &workers[i], bytes);
	(void)printf("\ngroup by %s: %" PRIu64 " redelivered, %" PRIu64
		     " timed out, imbalance %.2f, %" PRIu64 " rebalance%s, %" PRIu64
		     " key%s moved\n",
		options->policy_name, group->total.redelivered, group->total.timeouts,
		group->imbalance, group->rebalances, plural(group->rebalances), group->keys_moved,
		plural(group->keys_moved));
}
