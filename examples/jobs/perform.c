/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a part of a file, sceptically. */
#include "perform.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Neither through a link nor into a pipe that has come where the file was. */
static int file_open(const struct job *job, int *fd)
{
	struct stat file;
	int error;

	*fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return errno == ELOOP ? PERFORM_CHANGED : errno;
	if (fstat(*fd, &file) != 0)
		error = errno;
	else
		error = S_ISREG(file.st_mode) && job_is_of(job, &file) ? 0 : PERFORM_CHANGED;
	if (error != 0)
		(void)close(*fd);
	return error;
}

static int part_read(int fd, uint64_t offset, uint64_t bytes, struct squeeze *squeeze,
	perform_function *go_on, void *context)
{
	unsigned char buffer[PERFORM_BUFFER_SIZE];

	while (bytes > 0) {
		size_t wanted = bytes < sizeof(buffer) ? (size_t)bytes : sizeof(buffer);
		ssize_t got;

		if (go_on != NULL && !go_on(context))
			return PERFORM_ABANDONED;
		got = pread(fd, buffer, wanted, (off_t)offset);
		if (got < 0)
			return errno;
		if (got == 0)
			return PERFORM_CHANGED;
		squeeze_feed(squeeze, buffer, (size_t)got);
		offset += (uint64_t)got;
		bytes -= (uint64_t)got;
	}
	return 0;
}

/* It ends where it should, and nobody has written to it meanwhile. */
static int end_check(const struct job *job, int fd)
{
	struct stat file;
	unsigned char more;

	if (pread(fd, &more, 1, (off_t)job->size) > 0)
		return PERFORM_CHANGED;
	if (fstat(fd, &file) != 0)
		return errno;
	return job_is_of(job, &file) ? 0 : PERFORM_CHANGED;
}

int perform(const struct job *job, uint64_t number, struct squeeze *squeeze,
	perform_function *go_on, void *context)
{
	int fd;
	int error = file_open(job, &fd);

	if (error != 0)
		return error;
	error = part_read(fd, job_step_offset(job, number), job_step_bytes(job, number), squeeze,
		go_on, context);
	if (error == 0 && number + 1 == job_steps(job)) {
		squeeze_finish(squeeze);
		error = end_check(job, fd);
	}
	(void)close(fd);
	return error;
}

bool perform_is_transient(int error)
{
	switch (error) {
	case PERFORM_INJECTED:
	case EAGAIN:
	case EBUSY:
	case EINTR:
	case EIO: /* a network's file system, or a disk's second try */
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

const char *perform_text(int error)
{
	switch (error) {
	case PERFORM_CHANGED:
		return "it was changed meanwhile";
	case PERFORM_INJECTED:
		return "a failure that was asked for";
	case PERFORM_ABANDONED:
		return "its time ran out";
	default:
		return strerror(error);
	}
}
