/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_memory_test.c - blocks are whole, apart and zero whatever comes and goes, and
 * chunks come and go with them.
 */
#include "core/topic_memory.h"

#include <string.h>

#include "base/large_pages.h"
#include "fail_allocator.h"
#include "harness.h"

#define LINE   64
#define BLOCKS 600

struct bed {
	struct fail_allocator counted;
	weir_allocator allocator;
	struct weiri_topic_memory memory;
	unsigned char *blocks[BLOCKS];
	size_t bytes[BLOCKS];
};

static void bed_open(struct bed *bed)
{
	memset(bed, 0, sizeof(*bed));
	bed->allocator = fail_allocator_hook(&bed->counted);
	CHECK_EQ(weiri_topic_memory_open(&bed->memory, &bed->allocator), 0);
}

static void bed_close(struct bed *bed)
{
	weiri_topic_memory_close(&bed->memory);
	fail_allocator_check_empty(&bed->counted);
}

/* All of the block says whose it is. */
static void block_take(struct bed *bed, size_t index, size_t bytes)
{
	unsigned char *block = weiri_topic_memory_take(&bed->memory, bytes);

	CHECK(block != NULL);
	CHECK_EQ((uintptr_t)block % LINE, 0);
	for (size_t i = 0; i < bytes; i++)
		CHECK_EQ(block[i], 0);
	memset(block, (int)(index % 251) + 1, bytes);
	bed->blocks[index] = block;
	bed->bytes[index] = bytes;
}

static void block_give(struct bed *bed, size_t index)
{
	for (size_t i = 0; i < bed->bytes[index]; i++)
		CHECK_EQ(bed->blocks[index][i], index % 251 + 1);
	weiri_topic_memory_give(&bed->memory, bed->blocks[index], bed->bytes[index]);
	bed->blocks[index] = NULL;
}

static uint64_t chunks_count(const struct bed *bed)
{
	return atomic_load(&bed->counted.blocks);
}

/* In waves, so that chunks become full and empty. */
WEIR_TEST(topic_memory, gives_whole_blocks_that_nobody_else_has)
{
	static struct bed bed;
	uint64_t state = harness_seed();
	const uint64_t steps = harness_scaled(40000);
	uint64_t most = 0, freed = 0;

	bed_open(&bed);
	for (uint64_t i = 0; i < steps; i++) {
		const size_t index = (size_t)harness_random_below(&state, BLOCKS);
		const bool is_growing = i / 5000 % 2 == 0;
		const uint64_t before = chunks_count(&bed);

		if (bed.blocks[index] == NULL && (is_growing || i % 16 == 0))
			block_take(&bed, index,
				1 + (size_t)harness_random_below(
					    &state, WEIRI_TOPIC_MEMORY_BYTES_MAX));
		else if (bed.blocks[index] != NULL && (!is_growing || i % 16 == 0))
			block_give(&bed, index);
		freed += chunks_count(&bed) < before;
		most = chunks_count(&bed) > most ? chunks_count(&bed) : most;
	}
	CHECK(most > 3 * WEIRI_TOPIC_MEMORY_SIZES);
	CHECK(freed > WEIRI_TOPIC_MEMORY_SIZES);
	for (size_t i = 0; i < BLOCKS; i++)
		if (bed.blocks[i] != NULL)
			block_give(&bed, i);
	/* One of each size stays. */
	CHECK_EQ(chunks_count(&bed), WEIRI_TOPIC_MEMORY_SIZES);
	bed_close(&bed);
}

WEIR_TEST(topic_memory, asks_for_nothing_while_one_comes_and_goes)
{
	static struct bed bed;
	uint64_t calls;

	bed_open(&bed);
	/* The last one of a chunk, and the first one of the next. */
	for (size_t i = 0; i < 64; i++) {
		block_take(&bed, i, 100);
		block_take(&bed, i + 1, 100);
		block_give(&bed, i + 1);
		calls = atomic_load(&bed.counted.calls);
		for (int k = 0; k < 100; k++) {
			block_take(&bed, i + 1, 100);
			block_give(&bed, i + 1);
		}
		CHECK_EQ(atomic_load(&bed.counted.calls), calls);
	}
	for (size_t i = 0; i < 64; i++)
		block_give(&bed, i);
	bed_close(&bed);
}

WEIR_TEST(topic_memory, wastes_no_more_than_a_quarter_and_a_little)
{
	static struct bed bed;

	bed_open(&bed);
	for (size_t i = 0; i < BLOCKS; i++) {
		block_take(&bed, i, 128);
		CHECK(atomic_load(&bed.counted.bytes) <= (i + 1) * 128 * 3 / 2 + 2048);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		block_give(&bed, i);
	bed_close(&bed);
}

WEIR_TEST(topic_memory, says_so_without_memory_and_goes_on_later)
{
	static struct bed bed;
	size_t taken = 0, refused = 0;

	bed_open(&bed);
	while (taken < BLOCKS) {
		void *block;

		fail_allocator_arm(&bed.counted, 1, false);
		block = weiri_topic_memory_take(&bed.memory, 64);
		refused += block == NULL;
		fail_allocator_arm(&bed.counted, 0, false);
		if (block != NULL)
			weiri_topic_memory_give(&bed.memory, block, 64);
		block_take(&bed, taken++, 64);
	}
	CHECK(refused > 3);
	for (size_t i = 0; i < BLOCKS; i++)
		block_give(&bed, i);
	bed_close(&bed);
}

/* Enough for chunks that are worth large pages, and for a hint that is refused, which is
 * no failure: on memory that nobody has. */
WEIR_TEST(topic_memory, grows_to_chunks_of_large_pages)
{
	const size_t count = 10 * WEIRI_LARGE_PAGE / LINE;
	static struct bed bed;
	unsigned char *first = NULL;
	uint64_t chunks;

	bed_open(&bed);
	for (size_t i = 0; i < count; i++) {
		unsigned char *block = weiri_topic_memory_take(&bed.memory, LINE);

		CHECK(block != NULL);
		memcpy(block, &first, sizeof(first));
		first = block;
	}
	chunks = chunks_count(&bed);
	CHECK(chunks < 60);
	while (first != NULL) {
		unsigned char *next;

		memcpy(&next, first, sizeof(next));
		weiri_topic_memory_give(&bed.memory, first, LINE);
		first = next;
	}
	CHECK_EQ(chunks_count(&bed), 1);
	weiri_large_pages_hint((void *)LINE, WEIRI_LARGE_PAGE);
	bed_close(&bed);
}
