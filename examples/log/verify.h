/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verify: what the subscribers found, held against a plain pass over the same
 * input (plain.h), and the counters of the library against both.
 */
#ifndef LOG_VERIFY_H
#define LOG_VERIFY_H

#include "feed.h"
#include "subscriber.h"

/* The feed and the subscribers are done, the archives finished. Each difference is
 * complained of. True: there is none. */
bool verify(const struct feed *feed, const struct subscriber *subscribers, size_t count,
	const weir_broker_statistics *statistics);

#endif
