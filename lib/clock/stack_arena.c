/* SPDX-License-Identifier: BSD-2-Clause */
/* stack_arena.c - see stack_arena.h. */
#include "clock/stack_arena.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock/fiber.h"
#include <weir/error.h>

#if WEIRI_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

/* As <linux/mman.h> of Linux 6.13 has it; an older kernel answers EINVAL. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Few enough not to matter to a simulation of ten processes, enough that one
 * of ten thousand makes few system calls for the slabs. */
#define SLAB_STACKS 64

struct weiri_stack_slab {
	struct weiri_stack_slab *older;
	char *memory;
	size_t size;
	size_t used; /* bytes of `memory` that were handed out, guards included */
};

void weiri_stack_arena_init(struct weiri_stack_arena *arena, size_t stack_size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	arena->page_size = page;
	arena->stack_size = (stack_size + page - 1) / page * page;
	arena->slabs = NULL;
}

void weiri_stack_arena_destroy(struct weiri_stack_arena *arena)
{
	while (arena->slabs != NULL) {
		struct weiri_stack_slab *slab = arena->slabs;

		arena->slabs = slab->older;
		(void)munmap(slab->memory, slab->size);
		free(slab);
	}
}

static struct weiri_stack_slab *add_slab(struct weiri_stack_arena *arena)
{
	struct weiri_stack_slab *slab = calloc(1, sizeof(*slab));

	if (slab == NULL)
		return NULL;
	slab->size = (arena->page_size + arena->stack_size) * SLAB_STACKS;
	slab->memory = mmap(NULL, slab->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (slab->memory == MAP_FAILED) {
		free(slab);
		return NULL;
	}
#if WEIRI_ADDRESS_SANITIZER
	/* The bottom frames of fibers never return, so an arena that had this
	 * address before has left its marks. */
	__asan_unpoison_memory_region(slab->memory, slab->size);
#endif
	/* Refused only where there are no huge pages to decline. */
	(void)madvise(slab->memory, slab->size, MADV_NOHUGEPAGE);
	slab->older = arena->slabs;
	arena->slabs = slab;
	return slab;
}

int weiri_stack_arena_add(struct weiri_stack_arena *arena, void **stack)
{
	struct weiri_stack_slab *slab = arena->slabs;
	char *guard;

	if (slab == NULL || slab->used == slab->size)
		slab = add_slab(arena);
	if (slab == NULL)
		return WEIR_ENOMEM;
	guard = slab->memory + slab->used;
	if (madvise(guard, arena->page_size, MADV_GUARD_INSTALL) != 0 &&
		mprotect(guard, arena->page_size, PROT_NONE) != 0)
		return WEIR_ENOMEM;
	slab->used += arena->page_size + arena->stack_size;
	*stack = guard + arena->page_size;
	return 0;
}
