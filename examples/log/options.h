/* SPDX-License-Identifier: BSD-2-Clause */
/* Options: what the command line asks for. */
#ifndef LOG_OPTIONS_H
#define LOG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/weir.h>

struct options {
	const char *const *inputs; /* at least one; "-" is standard input */
	size_t input_count;
	const char **filters; /* of the subscribers that only tally */
	size_t filter_count;
	const char *archive; /* NULL: a temporary file */
	size_t capacity;     /* 0: the library's default */
	weir_overflow overflow;
	size_t topics; /* lines of the table of topics; SIZE_MAX: all */
	bool is_following;
	bool has_progress;
	bool has_verify;
};

/* Fill in `options`, which keep pointing into `arguments`. Returns -1, or the
 * status to exit with: --help was asked for and given, or a mistake was told. */
int options_parse(struct options *options, int argument_count, char **arguments);

void options_free(struct options *options);

#endif
