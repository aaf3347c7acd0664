/* SPDX-License-Identifier: BSD-2-Clause */
/* A hash of what the failure depends on, as a number from 0 to 1. */
#include "faults.h"

#include <weir/weir.h>

bool faults_strike(const struct faults *faults, uint64_t key, uint64_t step, uint32_t attempt)
{
	const uint64_t words[] = { faults->seed, key, step, attempt };

	return (double)(weir_key(words, sizeof(words)) >> 11) * 0x1p-53 < faults->rate;
}
