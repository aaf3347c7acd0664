/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Progress: how far a long run is, on standard error: a bar that is written over on
 * a terminal, a line twice a second elsewhere, if that is asked for.
 */
#ifndef JOBS_PROGRESS_H
#define JOBS_PROGRESS_H

#include "jobs.h"

struct progress {
	bool is_shown;
	bool is_terminal;
	bool is_on_screen; /* a line that is to be written over */
	double begin;
	double next; /* when to show it next */
};

/* Shown on a terminal, or if asked for. */
void progress_open(struct progress *progress, bool is_asked_for);

/* Show it if it is time, by what the jobs and the broker count. */
void progress_show(struct progress *progress, const struct jobs *jobs, weir_broker *broker);

/* The last one, if any was asked for; on a terminal the line goes away. */
void progress_close(struct progress *progress, const struct jobs *jobs, weir_broker *broker);

#endif
