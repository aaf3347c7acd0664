/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * random.h - small deterministic random numbers: splitmix64.
 *
 * A stream is a counter that steps by a constant, and each number is a mix of
 * it, so a stream is one word, any seed is a good one, and the numbers are the
 * same on every machine.  Not for secrets.
 *
 * Things that draw independently of each other take a stream each, so that one
 * draw more in the one place does not shift what the other gets.
 *
 * Threads: a stream belongs to one thread at a time.
 */
#ifndef WEIRI_BASE_RANDOM_H
#define WEIRI_BASE_RANDOM_H

#include <stdint.h>

struct weiri_random {
	uint64_t state;
};

static inline uint64_t weiri_random_mix(uint64_t word)
{
	word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
	return word ^ (word >> 31);
}

static inline uint64_t weiri_random_next(struct weiri_random *random)
{
	random->state += UINT64_C(0x9e3779b97f4a7c15);
	return weiri_random_mix(random->state);
}

/* Stream number `stream` of a seed.  Mixed twice, so that neither neighbouring
 * seeds nor neighbouring streams run through the same states soon. */
static inline struct weiri_random weiri_random_stream(uint64_t seed, uint64_t stream)
{
	return (struct weiri_random){ weiri_random_mix(weiri_random_mix(seed) + stream) };
}

/* One of 0..bound-1, all equally likely; `bound` is not 0. */
static inline uint64_t weiri_random_below(struct weiri_random *random, uint64_t bound)
{
	/* The numbers below 2^64 mod bound are one too many for an even share. */
	uint64_t excess = (0 - bound) % bound;
	uint64_t number;

	do
		number = weiri_random_next(random);
	while (number < excess);
	return number % bound;
}

#endif /* WEIRI_BASE_RANDOM_H */
