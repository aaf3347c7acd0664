/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults: failures that are asked for, to see what becomes of them. Whether an
 * attempt at a step of a file fails depends on the seed, the file's path, the
 * step's number and the attempt's, and on nothing else: not on threads or time. So
 * the same failures come again with the same seed, and who knows it can tell them.
 */
#ifndef JOBS_FAULTS_H
#define JOBS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct faults {
	double rate; /* of the attempts that fail, 0..1 */
	uint64_t seed;
};

/* `key` is the path's. */
bool faults_strike(const struct faults *faults, uint64_t key, uint64_t step, uint32_t attempt);

#endif
