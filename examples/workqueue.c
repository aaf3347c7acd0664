/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workqueue - compresses every file below a directory, by threads that share the
 * work as one consumer group.
 *
 *   walking thread      broker                                      worker threads
 *
 *                                                                +- worker 1
 *   tree --- a message for  ---  bounded queue of the group -----+- worker 2
 *            each step             ^  redelivery |               +- worker 3
 *            of each file          |             | dead letters
 *                                  +-- nacks     +------------- collecting thread
 *
 * With the policy `key` all steps of a file go to one worker, in order, and yet each
 * worker may be lost at any time: what the steps of a file have come to so far is
 * kept in its job (work/job.h), and committed together with the acknowledgement.
 *
 * This file is the whole in its order; its parts are in work/, and of them the ones
 * that use the library are intake.c (publishing), worker.c (the group's members),
 * job.c (acknowledging) and letters.c (dead letters). The main thread starts the
 * others and then waits: for the walk's end, for a signal, or for the time to show
 * progress.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <weir/weir.h>

#include "common/complain.h"
#include "jobs/intake.h"
#include "jobs/letters.h"
#include "jobs/manifest.h"
#include "jobs/options.h"
#include "jobs/progress.h"
#include "jobs/report.h"
#include "jobs/verify.h"
#include "jobs/worker.h"

const struct complainer complainer = { "workqueue", .has_progress = true };

#define STEPS_TOPIC   "work.steps"
#define LETTERS_TOPIC "work.failed"

/* How often the main thread looks up, in milliseconds and in seconds. */
#define LOOK_PAUSE   100
#define LOOK_SECONDS 0.1

/* Seconds before a step is tried again: twice as long each time, up to the last. */
#define RETRY_DELAY     0.01
#define RETRY_DELAY_MAX 1.0

/* What is verified though nobody asked for it. */
#define VERIFY_BYTES_MAX ((uint64_t)64 << 20)

struct run {
	struct options options;
	struct jobs jobs;
	weir_broker *broker;
	struct worker *workers;
	struct letters letters;
	struct intake intake;
	struct progress progress;
	weir_group_statistics group;
	uint64_t failed_files;
	sigset_t signals; /* that ask the run to stop */
	int signal_fd;
	int signal; /* the one that came, or 0 */
	bool has_failed;
};

/* A standard descriptor that was closed before the program began would become the
 * next file to be opened; so one that cannot do its work takes the place. */
static bool standard_descriptors_open(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

/* From here on signals are read from a descriptor, for the threads made later
 * inherit that they are blocked. */
static bool signals_open(struct run *run)
{
	(void)sigemptyset(&run->signals);
	(void)sigaddset(&run->signals, SIGINT);
	(void)sigaddset(&run->signals, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &run->signals, NULL);
	run->signal_fd = signalfd(-1, &run->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		complain("no signals can be read: %s", strerror(errno));
	return run->signal_fd >= 0;
}

/* The next signal ends the program, also where it was started to ignore them. */
static void signals_release(struct run *run)
{
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)pthread_sigmask(SIG_UNBLOCK, &run->signals, NULL);
}

/* The first signal ends the walk; what is queued is still done. */
static void signals_look(struct run *run)
{
	struct signalfd_siginfo signal;

	if (read(run->signal_fd, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
		return;
	run->signal = (int)signal.ssi_signo;
	intake_stop(&run->intake);
	signals_release(run);
	complain("ending when what is queued is done; one more signal ends at once");
}

static void look(struct run *run)
{
	signals_look(run);
	progress_show(&run->progress, &run->jobs, run->broker);
}

static void broker_log(void *context, weir_log_level level, const char *text)
{
	(void)context;
	if (level >= WEIR_LOG_WARNING)
		complain("%s", text);
}

static bool broker_open(struct run *run)
{
	const weir_broker_options options = { .log = broker_log };
	int error = weir_broker_open(&run->broker, &options);

	if (error != 0)
		complain("the broker cannot be opened: %s", weir_strerror(error));
	return error == 0;
}

/* What all members of the group have in common. It keeps its messages while nobody
 * is there to take them. */
static weir_subscription_options group_options(const struct options *options)
{
	return (weir_subscription_options){
		.capacity = options->capacity,
		.overflow = WEIR_OVERFLOW_BLOCK,
		.ack = WEIR_ACK_MANUAL,
		.ack_timeout = options->timeout,
		.max_attempts = (uint32_t)options->attempts,
		.redelivery_delay = RETRY_DELAY,
		.redelivery_delay_max = RETRY_DELAY_MAX,
		.dead_letter_topic = LETTERS_TOPIC,
		.group = "workers",
		.group_policy = options->policy,
		.group_keep = true,
	};
}

/* All before the first step is published, so that nothing comes too early. */
static bool threads_start(struct run *run)
{
	const struct options *options = &run->options;
	const weir_subscription_options group = group_options(options);
	int error = letters_start(&run->letters, run->broker, LETTERS_TOPIC);

	for (size_t i = 0; i < options->workers && error == 0; i++) {
		run->workers[i] = (struct worker){
			.options = options,
			.jobs = &run->jobs,
			.weight = options->policy == WEIR_GROUP_WEIGHTED ? (uint32_t)i + 1 : 0,
			.crash = i == 0 ? options->crash : 0,
		};
		error = worker_start(&run->workers[i], run->broker, STEPS_TOPIC, &group);
	}
	if (error == 0)
		error = intake_start(&run->intake, options, &run->jobs, run->broker, STEPS_TOPIC,
			run->progress.is_shown);
	if (error != 0)
		complain("the threads cannot be started: %s", weir_strerror(error));
	return error == 0;
}

/* Until the walk is done. */
static void intake_wait(struct run *run)
{
	struct pollfd events[] = {
		{ .fd = run->intake.done_fd, .events = POLLIN },
		{ .fd = run->signal_fd, .events = POLLIN },
	};

	do {
		(void)poll(events, 2, LOOK_PAUSE);
		look(run);
	} while ((events[0].revents & POLLIN) == 0);
	intake_join(&run->intake);
	if (run->intake.error != 0) {
		complain("a step cannot be published: %s", weir_strerror(run->intake.error));
		run->has_failed = true;
	}
	if (run->intake.has_failed)
		run->has_failed = true;
}

static void ended(struct run *run, const char *what, int error)
{
	if (error == 0)
		return;
	complain("%s: %s", what, weir_strerror(error));
	run->has_failed = true;
}

/* Until all that was published is done, tried in vain, or given up. */
static void workers_wait(struct run *run)
{
	struct worker *last = &run->workers[run->options.workers - 1];
	int error;

	while ((error = weir_broker_drain(run->broker, LOOK_SECONDS)) == WEIR_ETIMEDOUT)
		look(run);
	ended(run, "draining", error);
	for (size_t i = 0; i < run->options.workers; i++) {
		worker_join(&run->workers[i]);
		ended(run, "a worker", run->workers[i].error);
	}
	letters_join(&run->letters);
	ended(run, "the dead letters", run->letters.error);
	/* The last one does not crash, and is still a member. */
	ended(run, "statistics",
		weir_group_statistics_get(last->subscription, &run->group, NULL, 0));
	progress_close(&run->progress, &run->jobs, run->broker);
}

static bool is_to_verify(const struct run *run)
{
	if (run->options.verify == VERIFY_SMALL)
		return run->signal == 0 && atomic_load_explicit(&run->jobs.bytes_found,
						   memory_order_relaxed) <= VERIFY_BYTES_MAX;
	return run->options.verify == VERIFY_ALWAYS;
}

/* The counts always, for that costs nothing. */
static bool verify_and_tell(struct run *run, double seconds)
{
	bool is_right = verify_counts(
		&run->intake, run->workers, run->options.workers, &run->letters, &run->group.total);
	double begin = weir_now(weir_clock_real());
	double plain;
	uint64_t compared;

	if (!is_to_verify(run)) {
		if (!is_right)
			(void)printf("\nNOT verified: see standard error\n");
		return is_right;
	}
	is_right =
		verify_results(&run->jobs, &run->options, &run->group.total, &compared) && is_right;
	plain = weir_now(weir_clock_real()) - begin;
	if (!is_right)
		(void)printf("\nNOT verified: see standard error\n");
	else
		(void)printf("\nverified: %llu of %zu files are as by a single thread, in %.2f s "
			     "(%.1f times as long)\n",
			(unsigned long long)compared, run->jobs.count, plain,
			seconds > 0 ? plain / seconds : 0);
	return is_right;
}

static int status_of(const struct run *run)
{
	if (run->has_failed || run->failed_files > 0)
		return STATUS_FAILED;
	if (run->signal != 0 && run->intake.is_cut)
		return STATUS_SIGNAL + run->signal;
	return STATUS_OK;
}

static int work(struct run *run)
{
	double seconds;

	intake_wait(run);
	workers_wait(run);
	seconds = weir_now(weir_clock_real()) - run->progress.begin;
	signals_release(run);
	jobs_sort(&run->jobs);
	run->failed_files = letters_tell(&run->jobs);
	if (run->options.manifest != NULL && !manifest_write(&run->jobs, run->options.manifest))
		run->has_failed = true;
	report_total(&run->intake, run->failed_files, run->group.total.high_water, seconds);
	report_workers(&run->options, run->workers, &run->group);
	(void)fflush(stdout);
	if (!verify_and_tell(run, seconds))
		run->has_failed = true;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain("standard output: %s", strerror(errno));
		run->has_failed = true;
	}
	return status_of(run);
}

int main(int argument_count, char **arguments)
{
	struct run run = { .signal = 0 };
	int status;

	if (!standard_descriptors_open())
		return STATUS_FAILED;
	status = options_parse(&run.options, argument_count, arguments);
	if (status >= 0)
		return status;
	if (!signals_open(&run) || !broker_open(&run))
		return STATUS_FAILED;
	run.workers = memory_resize(NULL, run.options.workers, sizeof(*run.workers));
	memset(run.workers, 0, run.options.workers * sizeof(*run.workers));
	progress_open(&run.progress, run.options.has_progress);
	status = threads_start(&run) ? work(&run) : STATUS_FAILED;
	(void)weir_broker_close(run.broker, NULL);
	for (size_t i = 0; i < run.options.workers; i++)
		worker_free(&run.workers[i]);
	letters_free(&run.letters);
	free(run.workers);
	jobs_free(&run.jobs);
	return status;
}
