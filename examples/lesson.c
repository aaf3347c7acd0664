/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson - plays the simulations of a lesson on publish-subscribe message queues,
 * in virtual time, where they come out the same byte for byte, or in real time.
 *
 * The runs lie in runs/, each in a file of its own: what a publisher and a
 * subscriber do is written there, as functions that call the library. What they
 * play on, and what makes virtual of real time, is runs/stage.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/complain.h"
#include "runs/options.h"
#include "runs/run.h"

const struct complainer complainer = { "lesson", .has_progress = false };

static int output_finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return STATUS_OK;
	complain("standard output: %s", strerror(errno));
	return STATUS_FAILED;
}

int main(int argument_count, char **arguments)
{
	struct options options;
	int status = options_parse(&options, argument_count, arguments);
	int output;

	if (status < 0) {
		/* In real time a line is news. */
		if (options.is_realtime)
			(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
		status = options.run->play(&options);
	}
	options_free(&options);
	output = output_finish();
	return status != STATUS_OK ? status : output;
}
