/* SPDX-License-Identifier: BSD-2-Clause */
/* Yields, then naps. */
#include "base/pause.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define YIELDS 100
#define NAP_NS 50000

void weiri_pause(unsigned int looks)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	int state;

	if (looks < YIELDS) {
		(void)sched_yield();
		return;
	}
	/* A thread cancelled here would leave something half done. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	(void)pthread_setcancelstate(state, &state);
}
