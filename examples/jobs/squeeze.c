/* SPDX-License-Identifier: BSD-2-Clause */
/* A zlib stream whose output is counted. */
#include "squeeze.h"

#include <stdlib.h>

#include "../common/complain.h"

#define GZIP_FORMAT  (15 + 16) /* the largest window, with gzip's header */
#define MEMORY_LEVEL 8         /* zlib's default */
#define OUTPUT_SIZE  ((size_t)16 << 10)

/* Of a stream that is used as it should be, zlib complains of memory only. */
static void zlib_must(int status)
{
	if (status != Z_OK) {
		complain("out of memory");
		exit(STATUS_FAILED);
	}
}

struct squeeze *squeeze_make(int level)
{
	struct squeeze *squeeze = memory_resize(NULL, 1, sizeof(*squeeze));

	*squeeze = (struct squeeze){ .result = { 0 } };
	zlib_must(deflateInit2(&squeeze->stream, level, Z_DEFLATED, GZIP_FORMAT, MEMORY_LEVEL,
		Z_DEFAULT_STRATEGY));
	return squeeze;
}

void squeeze_free(struct squeeze *squeeze)
{
	if (squeeze != NULL)
		(void)deflateEnd(&squeeze->stream);
	free(squeeze);
}

void squeeze_reset(struct squeeze *squeeze)
{
	(void)deflateReset(&squeeze->stream);
	squeeze->result = (struct result){ 0 };
}

void squeeze_copy(struct squeeze *squeeze, struct squeeze *other)
{
	(void)deflateEnd(&squeeze->stream);
	zlib_must(deflateCopy(&squeeze->stream, &other->stream));
	squeeze->result = other->result;
}

/* Until all input is taken and, at the end, all output is out. */
static void deflate_all(struct squeeze *squeeze, int flush)
{
	unsigned char output[OUTPUT_SIZE];

	do {
		squeeze->stream.next_out = output;
		squeeze->stream.avail_out = sizeof(output);
		(void)deflate(&squeeze->stream, flush);
		squeeze->result.compressed += sizeof(output) - squeeze->stream.avail_out;
	} while (squeeze->stream.avail_out == 0);
}

void squeeze_feed(struct squeeze *squeeze, const void *data, size_t size)
{
	squeeze->stream.next_in = data;
	squeeze->stream.avail_in = (uInt)size;
	squeeze->result.checksum =
		(uint32_t)crc32(squeeze->result.checksum, squeeze->stream.next_in, (uInt)size);
	squeeze->result.size += size;
	deflate_all(squeeze, Z_NO_FLUSH);
}

void squeeze_finish(struct squeeze *squeeze)
{
	squeeze->stream.next_in = NULL;
	squeeze->stream.avail_in = 0;
	deflate_all(squeeze, Z_FINISH);
}
