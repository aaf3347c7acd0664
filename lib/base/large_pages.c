/* SPDX-License-Identifier: BSD-2-Clause */
/* A hint to the system. */
#include "base/large_pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void weiri_large_pages_hint(void *memory, size_t size)
{
#ifdef MADV_HUGEPAGE
	long page = sysconf(_SC_PAGESIZE);
	uintptr_t mask = (uintptr_t)page - 1;
	uintptr_t begin = (uintptr_t)memory;
	uintptr_t end = (begin + size) & ~mask;

	if (page <= 0 || size < WEIRI_LARGE_PAGE)
		return;
	/* Only whole pages: what shares one with others is theirs to speak of. */
	begin = (begin + mask) & ~mask;
	(void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
	(void)memory;
	(void)size;
#endif
}
