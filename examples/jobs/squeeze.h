/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Squeeze: the checksum and the compressed size of a file, taken piece by piece.
 * What it compresses is counted and thrown away.
 *
 * The result does not depend on how the file was cut into pieces. A squeeze can be
 * copied in the middle: so work on a piece can be tried, and thrown away, while
 * what came before it stays.
 */
#ifndef JOBS_SQUEEZE_H
#define JOBS_SQUEEZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So that zlib does not ask to write to what it only reads. */
#define ZLIB_CONST
#include <zlib.h>

/* What is told of a file. */
struct result {
	uint64_t size;
	uint64_t compressed; /* as gzip would write it, without a name */
	uint32_t checksum;   /* CRC-32, as gzip's */
};

struct squeeze {
	z_stream stream;
	struct result result; /* of what was fed so far */
};

/* A new one. It ends the program if there is no memory. */
struct squeeze *squeeze_make(int level);
void squeeze_free(struct squeeze *squeeze);

/* Back to the beginning of a file. */
void squeeze_reset(struct squeeze *squeeze);

/* `squeeze` becomes as `other` is. */
void squeeze_copy(struct squeeze *squeeze, struct squeeze *other);

void squeeze_feed(struct squeeze *squeeze, const void *data, size_t size);

/* After the last feed: the result is whole. */
void squeeze_finish(struct squeeze *squeeze);

#endif
