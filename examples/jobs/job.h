/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Job: one file, what is known of it, and how far the work on it is.
 *
 * The work on a file is cut into steps, which are done in order. What the steps
 * so far have come to is kept in the job: a worker takes a copy of it (job_begin),
 * adds its step to the copy, and then commits the copy together with its
 * acknowledgement (job_commit). Of all who tried a step one acknowledgement wins, so
 * one copy; and a worker that crashes, or whose time has run out, leaves nothing
 * half done behind.
 */
#ifndef JOBS_JOB_H
#define JOBS_JOB_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include <weir/weir.h>

#include "squeeze.h"

/* Why a job failed: a dead letter. */
struct letter {
	uint64_t step;
	uint32_t attempts;
	weir_dead_reason reason;
	char error[WEIR_REASON_SIZE];
};

struct job {
	char *path;
	uint64_t key; /* of the path */
	/* The file as it was found; if it is another later, that is an error. */
	dev_t device;
	ino_t inode;
	uint64_t size;
	struct timespec modified;
	uint64_t step_size; /* SIZE_MAX: all in one */
	atomic_bool is_cut; /* not all of its steps were published, nor will be */

	pthread_mutex_t mutex; /* for the following */
	uint64_t done;         /* steps committed, and the number of the next one */
	uint64_t skipped;      /* steps acknowledged without work, see job_skip */
	struct squeeze *kept;  /* after `done` steps, if there are more; else NULL */
	struct result result;  /* when all are done */
	uint64_t lost_step;    /* the step that a worker crashed in, */
	uint32_t lost_attempt; /* ... at this attempt; 0: none did */

	uint64_t published;    /* steps; of the thread that publishes, until it ends */
	struct letter *letter; /* the first; of who collects them, until he ends */
	uint64_t letters;
};

/* What is published: one step of a job. */
struct step {
	struct job *job;
	uint64_t number; /* from 0 */
};

struct job *job_make(const char *path, const struct stat *file, uint64_t step_size);
void job_free(struct job *job);

/* At least 1: an empty file is work, too. */
uint64_t job_steps(const struct job *job);

/* Where a step begins, and the bytes of it. */
uint64_t job_step_offset(const struct job *job, uint64_t number);
uint64_t job_step_bytes(const struct job *job, uint64_t number);

/* Is the file as it was found? */
bool job_is_of(const struct job *job, const struct stat *file);

/* Were all steps done? */
bool job_is_complete(const struct job *job);

/* Make `squeeze` what the steps before this one came to. False: they did not come to
 * it, or it is not worth while any more (is_cut). */
bool job_begin(struct job *job, uint64_t number, struct squeeze *squeeze);

/* Acknowledge the step and, if that wins, put `*squeeze`, which was made by job_begin
 * and went through the step, in the job's keeping; `*squeeze` is then another or
 * NULL. Returns what weir_ack does. */
int job_commit(
	struct job *job, uint64_t number, const weir_delivery *delivery, struct squeeze **squeeze);

/* Acknowledge a step for which job_begin was false. Returns what weir_ack does. */
int job_skip(struct job *job, const weir_delivery *delivery);

/* A worker crashed in this attempt at the step. */
void job_lose(struct job *job, uint64_t number, uint32_t attempt);

#endif
