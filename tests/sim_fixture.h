/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_fixture.h - what the cases about simulations share: one simulation, and a
 * log that its processes write, to be compared as a whole.
 */
#ifndef WEIR_TESTS_SIM_FIXTURE_H
#define WEIR_TESTS_SIM_FIXTURE_H

#include "harness.h"

#include <stdarg.h>
#include <stdio.h>

#include <weir/sim.h>

static struct {
	weir_sim *sim;
	weir_clock *clock;
	char log[4096];
	size_t length;
} fixture;

static inline void fixture_open(const weir_sim_options *options)
{
	CHECK_EQ(weir_sim_open(&fixture.sim, options), 0);
	fixture.clock = weir_sim_clock(fixture.sim);
	fixture.length = 0;
	fixture.log[0] = '\0';
}

/* Append a word to the log, after the time and a colon. */
__attribute__((format(printf, 1, 2))) static inline void fixture_log(const char *format, ...)
{
	char *end = fixture.log + fixture.length;
	size_t size = sizeof(fixture.log) - fixture.length;
	va_list values;
	int length = snprintf(
		end, size, "%s%g:", fixture.length == 0 ? "" : " ", weir_now(fixture.clock));

	fixture.length += (size_t)length;
	va_start(values, format);
	length = vsnprintf(end + length, size - (size_t)length, format, values);
	va_end(values);
	fixture.length += (size_t)length;
	CHECK(fixture.length < sizeof(fixture.log));
}

/* The argument may be a literal: what is constant is only read. */
static inline void fixture_spawn(
	const char *name, void (*function)(void *argument), const void *argument)
{
	CHECK_EQ(weir_sim_spawn(fixture.sim, name, function, (void *)(uintptr_t)argument), 0);
}

static inline void fixture_sleep(double duration)
{
	CHECK_EQ(weir_sleep(fixture.clock, duration), 0);
}

#endif /* WEIR_TESTS_SIM_FIXTURE_H */
