/* SPDX-License-Identifier: BSD-2-Clause */
/* The allocation hook and its defaults. */
#include "base/allocator.h"

#include <stdlib.h>
#include <string.h>

static void *default_allocate(void *context, size_t size, size_t alignment)
{
	/* aligned_alloc wants a multiple of the alignment. */
	size_t rounded = (size + alignment - 1) & ~(alignment - 1);

	(void)context;
	return rounded < size ? NULL : aligned_alloc(alignment, rounded);
}

static void default_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	(void)size;
	free(memory);
}

bool weiri_allocator_is_valid(const weir_allocator *allocator)
{
	return (allocator->allocate == NULL) == (allocator->deallocate == NULL);
}

void weiri_allocator_complete(weir_allocator *allocator)
{
	if (allocator->allocate != NULL)
		return;
	allocator->allocate = default_allocate;
	allocator->deallocate = default_deallocate;
}

void *weiri_allocate_raw(const weir_allocator *allocator, size_t size, size_t alignment)
{
	return allocator->allocate(allocator->context, size, alignment);
}

void *weiri_allocate(const weir_allocator *allocator, size_t size, size_t alignment)
{
	void *memory = weiri_allocate_raw(allocator, size, alignment);

	if (memory != NULL)
		memset(memory, 0, size);
	return memory;
}

void weiri_deallocate(const weir_allocator *allocator, void *memory, size_t size)
{
	if (memory != NULL)
		allocator->deallocate(allocator->context, memory, size);
}
