/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Worker: a member of the group, and the thread that receives as it: takes a step,
 * does it, and says how it went. Done: acknowledged together with its result
 * (job_commit). Failed, but might go better: given back, to be tried again after a
 * pause, by any worker that may. Failed for good: rejected. What is out of attempts or
 * rejected becomes a dead letter (letters.h).
 *
 * The thread runs until the broker is drained, or crashes on request: it leaves the
 * group in the middle of a step, which is then another's. While it runs, only
 * `subscription` may be used by others, and not that of one that is to crash; after
 * worker_join all of it.
 */
#ifndef JOBS_WORKER_H
#define JOBS_WORKER_H

#include "jobs.h"
#include "options.h"

struct worker {
	const struct options *options;
	struct jobs *jobs;
	weir_subscription *subscription; /* NULL when it has crashed */
	uint32_t weight;
	size_t crash; /* the step in which to crash, from 1; 0: none */
	pthread_t thread;
	bool is_running;
	struct squeeze *squeeze;
	/* The step in hand. */
	const weir_delivery *delivery;
	double extended; /* when its time was last counted from */
	/* How it went. Each delivery is counted in one of these six, but for that of a
	 * crash. */
	uint64_t taken;    /* deliveries */
	uint64_t done;     /* of them: acknowledged, with a result */
	uint64_t skipped;  /* ... without, for an earlier step had failed, or is cut */
	uint64_t failed;   /* ... given back */
	uint64_t rejected; /* ... for good */
	uint64_t stale;    /* ... too late */
	uint64_t bytes;    /* of the steps done */
	double busy;       /* seconds between a delivery and its end */
	bool has_crashed;
	int error; /* what ended it, if not the drain */
};

/* Join the group and start. Returns 0; what weir_subscribe returns; WEIR_ESYSTEM: no
 * thread to be had. */
int worker_start(struct worker *worker, weir_broker *broker, const char *filter,
	const weir_subscription_options *group);

/* Wait until it is done. A second time is nothing. */
void worker_join(struct worker *worker);

/* Join, and leave the group. */
void worker_free(struct worker *worker);

#endif
