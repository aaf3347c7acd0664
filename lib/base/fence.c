/* SPDX-License-Identifier: BSD-2-Clause */
/* Asymmetric fences by the system call membarrier. */
#include "base/fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

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

void weiri_fence_heavy(bool available)
{
	/* Once registered the call cannot fail, but a filter of system calls
	 * that is put on later can make it; then the full fence alone would
	 * not do, and the global form is the way left. */
	if (available && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
		(void)membarrier(MEMBARRIER_CMD_GLOBAL);
	weiri_fence_full();
}
