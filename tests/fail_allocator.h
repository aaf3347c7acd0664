/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fail_allocator.h - a broker's allocator that counts, checks and fails on demand.
 *
 *	struct fail_allocator memory = { .fail_at = 3 };
 *	weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
 *
 * Every block stands behind a header and before a guard of its own.  What a user's
 * allocator may rely on is checked: alignments are powers of two up to 4096, sizes
 * are not 0, and what is given back was given out, with the same size, once, and
 * was not written beyond its end.  New memory is full of rubbish, and so is old.
 *
 * Threads: any, at once; the fields above the line are set while nobody allocates.
 */
#ifndef WEIR_TESTS_FAIL_ALLOCATOR_H
#define WEIR_TESTS_FAIL_ALLOCATOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/broker.h>

struct fail_allocator {
	uint64_t fail_at;  /* the allocation that fails, counted from 1; 0: none */
	bool keep_failing; /* and all that come after it */

	_Atomic uint64_t calls;  /* allocations asked for */
	_Atomic uint64_t failed; /* of them: refused on demand */
	_Atomic uint64_t blocks; /* given out and not given back */
	_Atomic uint64_t bytes;  /* in them */
	_Atomic uint64_t peak;   /* the most bytes at a time */
};

/* The hook for weir_broker_options.  The structure outlives all its blocks. */
weir_allocator fail_allocator_hook(struct fail_allocator *memory);

/* Begin to count anew: the Nth allocation from now fails, or none for 0. */
void fail_allocator_arm(struct fail_allocator *memory, uint64_t fail_at, bool keep_failing);

/* Ends the case as failed if a block is still out. */
void fail_allocator_check_empty(struct fail_allocator *memory);

#endif /* WEIR_TESTS_FAIL_ALLOCATOR_H */
