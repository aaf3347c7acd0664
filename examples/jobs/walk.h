/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walk: the regular files below a directory, one after another.
 *
 * Links are not followed, so there are no loops, but for a root that is one. What is
 * neither a directory nor a regular file is passed over and counted; what cannot be
 * looked at is complained of and passed over.
 */
#ifndef JOBS_WALK_H
#define JOBS_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* One file. False: no more. */
typedef bool walk_function(void *context, const char *path, const struct stat *file);

struct walk {
	walk_function *found;
	void *context;
	bool is_quiet;              /* no complaints */
	const struct stat *exclude; /* a file that is passed over; may be NULL */
	/* How it went. */
	uint64_t others; /* neither files nor directories */
	bool has_failed; /* something could not be looked at */
	bool is_stopped; /* `found` said so */
};

/* Walk through what is below `root`, or look at it alone if it is a file. */
void walk(struct walk *walk, const char *root);

#endif
