/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Its log goes into a pipe, which tells on what port it listens, or why it has ended.
 * From then on it says only what goes wrong, and the pipe just stays open.
 */
#include "nats_server.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PROGRAM   "nats-server"
#define LISTENING "Listening for client connections on "

static pid_t process;
static FILE *lines; /* of its log */
static char url[128];

static bool is_in(const char *directories, char *path, size_t size)
{
	while (*directories != '\0') {
		int length = (int)strcspn(directories, ":");

		(void)snprintf(path, size, "%.*s/" PROGRAM, length, directories);
		if (access(path, X_OK) == 0)
			return true;
		directories += length;
		directories += *directories == ':';
	}
	return false;
}

/* Debian's is where only an administrator's PATH leads. */
static bool program_find(char *path, size_t size)
{
	const char *directories = getenv("PATH");

	return (directories != NULL && is_in(directories, path, size)) ||
	       is_in("/usr/local/sbin:/usr/sbin", path, size);
}

static bool is_there(void)
{
	char path[PATH_MAX];

	return program_find(path, sizeof(path));
}

static pid_t process_get(void)
{
	return process;
}

static void become(const char *path, int log, pid_t parent)
{
	/* It never outlives weir-bench, however that ends, or has ended already. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
		dup2(log, STDERR_FILENO) < 0)
		_exit(127);
	(void)execl(path, path, "-a", "127.0.0.1", "-p", "-1", (char *)NULL);
	_exit(127);
}

static void server_start(void)
{
	char path[PATH_MAX];
	pid_t parent = getpid();
	int log[2];

	if (!program_find(path, sizeof(path)))
		bench_fail("no " PROGRAM);
	if (pipe2(log, O_CLOEXEC) != 0)
		bench_fail("no pipe");
	process = fork();
	if (process < 0)
		bench_fail("no process");
	if (process == 0)
		become(path, log[1], parent);
	(void)close(log[1]);
	lines = fdopen(log[0], "r");
	if (lines == NULL)
		bench_fail("no stream");
}

const char *bench_nats_server_url(void)
{
	char line[256] = "";

	if (process != 0)
		return url;
	server_start();
	while (fgets(line, sizeof(line), lines) != NULL) {
		const char *listening = strstr(line, LISTENING);

		line[strcspn(line, "\n")] = '\0';
		if (listening == NULL)
			continue;
		(void)snprintf(url, sizeof(url), "nats://%s", listening + strlen(LISTENING));
		return url;
	}
	bench_fail(PROGRAM " has ended: %s", line);
}

const struct bench_server bench_nats_server = { is_there, process_get };
