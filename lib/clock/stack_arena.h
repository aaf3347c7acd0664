/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_arena.h - stacks of one size, each with a guard page below it.
 *
 *   slab   | guard | stack 0        | guard | stack 1        | ...
 *                  ^ lowest address          grows downwards from its end
 *
 * A stack is address space until it is used: what a process never touches
 * takes no memory, and what it touched stays until the arena is destroyed.
 * Huge pages are declined, since one touched word would take 2 MiB of them.
 *
 * A guard page is a mapping of its own where the kernel does not know
 * MADV_GUARD_INSTALL (Linux 6.13), and a process of the system may have 65,530
 * mappings (vm.max_map_count) unless configured otherwise: about 32,000 stacks
 * then, and as many as there is memory on newer kernels.
 *
 * Threads: one at a time.
 */
#ifndef WEIRI_CLOCK_STACK_ARENA_H
#define WEIRI_CLOCK_STACK_ARENA_H

#include <stddef.h>

struct weiri_stack_slab;

struct weiri_stack_arena {
	size_t page_size;
	size_t stack_size;              /* rounded up to pages */
	struct weiri_stack_slab *slabs; /* the newest first */
};

void weiri_stack_arena_init(struct weiri_stack_arena *arena, size_t stack_size);

/* Unmaps all stacks. */
void weiri_stack_arena_destroy(struct weiri_stack_arena *arena);

/* A new stack of arena->stack_size bytes, set to zero, its lowest address in
 * *stack.  Stacks are not given back one by one: their owner keeps them for
 * the next who needs one.  Returns 0 or WEIR_ENOMEM. */
int weiri_stack_arena_add(struct weiri_stack_arena *arena, void **stack);

#endif /* WEIRI_CLOCK_STACK_ARENA_H */
