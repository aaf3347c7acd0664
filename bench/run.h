/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run: one measurement of one peer, in threads of this process, or by the peer's
 * own program (external.h).
 *
 * A run that loses, doubles, damages or reorders a message, whose peer's counters
 * say otherwise than its subscribers, or that hangs, ends the program.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench.h"

enum bench_kind {
	/* Messages received in a second, of all subscribers together, from the
	 * first publisher's begin to the last subscriber's end: one figure. */
	BENCH_THROUGHPUT,
	/* Out over one topic and back over another: p50, p99, p99.9 in ns. */
	BENCH_ROUND_TRIP,
	/* Open loop: p50, p99, p99.9 of the publish, and of the delivery, in ns
	 * since the message was due. */
	BENCH_PACED,
};

struct bench_job {
	enum bench_kind kind;
	struct bench_shape shape;
	uint64_t messages; /* of each publisher */
	uint64_t limit;    /* ns after which publishing ends early (throughput) */
	uint64_t interval; /* ns from message to message (paced) */
};

struct bench_result {
	unsigned int count;
	double figures[BENCH_FIGURES_MAX];
};

void bench_run(
	const struct bench_peer *peer, const struct bench_job *job, struct bench_result *result);

/* What is being run, for the words of whoever ends the program. */
void bench_context(const char *workload, const char *name, const char *peer);

#endif
