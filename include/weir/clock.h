/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clock: real time, or the virtual time of a simulation (weir/sim.h).
 *
 * All times and durations of the interface are double seconds.  A broker
 * lives on one clock, and everything done through it waits, sleeps and tells
 * the time by that clock, so the same function body runs in a thread on the
 * real clock and in a simulated process on a virtual one.
 */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include <math.h>

#include <weir/api.h>

WEIR_BEGIN_DECLS

/* A timeout that never comes. */
#define WEIR_FOREVER ((double)INFINITY)

typedef struct weir_clock weir_clock;

/*
 * weir_clock_real - the real clock: CLOCK_MONOTONIC.
 *
 * Threads: any.  Owner: the library; immutable, valid for ever.
 */
WEIR_API weir_clock *weir_clock_real(void);

/*
 * weir_now - the time of a clock, in seconds; its zero is the clock's own
 * (the machine's start for the real clock, 0.0 for a simulation).
 *
 * Threads: any on the real clock; the simulation's thread on a virtual one.
 * `clock` must not be NULL; NULL gives NaN.
 */
WEIR_API double weir_now(weir_clock *clock);

/*
 * weir_sleep - wait for `duration` seconds.  It never ends early, whatever
 * signals the thread handles.
 *
 * Threads: any on the real clock; a simulated process on a virtual one.
 * Returns 0; WEIR_EINVAL: NULL, or a duration that is negative or not a
 * number; WEIR_EDEADLK: virtual time, outside a simulated process;
 * WEIR_ESHUTDOWN: the simulation is being closed, the process should return.
 */
WEIR_API int weir_sleep(weir_clock *clock, double duration);

WEIR_END_DECLS

#endif
