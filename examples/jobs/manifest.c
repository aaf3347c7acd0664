/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of text, with nothing in them that is none. */
#include "manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

#define ESCAPE_SIZE 4 /* of one byte */

char *manifest_escape(const char *path)
{
	char *text = memory_resize(NULL, strlen(path) + 1, ESCAPE_SIZE);
	char *end = text;

	for (; *path != '\0'; path++) {
		unsigned char byte = (unsigned char)*path;

		if (byte < ' ' || byte == 0x7f || byte == '\\')
			end += sprintf(end, "\\%03o", byte);
		else
			*end++ = *path;
	}
	*end = '\0';
	return text;
}

bool manifest_write(const struct jobs *jobs, const char *path)
{
	FILE *file = fopen(path, "we");
	bool is_written = file != NULL;

	for (size_t i = 0; is_written && i < jobs->count; i++) {
		const struct job *job = jobs->all[i];
		char *name;

		if (!job_is_complete(job))
			continue;
		name = manifest_escape(job->path);
		is_written = fprintf(file, "%08" PRIx32 " %" PRIu64 " %" PRIu64 " %s\n",
				     job->result.checksum, job->result.size, job->result.compressed,
				     name) > 0;
		free(name);
	}
	/* What stayed in the buffer is written here, and may fail as well. */
	if (file != NULL && fclose(file) != 0)
		is_written = false;
	if (!is_written)
		complain("%s: cannot be written: %s", path, strerror(errno));
	return is_written;
}
