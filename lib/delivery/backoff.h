/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backoff: how long a message waits before its next attempt, after a timeout or
 * a nack alike: first * factor^(attempt - 1), at most `maximum`, and of that a
 * random part up to `jitter` taken off, so that messages that failed together do
 * not come back together.
 */
#ifndef WEIRI_BACKOFF_H
#define WEIRI_BACKOFF_H

#include <stdint.h>

struct weiri_backoff {
	double first; /* seconds; 0: no wait */
	double factor;
	double maximum; /* seconds */
	double jitter;  /* 0..1 */
};

/* The wait after the attempt of this number, counted from 1; `random` is a
 * number of 0..1 that has not been used before. */
double weiri_backoff_delay(const struct weiri_backoff *backoff, uint32_t attempt, double random);

#endif
