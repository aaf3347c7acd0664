/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logfan - fans the lines of log files out to threads that each look at some of
 * them.
 *
 *   reader thread           broker                       subscriber threads
 *
 *                 2026-11.install --+-- queue of "*.install" --- tally
 *   dpkg.log ---  2026-11.upgrade --+-- queue of "*.upgrade" --- tally
 *                 2026-11.status  --+-- queue of "*.status"  --- tally
 *                 other.text     ---+-- queue of ">" --- tally, gzip archive
 *
 * This file is the whole in its order; its parts are in log/, and of them the ones
 * that use the library are outlet.c (publishing) and subscriber.c (receiving).
 * The main thread starts the others and then waits: for the reader's end, for a
 * signal, or for the time to show progress.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/weir.h>

#include "log/archive.h"
#include "common/complain.h"
#include "log/feed.h"
#include "log/options.h"
#include "log/progress.h"
#include "log/report.h"
#include "log/subscriber.h"
#include "log/verify.h"

const struct complainer complainer = { "logfan", .has_progress = true };

/* How often the main thread looks up, in milliseconds and in seconds. */
#define LOOK_PAUSE   100
#define LOOK_SECONDS 0.1

struct run {
	struct options options;
	struct archive archive;
	weir_broker *broker;
	struct subscriber *subscribers;
	size_t subscriber_count;
	struct outlet outlet;
	struct tape tape;
	struct feed feed;
	struct progress progress;
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

/* The first signal ends the reading. A second one will end the program, should
 * what is left to do take too long for somebody. */
static void signals_look(struct run *run)
{
	struct signalfd_siginfo signal;

	if (read(run->signal_fd, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
		return;
	run->signal = (int)signal.ssi_signo;
	feed_stop(&run->feed);
	(void)pthread_sigmask(SIG_UNBLOCK, &run->signals, NULL);
}

static void broker_log(void *context, weir_log_level level, const char *text)
{
	const struct options *options = context;

	/* That lines are dropped is no news where that was asked for. */
	if (level >= WEIR_LOG_WARNING && options->overflow == WEIR_OVERFLOW_BLOCK)
		complain("%s", text);
}

static bool broker_open(struct run *run)
{
	weir_broker_options options = {
		.log = broker_log,
		.log_context = &run->options,
		.message_size_max = LINE_SIZE_MAX,
		.timestamps = true,
	};
	int error = weir_broker_open(&run->broker, &options);

	if (error != 0)
		complain("the broker cannot be opened: %s", weir_strerror(error));
	return error == 0;
}

static bool subscriber_add(struct run *run, const char *filter, struct archive *archive)
{
	weir_subscription_options options = {
		.capacity = run->options.capacity,
		.overflow = run->options.overflow,
	};
	int error = subscriber_start(&run->subscribers[run->subscriber_count], run->broker, filter,
		&options, archive, run->options.has_verify);

	if (error == 0)
		run->subscriber_count++;
	else if (error == WEIR_EINVAL)
		complain("--subscribe: '%s' is no filter: it takes words between dots, of which "
			 "any may be * and the last >",
			filter);
	else
		complain("no subscription to '%s': %s", filter, weir_strerror(error));
	return error == 0;
}

/* One that writes the archive of all lines, and one for each filter. All before
 * the first line is published, so that each gets the same lines. */
static int subscribers_start(struct run *run)
{
	const struct options *options = &run->options;

	run->subscribers =
		memory_resize(NULL, options->filter_count + 1, sizeof(*run->subscribers));
	for (size_t i = 0; i < options->filter_count; i++)
		if (!subscriber_add(run, options->filters[i], NULL))
			return STATUS_USAGE;
	if (!archive_open(&run->archive, options->archive))
		return STATUS_FAILED;
	if (options->has_verify && !archive_is_file(&run->archive)) {
		complain("--verify: '%s' cannot be read back", options->archive);
		return STATUS_USAGE;
	}
	return subscriber_add(run, ">", &run->archive) ? STATUS_OK : STATUS_FAILED;
}

/* Is there an input that cannot be read a second time, to verify? */
static bool tape_is_needed(const struct options *options)
{
	struct stat file;

	if (!options->has_verify)
		return false;
	for (size_t i = 0; i < options->input_count; i++)
		if (options->is_following || strcmp(options->inputs[i], "-") == 0 ||
			(stat(options->inputs[i], &file) == 0 && !S_ISREG(file.st_mode) &&
				!S_ISDIR(file.st_mode)))
			return true;
	return false;
}

static bool reader_start(struct run *run)
{
	struct tape *tape = tape_is_needed(&run->options) ? &run->tape : NULL;

	if (tape != NULL && !tape_open(tape))
		return false;
	return feed_start(&run->feed, &run->options, &run->outlet, tape);
}

/* Until the reader is done. */
static void reader_wait(struct run *run)
{
	struct pollfd events[] = {
		{ .fd = feed_done_fd(&run->feed), .events = POLLIN },
		{ .fd = run->signal_fd, .events = POLLIN },
	};

	do {
		(void)poll(events, 2, LOOK_PAUSE);
		signals_look(run);
		progress_show(&run->progress, &run->feed, run->broker);
	} while ((events[0].revents & (POLLIN | POLLHUP)) == 0);
	feed_join(&run->feed);
	outlet_close(&run->outlet);
	if (run->feed.error != 0)
		complain("a line cannot be published: %s", weir_strerror(run->feed.error));
}

/* Until all that was published is received. */
static void subscribers_wait(struct run *run)
{
	int error;

	while ((error = weir_broker_drain(run->broker, LOOK_SECONDS)) == WEIR_ETIMEDOUT) {
		signals_look(run);
		progress_show(&run->progress, &run->feed, run->broker);
	}
	if (error != 0) {
		complain("draining: %s", weir_strerror(error));
		run->has_failed = true;
	}
	for (size_t i = 0; i < run->subscriber_count; i++) {
		subscriber_join(&run->subscribers[i]);
		if (run->subscribers[i].error != 0) {
			complain("receiving: %s", weir_strerror(run->subscribers[i].error));
			run->has_failed = true;
		}
	}
	progress_close(&run->progress, &run->feed, run->broker);
}

static void report(struct run *run)
{
	double seconds = weir_now(weir_clock_real()) - run->progress.begin;
	const struct topics *topics = &run->outlet.topics;
	uint64_t bytes = atomic_load_explicit(&run->feed.bytes, memory_order_relaxed);

	report_total(run->feed.lines, bytes, topics->count, seconds);
	report_subscribers(run->subscribers, run->subscriber_count);
	report_topics(
		run->broker, topics, run->options.topics, run->subscribers, run->subscriber_count);
	(void)fflush(stdout);
}

static bool verify_and_tell(struct run *run)
{
	double begin = weir_now(weir_clock_real());
	char duration[REPORT_DURATION_SIZE];
	weir_broker_statistics statistics;

	if (weir_broker_statistics_get(run->broker, &statistics) != 0 ||
		!verify(&run->feed, run->subscribers, run->subscriber_count, &statistics)) {
		(void)printf("\nNOT verified: see standard error\n");
		return false;
	}
	report_duration_format(weir_now(weir_clock_real()) - begin, duration);
	(void)printf(
		"\nverified: counts, gaps and archive are those of a plain pass (%s)\n", duration);
	return true;
}

static int status_of(const struct run *run)
{
	if (run->has_failed || run->feed.has_failed || run->feed.error != 0)
		return STATUS_FAILED;
	if (run->signal != 0 && run->feed.is_stopped && !run->options.is_following)
		return STATUS_SIGNAL + run->signal;
	return STATUS_OK;
}

static int work(struct run *run)
{
	int status;

	progress_open(&run->progress, &run->options);
	if (!reader_start(run))
		return STATUS_FAILED;
	reader_wait(run);
	subscribers_wait(run);
	/* Signals may end the program again. */
	(void)pthread_sigmask(SIG_UNBLOCK, &run->signals, NULL);
	if (!archive_finish(&run->archive))
		run->has_failed = true;
	report(run);
	if (run->options.has_verify && !verify_and_tell(run))
		run->has_failed = true;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain("standard output: %s", strerror(errno));
		run->has_failed = true;
	}
	status = status_of(run);
	feed_free(&run->feed);
	return status;
}

int main(int argument_count, char **arguments)
{
	struct run run = { .archive.fd = -1 };
	int status;

	if (!standard_descriptors_open())
		return STATUS_FAILED;
	status = options_parse(&run.options, argument_count, arguments);
	if (status >= 0) {
		options_free(&run.options);
		return status;
	}
	if (!signals_open(&run) || !broker_open(&run))
		return STATUS_FAILED;
	outlet_open(&run.outlet, run.broker);
	status = subscribers_start(&run);
	if (status == STATUS_OK)
		status = work(&run);
	(void)weir_broker_close(run.broker, NULL);
	for (size_t i = 0; i < run.subscriber_count; i++)
		subscriber_free(&run.subscribers[i]);
	free(run.subscribers);
	outlet_free(&run.outlet);
	archive_close(&run.archive);
	tape_close(&run.tape);
	options_free(&run.options);
	return status;
}
