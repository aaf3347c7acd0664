/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large pages: a hint for memory that is looked up at random.
 *
 * Where millions of small things are looked up, each look waits for the translation of
 * an address that the processor has long forgotten, and in a virtual machine more for that
 * than for the thing itself.  Large pages make translations few.
 */
#ifndef WEIRI_LARGE_PAGES_H
#define WEIRI_LARGE_PAGES_H

#include <stddef.h>

/* The size of one, as it is nearly everywhere; what begins at a multiple of it, and has
 * several of them, can be backed as a whole. */
#define WEIRI_LARGE_PAGE ((size_t)2 << 20)

/* Ask the system to back this memory by large pages, where it can.  Nothing depends on
 * its answer.  Threads: any. */
void weiri_large_pages_hint(void *memory, size_t size);

#endif
