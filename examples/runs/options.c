/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line, checked in full before anything is done. */
#include "options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#include "chart.h"
#include "../common/complain.h"
#include "crew.h"
#include "plot.h"
#include "run.h"

#define SEED_DEFAULT 192837

#define ATTEMPTS_MAX ((size_t)1000000)

/* Beyond these a run lasts longer, or less, than a clock can tell. */
#define SPEED_MIN 1e-3
#define SPEED_MAX 1e6

static const char help_text[] =
	"Usage: lesson NAME [OPTION]...\n"
	"Play one of the simulations of a lesson on publish-subscribe message queues, and\n"
	"print what happens and when. --list tells the NAMEs.\n"
	"\n"
	"      --until=T         play to this time, in seconds; what is due at T happens\n"
	"      --interval=X      base interval of the publishers, in seconds; in `simple'\n"
	"                        a factor for both of theirs\n"
	"      --service=X       time a subscriber takes for a message, in seconds; in\n"
	"                        `simple' a factor for all of theirs\n"
	"      --capacity=N      messages that wait at most in a queue\n"
	"      --multiplier=X    what a refusal multiplies the publisher's interval by\n"
	"      --seed=N          seed of the random numbers, any whole number from 0 on\n"
	"                        (192837); they are those of Python for the same seed\n"
	"      --select          in `simple': receive by the library's select, which loses\n"
	"                        nothing, and not as the lesson does\n"
	"      --sweep           in `backpressure': a table of what capacities of 1, 2, 5 and\n"
	"                        50 and base intervals of 0.5 and 2.0 make of it\n"
	"      --plot=FILE       in `backpressure': draw interval and depth over time, by\n"
	"                        gnuplot, as FILE says by its end: .svg or .png\n"
	"      --drops           in `priority': a table of how many messages of each\n"
	"                        priority were dropped\n"
	"      --attempts=N      in `ack': deliver a message up to N times, each time when its\n"
	"                        receiver has died with it; then it is dropped\n"
	"      --dead-letter     in `ack': the same, but then it goes to a dead-letter topic\n"
	"                        (after 5 attempts, without --attempts)\n"
	"      --policy=NAME     in `group': who gets a message: round-robin, weighted,\n"
	"                        least-loaded, shared, key or single-active; without it all\n"
	"                        are played, and compared in a table\n"
	"      --chart=FILE.svg  in `group': draw who did what, and how long jobs waited\n"
	"      --realtime[=SPEED]  play with threads on the real clock, SPEED times as\n"
	"                        fast (1)\n"
	"      --list            tell what each run shows, and exit\n"
	"      --help            show this and exit\n"
	"      --version         show the version and exit\n"
	"\n"
	"Without --realtime the same options give the same output, byte for byte.\n"
	"\n"
	"The status is 0 if all went well, 1 if something could not be done or written,\n"
	"and 2 for a mistake in the options.\n";

enum option_name {
	OPTION_UNTIL = 256,
	OPTION_INTERVAL,
	OPTION_SERVICE,
	OPTION_CAPACITY,
	OPTION_MULTIPLIER,
	OPTION_SEED,
	OPTION_SELECT,
	OPTION_SWEEP,
	OPTION_PLOT,
	OPTION_DROPS,
	OPTION_ATTEMPTS,
	OPTION_DEAD_LETTER,
	OPTION_POLICY,
	OPTION_CHART,
	OPTION_REALTIME,
	OPTION_LIST,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{ "until", required_argument, NULL, OPTION_UNTIL },
	{ "interval", required_argument, NULL, OPTION_INTERVAL },
	{ "service", required_argument, NULL, OPTION_SERVICE },
	{ "capacity", required_argument, NULL, OPTION_CAPACITY },
	{ "multiplier", required_argument, NULL, OPTION_MULTIPLIER },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "select", no_argument, NULL, OPTION_SELECT },
	{ "sweep", no_argument, NULL, OPTION_SWEEP },
	{ "plot", required_argument, NULL, OPTION_PLOT },
	{ "drops", no_argument, NULL, OPTION_DROPS },
	{ "attempts", required_argument, NULL, OPTION_ATTEMPTS },
	{ "dead-letter", no_argument, NULL, OPTION_DEAD_LETTER },
	{ "policy", required_argument, NULL, OPTION_POLICY },
	{ "chart", required_argument, NULL, OPTION_CHART },
	{ "realtime", optional_argument, NULL, OPTION_REALTIME },
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

/* What was given; the rest is the run's to say. */
enum given {
	GIVEN_UNTIL = 1,
	GIVEN_INTERVAL = 2,
	GIVEN_SERVICE = 4,
	GIVEN_CAPACITY = 8,
	GIVEN_MULTIPLIER = 16,
};

/* ---- Numbers ---- */

/* A finite decimal number, at least 0, and nothing else. */
static bool number_parse(const char *text, double *number)
{
	char *end;

	/* What strtod knows besides: blanks, a sign, hexadecimal, words. */
	if (text[strspn(text, "0123456789.eE+-")] != '\0' || text[0] == '+')
		return false;
	*number = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*number) && *number >= 0 && text[0] != '-';
}

