/* SPDX-License-Identifier: BSD-2-Clause */
/* A gzip file, by zlib. */
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/complain.h"

/* The fastest compression: who writes the archive should keep up with the others. */
#define MODE_WRITE "wb1"

#define ZLIB_BUFFER (128U << 10)

static bool failed(struct archive *archive, const char *doing, const char *why)
{
	if (!archive->has_failed)
		complain("%s: %s: %s", archive->name, doing, why);
	archive->has_failed = true;
	return false;
}

/* Why zlib said no: by errno where that was it. */
static const char *zlib_error(const struct archive *archive)
{
	int code;
	const char *text = gzerror(archive->file, &code);

	return code == Z_ERRNO ? strerror(errno) : text;
}

/* An open temporary file without a name. */
static int temporary_open(void)
{
	FILE *file = tmpfile();
	int fd = file != NULL ? dup(fileno(file)) : -1;

	if (file != NULL)
		(void)fclose(file);
	return fd;
}

/* A gzip stream on the file as it stands; gzclose closes only a copy of it. */
static bool stream_open(struct archive *archive, const char *mode)
{
	int fd = dup(archive->fd);

	archive->file = fd < 0 ? NULL : gzdopen(fd, mode);
	if (archive->file == NULL) {
		int error = errno;

		if (fd >= 0)
			(void)close(fd);
		return failed(archive, "cannot be opened", strerror(error));
	}
	(void)gzbuffer(archive->file, ZLIB_BUFFER);
	return true;
}

bool archive_open(struct archive *archive, const char *path)
{
	struct stat file;

	*archive = (struct archive){ .name = path != NULL ? path : "temporary archive" };
	/* To be read back as well, where that can be. */
	archive->fd = path == NULL ? temporary_open() : open(path, O_RDWR | O_CREAT, 0666);
	if (archive->fd < 0 && path != NULL && errno != EISDIR)
		archive->fd = open(path, O_WRONLY | O_CREAT, 0666);
	if (archive->fd < 0)
		return failed(archive, "cannot be opened", strerror(errno));
	if (fstat(archive->fd, &file) != 0)
		return failed(archive, "cannot be opened", strerror(errno));
	if (S_ISREG(file.st_mode) && ftruncate(archive->fd, 0) != 0)
		return failed(archive, "cannot be emptied", strerror(errno));
	return stream_open(archive, MODE_WRITE);
}

bool archive_is_file(const struct archive *archive)
{
	struct stat file;

	return fstat(archive->fd, &file) == 0 && S_ISREG(file.st_mode) &&
	       (fcntl(archive->fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

void archive_write(struct archive *archive, const char *text, size_t size)
{
	/* A size of 0 is nothing to zlib but a failure to tell from others. */
	if (archive->has_failed || size == 0)
		return;
	if (gzwrite(archive->file, text, (unsigned int)size) <= 0)
		(void)failed(archive, "cannot be written", zlib_error(archive));
}

bool archive_finish(struct archive *archive)
{
	int code;

	if (archive->file == NULL)
		return !archive->has_failed;
	code = gzclose(archive->file);
	archive->file = NULL;
	if (code != Z_OK)
		return failed(archive, "cannot be written",
			code == Z_ERRNO ? strerror(errno) : zError(code));
	return !archive->has_failed;
}

bool archive_rewind(struct archive *archive)
{
	if (archive->has_failed)
		return false;
	if (lseek(archive->fd, 0, SEEK_SET) != 0)
		return failed(archive, "cannot be read back", strerror(errno));
	return stream_open(archive, "rb");
}

bool archive_has_next(struct archive *archive, const char *text, size_t size)
{
	int got;

	if (archive->has_failed)
		return false;
	if (size > archive->read_size) {
		archive->read = memory_resize(archive->read, size, 1);
		archive->read_size = size;
	}
	got = gzread(archive->file, archive->read, (unsigned int)size);
	if (got < 0)
		return failed(archive, "cannot be read back", zlib_error(archive));
	return (size_t)got == size && memcmp(archive->read, text, size) == 0;
}

bool archive_is_at_end(struct archive *archive)
{
	char byte;
	int got = archive->has_failed ? 1 : gzread(archive->file, &byte, 1);
	bool is_gzip = !archive->has_failed && gzdirect(archive->file) == 0;

	if (got < 0)
		return failed(archive, "cannot be read back", zlib_error(archive));
	return got == 0 && is_gzip;
}

void archive_close(struct archive *archive)
{
	if (archive->file != NULL)
		(void)gzclose(archive->file);
	if (archive->fd >= 0)
		(void)close(archive->fd);
	free(archive->read);
}
