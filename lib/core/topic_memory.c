/* SPDX-License-Identifier: BSD-2-Clause */
/* Chunks of blocks, by size. */
#include "core/topic_memory.h"

#include <string.h>

#include "base/atomics.h"
#include "base/large_pages.h"
#include <weir/error.h>

/* A chunk is a quarter of what is there already, within these. */
#define CHUNK_BLOCKS_MIN 4
#define CHUNK_BYTES_MAX  ((size_t)16 << 20)

struct free_block {
	struct free_block *next;
};

struct weiri_topic_chunk {
	_Alignas(WEIRI_CACHE_LINE) struct weiri_topic_chunk *previous;
	struct weiri_topic_chunk *next;
	struct free_block *free; /* that were taken before */
	size_t bytes;            /* of the chunk */
	size_t capacity;         /* blocks */
	size_t cut;              /* blocks that were ever taken */
	size_t live;
	unsigned char *blocks;
};

static size_t block_bytes(size_t size)
{
	return (size + 1) * WEIRI_CACHE_LINE;
}

static struct weiri_topic_chunks *chunks_of(
	struct weiri_topic_memory *memory, size_t bytes, size_t *block)
{
	size_t size = (bytes - 1) / WEIRI_CACHE_LINE;

	*block = block_bytes(size);
	return &memory->sizes[size];
}

static void list_remove(struct weiri_topic_chunks *chunks, struct weiri_topic_chunk *chunk)
{
	if (chunk->previous != NULL)
		chunk->previous->next = chunk->next;
	else
		chunks->first = chunk->next;
	if (chunk->next != NULL)
		chunk->next->previous = chunk->previous;
	else
		chunks->last = chunk->previous;
}

static void list_prepend(struct weiri_topic_chunks *chunks, struct weiri_topic_chunk *chunk)
{
	chunk->previous = NULL;
	chunk->next = chunks->first;
	if (chunks->first != NULL)
		chunks->first->previous = chunk;
	else
		chunks->last = chunk;
	chunks->first = chunk;
}

static void list_append(struct weiri_topic_chunks *chunks, struct weiri_topic_chunk *chunk)
{
	chunk->next = NULL;
	chunk->previous = chunks->last;
	if (chunks->last != NULL)
		chunks->last->next = chunk;
	else
		chunks->first = chunk;
	chunks->last = chunk;
}

static bool has_room(const struct weiri_topic_chunk *chunk)
{
	return chunk->live < chunk->capacity;
}

int weiri_topic_memory_open(struct weiri_topic_memory *memory, const weir_allocator *allocator)
{
	memory->allocator = allocator;
	return pthread_mutex_init(&memory->mutex, NULL) == 0 ? 0 : WEIR_ESYSTEM;
}

static void chunk_free(struct weiri_topic_memory *memory, struct weiri_topic_chunks *chunks,
	struct weiri_topic_chunk *chunk)
{
	list_remove(chunks, chunk);
	chunks->bytes -= chunk->bytes;
	weiri_deallocate(memory->allocator, chunk, chunk->bytes);
}

void weiri_topic_memory_close(struct weiri_topic_memory *memory)
{
	for (size_t i = 0; i < WEIRI_TOPIC_MEMORY_SIZES; i++)
		while (memory->sizes[i].first != NULL)
			chunk_free(memory, &memory->sizes[i], memory->sizes[i].first);
	(void)pthread_mutex_destroy(&memory->mutex);
}

/* Where blocks begin behind this address: at a large page, if there are enough of them for
 * one. */
static unsigned char *blocks_begin(void *behind, size_t bytes)
{
	const uintptr_t mask = (bytes < WEIRI_LARGE_PAGE ? WEIRI_CACHE_LINE : WEIRI_LARGE_PAGE) - 1;

	return (unsigned char *)(((uintptr_t)behind + mask) & ~mask);
}

static bool chunk_add(
	struct weiri_topic_memory *memory, struct weiri_topic_chunks *chunks, size_t block)
{
	size_t wanted = chunks->bytes / 4 < CHUNK_BYTES_MAX ? chunks->bytes / 4 : CHUNK_BYTES_MAX;
	size_t count = wanted / block > CHUNK_BLOCKS_MIN ? wanted / block : CHUNK_BLOCKS_MIN;
	size_t bytes = count * block;
	/* What is skipped, and what is not used yet, is never touched: it takes no memory. */
	size_t all = sizeof(struct weiri_topic_chunk) + bytes +
		     (bytes < WEIRI_LARGE_PAGE ? 0 : WEIRI_LARGE_PAGE);
	struct weiri_topic_chunk *chunk =
		weiri_allocate_raw(memory->allocator, all, WEIRI_CACHE_LINE);

	if (chunk == NULL)
		return false;
	*chunk = (struct weiri_topic_chunk){
		.bytes = all,
		.capacity = count,
		.blocks = blocks_begin(chunk + 1, bytes),
	};
	weiri_large_pages_hint(chunk->blocks, bytes);
	chunks->bytes += all;
	list_prepend(chunks, chunk);
	return true;
}

static void *block_take(struct weiri_topic_chunk *chunk, size_t block)
{
	struct free_block *taken = chunk->free;

	chunk->live++;
	if (taken == NULL)
		return chunk->blocks + chunk->cut++ * block;
	chunk->free = taken->next;
	return taken;
}

void *weiri_topic_memory_take(struct weiri_topic_memory *memory, size_t bytes)
{
	size_t block;
	struct weiri_topic_chunks *chunks = chunks_of(memory, bytes, &block);
	void *taken = NULL;

	(void)pthread_mutex_lock(&memory->mutex);
	if ((chunks->first != NULL && has_room(chunks->first)) ||
		chunk_add(memory, chunks, block)) {
		struct weiri_topic_chunk *chunk = chunks->first;

		taken = block_take(chunk, block);
		if (!has_room(chunk)) {
			list_remove(chunks, chunk);
			list_append(chunks, chunk);
		}
	}
	(void)pthread_mutex_unlock(&memory->mutex);
	if (taken != NULL)
		memset(taken, 0, block);
	return taken;
}

/* There are few: each is a quarter of all before it, or large. */
static struct weiri_topic_chunk *chunk_of(
	const struct weiri_topic_chunks *chunks, const unsigned char *block)
{
	struct weiri_topic_chunk *chunk = chunks->first;

	while (block < (unsigned char *)chunk || block >= (unsigned char *)chunk + chunk->bytes)
		chunk = chunk->next;
	return chunk;
}

void weiri_topic_memory_give(struct weiri_topic_memory *memory, void *block, size_t bytes)
{
	size_t size;
	struct weiri_topic_chunks *chunks = chunks_of(memory, bytes, &size);
	struct free_block *given = block;
	struct weiri_topic_chunk *chunk;

	(void)pthread_mutex_lock(&memory->mutex);
	chunk = chunk_of(chunks, block);
	if (!has_room(chunk)) {
		list_remove(chunks, chunk);
		list_prepend(chunks, chunk);
	}
	given->next = chunk->free;
	chunk->free = given;
	chunk->live--;
	/* Another one with room is the first or, after this, the second. */
	if (chunk->live == 0 &&
		(chunks->first != chunk || (chunk->next != NULL && has_room(chunk->next))))
		chunk_free(memory, chunks, chunk);
	(void)pthread_mutex_unlock(&memory->mutex);
}
