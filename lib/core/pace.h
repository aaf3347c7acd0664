/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pace: what makes a publisher wait besides full queues: its own rate limit, and
 * the interval of a pacer.
 *
 * Such a wait is a call under way as one for room is: it counts in the broker's
 * `blocked`, and the end of the broker tells it through the publisher's waiter.
 */
#ifndef WEIRI_PACE_H
#define WEIRI_PACE_H

#include "core/publisher.h"

/* Wait until the instant `until`.  Returns 0, WEIR_ESHUTDOWN: the broker is not
 * running, WEIR_EDEADLK: virtual time, outside a simulated process. */
int weiri_pace_wait(struct weir_publisher *publisher, double until);

/* weiri_pace_rate for a publisher that has a rate. */
int weiri_pace_rate_wait(struct weir_publisher *publisher, uint64_t count, double deadline);

/*
 * Wait until the publisher's rate lets `count` messages go, up to the deadline,
 * and take that much of it.
 * Returns as weiri_pace_wait; WEIR_EAGAIN: it would have to wait and the deadline
 * is -WEIR_FOREVER; WEIR_ETIMEDOUT: the deadline is over.
 */
static inline int weiri_pace_rate(struct weir_publisher *publisher, uint64_t count, double deadline)
{
	return publisher->bucket.rate == 0 ? 0 : weiri_pace_rate_wait(publisher, count, deadline);
}

/* Give back what was taken for messages that did not go out. */
static inline void weiri_pace_rate_return(struct weir_publisher *publisher, uint64_t count)
{
	if (publisher->bucket.rate != 0)
		weiri_bucket_return(&publisher->bucket, count);
}

/* Registry's lock held, after the state has changed and a heavy fence: publishers
 * that wait for their time see it. */
void weiri_pace_tell_all(struct weir_broker *broker);

#endif
