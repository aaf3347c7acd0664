/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Complain: what goes to standard error, and memory whose lack ends the program.
 *
 * A program may end where memory does; the library it uses never does that.
 */
#ifndef WORK_COMPLAIN_H
#define WORK_COMPLAIN_H

#include <stddef.h>

/* The exit statuses of the program. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1, /* something could not be read or written, or differs */
	STATUS_USAGE = 2,
	STATUS_SIGNAL = 128, /* plus the signal's number */
};

/* One line on standard error, with the program's name before it. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `memory` (NULL: new) made `count` times `size` bytes large; never NULL. */
void *memory_resize(void *memory, size_t count, size_t size);

#endif
