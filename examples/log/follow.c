/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that grow, looked at five times a second. To be told by the kernel
 * (inotify) would need this as well, for the file systems that do not tell.
 */
#include "follow.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/complain.h"
#include "feed.h"

#define LOOK_PAUSE 200 /* milliseconds */

/* One of the files. */
struct followed {
	const char *path;
	size_t input;
	struct line_reader reader;
	bool is_open;
	bool is_over;   /* nothing more will come of it */
	bool is_missed; /* and that was said */
	bool is_regular;
	uint64_t offset; /* read so far */
	dev_t device;
	ino_t inode;
};

static void file_complain(struct followed *file, int error)
{
	if (!file->is_missed)
		complain("%s: %s; waiting for it", feed_input_name(file->path), strerror(error));
	file->is_missed = true;
}

static bool file_open(struct followed *file)
{
	int fd = feed_input_open(file->path);
	struct stat found;

	if (fd < 0 || fstat(fd, &found) != 0) {
		file_complain(file, errno);
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	line_reader_open(&file->reader, fd);
	file->is_open = true;
	file->is_missed = false;
	file->is_regular = S_ISREG(found.st_mode);
	file->offset = 0;
	file->device = found.st_dev;
	file->inode = found.st_ino;
	return true;
}

/* The last line, though it has no newline. */
static bool file_rest(struct feed *feed, struct followed *file)
{
	struct line line;

	return !line_reader_rest(&file->reader, &line) || feed_line(feed, file->input, &line);
}

static bool file_close(struct feed *feed, struct followed *file)
{
	bool is_taken = file_rest(feed, file);

	(void)close(file->reader.fd);
	line_reader_close(&file->reader);
	file->is_open = false;
	return is_taken;
}

/* There is something to read, or the end, without waiting for it. */
static bool is_readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) > 0;
}

/* Publish what is there now, up to `limit` bytes from the file's beginning, or
 * until told to stop, if `is_last` is not set. False: the broker takes no more. */
static bool file_read(struct feed *feed, struct followed *file, uint64_t limit, bool is_last)
{
	struct line line;
	ssize_t got;

	while (file->offset < limit && is_readable(file->reader.fd) &&
		(is_last || !feed_is_stopped(feed, 0))) {
		uint64_t left = limit - file->offset;

		got = line_reader_fill(&file->reader, left < SIZE_MAX ? left : SIZE_MAX);
		if (got < 0 && errno != EAGAIN) {
			complain("%s: %s", feed_input_name(file->path), strerror(errno));
			feed->has_failed = true;
			file->is_over = true;
		}
		if (got == 0 && !file->is_regular && strcmp(file->path, "-") == 0)
			file->is_over = true;
		if (got <= 0)
			break;
		file->offset += (uint64_t)got;
		while (line_reader_next(&file->reader, &line))
			if (!feed_line(feed, file->input, &line))
				return false;
	}
	return true;
}

/* Shorter than what was read of it: its content is another. */
static bool is_truncated(const struct followed *file)
{
	struct stat now;

	return file->is_regular && fstat(file->reader.fd, &now) == 0 &&
	       (uint64_t)now.st_size < file->offset;
}

/* The path names another file by now. */
static bool is_replaced(const struct followed *file)
{
	struct stat now;

	return strcmp(file->path, "-") != 0 && stat(file->path, &now) == 0 &&
	       (now.st_dev != file->device || now.st_ino != file->inode);
}

/* One look at a file. False: the broker takes no more. */
static bool file_look(struct feed *feed, struct followed *file)
{
	if (file->is_over || (!file->is_open && !file_open(file)))
		return true;
	if (is_truncated(file)) {
		complain("%s: has become shorter; read from its start", file->path);
		if (!file_rest(feed, file) || lseek(file->reader.fd, 0, SEEK_SET) != 0)
			return false;
		file->offset = 0;
	}
	if (!file_read(feed, file, UINT64_MAX, false))
		return false;
	/* Who wrote before the renaming may have done so after the last look. */
	if (is_replaced(file) && !feed_is_stopped(feed, 0))
		return file_read(feed, file, UINT64_MAX, false) && file_close(feed, file) &&
		       (!file_open(file) || file_read(feed, file, UINT64_MAX, false));
	return true;
}

/* What was there when the thread was told to stop, and no more: who writes may go
 * on for ever. */
static bool file_last_look(struct feed *feed, struct followed *file)
{
	bool is_old;

	do {
		struct stat now;

		if (!file->is_open && !file_open(file))
			return true;
		if (file->is_regular && fstat(file->reader.fd, &now) == 0 &&
			!file_read(feed, file, (uint64_t)now.st_size, true))
			return false;
		is_old = is_replaced(file);
		if (!file_close(feed, file))
			return false;
	} while (is_old);
	return true;
}

static bool all_over(const struct followed *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!files[i].is_over)
			return false;
	return true;
}

void follow(struct feed *feed)
{
	size_t count = feed->options->input_count;
	struct followed *files = memory_resize(NULL, count, sizeof(*files));
	bool is_going = true;

	for (size_t i = 0; i < count; i++)
		files[i] = (struct followed){ .path = feed->options->inputs[i], .input = i };
	do
		for (size_t i = 0; i < count && is_going; i++)
			is_going = file_look(feed, &files[i]);
	while (is_going && !all_over(files, count) && !feed_is_stopped(feed, LOOK_PAUSE));
	for (size_t i = 0; i < count; i++) {
		is_going = is_going && file_last_look(feed, &files[i]);
		feed->has_failed = feed->has_failed || files[i].is_missed;
		if (files[i].is_open)
			(void)file_close(feed, &files[i]);
	}
	free(files);
}
