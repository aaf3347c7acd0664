/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs in other languages: started once, asked line by line. */
#include "external.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PROGRAMS_MAX 16
#define ANSWER_MAX   512

struct program {
	const struct bench_peer *peer;
	pid_t process;
	FILE *ask;
	FILE *answer;
};

static struct program programs[PROGRAMS_MAX];

static void program_path(const struct bench_peer *peer, char *path, size_t size)
{
	char own[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (length < 0)
		bench_fail("no /proc/self/exe");
	own[length] = '\0';
	(void)snprintf(path, size, "%s/%s", dirname(own), peer->program);
}

bool bench_external_is_there(const struct bench_peer *peer)
{
	char path[2 * PATH_MAX];

	program_path(peer, path, sizeof(path));
	return access(path, X_OK) == 0;
}

static void become(const struct bench_peer *peer, const char *path, const int *in, const int *out)
{
	/* It never outlives weir-bench, however that ends. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0)
		_exit(127);
	(void)close(in[0]);
	(void)close(in[1]);
	(void)close(out[0]);
	(void)close(out[1]);
	(void)execl(path, path, peer->name, (char *)NULL);
	_exit(127);
}

static void program_start(struct program *program, const struct bench_peer *peer)
{
	char path[2 * PATH_MAX];
	int in[2], out[2];

	program_path(peer, path, sizeof(path));
	if (pipe(in) != 0 || pipe(out) != 0)
		bench_fail("no pipe");
	program->peer = peer;
	program->process = fork();
	if (program->process < 0)
		bench_fail("no process");
	if (program->process == 0)
		become(peer, path, in, out);
	(void)close(in[0]);
	(void)close(out[1]);
	program->ask = fdopen(in[1], "w");
	program->answer = fdopen(out[0], "r");
	if (program->ask == NULL || program->answer == NULL)
		bench_fail("no stream");
	/* The pipes of one are not the next one's to keep open. */
	(void)fcntl(in[1], F_SETFD, FD_CLOEXEC);
	(void)fcntl(out[0], F_SETFD, FD_CLOEXEC);
}

static struct program *program_find(const struct bench_peer *peer)
{
	for (struct program *program = programs; program < programs + PROGRAMS_MAX; program++)
		if (program->peer == NULL || program->peer == peer)
			return program;
	bench_fail("too many external peers");
}

pid_t bench_external_process(const struct bench_peer *peer)
{
	return peer->program != NULL ? program_find(peer)->process : 0;
}

static const char *mode_word(unsigned int mode)
{
	if (mode == BENCH_SPIN)
		return "spin";
	return mode == BENCH_YIELD ? "yield" : "default";
}

static void ask(struct program *program, const struct bench_job *job)
{
	static const char *const kinds[] = {
		[BENCH_THROUGHPUT] = "throughput",
		[BENCH_ROUND_TRIP] = "round_trip",
		[BENCH_PACED] = "paced",
	};
	const struct bench_shape *shape = &job->shape;

	(void)fprintf(program->ask, "%s %u %u %zu %zu %s %u %d %d %llu %llu\n", kinds[job->kind],
		shape->publishers, shape->subscribers, shape->size, shape->capacity,
		mode_word(shape->mode), shape->batch, shape->is_loaned, shape->is_pinned,
		(unsigned long long)job->messages, (unsigned long long)job->interval);
	if (fflush(program->ask) != 0)
		bench_fail("%s has ended", program->peer->program);
}

static void answer_read(struct program *program, struct bench_result *result)
{
	char text[ANSWER_MAX];
	char *at = text + 2;

	if (fgets(text, sizeof(text), program->answer) == NULL)
		bench_fail("%s has ended", program->peer->program);
	if (strncmp(text, "ok", 2) != 0)
		bench_fail("%s says: %s", program->peer->program, text);
	for (result->count = 0; result->count < BENCH_FIGURES_MAX; result->count++) {
		char *next;
		double figure = strtod(at, &next);

		if (next == at)
			break;
		result->figures[result->count] = figure;
		at = next;
	}
	if (result->count == 0)
		bench_fail("%s gives no figures", program->peer->program);
}

void bench_external_run(
	const struct bench_peer *peer, const struct bench_job *job, struct bench_result *result)
{
	struct program *program = program_find(peer);

	if (program->peer == NULL) {
		(void)signal(SIGPIPE, SIG_IGN);
		program_start(program, peer);
	}
	ask(program, job);
	answer_read(program, result);
}
