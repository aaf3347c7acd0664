/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gate: a place to sleep, for peers that have none of their own.
 *
 * The sleeper arms the gate, looks once more, and sleeps; whoever made progress
 * opens it.  Both pass a full fence between their own step and the look at the
 * other's, so one of the two sees the other.  There is no spinning before the
 * sleep: this is the gate that one writes in a few lines.
 */
#ifndef BENCH_GATE_H
#define BENCH_GATE_H

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

/* A full fence, in a form that ThreadSanitizer puts up with where it looks on. */
static inline void bench_fence(void)
{
#ifdef WEIRI_SANITIZE_THREAD
	int word = 0;

	(void)__atomic_exchange_n(&word, 1, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static inline void bench_gate_arm(struct bench_gate *gate)
{
	__atomic_store_n(&gate->is_closed, 1, __ATOMIC_RELAXED);
	bench_fence();
}

static inline void bench_gate_disarm(struct bench_gate *gate)
{
	__atomic_store_n(&gate->is_closed, 0, __ATOMIC_RELAXED);
}

static inline void bench_gate_sleep(struct bench_gate *gate)
{
	(void)syscall(SYS_futex, &gate->is_closed, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
}

static inline void bench_gate_open(struct bench_gate *gate)
{
	bench_fence();
	if (__atomic_load_n(&gate->is_closed, __ATOMIC_RELAXED) == 0)
		return;
	__atomic_store_n(&gate->is_closed, 0, __ATOMIC_SEQ_CST);
	(void)syscall(SYS_futex, &gate->is_closed, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif
