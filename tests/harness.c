/* SPDX-License-Identifier: BSD-2-Clause */
/* harness.c - the checks, the seed and the sizes of harness.h, for either driver. */
#include "harness.h"
#include "harness_driver.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char *running_suite = "?";
static const char *running_name = "?";
static _Thread_local bool own_thread;

void harness_begin(const char *suite, const char *name)
{
	running_suite = suite;
	running_name = name;
	own_thread = true;
}

void harness_skip(const char *reason)
{
	harness_driver_skip(reason);
}

void harness_fail(const char *file, int line, const char *format, ...)
{
	char what[1024];
	char command[1024];
	char message[3072];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	harness_driver_replay(command, sizeof(command), running_suite, running_name);
	(void)snprintf(message, sizeof(message),
		"%s:%d: %s failed\n# replay: WEIR_SEED=%" PRIu64 " %s", file, line, what,
		harness_seed(), command);
	harness_driver_fail(message, own_thread);
}

/* ---- Checks ---- */

struct harness_integer harness_signed(intmax_t value)
{
	return (struct harness_integer){ value < 0, (uintmax_t)value };
}

struct harness_integer harness_unsigned(uintmax_t value)
{
	return (struct harness_integer){ false, value };
}

static void print_integer(char *text, size_t size, struct harness_integer integer)
{
	if (integer.negative)
		(void)snprintf(text, size, "%" PRIdMAX, (intmax_t)integer.bits);
	else
		(void)snprintf(text, size, "%" PRIuMAX, integer.bits);
}

void harness_check_eq(const char *file, int line, const char *text, struct harness_integer actual,
	struct harness_integer expected)
{
	char actual_text[24];
	char expected_text[24];

	if (actual.bits == expected.bits && actual.negative == expected.negative)
		return;
	print_integer(actual_text, sizeof(actual_text), actual);
	print_integer(expected_text, sizeof(expected_text), expected);
	harness_fail(
		file, line, "CHECK_EQ(%s): %s, expected %s,", text, actual_text, expected_text);
}

void harness_check_str_eq(
	const char *file, int line, const char *text, const char *actual, const char *expected)
{
	if (actual == expected)
		return;
	if (actual != NULL && expected != NULL && strcmp(actual, expected) == 0)
		return;
	harness_fail(file, line, "CHECK_STR_EQ(%s): \"%s\", expected \"%s\",", text,
		actual != NULL ? actual : "(NULL)", expected != NULL ? expected : "(NULL)");
}

void harness_check_near(const char *file, int line, const char *text, double actual,
	double expected, double tolerance)
{
	if (fabs(actual - expected) <= tolerance)
		return;
	harness_fail(file, line, "CHECK_NEAR(%s): %.17g, expected %.17g within %g,", text, actual,
		expected, tolerance);
}

/* ---- Randomness and size ---- */

static uint64_t draw_seed(void)
{
	uint64_t seed = 0;

	while (seed == 0) {
		if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed) && errno != EINTR)
			harness_driver_fail("the system has no random numbers", true);
	}
	return seed;
}

uint64_t harness_seed(void)
{
	const char *text = getenv("WEIR_SEED");
	char drawn[24];
	char *end;
	uint64_t seed = 1;

	if (text != NULL) {
		errno = 0;
		seed = strtoull(text, &end, 0);
		if (errno != 0 || end == text || *end != '\0')
			harness_driver_fail("WEIR_SEED is not a 64-bit number", true);
	}
	if (seed == 0) {
		/* Kept in the environment: every case, and every replay line, has this one. */
		seed = draw_seed();
		(void)snprintf(drawn, sizeof(drawn), "%" PRIu64, seed);
		(void)setenv("WEIR_SEED", drawn, 1);
	}
	return seed;
}

uint64_t harness_random(uint64_t *state)
{
	uint64_t mixed;

	/* SplitMix64: a Weyl sequence through a mixer, so any state will do, 0 too. */
	*state += UINT64_C(0x9e3779b97f4a7c15);
	mixed = *state;
	mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ (mixed >> 31);
}

uint64_t harness_random_below(uint64_t *state, uint64_t bound)
{
	return harness_random(state) % bound;
}

uint64_t harness_scaled(uint64_t count)
{
	const char *text = getenv("WEIR_STRESS");
	char *end;
	double factor = 1.0;
	double scaled;

	if (text != NULL) {
		factor = strtod(text, &end);
		if (end == text || *end != '\0' || !(factor > 0.0) || factor > 1e6)
			harness_driver_fail("WEIR_STRESS is not a number above 0", true);
	}
	scaled = (double)count * factor;
	return scaled < 1.0 ? 1 : (uint64_t)scaled;
}
