/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * External peers: programs in other languages, which weir-bench starts and asks
 * for one run at a time, so that they take turns with the others and stay warm.
 *
 * A peer's `program` is looked for relative to the directory of weir-bench.  It
 * is started with the peer's name as its argument, and reads one line a run:
 *
 *   throughput|round_trip|paced PUBLISHERS SUBSCRIBERS SIZE CAPACITY MODE BATCH
 *           LOANED PINNED MESSAGES INTERVAL
 *
 * (MODE is spin, yield or default; LOANED and PINNED are 0 or 1; MESSAGES is for
 * each publisher; INTERVAL is in ns.)  It answers with `ok` and the figures that
 * run.h lists for the kind, or with `fail` and why.  It checks order and count of
 * the messages as the loops here do.  It ends at the end of its input.
 */
#ifndef BENCH_EXTERNAL_H
#define BENCH_EXTERNAL_H

#include <sys/types.h>

#include "run.h"

/* Whether the peer's program is there. */
bool bench_external_is_there(const struct bench_peer *peer);

void bench_external_run(
	const struct bench_peer *peer, const struct bench_job *job, struct bench_result *result);

/* The process that does the peer's work; 0 if it is this one, or not started. */
pid_t bench_external_process(const struct bench_peer *peer);

#endif
