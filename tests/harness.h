/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness.h - test cases as plain functions, and the checks they make.
 *
 * A file of cases, tests/<suite>_test.c, is compiled into two programs:
 *
 *   tests/<suite>_test    run by Criterion; what `make check` runs by default
 *   tests/<suite>_plain   run by a plain main, which every sanitizer and
 *                         debugger understands; arguments are parts of the
 *                         names of the cases to run (none: all of them)
 *
 * A stress program, tests/<name>_stress.c, is compiled as the second kind only.
 *
 *	#include "harness.h"
 *
 *	WEIR_TEST(ring, push_on_full_returns_efull_and_leaves_tail_unmoved)
 *	{
 *		CHECK_EQ(weiri_ring_push(ring, message), WEIR_EFULL);
 *	}
 *
 * Each case runs in a process of its own, so one that crashes or hangs fails
 * alone, and what it leaks is its own. A check that fails ends its case; made
 * by another thread than the case's, it ends the case's process, and with
 * Criterion it aborts it.
 *
 * Environment:
 *   WEIR_SEED          the seed of everything random, 1 by default; 0 draws one.
 *                      A failing case prints the seed and how to replay it.
 *   WEIR_STRESS        multiplies harness_scaled() counts, 1 by default; 0.1 works.
 *   WEIR_TEST_TIMEOUT  seconds a case may take before it is called hung,
 *                      60 by default, times WEIR_STRESS where that is above 1.
 *                      Criterion knows 60 only.
 */
#ifndef WEIR_TESTS_HARNESS_H
#define WEIR_TESTS_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

/* ---- Cases ---- */

struct harness_case {
	const char *suite;
	const char *name;
	void (*run)(void);
	struct harness_case *next;
};

#ifdef HARNESS_CRITERION
#include <criterion/criterion.h>
#define WEIR_TEST(suite, name)                \
	static void suite##_##name(void);     \
	Test(suite, name, .timeout = 60)      \
	{                                     \
		harness_begin(#suite, #name); \
		suite##_##name();             \
	}                                     \
	static void suite##_##name(void)
#else
#define WEIR_TEST(suite, name)                                                          \
	static void suite##_##name(void);                                               \
	__attribute__((constructor)) static void harness_add_##suite##_##name(void)     \
	{                                                                               \
		static struct harness_case self = { #suite, #name, suite##_##name, 0 }; \
		harness_add(&self);                                                     \
	}                                                                               \
	static void suite##_##name(void)
#endif

/* ---- Checks: the value that was found comes first, then the one expected ---- */

#define CHECK(expression) \
	((expression) ? (void)0 : harness_fail(__FILE__, __LINE__, "CHECK(%s)", #expression))

/* Integers of any type, compared by value: -1 is never equal to UINT64_MAX. */
#define CHECK_EQ(actual, expected)                                                            \
	harness_check_eq(__FILE__, __LINE__, #actual ", " #expected, HARNESS_INTEGER(actual), \
		HARNESS_INTEGER(expected))

/* Strings; NULL is equal to NULL only. */
#define CHECK_STR_EQ(actual, expected) \
	harness_check_str_eq(__FILE__, __LINE__, #actual ", " #expected, (actual), (expected))

/* Doubles, at most `tolerance` apart; a NaN is near nothing. */
#define CHECK_NEAR(actual, expected, tolerance) \
	harness_check_near(                     \
		__FILE__, __LINE__, #actual ", " #expected, (actual), (expected), (tolerance))

/* Ends the case without a verdict, where the machine cannot do what it needs. */
#define SKIP(reason) harness_skip(reason)

/* ---- Randomness and size ---- */

/* The seed of this run: the same for every case of it. */
uint64_t harness_seed(void);

/*
 * The next number of the sequence that `*state` stands for. Start a state at
 * harness_seed(), plus something of its own for each thread.
 */
uint64_t harness_random(uint64_t *state);

/* One of 0..bound-1, all equally likely to within bound / 2^64; `bound` is not 0. */
uint64_t harness_random_below(uint64_t *state, uint64_t bound);

/* `count` times WEIR_STRESS, and never less than 1. */
uint64_t harness_scaled(uint64_t count);

/* ---- What the macros above call ---- */

struct harness_integer {
	bool negative;
	uintmax_t bits;
};

/* `_Generic` picks by signedness, so that no value changes on the way. */
/* clang-format off */
#define HARNESS_INTEGER(x)                           \
	_Generic((x),                                \
		unsigned int: harness_unsigned,      \
		unsigned long: harness_unsigned,     \
		unsigned long long: harness_unsigned, \
		default: harness_signed)(x)
/* clang-format on */

struct harness_integer harness_signed(intmax_t value);
struct harness_integer harness_unsigned(uintmax_t value);

void harness_add(struct harness_case *self);
void harness_begin(const char *suite, const char *name);
_Noreturn void harness_skip(const char *reason);
_Noreturn void harness_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void harness_check_eq(const char *file, int line, const char *text, struct harness_integer actual,
	struct harness_integer expected);
void harness_check_str_eq(
	const char *file, int line, const char *text, const char *actual, const char *expected);
void harness_check_near(const char *file, int line, const char *text, double actual,
	double expected, double tolerance);

#endif /* WEIR_TESTS_HARNESS_H */
