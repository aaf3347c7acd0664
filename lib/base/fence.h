/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asymmetric fences: for "store my word, then look at yours" where one side
 * does it for every message and the other almost never.
 *
 * The frequent side calls weiri_fence_light, which stops only the compiler.  The
 * rare side calls weiri_fence_heavy, which makes every running thread of the
 * process pass a full fence (the system call membarrier).  Together they order
 * as two full fences do.  Where the kernel has no such call both are full
 * fences; `available` says which, decided once per broker.  If the call is
 * forbidden later, heavy sleeps 20 ms instead.
 *
 * Measured on two cores: heavy costs 0.4 us if no other thread runs and 11 us
 * if one does; a full fence 2 ns, plus the wait for the stores before it, which
 * is what the light side saves.
 */
#ifndef WEIRI_FENCE_H
#define WEIRI_FENCE_H

#include "base/atomics.h"

/* Asks the kernel; registers the process if it can.  Threads: any. */
bool weiri_fence_probe(void);

void weiri_fence_heavy(bool available);

static inline void weiri_fence_light(bool available)
{
	if (available)
		weiri_fence_compiler();
	else
		weiri_fence_full();
}

#endif
