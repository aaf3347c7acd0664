/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of numbers from 1 on, as bits. */
#include "sequences.h"

#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

static void grow(struct sequences *sequences, size_t word)
{
	size_t count = sequences->word_count > 0 ? sequences->word_count * 2 : 8;

	if (count <= word)
		count = word + 1;
	sequences->words = memory_resize(sequences->words, count, sizeof(*sequences->words));
	memset(sequences->words + sequences->word_count, 0,
		(count - sequences->word_count) * sizeof(*sequences->words));
	sequences->word_count = count;
}

void sequences_add(struct sequences *sequences, uint64_t sequence)
{
	size_t word = sequence / 64;

	if (word >= sequences->word_count)
		grow(sequences, word);
	if (sequence <= sequences->last)
		sequences->misordered++;
	sequences->words[word] |= UINT64_C(1) << sequence % 64;
	sequences->last = sequence;
}

bool sequences_has(const struct sequences *sequences, uint64_t sequence)
{
	size_t word = sequence / 64;

	return word < sequences->word_count && (sequences->words[word] >> sequence % 64 & 1) != 0;
}

void sequences_free(struct sequences *sequences)
{
	free(sequences->words);
}
