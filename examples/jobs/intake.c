/* SPDX-License-Identifier: BSD-2-Clause */
/* From files to messages. */
#include "intake.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../common/complain.h"
#include "walk.h"

/* How long a publish waits before it looks whether to stop. */
#define LOOK_SECONDS 0.1

static bool is_stopped(struct intake *intake)
{
	return atomic_load_explicit(&intake->is_stopped, memory_order_relaxed);
}

static void count(struct jobs *jobs, const struct stat *file)
{
	(void)atomic_fetch_add_explicit(&jobs->files_found, 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(
		&jobs->bytes_found, (uint64_t)file->st_size, memory_order_relaxed);
}

/* A walk_function. */
static bool census_take(void *context, const char *path, const struct stat *file)
{
	struct intake *intake = context;

	(void)path;
	count(intake->jobs, file);
	return !is_stopped(intake);
}

/* With all_or_nothing, a publish whose wait for room ends leaves no trace in any
 * counter, so it can be made again and again. */
static int step_publish(struct intake *intake, struct job *job, uint64_t number)
{
	const struct step step = { .job = job, .number = number };
	const weir_publish_options options = {
		.timeout = LOOK_SECONDS,
		.all_or_nothing = true,
		.has_key = intake->options->policy == WEIR_GROUP_KEY,
		.key = intake->options->policy == WEIR_GROUP_KEY ? job->key : 0,
	};
	double begin = weir_now(weir_clock_real());
	int error;

	do
		error = weir_publish(intake->publisher, &step, sizeof(step), &options, NULL);
	while (error == WEIR_ETIMEDOUT && !is_stopped(intake));
	intake->held += weir_now(weir_clock_real()) - begin;
	return error;
}

/* A walk_function. */
static bool file_take(void *context, const char *path, const struct stat *file)
{
	struct intake *intake = context;
	uint64_t step_size =
		intake->options->step_size > 0 ? intake->options->step_size : UINT64_MAX;
	struct job *job;
	uint64_t steps;
	int error = 0;

	if (is_stopped(intake))
		return false;
	job = job_make(path, file, step_size);
	steps = job_steps(job);
	jobs_add(intake->jobs, job);
	if (!intake->has_census)
		count(intake->jobs, file);
	while (job->published < steps && !is_stopped(intake) && error == 0) {
		error = step_publish(intake, job, job->published);
		if (error == 0)
			job->published++;
	}
	intake->steps += job->published;
	if (error != 0 && error != WEIR_ETIMEDOUT)
		intake->error = error;
	if (job->published == steps)
		return true;
	atomic_store_explicit(&job->is_cut, true, memory_order_relaxed);
	return false;
}

/* Before any worker looks: what is excluded is so from the beginning. */
static bool manifest_stat(const struct intake *intake, struct stat *file)
{
	return intake->options->manifest != NULL && stat(intake->options->manifest, file) == 0;
}

static void *run(void *argument)
{
	struct intake *intake = argument;
	struct stat manifest;
	struct walk walking = {
		.found = census_take,
		.context = intake,
		.is_quiet = true,
		.exclude = manifest_stat(intake, &manifest) ? &manifest : NULL,
	};
	uint64_t one = 1;

	for (size_t i = 0; intake->has_census && i < intake->options->root_count; i++)
		walk(&walking, intake->options->roots[i]);
	walking = (struct walk){
		.found = file_take,
		.context = intake,
		.exclude = walking.exclude,
	};
	for (size_t i = 0; i < intake->options->root_count && !walking.is_stopped; i++)
		walk(&walking, intake->options->roots[i]);
	intake->others = walking.others;
	intake->has_failed = walking.has_failed;
	intake->is_cut = walking.is_stopped;
	/* To a counter that is 0 this cannot fail. */
	(void)!write(intake->done_fd, &one, sizeof(one));
	return NULL;
}

int intake_start(struct intake *intake, const struct options *options, struct jobs *jobs,
	weir_broker *broker, const char *topic, bool has_census)
{
	int error;

	*intake = (struct intake){
		.options = options,
		.jobs = jobs,
		.has_census = has_census,
		.done_fd = eventfd(0, EFD_CLOEXEC),
	};
	if (intake->done_fd < 0)
		return WEIR_ESYSTEM;
	error = weir_publisher_open(&intake->publisher, broker, topic, NULL);
	if (error == 0 && pthread_create(&intake->thread, NULL, run, intake) != 0) {
		weir_publisher_close(intake->publisher);
		error = WEIR_ESYSTEM;
	}
	if (error != 0)
		(void)close(intake->done_fd);
	return error;
}

void intake_stop(struct intake *intake)
{
	atomic_store_explicit(&intake->is_stopped, true, memory_order_relaxed);
}

void intake_join(struct intake *intake)
{
	(void)pthread_join(intake->thread, NULL);
	(void)close(intake->done_fd);
	weir_publisher_close(intake->publisher);
}
