/* SPDX-License-Identifier: BSD-2-Clause */
/* The progress of a run, for people who wait for it. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* A run shorter than this shows nothing on a terminal. */
#define QUIET_SECONDS 0.5

#define TERMINAL_SECONDS 0.2
#define LINE_SECONDS     0.5

#define BAR_WIDTH 24

void progress_open(struct progress *progress, bool is_asked_for)
{
	*progress = (struct progress){ .begin = weir_now(weir_clock_real()) };
	progress->is_terminal = isatty(STDERR_FILENO) == 1;
	progress->is_shown = progress->is_terminal || is_asked_for;
	progress->next = progress->begin + QUIET_SECONDS;
}

static void bar_print(double part)
{
	int full = (int)(part * BAR_WIDTH);

	(void)fputc('[', stderr);
	for (int i = 0; i < BAR_WIDTH; i++)
		(void)fputc(i < full ? '#' : '-', stderr);
	(void)fputs("] ", stderr);
}

static void print(struct progress *progress, const struct jobs *jobs, weir_broker *broker)
{
	uint64_t files_found = atomic_load_explicit(&jobs->files_found, memory_order_relaxed);
	uint64_t bytes_found = atomic_load_explicit(&jobs->bytes_found, memory_order_relaxed);
	uint64_t files = atomic_load_explicit(&jobs->files_done, memory_order_relaxed);
	uint64_t bytes = atomic_load_explicit(&jobs->bytes_done, memory_order_relaxed);
	double part = bytes_found > 0 ? (double)bytes / (double)bytes_found : 0;
	double seconds = weir_now(weir_clock_real()) - progress->begin;
	weir_broker_statistics statistics;

	if (weir_broker_statistics_get(broker, &statistics) != 0)
		return;
	flockfile(stderr);
	(void)fprintf(stderr, "%sworkqueue: ", progress->is_terminal ? "\r\033[K" : "");
	if (progress->is_terminal)
		bar_print(part);
	(void)fprintf(stderr,
		"%3.0f %%, %" PRIu64 " of %" PRIu64 " files, %.1f MB/s, %" PRIu64
		" queued, %" PRIu64 " in hand, %" PRIu64 " failed%s",
		part * 100, files, files_found, seconds > 0 ? (double)bytes * 1e-6 / seconds : 0,
		statistics.queued, statistics.in_flight, statistics.dead_lettered,
		progress->is_terminal ? "" : "\n");
	(void)fflush(stderr);
	funlockfile(stderr);
	progress->is_on_screen = progress->is_terminal;
}

void progress_show(struct progress *progress, const struct jobs *jobs, weir_broker *broker)
{
	double now = weir_now(weir_clock_real());

	if (!progress->is_shown || now < progress->next)
		return;
	print(progress, jobs, broker);
	progress->next = now + (progress->is_terminal ? TERMINAL_SECONDS : LINE_SECONDS);
}

void progress_close(struct progress *progress, const struct jobs *jobs, weir_broker *broker)
{
	if (progress->is_on_screen)
		(void)fputs("\r\033[K", stderr);
	else if (progress->is_shown && !progress->is_terminal)
		print(progress, jobs, broker);
}
