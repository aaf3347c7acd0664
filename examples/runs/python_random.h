/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Python's random numbers, for the same seed the same: the Mersenne Twister
 * MT19937, and what Python's random module makes of its 32-bit outputs.
 *
 * Threads: one at a time.
 */
#ifndef RUNS_PYTHON_RANDOM_H
#define RUNS_PYTHON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#define PYTHON_RANDOM_WORDS 624

struct python_random {
	uint32_t words[PYTHON_RANDOM_WORDS];
	size_t next; /* of the words: the one that the next output is made of */
};

/* As random.seed(n), where n is `key`, of `size` words, the least significant
 * first, without leading zeros; at least one. */
void python_random_seed(struct python_random *random, const uint32_t *key, size_t size);

/* The seeding of the generator itself, by one word. */
void python_random_seed_word(struct python_random *random, uint32_t word);

/* The generator's next output. */
uint32_t python_random_next(struct python_random *random);

/* As random.random(): 0 <= x < 1. */
double python_random_random(struct python_random *random);

/* As random.randint(low, high): one of low..high, of which INT_MAX are enough. */
int python_random_randint(struct python_random *random, int low, int high);

#endif
