/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topic memory: the blocks that a broker's topics live in.
 *
 * A broker may have a million topics, and who publishes by name may want any of them.
 * So they do not lie about one by one, but are cut from chunks, each for blocks of one
 * size, that grow with what there is already, until they are worth large pages
 * (base/large_pages.h).
 *
 *   size 128:  [chunk: topic free topic ...] <-> [chunk: all taken] <-> [chunk: all taken]
 *   size 192:  [chunk: topic topic ...]
 *
 * Those with room stand first.  A chunk whose last topic goes is freed, unless it is the
 * only one of its size with room: else one topic that comes and goes would take it along
 * each time.
 *
 * Threads: take, give: any, by a mutex that is held for a few steps, or an allocation.
 */
#ifndef WEIRI_TOPIC_MEMORY_H
#define WEIRI_TOPIC_MEMORY_H

#include <pthread.h>

#include "base/allocator.h"

/* Sizes are multiples of a cache line. */
#define WEIRI_TOPIC_MEMORY_SIZES     8
#define WEIRI_TOPIC_MEMORY_BYTES_MAX (WEIRI_TOPIC_MEMORY_SIZES * (size_t)64)

struct weiri_topic_chunk;

struct weiri_topic_chunks {
	struct weiri_topic_chunk *first;
	struct weiri_topic_chunk *last;
	size_t bytes; /* of all */
};

struct weiri_topic_memory {
	pthread_mutex_t mutex;
	const weir_allocator *allocator;
	struct weiri_topic_chunks sizes[WEIRI_TOPIC_MEMORY_SIZES];
};

/* Returns 0 or WEIR_ESYSTEM.  The allocator outlives it. */
int weiri_topic_memory_open(struct weiri_topic_memory *memory, const weir_allocator *allocator);

/* All blocks were given back. */
void weiri_topic_memory_close(struct weiri_topic_memory *memory);

/* A block of `bytes` (1..WEIRI_TOPIC_MEMORY_BYTES_MAX), aligned to a cache line and set to
 * zero; NULL: no memory. */
void *weiri_topic_memory_take(struct weiri_topic_memory *memory, size_t bytes);

/* Back, with the same `bytes`. */
void weiri_topic_memory_give(struct weiri_topic_memory *memory, void *block, size_t bytes);

#endif
