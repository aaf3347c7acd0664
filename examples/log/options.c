/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line, checked in full before anything is done. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/complain.h"

#define TOPICS_SHOWN 12

static const char help_text[] =
	"Usage: logfan [OPTION]... [FILE]...\n"
	"Publish each line of logs like dpkg's to a topic made of its month and its\n"
	"action, such as 2026-11.install, and let one thread for each filter count\n"
	"them, find the longest time between two, and one write them to a gzip archive.\n"
	"Without a FILE, or where FILE is -, read standard input.\n"
	"\n"
	"  -a, --archive=FILE     write the archive here, over what is there (default:\n"
	"                         a temporary file)\n"
	"  -c, --capacity=N       messages that wait at most for a subscriber (1024)\n"
	"  -f, --follow           go on with what is added to the files, also when they\n"
	"                         are renamed and made anew, until SIGINT or SIGTERM\n"
	"  -o, --overflow=POLICY  what a full queue does: block (the default) the reader,\n"
	"                         or lose lines and count them: drop-newest, drop-oldest\n"
	"  -p, --progress         show progress though standard error is no terminal\n"
	"  -s, --subscribe=FILTER a subscriber for these topics; may be given more than\n"
	"                         once (default: *.install *.upgrade *.status); in a\n"
	"                         filter * is any one token, and a last > all that follow\n"
	"  -t, --topics=N         show the N topics with most lines, or all (12)\n"
	"  -v, --verify           read the input a second time without the broker, compare\n"
	"                         all results, read the archive back; fail if they differ\n"
	"  -h, --help             show this and exit\n"
	"  -V, --version          show the version and exit\n"
	"\n"
	"A line that does not begin with a time goes to other.text, other.blank or\n"
	"other.binary. A line above 4 MiB is taken in pieces of that size.\n"
	"\n"
	"The status is 0 if all went well, 1 if something could not be read or written or\n"
	"was found to differ, 2 for a mistake in the options, and 128 plus its number for\n"
	"a signal that came before the input's end.\n";

static const struct option long_options[] = {
	{ "archive", required_argument, NULL, 'a' },
	{ "capacity", required_argument, NULL, 'c' },
	{ "follow", no_argument, NULL, 'f' },
	{ "overflow", required_argument, NULL, 'o' },
	{ "progress", no_argument, NULL, 'p' },
	{ "subscribe", required_argument, NULL, 's' },
	{ "topics", required_argument, NULL, 't' },
	{ "verify", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* A decimal number, 1..max, and nothing else. */
static bool number_parse(const char *text, size_t max, size_t *number)
{
	char *end;
	unsigned long long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value < 1 || value > max)
		return false;
	*number = (size_t)value;
	return true;
}

static bool capacity_parse(struct options *options, const char *text)
{
	if (number_parse(text, WEIR_CAPACITY_MAX, &options->capacity))
		return true;
	complain("--capacity: '%s' is not a number from 1 to %zu", text, WEIR_CAPACITY_MAX);
	return false;
}

static bool overflow_parse(struct options *options, const char *text)
{
	if (strcmp(text, "block") == 0) {
		options->overflow = WEIR_OVERFLOW_BLOCK;
	} else if (strcmp(text, "drop-newest") == 0) {
		options->overflow = WEIR_OVERFLOW_DROP_NEWEST;
	} else if (strcmp(text, "drop-oldest") == 0) {
		options->overflow = WEIR_OVERFLOW_DROP_OLDEST;
	} else {
		complain("--overflow: '%s' is none of block, drop-newest, drop-oldest", text);
		return false;
	}
	return true;
}

static bool topics_parse(struct options *options, const char *text)
{
	if (strcmp(text, "all") == 0) {
		options->topics = SIZE_MAX;
		return true;
	}
	if (number_parse(text, SIZE_MAX, &options->topics))
		return true;
	complain("--topics: '%s' is neither a number from 1 on nor all", text);
	return false;
}

static void filter_add(struct options *options, const char *filter)
{
	options->filters = memory_resize(
		options->filters, options->filter_count + 1, sizeof(*options->filters));
	options->filters[options->filter_count++] = filter;
}

static bool option_take(struct options *options, int option, const char *argument)
{
	switch (option) {
	case 'a':
		options->archive = argument;
		return true;
	case 'c':
		return capacity_parse(options, argument);
	case 'f':
		options->is_following = true;
		return true;
	case 'o':
		return overflow_parse(options, argument);
	case 'p':
		options->has_progress = true;
		return true;
	case 's':
		filter_add(options, argument);
		return true;
	case 't':
		return topics_parse(options, argument);
	case 'v':
		options->has_verify = true;
		return true;
	default:
		/* getopt_long has said what is wrong. */
		return false;
	}
}

/* To write the archive over a log would be to lose it. */
static bool archive_is_an_input(const struct options *options)
{
	struct stat archive, input;

	if (options->archive == NULL || stat(options->archive, &archive) != 0 ||
		S_ISCHR(archive.st_mode))
		return false;
	for (size_t i = 0; i < options->input_count; i++) {
		const char *path = options->inputs[i];
		int error =
			strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &input) : stat(path, &input);

		if (error == 0 && input.st_dev == archive.st_dev && input.st_ino == archive.st_ino)
			return true;
	}
	return false;
}

static void defaults_fill(struct options *options)
{
	static const char *const standard_input[] = { "-" };

	if (options->input_count == 0) {
		options->inputs = standard_input;
		options->input_count = 1;
	}
	if (options->filter_count == 0) {
		filter_add(options, "*.install");
		filter_add(options, "*.upgrade");
		filter_add(options, "*.status");
	}
}

static int refuse(void)
{
	(void)fputs("Try 'logfan --help'.\n", stderr);
	return STATUS_USAGE;
}

int options_parse(struct options *options, int argument_count, char **arguments)
{
	static char name[] = "logfan";
	int option;

	/* What getopt_long complains of begins with it, as all complaints do. */
	if (argument_count > 0)
		arguments[0] = name;
	*options = (struct options){ .topics = TOPICS_SHOWN };
	while ((option = getopt_long(
			argument_count, arguments, "a:c:fo:ps:t:vhV", long_options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(help_text, stdout);
			return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
		}
		if (option == 'V') {
			(void)printf("logfan of weir %s\n", weir_version());
			return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
		}
		if (!option_take(options, option, optarg))
			return refuse();
	}
	options->inputs = (const char *const *)arguments + optind;
	options->input_count = (size_t)(argument_count - optind);
	defaults_fill(options);
	if (archive_is_an_input(options)) {
		complain("--archive: '%s' is an input as well", options->archive);
		return refuse();
	}
	return -1;
}

void options_free(struct options *options)
{
	free(options->filters);
}
