/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feed: the reader thread, which publishes each line of the inputs, one input
 * after another, or all of them for as long as they grow (follow.h).
 *
 * An input that cannot be read is complained of and passed over. The thread ends
 * at the end of the inputs, when the broker takes no more, or soon after it is
 * told to stop.
 */
#ifndef LOG_FEED_H
#define LOG_FEED_H

#include <pthread.h>
#include <stdatomic.h>

#include "line_reader.h"
#include "options.h"
#include "outlet.h"
#include "tape.h"

struct feed {
	const struct options *options;
	struct outlet *outlet;
	struct tape *tape; /* gets a copy of each line; may be NULL */
	pthread_t thread;
	int stop[2];            /* a pipe: it ends when the thread should */
	int done[2];            /* a pipe: it ends when the thread has */
	_Atomic uint64_t bytes; /* published so far, for others to look at */
	/* Of the thread, until feed_join. */
	uint64_t lines;
	uint64_t *consumed; /* bytes published, by input */
	bool has_failed;    /* to read an input */
	bool is_stopped;    /* told to, before the end of the inputs */
	int error;          /* of the broker, which ended it */
};

/* Start the thread. False, with a complaint: the system has none to give. */
bool feed_start(
	struct feed *feed, const struct options *options, struct outlet *outlet, struct tape *tape);

/* A descriptor that polls as readable (hung up) when the thread is done. */
int feed_done_fd(const struct feed *feed);

/* Tell the thread to stop; more than once is as once. */
void feed_stop(struct feed *feed);

void feed_join(struct feed *feed);
void feed_free(struct feed *feed);

/* ---- For the thread itself: here and in follow.c ---- */

/* Was it told to stop? Waits for that up to `wait` milliseconds. */
bool feed_is_stopped(struct feed *feed, int wait);

/* Publish one line of that input. False: the broker takes no more. */
bool feed_line(struct feed *feed, size_t input, const struct line *line);

/* Open an input. Returns -1 with errno; a directory is EISDIR. */
int feed_input_open(const char *path);

/* What an input is called in a complaint. */
const char *feed_input_name(const char *path);

#endif
