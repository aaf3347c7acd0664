/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line, checked in full before anything is done. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/complain.h"

#define WORKERS_MAX  256
#define ATTEMPTS_MAX 1000
#define LEVEL_MAX    9
#define STEP_MAX     ((size_t)1 << 20) /* KiB */
#define CRASH_FIRST  3
#define TIMEOUT_MIN  1e-6 /* seconds */
#define TIMEOUT_MAX  1e6

static const char help_text[] =
	"Usage: workqueue [OPTION]... PATH...\n"
	"Compress every file below the PATHs, by several threads that share the work as\n"
	"one consumer group, and tell each file's checksum, size and compressed size.\n"
	"What is compressed is counted and thrown away. Links are not followed.\n"
	"\n"
	"  -a, --attempts=N      times that a step is tried before its file has failed (5)\n"
	"  -c, --capacity=N      steps that wait at most; then the walk waits (64)\n"
	"  -C, --crash[=N]       the first worker crashes in the middle of its Nth step (3)\n"
	"                        and leaves it to the others\n"
	"  -f, --fail-rate=P     let attempts fail, each with this probability, 0 to 1\n"
	"  -l, --level=N         of compression, 1 to 9 (6)\n"
	"  -m, --manifest=FILE   write a line for each file, sorted by path: CRC-32, size,\n"
	"                        compressed size, path\n"
	"  -n, --no-verify       see --verify\n"
	"  -p, --policy=POLICY   who gets a step: key (the default: one worker for all of\n"
	"                        a file, in order), shared, round-robin, weighted (the\n"
	"                        second worker twice as much as the first, and so on),\n"
	"                        least-loaded, single-active\n"
	"  -P, --progress        show progress though standard error is no terminal\n"
	"  -s, --step=KIB        with key: the size of a step (1024); else a file is one\n"
	"  -S, --seed=N          of the failures of --fail-rate (1)\n"
	"  -t, --timeout=SECONDS a step goes to another worker when its own has not said for\n"
	"                        so long that it is at work (30)\n"
	"  -v, --verify          do it all again in one thread without the broker, and\n"
	"                        compare (the default up to 64 MiB without a signal)\n"
	"  -w, --workers=N       threads (as many as there are processors, at least 2)\n"
	"  -h, --help            show this and exit\n"
	"  -V, --version         show the version and exit\n"
	"\n"
	"SIGINT or SIGTERM ends the walk; what is queued is still done. A second one ends\n"
	"the program at once.\n"
	"\n"
	"The status is 0 if all went well, 1 if a file failed or something was found to\n"
	"differ, 2 for a mistake in the options, and 128 plus its number for a signal that\n"
	"came before the end of the walk.\n";

static const struct option long_options[] = {
	{ "attempts", required_argument, NULL, 'a' },
	{ "capacity", required_argument, NULL, 'c' },
	{ "crash", optional_argument, NULL, 'C' },
	{ "fail-rate", required_argument, NULL, 'f' },
	{ "level", required_argument, NULL, 'l' },
	{ "manifest", required_argument, NULL, 'm' },
	{ "no-verify", no_argument, NULL, 'n' },
	{ "policy", required_argument, NULL, 'p' },
	{ "progress", no_argument, NULL, 'P' },
	{ "step", required_argument, NULL, 's' },
	{ "seed", required_argument, NULL, 'S' },
	{ "timeout", required_argument, NULL, 't' },
	{ "verify", no_argument, NULL, 'v' },
	{ "workers", required_argument, NULL, 'w' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const struct {
	const char *name;
	weir_group_policy policy;
} policies[] = {
	{ "key", WEIR_GROUP_KEY },
	{ "shared", WEIR_GROUP_SHARED },
	{ "round-robin", WEIR_GROUP_ROUND_ROBIN },
	{ "weighted", WEIR_GROUP_WEIGHTED },
	{ "least-loaded", WEIR_GROUP_LEAST_LOADED },
	{ "single-active", WEIR_GROUP_SINGLE_ACTIVE },
};

/* A decimal number, min..max, and nothing else. */
static bool number_parse(
	const char *option, const char *text, size_t min, size_t max, size_t *number)
{
	char *end;
	unsigned long long value;

	if (text[0] >= '0' && text[0] <= '9') {
		errno = 0;
		value = strtoull(text, &end, 10);
		if (errno == 0 && *end == '\0' && value >= min && value <= max) {
			*number = (size_t)value;
			return true;
		}
	}
	complain("--%s: '%s' is not a number from %zu to %zu", option, text, min, max);
	return false;
}

/* Likewise with a fraction. */
static bool real_parse(const char *option, const char *text, double min, double max, double *number)
{
	char *end;
	double value;

	if ((text[0] >= '0' && text[0] <= '9') || text[0] == '.') {
		value = strtod(text, &end);
		if (*end == '\0' && end != text && value >= min && value <= max) {
			*number = value;
			return true;
		}
	}
	complain("--%s: '%s' is not a number from %g to %g", option, text, min, max);
	return false;
}

static bool policy_parse(struct options *options, const char *text)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		if (strcmp(text, policies[i].name) == 0) {
			options->policy = policies[i].policy;
			options->policy_name = policies[i].name;
			return true;
		}
	}
	complain("--policy: '%s' is none of key, shared, round-robin, weighted, least-loaded, "
		 "single-active",
		text);
	return false;
}

