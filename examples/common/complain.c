/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages for people, and memory that is there. */
#include "complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/error.h>

void complain(const char *format, ...)
{
	va_list arguments;

	/* Held throughout, so that lines of several threads do not mix. */
	flockfile(stderr);
	/* A terminal may show a line of progress, which has no newline. */
	if (complainer.has_progress && isatty(STDERR_FILENO) == 1)
		(void)fputs("\r\033[K", stderr);
	(void)fprintf(stderr, "%s: ", complainer.name);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	funlockfile(stderr);
}

void must(int error, const char *what)
{
	if (error == 0)
		return;
	complain("%s: %s", what, weir_strerror(error));
	exit(STATUS_FAILED);
}

void *memory_resize(void *memory, size_t count, size_t size)
{
	void *resized = reallocarray(memory, count > 0 ? count : 1, size);

	if (resized == NULL) {
		complain("out of memory");
		exit(STATUS_FAILED);
	}
	return resized;
}
