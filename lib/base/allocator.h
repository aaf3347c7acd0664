/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Allocator: all memory of a broker comes through the user's hook, or through
 * aligned_alloc and free if there is none.  Failure is NULL, and every caller
 * copes with it.
 */
#ifndef WEIRI_ALLOCATOR_H
#define WEIRI_ALLOCATOR_H

#include <stddef.h>

#include <weir/broker.h>

/* Whether the hook is usable: both functions or neither. */
bool weiri_allocator_is_valid(const weir_allocator *allocator);

/* Fills in the default functions where there are none. */
void weiri_allocator_complete(weir_allocator *allocator);

/* Memory set to zero, `alignment` a power of two; NULL if there is none.
 * Threads: any. */
void *weiri_allocate(const weir_allocator *allocator, size_t size, size_t alignment);

/* The same without setting it to zero, for large payloads about to be written. */
void *weiri_allocate_raw(const weir_allocator *allocator, size_t size, size_t alignment);

/* `memory` may be NULL; `size` is what was asked for. */
void weiri_deallocate(const weir_allocator *allocator, void *memory, size_t size);

#endif
