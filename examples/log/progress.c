/* SPDX-License-Identifier: BSD-2-Clause */
/* The progress of a run, for people who wait for it. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A run shorter than this shows nothing on a terminal. */
#define QUIET_SECONDS 0.5

#define TERMINAL_SECONDS 0.2
#define LINE_SECONDS     0.5

/* Unknown where one input is no regular file, or will grow. */
static uint64_t bytes_of(const struct options *options)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < options->input_count; i++) {
		struct stat file;

		if (options->is_following || strcmp(options->inputs[i], "-") == 0)
			return 0;
		if (stat(options->inputs[i], &file) != 0)
			continue;
		if (!S_ISREG(file.st_mode))
			return 0;
		sum += (uint64_t)file.st_size;
	}
	return sum;
}

void progress_open(struct progress *progress, const struct options *options)
{
	*progress = (struct progress){ .begin = weir_now(weir_clock_real()) };
	progress->is_terminal = isatty(STDERR_FILENO) == 1;
	progress->is_shown = progress->is_terminal || options->has_progress;
	progress->bytes_total = bytes_of(options);
	progress->next = progress->begin + QUIET_SECONDS;
}

static void print(struct progress *progress, const struct feed *feed, weir_broker *broker)
{
	uint64_t bytes = atomic_load_explicit(&feed->bytes, memory_order_relaxed);
	weir_broker_statistics statistics;
	uint64_t dropped = 0;

	if (weir_broker_statistics_get(broker, &statistics) != 0)
		return;
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		dropped += statistics.dropped[i];
	flockfile(stderr);
	(void)fprintf(stderr, "%slogfan: ", progress->is_terminal ? "\r\033[K" : "");
	if (progress->bytes_total > 0)
		(void)fprintf(
			stderr, "%3.0f %%, ", (double)bytes * 100 / (double)progress->bytes_total);
	(void)fprintf(stderr,
		"%" PRIu64 " lines, %" PRIu64 " delivered, %" PRIu64 " queued, %" PRIu64
		" dropped%s",
		statistics.published, statistics.delivered, statistics.queued, dropped,
		progress->is_terminal ? "" : "\n");
	(void)fflush(stderr);
	funlockfile(stderr);
	progress->is_on_screen = progress->is_terminal;
}

void progress_show(struct progress *progress, const struct feed *feed, weir_broker *broker)
{
	double now = weir_now(weir_clock_real());

	if (!progress->is_shown || now < progress->next)
		return;
	print(progress, feed, broker);
	progress->next = now + (progress->is_terminal ? TERMINAL_SECONDS : LINE_SECONDS);
}

void progress_close(struct progress *progress, const struct feed *feed, weir_broker *broker)
{
	if (progress->is_on_screen)
		(void)fputs("\r\033[K", stderr);
	else if (progress->is_shown && !progress->is_terminal)
		print(progress, feed, broker);
}
