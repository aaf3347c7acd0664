/* SPDX-License-Identifier: BSD-2-Clause */
/* Asymmetric fences by the system call membarrier. */
#include "base/fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Longer by far than any processor keeps a store to itself. */
#define STORES_OUT_NS 20000000

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

bool weiri_fence_probe(void)
{
	long commands = membarrier(MEMBARRIER_CMD_QUERY);

	if (commands < 0 || (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
		return false;
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

static void stores_await(void)
{
	struct timespec left = { .tv_nsec = STORES_OUT_NS };

	while (nanosleep(&left, &left) != 0)
		;
}

void weiri_fence_heavy(bool available)
{
	weiri_fence_full();
	/* Once registered the call cannot fail, but a filter of system calls that is put
	 * on later can make it.  Then time has to do what the call would: what the other
	 * threads had stored is visible after it, and what they read anew is what was
	 * stored before it. */
	if (available && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 &&
		membarrier(MEMBARRIER_CMD_GLOBAL) != 0)
		stores_await();
	weiri_fence_full();
}
