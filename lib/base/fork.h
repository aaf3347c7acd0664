/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fork guard: tells a child after fork() that it is one, for the price of a load.
 *
 * The guard is a page that the kernel hands to a child filled with zeros
 * (MADV_WIPEONFORK, Linux 4.14).  Where there is no such thing the guard falls
 * back to comparing process ids, a system call for each check.
 */
#ifndef WEIRI_FORK_H
#define WEIRI_FORK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/atomics.h"

struct weiri_fork_guard {
	const uint32_t *page; /* first word is 1 here and 0 in a child */
	pid_t process;        /* 0 if the page does the work */
};

/* Returns 0 or WEIR_ESYSTEM.  Threads: any. */
int weiri_fork_guard_open(struct weiri_fork_guard *guard);
void weiri_fork_guard_close(struct weiri_fork_guard *guard);

bool weiri_fork_guard_compare(const struct weiri_fork_guard *guard);

static inline bool weiri_forked(const struct weiri_fork_guard *guard)
{
	if (guard->process != 0)
		return weiri_fork_guard_compare(guard);
	return *guard->page == 0;
}

#endif
