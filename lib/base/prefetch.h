/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prefetch: have a cache line brought near before it is needed.  A hint: it changes
 * nothing that a program could see, and the address need not be valid.
 */
#ifndef WEIRI_PREFETCH_H
#define WEIRI_PREFETCH_H

static inline void weiri_prefetch_read(const void *address)
{
	__builtin_prefetch(address, 0);
}

/* To be written: the line is taken from whoever has it, not shared with him. */
static inline void weiri_prefetch_write(void *address)
{
#if defined(__x86_64__)
	/* The compiler's own uses it only where every processor has it; those that
	 * have not do nothing. */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
	__builtin_prefetch(address, 1);
#endif
}

#endif
