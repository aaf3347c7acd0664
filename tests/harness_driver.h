/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness_driver.h - what the checks of harness.c need of the driver that runs
 * the cases: harness_plain.c or harness_criterion.c.
 */
#ifndef WEIR_TESTS_HARNESS_DRIVER_H
#define WEIR_TESTS_HARNESS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Ends the running case as failed, with what went wrong. `own_thread` says that
 * the thread of the case itself is calling; any other one cannot be unwound.
 */
_Noreturn void harness_driver_fail(const char *message, bool own_thread);

/* Ends the running case as skipped. Called by the thread of the case. */
_Noreturn void harness_driver_skip(const char *reason);

/* Writes the command that runs this case alone, without the environment. */
void harness_driver_replay(char *command, size_t size, const char *suite, const char *name);

#endif /* WEIR_TESTS_HARNESS_DRIVER_H */
