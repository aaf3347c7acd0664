/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Archive: lines in a gzip file, one after another, so that what is unpacked is
 * the log itself; and that file read back, to compare.
 *
 * A failure is complained of once, and remembered.
 */
#ifndef LOG_ARCHIVE_H
#define LOG_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <zlib.h>

struct archive {
	const char *name; /* for people */
	int fd;
	gzFile file;
	bool has_failed;
	char *read; /* a buffer to compare with */
	size_t read_size;
};

/* Open for writing, with nothing in it; NULL is a temporary file, which is gone
 * when closed. */
bool archive_open(struct archive *archive, const char *path);

/* Can it be read back? Not so if it is a pipe, say. */
bool archive_is_file(const struct archive *archive);

void archive_write(struct archive *archive, const char *text, size_t size);

/* Write all to the file. False: not all that was written is in it. */
bool archive_finish(struct archive *archive);

/* Then: back to its beginning, to read. */
bool archive_rewind(struct archive *archive);

/* Are these the next bytes in it? */
bool archive_has_next(struct archive *archive, const char *text, size_t size);

/* Was that all of it, without a fault in its checksum? */
bool archive_is_at_end(struct archive *archive);

void archive_close(struct archive *archive);

#endif
