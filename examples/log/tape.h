/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tape: a temporary copy of lines, for those inputs that cannot be read a second
 * time: a pipe, or a file that is followed.
 */
#ifndef LOG_TAPE_H
#define LOG_TAPE_H

#include <stdio.h>

#include "line_reader.h"

struct tape {
	FILE *file;
	char *buffer; /* the line read last */
	size_t size;
	bool has_failed; /* complained of */
};

bool tape_open(struct tape *tape);
void tape_write(struct tape *tape, const struct line *line);

/* After the last write: back to the beginning. */
void tape_rewind(struct tape *tape);

/* The next line, valid until the next call. False: there was none, or an error. */
bool tape_read(struct tape *tape, struct line *line);

void tape_close(struct tape *tape);

#endif
