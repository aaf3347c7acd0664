/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sequences: which messages of a topic came, one bit for each, by the sequence
 * numbers that the broker gave them (1, 2, 3, ...).
 */
#ifndef LOG_SEQUENCES_H
#define LOG_SEQUENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sequences {
	uint64_t *words;
	size_t word_count;
	uint64_t last;       /* the last one that came */
	uint64_t misordered; /* how many came after a later one, or twice */
};

void sequences_add(struct sequences *sequences, uint64_t sequence);
bool sequences_has(const struct sequences *sequences, uint64_t sequence);
void sequences_free(struct sequences *sequences);

#endif
