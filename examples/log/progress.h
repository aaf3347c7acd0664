/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Progress: how far a long run is, on standard error: one line that is written
 * over on a terminal, a line twice a second elsewhere.
 */
#ifndef LOG_PROGRESS_H
#define LOG_PROGRESS_H

#include "feed.h"

struct progress {
	bool is_shown;
	bool is_terminal;
	bool is_on_screen;    /* a line that is to be written over */
	uint64_t bytes_total; /* of all inputs; 0 if that is not known */
	double begin;
	double next; /* when to show it next */
};

/* Shown on a terminal, or if asked for. */
void progress_open(struct progress *progress, const struct options *options);

/* Show it if it is time, by what the broker counts. */
void progress_show(struct progress *progress, const struct feed *feed, weir_broker *broker);

/* The last one, if any was asked for; on a terminal the line goes away. */
void progress_close(struct progress *progress, const struct feed *feed, weir_broker *broker);

#endif
