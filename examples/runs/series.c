/* SPDX-License-Identifier: BSD-2-Clause */
/* An array that grows. */
#include "series.h"

#include <stdlib.h>

#include "../common/complain.h"

void series_open(struct series *series, double interval)
{
	*series = (struct series){ .interval = interval };
	(void)pthread_mutex_init(&series->mutex, NULL);
}

void series_free(struct series *series)
{
	(void)pthread_mutex_destroy(&series->mutex);
	free(series->samples);
}

void series_note_interval(struct series *series, double interval)
{
	(void)pthread_mutex_lock(&series->mutex);
	series->interval = interval;
	(void)pthread_mutex_unlock(&series->mutex);
}

void series_add(struct series *series, double time, uint64_t depth)
{
	(void)pthread_mutex_lock(&series->mutex);
	if (series->count == series->size) {
		series->size = series->size > 0 ? 2 * series->size : 64;
		series->samples =
			memory_resize(series->samples, series->size, sizeof(*series->samples));
	}
	series->samples[series->count++] = (struct sample){ time, series->interval, depth };
	(void)pthread_mutex_unlock(&series->mutex);
}
