/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Complain: what goes to standard error, and what ends the program.
 *
 * A program may end where memory or the library gives out; the library it uses
 * never does that.
 */
#ifndef COMMON_COMPLAIN_H
#define COMMON_COMPLAIN_H

#include <stdbool.h>
#include <stddef.h>

/* The exit statuses of the program. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1, /* something could not be read, done or written, or differs */
	STATUS_USAGE = 2,
	STATUS_SIGNAL = 128, /* plus the signal's number */
};

/* Who complains; each program defines it. */
struct complainer {
	const char *name;
	bool has_progress; /* a line of it may stand on the terminal */
};
extern const struct complainer complainer;

/* One line on standard error, with the program's name before it. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Unless `error` is 0, tell what could not be done, and why, and exit. */
void must(int error, const char *what);

/* `memory` (NULL: new) made `count` times `size` bytes large; never NULL. */
void *memory_resize(void *memory, size_t count, size_t size);

#endif
