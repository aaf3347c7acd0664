/* SPDX-License-Identifier: BSD-2-Clause */
/* The fork guard: a page that a child finds wiped. */
#include "base/fork.h"

#include <sys/mman.h>
#include <unistd.h>

#include <weir/error.h>

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int weiri_fork_guard_open(struct weiri_fork_guard *guard)
{
	uint32_t *page =
		mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return WEIR_ESYSTEM;
	guard->process = madvise(page, page_size(), MADV_WIPEONFORK) == 0 ? 0 : getpid();
	*page = 1;
	guard->page = page;
	return 0;
}

void weiri_fork_guard_close(struct weiri_fork_guard *guard)
{
	(void)munmap((void *)(uintptr_t)guard->page, page_size());
}

bool weiri_fork_guard_compare(const struct weiri_fork_guard *guard)
{
	return getpid() != guard->process;
}
