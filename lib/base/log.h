/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log hook: the library itself prints nothing; rare events go to the function
 * that the user gave, or nowhere.
 */
#ifndef WEIRI_LOG_H
#define WEIRI_LOG_H

#include <weir/broker.h>

struct weiri_log {
	weir_log_function *function; /* or NULL */
	void *context;
};

/* One line; cut at 511 bytes, control bytes shown as '?'.  Call it with no lock
 * held.  Threads: any. */
void weiri_log(const struct weiri_log *log, weir_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
