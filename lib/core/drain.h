/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drain: what is left while a broker drains.
 *
 * A receiver is told WEIR_ESHUTDOWN when nothing is left for it.  That is not so
 * while nothing is in its subscription, but something is in another one whose
 * dead letters come to it: so a subscription that matches the dead-letter topic of
 * another, a sink, waits for what feeds it.  One that feeds counts a message until
 * its dead letter is in the sink's queue, so whoever looks at what feeds first,
 * and then at the sink, misses none.  No subscription is added once a drain has
 * begun, and a dead letter that fails is no dead letter again: it ends there.
 *
 * Lock order: registry's, ledger's, drain's.
 */
#ifndef WEIRI_DRAIN_H
#define WEIRI_DRAIN_H

#include <pthread.h>
#include <stdbool.h>

struct weir_broker;
struct weir_subscription;

struct weiri_drain {
	pthread_mutex_t mutex;
	struct weir_subscription *sinks;
};

/* Registry's lock held, before the state is changed: find the sinks. */
void weiri_drain_begin(struct weir_broker *broker);

/* Registry's lock held: the subscription ends. */
void weiri_drain_forget(struct weir_subscription *subscription);

/* While draining: nothing is left here, and nothing can come.  Takes the registry's
 * lock. */
bool weiri_drain_is_over(struct weir_subscription *subscription);

/* The same for all of the broker's. */
bool weiri_drain_is_over_everywhere(struct weir_broker *broker);

/* A subscription may have become empty: tell a drain, and the sinks.  A ledger's
 * mutex may be held. */
void weiri_broker_drained(struct weir_broker *broker);

#endif
