/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Broker: ties clock, memory and registry together, and ends them in order.
 *
 * Life: RUNNING -> DRAINING -> CLOSED, or straight to CLOSED.  The state is
 * changed under the registry's lock and read by publishers inside a section, so
 * after the change and a grace period no publish that began before it is still
 * putting messages into queues.
 *
 * Memory: counted in references.  The open broker has one, and each handle
 * (subscription, publisher) and each pool with messages out has one.
 */
#ifndef WEIRI_BROKER_H
#define WEIRI_BROKER_H

#include "base/fork.h"
#include "base/log.h"
#include "clock/clock.h"
#include "core/drain.h"
#include "core/delay.h"
#include "core/ledgers.h"
#include "core/registry.h"
#include <weir/broker.h>
#include <weir/error.h>

enum {
	WEIRI_BROKER_RUNNING,
	WEIRI_BROKER_DRAINING,
	WEIRI_BROKER_CLOSED,
};

/* What closed subscriptions leave behind for the broker's sums. */
struct weiri_subscription_sums {
	_Atomic uint64_t delivered;
	_Atomic uint64_t acknowledged;
	_Atomic uint64_t dead_lettered;
	_Atomic uint64_t redriven;
	_Atomic uint64_t expired;
	_Atomic uint64_t dropped[WEIR_DROP_REASONS];
};

struct weir_broker {
	/* Set at the start, then only read. */
	struct weir_clock *clock;
	weir_allocator allocator;
	struct weiri_log log;
	struct weiri_fork_guard fork_guard;
	uint64_t capacity_bytes;
	bool limits_bytes; /* ... of all subscriptions, not only of growing ones */
	size_t message_size_max;
	size_t topics_max;
	size_t subscriptions_max;
	bool timestamps;
	bool fence_asymmetric; /* see base/fence.h */
	unsigned int spins;    /* looks before yielding: 0 on one processor */

	_Alignas(WEIRI_CACHE_LINE) _Atomic uint32_t state;
	_Atomic uint64_t references;
	_Atomic uint64_t queued_bytes; /* of what counts for capacity_bytes */
	_Atomic uint64_t inline_bytes; /* of slots for inline messages (core/inline.h) */

	struct weiri_registry registry;
	struct weiri_timers timers;   /* for deadlines */
	struct weiri_ledgers ledgers; /* under the registry's lock, but for finding */
	struct weiri_delays delays;
	struct weir_confirm *confirms; /* open ones; under the registry's lock */
	struct weiri_waiter drain_waiter;
	struct weiri_drain drain;
	_Atomic uint32_t draining; /* a call of drain is under way */
	_Atomic uint32_t inside;   /* calls that close waits for, and that no section shows */

	/* Publishers for publishes by name, those not in use. */
	pthread_mutex_t floating_mutex;
	struct weir_publisher *floating;

	/* Of what is closed. */
	struct weiri_publish_counters publishes;
	struct weiri_subscription_sums subscriptions;
};

static inline bool weiri_broker_forked(const struct weir_broker *broker)
{
	return weiri_forked(&broker->fork_guard);
}

void weiri_broker_ref(struct weir_broker *broker);

/* The last one frees it.  Threads: any. */
void weiri_broker_unref(struct weir_broker *broker);

/* Takes the registry's lock. */
void weiri_broker_statistics_read(struct weir_broker *broker, weir_broker_statistics *statistics);

/* Real time: wait until a word that others are about to bring down to `value` has
 * it, yielding, then sleeping a little.  They touch nothing of its owner after that. */
void weiri_word_await(const _Atomic uint32_t *word, uint32_t value);

#endif
