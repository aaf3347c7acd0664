/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines out of one buffer, which grows with the longest line.
 *
 *   buffer   begin        searched          end          size
 *   | given  | no newline  |  not looked at | free        |
 */
#include "line_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/complain.h"

#define BUFFER_FIRST ((size_t)256 << 10)

void line_reader_open(struct line_reader *reader, int fd)
{
	*reader = (struct line_reader){ .fd = fd };
}

void line_reader_close(struct line_reader *reader)
{
	free(reader->buffer);
	reader->buffer = NULL;
}

/* Room for at least a byte: what was given out goes, and if that is nothing the
 * buffer grows. A line in it is shorter than LINE_SIZE_MAX, or had been given. */
static void room_make(struct line_reader *reader)
{
	size_t left = reader->end - reader->begin;

	if (reader->begin > 0) {
		memmove(reader->buffer, reader->buffer + reader->begin, left);
		reader->searched -= reader->begin;
		reader->begin = 0;
		reader->end = left;
	}
	if (reader->end == reader->size) {
		reader->size = reader->size > 0 ? reader->size * 2 : BUFFER_FIRST;
		reader->buffer = memory_resize(reader->buffer, reader->size, 1);
	}
}

ssize_t line_reader_fill(struct line_reader *reader, size_t size_max)
{
	ssize_t got;
	size_t room;

	room_make(reader);
	room = reader->size - reader->end;
	do
		got = read(reader->fd, reader->buffer + reader->end,
			room < size_max ? room : size_max);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		reader->end += (size_t)got;
	return got;
}

static void give(struct line_reader *reader, struct line *line, size_t size)
{
	line->text = reader->buffer + reader->begin;
	line->size = size;
	reader->begin += size;
	reader->searched = reader->begin;
}

bool line_reader_next(struct line_reader *reader, struct line *line)
{
	const char *newline = NULL;
	size_t size = reader->end - reader->begin;

	if (reader->searched < reader->end)
		newline = memchr(
			reader->buffer + reader->searched, '\n', reader->end - reader->searched);
	reader->searched = reader->end;
	if (newline != NULL)
		size = (size_t)(newline - (reader->buffer + reader->begin)) + 1;
	if (newline == NULL && size < LINE_SIZE_MAX)
		return false;
	give(reader, line, size < LINE_SIZE_MAX ? size : LINE_SIZE_MAX);
	return true;
}

bool line_reader_rest(struct line_reader *reader, struct line *line)
{
	if (reader->begin == reader->end)
		return false;
	give(reader, line, reader->end - reader->begin);
	return true;
}
