/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines in a temporary file, each with its size before it. */
#include "tape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

static bool failed(struct tape *tape)
{
	if (!tape->has_failed)
		complain("the copy of the input for --verify: %s", strerror(errno));
	tape->has_failed = true;
	return false;
}

bool tape_open(struct tape *tape)
{
	*tape = (struct tape){ .file = tmpfile() };
	return tape->file != NULL || failed(tape);
}

void tape_write(struct tape *tape, const struct line *line)
{
	if (tape->has_failed)
		return;
	if (fwrite(&line->size, sizeof(line->size), 1, tape->file) != 1 ||
		fwrite(line->text, line->size, 1, tape->file) != 1)
		(void)failed(tape);
}

void tape_rewind(struct tape *tape)
{
	if (fflush(tape->file) != 0 || fseek(tape->file, 0, SEEK_SET) != 0)
		(void)failed(tape);
}

bool tape_read(struct tape *tape, struct line *line)
{
	size_t size;

	if (tape->has_failed)
		return false;
	if (fread(&size, sizeof(size), 1, tape->file) != 1)
		return ferror(tape->file) ? failed(tape) : false;
	if (size > tape->size) {
		tape->buffer = memory_resize(tape->buffer, size, 1);
		tape->size = size;
	}
	if (fread(tape->buffer, size, 1, tape->file) != 1)
		return failed(tape);
	*line = (struct line){ .text = tape->buffer, .size = size };
	return true;
}

void tape_close(struct tape *tape)
{
	if (tape->file != NULL)
		(void)fclose(tape->file);
	free(tape->buffer);
}
