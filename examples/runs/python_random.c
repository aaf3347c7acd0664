/* SPDX-License-Identifier: BSD-2-Clause */
/* MT19937, and Python's use of it. The constants are the generator's definition. */
#include "python_random.h"

#define MIDDLE 397 /* how far ahead the word lies that a word is mixed with */

#define TOP_BIT    UINT32_C(0x80000000)
#define LOWER_BITS UINT32_C(0x7fffffff)

void python_random_seed_word(struct python_random *random, uint32_t word)
{
	for (uint32_t i = 0; i < PYTHON_RANDOM_WORDS; i++) {
		random->words[i] = word;
		word = UINT32_C(1812433253) * (word ^ (word >> 30)) + i + 1;
	}
	random->next = PYTHON_RANDOM_WORDS;
}

/* The word at `i`, mixed with the one before it. */
static uint32_t mixed(const struct python_random *random, size_t i, uint32_t factor)
{
	uint32_t before = random->words[i - 1];

	return random->words[i] ^ ((before ^ (before >> 30)) * factor);
}

/* The place after `i`; the first word is no place of its own, but the last one's
 * copy. */
static size_t step(struct python_random *random, size_t i)
{
	if (i + 1 < PYTHON_RANDOM_WORDS)
		return i + 1;
	random->words[0] = random->words[PYTHON_RANDOM_WORDS - 1];
	return 1;
}

void python_random_seed(struct python_random *random, const uint32_t *key, size_t size)
{
	size_t rounds = size > PYTHON_RANDOM_WORDS ? size : PYTHON_RANDOM_WORDS;
	size_t i = 1;

	python_random_seed_word(random, 19650218);
	for (size_t k = 0; k < rounds; k++) {
		size_t j = k % size;

		random->words[i] = mixed(random, i, 1664525) + key[j] + (uint32_t)j;
		i = step(random, i);
	}
	for (size_t k = 1; k < PYTHON_RANDOM_WORDS; k++) {
		random->words[i] = mixed(random, i, 1566083941) - (uint32_t)i;
		i = step(random, i);
	}
	random->words[0] = TOP_BIT;
}

/* All words anew, each of its old self, the next one and the one in the middle. */
static void renew(struct python_random *random)
{
	uint32_t *words = random->words;

	for (size_t i = 0; i < PYTHON_RANDOM_WORDS; i++) {
		uint32_t next = words[(i + 1) % PYTHON_RANDOM_WORDS];
		uint32_t joined = (words[i] & TOP_BIT) | (next & LOWER_BITS);
		uint32_t twist = (joined & 1) != 0 ? UINT32_C(0x9908b0df) : 0;

		words[i] = words[(i + MIDDLE) % PYTHON_RANDOM_WORDS] ^ (joined >> 1) ^ twist;
	}
	random->next = 0;
}

uint32_t python_random_next(struct python_random *random)
{
	uint32_t word;

	if (random->next >= PYTHON_RANDOM_WORDS)
		renew(random);
	word = random->words[random->next++];
	word ^= word >> 11;
	word ^= (word << 7) & UINT32_C(0x9d2c5680);
	word ^= (word << 15) & UINT32_C(0xefc60000);
	return word ^ (word >> 18);
}

double python_random_random(struct python_random *random)
{
	/* 53 bits, which a double holds exactly: 27 of the first, 26 of the second. */
	double high = python_random_next(random) >> 5;
	double low = python_random_next(random) >> 6;

	return (high * 67108864.0 + low) / 9007199254740992.0;
}

int python_random_randint(struct python_random *random, int low, int high)
{
	uint32_t count = (uint32_t)(high - low) + 1;
	unsigned int bits = 0;
	uint32_t drawn;

	while (count >> bits != 0)
		bits++;
	do
		drawn = python_random_next(random) >> (32 - bits);
	while (drawn >= count);
	return low + (int)drawn;
}
