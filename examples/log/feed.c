/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader thread, and what it does with one input after another. */
#include "feed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/complain.h"
#include "follow.h"

const char *feed_input_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

int feed_input_open(const char *path)
{
	struct stat file;
	int fd;

	if (strcmp(path, "-") == 0)
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	else
		/* Without waiting, for a pipe that nobody writes to yet. */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && fstat(fd, &file) == 0 && S_ISDIR(file.st_mode)) {
		(void)close(fd);
		errno = EISDIR;
		return -1;
	}
	return fd;
}

bool feed_is_stopped(struct feed *feed, int wait)
{
	struct pollfd stop = { .fd = feed->stop[0], .events = POLLIN };

	if (!feed->is_stopped)
		feed->is_stopped = poll(&stop, 1, wait) > 0;
	return feed->is_stopped;
}

bool feed_line(struct feed *feed, size_t input, const struct line *line)
{
	int error = outlet_publish(feed->outlet, line);

	if (error != 0) {
		feed->error = error;
		return false;
	}
	if (feed->tape != NULL)
		tape_write(feed->tape, line);
	feed->lines++;
	feed->consumed[input] += line->size;
	(void)atomic_fetch_add_explicit(&feed->bytes, line->size, memory_order_relaxed);
	return true;
}

/* Wait until the input can be read, or the thread is to stop: true. */
static bool wait_to_read(struct feed *feed, int fd)
{
	struct pollfd both[] = {
		{ .fd = feed->stop[0], .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};

	/* An interrupted poll has set nothing: the read will say EAGAIN. */
	if (poll(both, 2, -1) > 0 && both[0].revents != 0)
		feed->is_stopped = true;
	return !feed->is_stopped;
}

/* All lines to the end of the file. False: an error, with errno, or the end of
 * the thread. */
static bool lines_publish(struct feed *feed, size_t input, struct line_reader *reader)
{
	struct line line;
	ssize_t got;

	errno = 0;
	for (;;) {
		while (line_reader_next(reader, &line))
			if (!feed_line(feed, input, &line))
				return false;
		if (!wait_to_read(feed, reader->fd))
			return false;
		got = line_reader_fill(reader, SIZE_MAX);
		if (got == 0)
			return !line_reader_rest(reader, &line) || feed_line(feed, input, &line);
		if (got < 0 && errno != EAGAIN)
			return false;
	}
}

static void input_publish(struct feed *feed, size_t input)
{
	const char *path = feed->options->inputs[input];
	int fd = feed_input_open(path);
	struct line_reader reader;
	struct line line;

	if (fd < 0) {
		complain("%s: %s", feed_input_name(path), strerror(errno));
		feed->has_failed = true;
		return;
	}
	line_reader_open(&reader, fd);
	if (!lines_publish(feed, input, &reader) && feed->error == 0 && !feed->is_stopped) {
		complain("%s: %s", feed_input_name(path), strerror(errno));
		feed->has_failed = true;
		/* What was read of it before still counts. */
		if (line_reader_rest(&reader, &line))
			(void)feed_line(feed, input, &line);
	}
	line_reader_close(&reader);
	(void)close(fd);
}

static void *run(void *argument)
{
	struct feed *feed = argument;

	if (feed->options->is_following)
		follow(feed);
	else
		for (size_t i = 0; i < feed->options->input_count; i++)
			if (feed->error == 0 && !feed_is_stopped(feed, 0))
				input_publish(feed, i);
	(void)close(feed->done[1]);
	return NULL;
}

bool feed_start(
	struct feed *feed, const struct options *options, struct outlet *outlet, struct tape *tape)
{
	int error = 0;

	*feed = (struct feed){
		.options = options,
		.outlet = outlet,
		.tape = tape,
		.stop = { -1, -1 },
		.done = { -1, -1 },
	};
	feed->consumed = memory_resize(NULL, options->input_count, sizeof(*feed->consumed));
	memset(feed->consumed, 0, options->input_count * sizeof(*feed->consumed));
	if (pipe2(feed->stop, O_CLOEXEC) != 0 || pipe2(feed->done, O_CLOEXEC) != 0)
		error = errno;
	else
		error = pthread_create(&feed->thread, NULL, run, feed);
	if (error == 0)
		return true;
	complain("the reader cannot start: %s", strerror(error));
	free(feed->consumed);
	return false;
}

int feed_done_fd(const struct feed *feed)
{
	return feed->done[0];
}

void feed_stop(struct feed *feed)
{
	if (feed->stop[1] >= 0)
		(void)close(feed->stop[1]);
	feed->stop[1] = -1;
}

void feed_join(struct feed *feed)
{
	(void)pthread_join(feed->thread, NULL);
}

void feed_free(struct feed *feed)
{
	feed_stop(feed);
	(void)close(feed->stop[0]);
	(void)close(feed->done[0]);
	free(feed->consumed);
}
