/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a file under work, which changes by whole steps. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

struct job *job_make(const char *path, const struct stat *file, uint64_t step_size)
{
	struct job *job = memory_resize(NULL, 1, sizeof(*job));
	size_t size = strlen(path) + 1;

	*job = (struct job){
		.path = memory_resize(NULL, size, 1),
		.key = weir_key(path, size - 1),
		.device = file->st_dev,
		.inode = file->st_ino,
		.size = (uint64_t)file->st_size,
		.modified = file->st_mtim,
		.step_size = step_size,
	};
	memcpy(job->path, path, size);
	(void)pthread_mutex_init(&job->mutex, NULL);
	return job;
}

void job_free(struct job *job)
{
	(void)pthread_mutex_destroy(&job->mutex);
	squeeze_free(job->kept);
	free(job->letter);
	free(job->path);
	free(job);
}

uint64_t job_steps(const struct job *job)
{
	return job->size == 0 ? 1 : (job->size - 1) / job->step_size + 1;
}

uint64_t job_step_offset(const struct job *job, uint64_t number)
{
	return number * job->step_size;
}

uint64_t job_step_bytes(const struct job *job, uint64_t number)
{
	uint64_t left = job->size - job_step_offset(job, number);

	return left < job->step_size ? left : job->step_size;
}

bool job_is_of(const struct job *job, const struct stat *file)
{
	return file->st_dev == job->device && file->st_ino == job->inode &&
	       (uint64_t)file->st_size == job->size &&
	       file->st_mtim.tv_sec == job->modified.tv_sec &&
	       file->st_mtim.tv_nsec == job->modified.tv_nsec;
}

bool job_is_complete(const struct job *job)
{
	return job->done == job_steps(job);
}

bool job_begin(struct job *job, uint64_t number, struct squeeze *squeeze)
{
	bool is_next;

	if (atomic_load_explicit(&job->is_cut, memory_order_relaxed))
		return false;
	(void)pthread_mutex_lock(&job->mutex);
	is_next = job->done == number;
	if (is_next && job->kept != NULL)
		squeeze_copy(squeeze, job->kept);
	else
		squeeze_reset(squeeze);
	(void)pthread_mutex_unlock(&job->mutex);
	return is_next;
}

/* With the mutex: who has the next step must find this one committed, and he may
 * have it as soon as this one is acknowledged. */
int job_commit(
	struct job *job, uint64_t number, const weir_delivery *delivery, struct squeeze **squeeze)
{
	int error;

	(void)pthread_mutex_lock(&job->mutex);
	error = weir_ack(delivery);
	if (error == 0) {
		struct squeeze *before = job->kept;

		job->done = number + 1;
		job->result = (*squeeze)->result;
		if (job_is_complete(job)) {
			squeeze_free(before);
			job->kept = NULL;
		} else {
			job->kept = *squeeze;
			*squeeze = before;
		}
	}
	(void)pthread_mutex_unlock(&job->mutex);
	return error;
}

int job_skip(struct job *job, const weir_delivery *delivery)
{
	int error;

	(void)pthread_mutex_lock(&job->mutex);
	error = weir_ack(delivery);
	if (error == 0)
		job->skipped++;
	(void)pthread_mutex_unlock(&job->mutex);
	return error;
}

void job_lose(struct job *job, uint64_t number, uint32_t attempt)
{
	(void)pthread_mutex_lock(&job->mutex);
	job->lost_step = number;
	job->lost_attempt = attempt;
	(void)pthread_mutex_unlock(&job->mutex);
}