static bool step_parse(struct options *options, const char *text)
{
	if (!number_parse("step", text, 1, STEP_MAX, &options->step_size))
		return false;
	options->step_size *= 1024;
	return true;
}

static bool seed_parse(struct options *options, const char *text)
{
	size_t seed = 0;

	if (!number_parse("seed", text, 0, SIZE_MAX, &seed))
		return false;
	options->faults.seed = seed;
	return true;
}

static bool option_take(struct options *options, int option, const char *argument)
{
	switch (option) {
	case 'a':
		return number_parse("attempts", argument, 1, ATTEMPTS_MAX, &options->attempts);
	case 'c':
		return number_parse("capacity", argument, 1, WEIR_CAPACITY_MAX, &options->capacity);
	case 'C':
		options->crash = CRASH_FIRST;
		return argument == NULL ||
		       number_parse("crash", argument, 1, SIZE_MAX, &options->crash);
	case 'f':
		return real_parse("fail-rate", argument, 0, 1, &options->faults.rate);
	case 'l':
		return number_parse("level", argument, 1, LEVEL_MAX, &options->level);
	case 'm':
		options->manifest = argument;
		return true;
	case 'n':
		options->verify = VERIFY_NEVER;
		return true;
	case 'p':
		return policy_parse(options, argument);
	case 'P':
		options->has_progress = true;
		return true;
	case 's':
		return step_parse(options, argument);
	case 'S':
		return seed_parse(options, argument);
	case 't':
		return real_parse("timeout", argument, TIMEOUT_MIN, TIMEOUT_MAX, &options->timeout);
	case 'v':
		options->verify = VERIFY_ALWAYS;
		return true;
	case 'w':
		return number_parse("workers", argument, 1, WORKERS_MAX, &options->workers);
	default:
		/* getopt_long has said what is wrong. */
		return false;
	}
}

/* What goes together; and what was not given. */
static bool check(struct options *options)
{
	if (options->root_count == 0) {
		complain("a PATH is missing");
		return false;
	}
	if (options->workers == 0) {
		long processors = sysconf(_SC_NPROCESSORS_ONLN);

		options->workers = processors < 2             ? 2
				   : processors < WORKERS_MAX ? (size_t)processors
							      : WORKERS_MAX;
	}
	if (options->crash > 0 && options->workers == 1) {
		complain("--crash: a single worker has nobody to leave its work to");
		return false;
	}
	if (options->policy != WEIR_GROUP_KEY && options->step_size > 0) {
		complain("--step: files are taken in steps with --policy=key only");
		return false;
	}
	if (options->policy == WEIR_GROUP_KEY && options->step_size == 0)
		options->step_size = (size_t)1 << 20;
	return true;
}

static int refuse(void)
{
	(void)fputs("Try 'workqueue --help'.\n", stderr);
	return STATUS_USAGE;
}

int options_parse(struct options *options, int argument_count, char **arguments)
{
	static char name[] = "workqueue";
	int option;

	/* What getopt_long complains of begins with it, as all complaints do. */
	if (argument_count > 0)
		arguments[0] = name;
	*options = (struct options){
		.policy = WEIR_GROUP_KEY,
		.policy_name = "key",
		.capacity = 64,
		.attempts = 5,
		.level = 6,
		.timeout = 30,
		.faults.seed = 1,
	};
	while ((option = getopt_long(argument_count, arguments, "a:c:C::f:l:m:np:Ps:S:t:vw:hV",
			long_options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(help_text, stdout);
			return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
		}
		if (option == 'V') {
			(void)printf("workqueue of weir %s\n", weir_version());
			return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
		}
		if (!option_take(options, option, optarg))
			return refuse();
	}
	options->roots = (const char *const *)arguments + optind;
	options->root_count = (size_t)(argument_count - optind);
	return check(options) ? -1 : refuse();
}
