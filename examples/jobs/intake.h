/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intake: the thread that walks and publishes a message for each step of each file
 * that it finds. When the queue of the group is full it waits, so a walk through a
 * large tree is never far ahead of the work.
 *
 * Told to stop, it does so between two steps, also when it waits. The file of which
 * it has not published all steps then is cut.
 */
#ifndef JOBS_INTAKE_H
#define JOBS_INTAKE_H

#include <pthread.h>

#include "jobs.h"
#include "options.h"

struct intake {
	const struct options *options;
	struct jobs *jobs;
	weir_publisher *publisher;
	pthread_t thread;
	int done_fd; /* an eventfd: readable when the thread is done */
	bool has_census;
	atomic_bool is_stopped; /* told to */
	/* Of the thread, until intake_join. */
	uint64_t steps;  /* published */
	uint64_t others; /* neither files nor directories */
	bool has_failed; /* something could not be looked at */
	bool is_cut;     /* it did stop before the end */
	double held;     /* seconds that it waited for room */
	int error;       /* of the broker, which ended it */
};

/* Start the thread. With `has_census` it first counts what there is, so that progress
 * is of something. Returns 0; what weir_publisher_open returns; WEIR_ESYSTEM. */
int intake_start(struct intake *intake, const struct options *options, struct jobs *jobs,
	weir_broker *broker, const char *topic, bool has_census);

/* Tell the thread to stop; more than once is as once. */
void intake_stop(struct intake *intake);

/* Wait until the thread is done. */
void intake_join(struct intake *intake);

#endif
