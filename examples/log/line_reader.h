/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Line reader: the lines of an open file, of any bytes.
 *
 * A line goes up to its newline, which belongs to it; the last one of a file may
 * have none. So the lines of a file, written one after another, are that file. A
 * line above LINE_SIZE_MAX comes in pieces of that size, each as a line of its
 * own.
 */
#ifndef LOG_LINE_READER_H
#define LOG_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LINE_SIZE_MAX ((size_t)4 << 20)

/* Valid until the reader is used again. */
struct line {
	const char *text;
	size_t size;
};

struct line_reader {
	int fd;
	char *buffer;
	size_t size;
	size_t begin;    /* of what was read and not given out yet */
	size_t searched; /* no newline from begin to here */
	size_t end;
};

/* Nothing is read yet. The file stays the caller's. */
void line_reader_open(struct line_reader *reader, int fd);
void line_reader_close(struct line_reader *reader);

/* Read once from the file, at most `size_max` bytes. Returns how many bytes, 0 at
 * the end of the file, or -1 with errno. To be called when line_reader_next has
 * nothing more to give. */
ssize_t line_reader_fill(struct line_reader *reader, size_t size_max);

/* The next line of what was read. False: its end was not read yet. */
bool line_reader_next(struct line_reader *reader, struct line *line);

/* What is left without a newline; at the end of a file that is its last line.
 * False: nothing. */
bool line_reader_rest(struct line_reader *reader, struct line *line);

#endif
