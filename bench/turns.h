/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns: one case of one workload, for all that enter it.
 *
 * First each is calibrated: how many messages make a repeat of the time that was
 * asked for.  Then they take turns, one repeat each, round after round, until each
 * has as many fair repeats as were asked for, or twice as many rounds have gone by.
 */
#ifndef BENCH_TURNS_H
#define BENCH_TURNS_H

#include "local.h"
#include "output.h"
#include "workloads.h"

void bench_turns(const struct bench_options *options, const struct bench_workload *workload,
	const struct bench_case *which, struct bench_output *output);

void bench_turns_local(const struct bench_options *options, const char *workload,
	const struct bench_local *local, struct bench_output *output);

/* Whether this build can run the peer here. */
bool bench_peer_is_there(const struct bench_peer *peer);

#endif
