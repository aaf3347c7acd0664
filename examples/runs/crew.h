/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Crew: three workers that share the jobs of one topic, as one group; the third is
 * ten times slower than the others.
 *
 *                          +-- Fast-1
 *   Source ----- jobs -----+-- Fast-2
 *                          +-- Slow
 *
 * Together they keep up with the source, but a third of the jobs is far too much for
 * the slow one. So it is the policy that decides whether jobs pile up.
 */
#ifndef RUNS_CREW_H
#define RUNS_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

#include "latencies.h"

#define CREW_WORKERS 3

struct options;

struct crew_policy {
	const char *name;
	weir_group_policy policy;
};

#define CREW_POLICIES 6

extern const struct crew_policy crew_policies[CREW_POLICIES];

/* The policy of that name; NULL: there is none. */
const struct crew_policy *crew_policy_find(const char *name);

/* A worker, and what became of it. */
struct crew_worker {
	const char *name;
	uint32_t weight;
	uint64_t received;
	uint64_t done;
	uint64_t waiting; /* assigned to it, and not received */
	double share;     /* of all that was done */
	double busy;      /* seconds */
	/* From publish to receive; of what is assigned to it and waits: so far. */
	struct latency_summary latency;
};

/* All of them. */
struct crew {
	const struct crew_policy *policy;
	struct crew_worker workers[CREW_WORKERS];
	uint64_t published;
	uint64_t dropped;
	uint64_t received;
	uint64_t done;
	uint64_t waiting; /* whether assigned or not */
	double imbalance; /* the library's */
	struct latency_summary latency;
};

/* Let them work under the policy; with a transcript unless it `is_quiet`. */
void crew_play(struct crew *crew, const struct crew_policy *policy, const struct options *options,
	bool is_quiet);

#endif
