/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Perform: do one step of a job, which is to read that part of the file and to feed
 * it to a squeeze. It is the same function whether a worker calls it or the
 * single-threaded pass that the workers are compared with.
 *
 * The file is read through one buffer, whatever its size.
 */
#ifndef JOBS_PERFORM_H
#define JOBS_PERFORM_H

#include "job.h"

#define PERFORM_BUFFER_SIZE ((size_t)64 << 10)

/* How an attempt ended, besides 0 and the values of errno. */
enum perform_error {
	PERFORM_CHANGED = -1,   /* the file is not as it was found */
	PERFORM_INJECTED = -2,  /* a failure that was asked for (faults.h) */
	PERFORM_ABANDONED = -3, /* `go_on` said so */
};

/* Asked before each buffer: is the step still to be done? */
typedef bool perform_function(void *context);

/* Do step `number`. Returns 0, an errno, PERFORM_CHANGED or PERFORM_ABANDONED; in these
 * cases `squeeze` is of no use. `go_on` may be NULL. */
int perform(const struct job *job, uint64_t number, struct squeeze *squeeze,
	perform_function *go_on, void *context);

/* Could another attempt go better? */
bool perform_is_transient(int error);

/* A text for it, as strerror's. */
const char *perform_text(int error);

#endif
