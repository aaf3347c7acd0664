/* SPDX-License-Identifier: BSD-2-Clause */
/* fail_allocator.c - the blocks of fail_allocator.h: header, memory, guard. */
#include "fail_allocator.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define MAGIC      UINT64_C(0x7765697220626c6b)
#define GUARD      8
#define GUARD_BYTE 0x5a
#define NEW_BYTE   0xa5
#define OLD_BYTE   0xdd

/* It stands right before the memory; the allocation may begin earlier. */
struct header {
	uint64_t magic;
	struct fail_allocator *owner;
	void *base;
	size_t size;
};

static bool refuse(struct fail_allocator *memory)
{
	const uint64_t number = atomic_fetch_add(&memory->calls, 1) + 1;

	if (memory->fail_at == 0 || number < memory->fail_at ||
		(number > memory->fail_at && !memory->keep_failing))
		return false;
	(void)atomic_fetch_add(&memory->failed, 1);
	return true;
}

static void count_in(struct fail_allocator *memory, size_t size)
{
	const uint64_t bytes = atomic_fetch_add(&memory->bytes, size) + size;
	uint64_t peak = atomic_load(&memory->peak);

	(void)atomic_fetch_add(&memory->blocks, 1);
	while (bytes > peak && !atomic_compare_exchange_weak(&memory->peak, &peak, bytes))
		continue;
}

static void *allocate(void *context, size_t size, size_t alignment)
{
	struct fail_allocator *memory = context;
	size_t front = alignment > sizeof(struct header) ? alignment : sizeof(struct header);
	struct header *header;
	void *base;
	char *block;

	CHECK(size > 0);
	CHECK(alignment > 0 && alignment <= 4096 && (alignment & (alignment - 1)) == 0);
	if (refuse(memory))
		return NULL;
	if (posix_memalign(&base, alignment > sizeof(void *) ? alignment : sizeof(void *),
		    front + size + GUARD) != 0)
		return NULL;
	block = (char *)base + front;
	header = (struct header *)(void *)(block - sizeof(*header));
	*header = (struct header){ MAGIC, memory, base, size };
	memset(block, NEW_BYTE, size);
	memset(block + size, GUARD_BYTE, GUARD);
	count_in(memory, size);
	return block;
}

static void deallocate(void *context, void *block, size_t size)
{
	struct fail_allocator *memory = context;
	struct header *header = (struct header *)(void *)((char *)block - sizeof(*header));
	const unsigned char *guard = (const unsigned char *)block + size;

	CHECK_EQ(header->magic, MAGIC);
	CHECK(header->owner == memory);
	CHECK_EQ(size, header->size);
	for (int i = 0; i < GUARD; i++)
		CHECK_EQ(guard[i], GUARD_BYTE);
	(void)atomic_fetch_sub(&memory->blocks, 1);
	(void)atomic_fetch_sub(&memory->bytes, size);
	memset(block, OLD_BYTE, size);
	header->magic = 0;
	free(header->base);
}

weir_allocator fail_allocator_hook(struct fail_allocator *memory)
{
	return (weir_allocator){ allocate, deallocate, memory };
}

void fail_allocator_arm(struct fail_allocator *memory, uint64_t fail_at, bool keep_failing)
{
	memory->fail_at = fail_at;
	memory->keep_failing = keep_failing;
	atomic_store(&memory->calls, 0);
	atomic_store(&memory->failed, 0);
}

void fail_allocator_check_empty(struct fail_allocator *memory)
{
	CHECK_EQ(atomic_load(&memory->blocks), 0);
	CHECK_EQ(atomic_load(&memory->bytes), 0);
}
