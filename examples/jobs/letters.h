/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Letters: the thread that receives the dead letters, and notes in the job of each
 * why it failed.
 *
 * Its queue has no bound in messages: a dead letter does not wait for room, and none
 * should be lost. What `jobs` say of letters may be read after letters_join.
 */
#ifndef JOBS_LETTERS_H
#define JOBS_LETTERS_H

#include "jobs.h"

struct letters {
	weir_subscription *subscription;
	pthread_t thread;
	bool is_running;
	_Atomic uint64_t count;
	int error; /* what ended it, if not the drain */
};

/* Returns 0; what weir_subscribe returns; WEIR_ESYSTEM: no thread to be had. */
int letters_start(struct letters *letters, weir_broker *broker, const char *topic);

/* Wait until it is done, which it is when the broker is drained or closed. A second
 * time is nothing. */
void letters_join(struct letters *letters);

/* Join, and end the subscription. */
void letters_free(struct letters *letters);

/* One line on standard error for each job that failed. Returns how many did. */
uint64_t letters_tell(const struct jobs *jobs);

#endif
