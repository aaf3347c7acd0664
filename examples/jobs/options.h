/* SPDX-License-Identifier: BSD-2-Clause */
/* Options: what the command line asks for. */
#ifndef JOBS_OPTIONS_H
#define JOBS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/weir.h>

#include "faults.h"

enum verify_wish {
	VERIFY_SMALL, /* if it does not take long */
	VERIFY_ALWAYS,
	VERIFY_NEVER,
};

struct options {
	const char *const *roots; /* at least one */
	size_t root_count;
	const char *manifest; /* NULL: none */
	weir_group_policy policy;
	const char *policy_name;
	size_t workers;
	size_t capacity;
	size_t attempts;
	double timeout; /* seconds within which a step should be done; a longer one is extended */
	size_t crash;   /* the step in which the first worker crashes, from 1; 0: none */
	size_t level;
	size_t step_size; /* bytes; 0: a file is one step */
	struct faults faults;
	bool has_progress;
	enum verify_wish verify;
};

/* Fill in `options`, which keep pointing into `arguments`. Returns -1, or the
 * status to exit with: --help was asked for and given, or a mistake was told. */
int options_parse(struct options *options, int argument_count, char **arguments);

#endif
