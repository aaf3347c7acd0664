/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that takes steps and settles them. */
#include "worker.h"

#include <string.h>

#include "../common/complain.h"
#include "perform.h"

/* A perform_function: more time for a step that takes long. Whether it is still this
 * worker's is known by that, too. */
static bool go_on(void *context)
{
	struct worker *worker = context;
	double now = weir_now(weir_clock_real());

	if (now - worker->extended < worker->options->timeout / 4)
		return true;
	worker->extended = now;
	return weir_extend(worker->delivery, 0) == 0;
}

static void count(struct worker *worker, int error, uint64_t *counter)
{
	if (error == 0)
		(*counter)++;
	else
		worker->stale++;
}

static void commit(struct worker *worker, const struct step *step)
{
	struct job *job = step->job;
	uint64_t bytes = job_step_bytes(job, step->number);
	bool is_last = step->number + 1 == job_steps(job);
	int error = job_commit(job, step->number, worker->delivery, &worker->squeeze);

	count(worker, error, &worker->done);
	if (worker->squeeze == NULL)
		worker->squeeze = squeeze_make((int)worker->options->level);
	if (error != 0)
		return;
	worker->bytes += bytes;
	(void)atomic_fetch_add_explicit(&worker->jobs->bytes_done, bytes, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(
		&worker->jobs->files_done, is_last ? 1 : 0, memory_order_relaxed);
}

static int attempt(struct worker *worker, const struct step *step)
{
	int error = perform(step->job, step->number, worker->squeeze, go_on, worker);

	if (error == 0 && faults_strike(&worker->options->faults, step->job->key, step->number,
				  worker->delivery->attempt))
		return PERFORM_INJECTED;
	return error;
}

/* False: it has crashed. */
static bool step_take(struct worker *worker, const struct step *step)
{
	const weir_delivery *delivery = worker->delivery;
	int error;

	worker->taken++;
	if (!job_begin(step->job, step->number, worker->squeeze)) {
		count(worker, job_skip(step->job, delivery), &worker->skipped);
		return true;
	}
	error = attempt(worker, step);
	if (worker->taken - worker->skipped == worker->crash) {
		job_lose(step->job, step->number, delivery->attempt);
		return false;
	}
	if (error == 0)
		commit(worker, step);
	else if (perform_is_transient(error))
		count(worker, weir_nack(delivery, 0, perform_text(error)), &worker->failed);
	else if (error != PERFORM_ABANDONED)
		count(worker, weir_reject(delivery, perform_text(error)), &worker->rejected);
	else
		worker->stale++;
	return true;
}

static void *run(void *argument)
{
	struct worker *worker = argument;
	weir_delivery delivery;
	bool is_alive = true;
	int error = 0;

	worker->squeeze = squeeze_make((int)worker->options->level);
	while (is_alive &&
		(error = weir_receive(worker->subscription, &delivery, WEIR_FOREVER)) == 0) {
		struct step step;

		memcpy(&step, delivery.data, sizeof(step));
		worker->delivery = &delivery;
		worker->extended = weir_now(weir_clock_real());
		worker->busy -= worker->extended;
		is_alive = step_take(worker, &step);
		worker->busy += weir_now(weir_clock_real());
	}
	squeeze_free(worker->squeeze);
	if (!is_alive) {
		/* What it has in hand goes to the others, unsettled as it is. */
		(void)weir_unsubscribe(worker->subscription, NULL);
		worker->subscription = NULL;
		worker->has_crashed = true;
	} else if (error != WEIR_ESHUTDOWN) {
		worker->error = error;
	}
	return NULL;
}

int worker_start(struct worker *worker, weir_broker *broker, const char *filter,
	const weir_subscription_options *group)
{
	weir_subscription_options options = *group;
	int error;

	options.group_weight = worker->weight;
	error = weir_subscribe(&worker->subscription, broker, filter, &options);
	if (error != 0)
		return error;
	if (pthread_create(&worker->thread, NULL, run, worker) != 0) {
		(void)weir_unsubscribe(worker->subscription, NULL);
		return WEIR_ESYSTEM;
	}
	worker->is_running = true;
	return 0;
}

void worker_join(struct worker *worker)
{
	if (worker->is_running)
		(void)pthread_join(worker->thread, NULL);
	worker->is_running = false;
}

void worker_free(struct worker *worker)
{
	worker_join(worker);
	if (worker->subscription != NULL)
		(void)weir_unsubscribe(worker->subscription, NULL);
}