static bool seconds_parse(const char *name, const char *text, bool may_be_zero, double *seconds)
{
	if (number_parse(text, seconds) && (may_be_zero || *seconds > 0))
		return true;
	complain("--%s: '%s' is not a number %s", name, text,
		may_be_zero ? "from 0 on" : "greater than 0");
	return false;
}

static bool multiplier_parse(const char *text, double *multiplier)
{
	if (number_parse(text, multiplier) && *multiplier >= 1)
		return true;
	complain("--multiplier: '%s' is not a number from 1 on", text);
	return false;
}

static bool count_parse(const char *name, const char *text, size_t count_max, size_t *count)
{
	size_t length = strspn(text, "0123456789");
	unsigned long value = strtoul(text, NULL, 10);

	/* One too large for strtoul gives its largest. */
	if (length > 0 && text[length] == '\0' && value >= 1 && value <= count_max) {
		*count = value;
		return true;
	}
	complain("--%s: '%s' is not a whole number from 1 to %zu", name, text, count_max);
	return false;
}

static bool attempts_parse(const char *text, uint32_t *attempts)
{
	size_t count = 0;

	if (!count_parse("attempts", text, ATTEMPTS_MAX, &count))
		return false;
	*attempts = (uint32_t)count;
	return true;
}

/* The seed, times 10, plus a digit. */
static void seed_append(struct options *options, unsigned int digit)
{
	uint64_t carry = digit;

	for (size_t i = 0; i < options->seed_size; i++) {
		carry += (uint64_t)options->seed[i] * 10;
		options->seed[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry > 0)
		options->seed[options->seed_size++] = (uint32_t)carry;
}

static bool seed_parse(struct options *options, const char *text)
{
	size_t length = strspn(text, "0123456789");

	if (length == 0 || text[length] != '\0') {
		complain("--seed: '%s' is not a whole number from 0 on", text);
		return false;
	}
	/* A word holds nine digits and more. */
	options->seed = memory_resize(options->seed, length / 9 + 1, sizeof(*options->seed));
	options->seed[0] = 0;
	options->seed_size = 1;
	for (size_t i = 0; i < length; i++)
		seed_append(options, (unsigned int)(text[i] - '0'));
	return true;
}

/* ---- Options ---- */

static bool plot_parse(const char *path, const char **plot)
{
	*plot = path;
	if (plot_path_is_valid(path))
		return true;
	complain("--plot: '%s' does not end in .svg or .png", path);
	return false;
}

static bool chart_parse(const char *path, const char **chart)
{
	*chart = path;
	if (chart_path_is_valid(path))
		return true;
	complain("--chart: '%s' does not end in .svg", path);
	return false;
}

static bool policy_parse(const char *name, const struct crew_policy **policy)
{
	*policy = crew_policy_find(name);
	if (*policy != NULL)
		return true;
	complain("--policy: there is no '%s', but round-robin, weighted, least-loaded, shared, "
		 "key, single-active",
		name);
	return false;
}

/* "--realtime 10": getopt_long takes an optional argument after a '=' only. */
static char *speed_word(int argument_count, char **arguments)
{
	char *word = optind < argument_count ? arguments[optind] : NULL;
	char *end;

	if (word == NULL)
		return NULL;
	(void)strtod(word, &end);
	if (end == word)
		return NULL;
	optind++;
	return word;
}

static bool speed_parse(struct options *options, const char *text)
{
	options->is_realtime = true;
	options->speed = 1;
	if (text == NULL || (number_parse(text, &options->speed) && options->speed >= SPEED_MIN &&
				    options->speed <= SPEED_MAX))
		return true;
	complain("--realtime: '%s' is not a number from %g to %g", text, SPEED_MIN, SPEED_MAX);
	return false;
}

/* Returns which of enum given it was, 0 for another, -1 for a mistake. */
static int option_take(struct options *options, int option, const char *argument)
{
	switch (option) {
	case OPTION_UNTIL:
		return seconds_parse("until", argument, true, &options->until) ? GIVEN_UNTIL : -1;
	case OPTION_INTERVAL:
		return seconds_parse("interval", argument, false, &options->interval)
			       ? GIVEN_INTERVAL
			       : -1;
	case OPTION_SERVICE:
		return seconds_parse("service", argument, true, &options->service) ? GIVEN_SERVICE
										   : -1;
	case OPTION_CAPACITY:
		return count_parse("capacity", argument, WEIR_CAPACITY_MAX, &options->capacity)
			       ? GIVEN_CAPACITY
			       : -1;
	case OPTION_MULTIPLIER:
		return multiplier_parse(argument, &options->multiplier) ? GIVEN_MULTIPLIER : -1;
	case OPTION_SEED:
		return seed_parse(options, argument) ? 0 : -1;
	case OPTION_SELECT:
		options->has_select = true;
		return 0;
	case OPTION_SWEEP:
		options->has_sweep = true;
		return 0;
	case OPTION_PLOT:
		return plot_parse(argument, &options->plot) ? 0 : -1;
	case OPTION_DROPS:
		options->has_drops = true;
		return 0;
	case OPTION_ATTEMPTS:
		return attempts_parse(argument, &options->attempts) ? 0 : -1;
	case OPTION_DEAD_LETTER:
		options->has_dead_letter = true;
		return 0;
	case OPTION_POLICY:
		return policy_parse(argument, &options->policy) ? 0 : -1;
	case OPTION_CHART:
		return chart_parse(argument, &options->chart) ? 0 : -1;
	case OPTION_REALTIME:
		return speed_parse(options, argument) ? 0 : -1;
	default:
		/* getopt_long has said what is wrong. */
		return -1;
	}
}

static bool takes(const struct run *run, bool is_given, enum run_takes what, const char *option)
{
	if (!is_given || (run->takes & what) != 0)
		return true;
	complain("--%s: '%s' has no use for it", option, run->name);
	return false;
}

static void defaults_fill(struct options *options, unsigned int given)
{
	const struct run *run = options->run;

	if ((given & GIVEN_UNTIL) == 0)
		options->until = run->until;
	if ((given & GIVEN_INTERVAL) == 0)
		options->interval = run->interval;
	if ((given & GIVEN_SERVICE) == 0)
		options->service = run->service;
	if ((given & GIVEN_CAPACITY) == 0)
		options->capacity = run->capacity;
	if ((given & GIVEN_MULTIPLIER) == 0)
		options->multiplier = run->multiplier;
}

/* What can only be said of all options together. */
static bool options_agree(struct options *options, unsigned int given)
{
	const struct run *run = options->run;

	if (!takes(run, (given & GIVEN_CAPACITY) != 0, TAKES_CAPACITY, "capacity") ||
		!takes(run, (given & GIVEN_MULTIPLIER) != 0, TAKES_MULTIPLIER, "multiplier") ||
		!takes(run, options->has_select, TAKES_SELECT, "select") ||
		!takes(run, options->has_sweep, TAKES_SWEEP, "sweep") ||
		!takes(run, options->plot != NULL, TAKES_PLOT, "plot") ||
		!takes(run, options->has_drops, TAKES_DROPS, "drops") ||
		!takes(run, options->attempts != 0, TAKES_ATTEMPTS, "attempts") ||
		!takes(run, options->has_dead_letter, TAKES_ATTEMPTS, "dead-letter") ||
		!takes(run, options->policy != NULL, TAKES_POLICY, "policy") ||
		!takes(run, options->chart != NULL, TAKES_CHART, "chart"))
		return false;
	if (options->has_sweep && (given & (GIVEN_CAPACITY | GIVEN_INTERVAL)) != 0) {
		complain("--sweep has capacities and intervals of its own");
		return false;
	}
	defaults_fill(options, given);
	/* Intervals that a double cannot add to the time would never end. */
	if (options->until + options->interval > options->until)
		return true;
	complain("--interval: %g is nothing beside --until %g: time would stand still",
		options->interval, options->until);
	return false;
}

static int refuse(void)
{
	(void)fputs("Try 'lesson --help'.\n", stderr);
	return STATUS_USAGE;
}

/* Options that are not about a run. Returns whether it was one. */
static bool tell(int option)
{
	switch (option) {
	case OPTION_LIST:
		run_list();
		return true;
	case OPTION_HELP:
		(void)fputs(help_text, stdout);
		return true;
	case OPTION_VERSION:
		(void)printf("lesson of weir %s\n", weir_version());
		return true;
	default:
		return false;
	}
}

/* The words that are no options: the one name. */
static int name_take(struct options *options, int count, char *const *words, unsigned int given)
{
	if (count == 0) {
		complain("which run? There are %s", run_names());
		return refuse();
	}
	if (count > 1) {
		complain("one run at a time, not '%s' as well", words[1]);
		return refuse();
	}
	options->run = run_find(words[0]);
	if (options->run == NULL) {
		complain("there is no run '%s', but %s", words[0], run_names());
		return refuse();
	}
	return options_agree(options, given) ? -1 : refuse();
}

int options_parse(struct options *options, int argument_count, char **arguments)
{
	static char name[] = "lesson";
	unsigned int given = 0;
	int option;

	/* What getopt_long complains of begins with it, as all complaints do. */
	if (argument_count > 0)
		arguments[0] = name;
	*options = (struct options){ .speed = 1, .seed_size = 1 };
	options->seed = memory_resize(NULL, 1, sizeof(*options->seed));
	options->seed[0] = SEED_DEFAULT;
	while ((option = getopt_long(argument_count, arguments, "", long_options, NULL)) != -1) {
		int taken;

		if (tell(option))
			return STATUS_OK;
		if (option == OPTION_REALTIME && optarg == NULL)
			optarg = speed_word(argument_count, arguments);
		taken = option_take(options, option, optarg);
		if (taken < 0)
			return refuse();
		given |= (unsigned int)taken;
	}
	return name_take(options, argument_count - optind, arguments + optind, given);
}

void options_free(struct options *options)
{
	free(options->seed);
}
