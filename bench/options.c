/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of weir-bench. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: weir-bench [--workload all|W1,W2:N=4,...] [--peers all|weir,mutex,...]\n"
	"                  [--modes spin,yield,default,park] [--repeats 7] [--seconds 0.3]\n"
	"                  [--near NS] [--load SHARE] [--patience SECONDS] [--json]\n"
	"                  [--output DIRECTORY]\n"
	"       weir-bench --list\n"
	"A repeat counts when the probe was at most --near (60 ns) and others used at most\n"
	"--load (0.1) of the CPUs; up to twice as many are taken to have --repeats of these.\n"
	"Before each, up to --patience (0 s) is waited for others to leave the machine alone.\n";

bool bench_list_has(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; at != NULL; at = strchr(at, ',')) {
		if (*at == ',')
			at++;
		if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return false;
}

static const struct option known[] = {
	{ "workload", required_argument, NULL, 'w' },
	{ "peers", required_argument, NULL, 'p' },
	{ "modes", required_argument, NULL, 'm' },
	{ "repeats", required_argument, NULL, 'r' },
	{ "seconds", required_argument, NULL, 's' },
	{ "near", required_argument, NULL, 'n' },
	{ "load", required_argument, NULL, 'l' },
	{ "patience", required_argument, NULL, 'P' },
	{ "json", no_argument, NULL, 'j' },
	{ "output", required_argument, NULL, 'o' },
	{ "list", no_argument, NULL, 'L' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int option_take(struct bench_options *options, int option)
{
	switch (option) {
	case 'w':
		options->workloads = optarg;
		return 0;
	case 'p':
		options->peers = optarg;
		return 0;
	case 'm':
		options->modes = optarg;
		return 0;
	case 'r':
		options->repeats = (unsigned int)strtoul(optarg, NULL, 10);
		return 0;
	case 's':
		options->seconds = strtod(optarg, NULL);
		return 0;
	case 'n':
		options->fairness.probe = strtod(optarg, NULL);
		return 0;
	case 'l':
		options->fairness.load = strtod(optarg, NULL);
		return 0;
	case 'P':
		options->patience = strtod(optarg, NULL);
		return 0;
	case 'j':
		options->is_json = true;
		return 0;
	case 'o':
		options->directory = optarg;
		return 0;
	case 'L':
		options->is_list = true;
		return 0;
	case 'h':
		(void)fputs(usage, stdout);
		return 1;
	default:
		return -1;
	}
}

int bench_options_read(struct bench_options *options, int count, char **words)
{
	int error = 0;
	int option;

	*options = (struct bench_options){
		.workloads = "all",
		.peers = "all",
		.repeats = 7,
		.seconds = 0.3,
		.fairness = { .probe = 60, .load = 0.1 },
	};
	while (error == 0 && (option = getopt_long(count, words, "", known, NULL)) != -1)
		error = option_take(options, option);
	if (error == 0 && (optind != count || options->repeats < 1 ||
				  options->repeats > BENCH_REPEATS_MAX / 2 ||
				  !(options->seconds >= 0.001 && options->seconds <= 3)))
		error = -1;
	if (error < 0)
		(void)fputs(usage, stderr);
	return error;
}
