/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Series: what an interval and a depth were from when on.
 *
 * Threads: any may add.
 */
#ifndef RUNS_SERIES_H
#define RUNS_SERIES_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct sample {
	double time;
	double interval;
	uint64_t depth;
};

struct series {
	pthread_mutex_t mutex;
	double interval; /* the last one noted */
	struct sample *samples;
	size_t count;
	size_t size;
};

void series_open(struct series *series, double interval);
void series_free(struct series *series);

/* From now on the interval is another one. */
void series_note_interval(struct series *series, double interval);

/* At `time` the depth is this. */
void series_add(struct series *series, double time, uint64_t depth);

#endif
