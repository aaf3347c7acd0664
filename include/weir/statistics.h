/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics: counters that are always on, per subscription, topic and broker.
 *
 * They can be read at any time by any thread.  At a quiet point (no call under
 * way) they are exact, and for every subscription and every sum of them
 *
 *     matched = acknowledged + dropped[all reasons] + expired + dead_lettered +
 *               queued + in_flight + parked                        (promise P3)
 *
 * While calls are under way each counter is one that was true at some moment
 * during the read, but they need not add up.
 */
#ifndef WEIR_STATISTICS_H
#define WEIR_STATISTICS_H

#include <stdint.h>

#include <weir/api.h>

WEIR_BEGIN_DECLS

struct weir_broker;
struct weir_subscription;

/* Why a message that matched a subscription was not delivered to it. */
typedef enum weir_drop {
	WEIR_DROP_NEWEST = 0,    /* refused by a full queue, or too large for it */
	WEIR_DROP_TIMEOUT = 1,   /* BLOCK: the wait for room ended without room */
	WEIR_DROP_CLOSED = 2,    /* discarded when the subscription or the broker was closed */
	WEIR_DROP_OLDEST = 3,    /* thrown out for a newer one (DROP_OLDEST, CONFLATE) */
	WEIR_DROP_LOWEST = 4,    /* DROP_LOWEST: thrown out, or refused, as the least urgent */
	WEIR_DROP_CONFLATED = 5, /* replaced by a newer one of its key */
	WEIR_DROP_MEMORY = 6,    /* refused for a limit in bytes of the broker, or no memory */
	WEIR_DROP_ATTEMPTS = 7,  /* out of attempts, and nowhere to go: see dead_letter_topic */
	WEIR_DROP_REJECTED = 8,  /* rejected, and nowhere to go */
	WEIR_DROP_REASONS = 16,  /* size of the arrays; the other places are 0 */
} weir_drop;

typedef struct weir_subscription_statistics {
	uint64_t matched;       /* publishes on matching topics, and dead letters redriven */
	uint64_t enqueued;      /* of them: put into the queue */
	uint64_t delivered;     /* handed to the receiver, each message once */
	uint64_t redelivered;   /* hand-overs after the first of a message */
	uint64_t acknowledged;  /* settled well; without acknowledgements: delivered */
	uint64_t timeouts;      /* hand-overs whose time ran out */
	uint64_t dead_lettered; /* went to the dead-letter topic */
	uint64_t in_flight;     /* handed out and not settled, waiting for another attempt or not */
	uint64_t dropped[WEIR_DROP_REASONS];
	uint64_t queued;     /* in the queue now */
	uint64_t high_water; /* the most that were ever in the queue */
	uint64_t capacity;   /* UINT64_MAX: none */
	uint64_t expired;    /* their time to live was over; not those dead-lettered for it */
	uint64_t parked;     /* failed for good and kept aside (park_max) */
	uint64_t redriven;   /* dead letters that were sent back here */
	/* How long after their deadlines the timeouts came, in nanoseconds: the longest,
	 * and all together.  No timeout comes early. */
	uint64_t lateness_max;
	uint64_t lateness_sum;
	uint64_t reserved[3];
} weir_subscription_statistics;

/* Level i counts the messages of priority i; a lower priority counts as 0, a higher
 * one as the last.  What matched and was not dropped was delivered, or is still
 * queued, in flight or parked.  What expired counts as dropped here. */
#define WEIR_PRIORITY_LEVELS 32
typedef struct weir_priority_statistics {
	uint64_t matched[WEIR_PRIORITY_LEVELS];
	uint64_t dropped[WEIR_PRIORITY_LEVELS]; /* of them, for all reasons */
} weir_priority_statistics;

typedef struct weir_topic_statistics {
	uint64_t published;     /* messages published on it */
	uint64_t matched;       /* hand-overs that were due: published x subscriptions */
	uint64_t enqueued;      /* of them: put into queues */
	uint64_t dropped;       /* of them: refused, at the publish */
	uint64_t subscriptions; /* that match it now */
	uint64_t publishers;    /* open now */
	uint64_t duplicates;    /* refused by the window of weir_topic_dedupe that it has now */
	uint64_t reserved[7];
} weir_topic_statistics;

typedef struct weir_broker_statistics {
	uint64_t published; /* messages, on all topics that ever were */
	uint64_t matched;   /* sums over all subscriptions that ever were */
	uint64_t enqueued;
	uint64_t delivered;
	uint64_t acknowledged;
	uint64_t dead_lettered;
	uint64_t in_flight;
	uint64_t dropped[WEIR_DROP_REASONS];
	uint64_t queued;
	uint64_t topics;        /* there now */
	uint64_t subscriptions; /* open now */
	uint64_t publishers;    /* open now */
	uint64_t expired;
	uint64_t parked;
	uint64_t redriven;
	uint64_t delayed;           /* kept now, to be published later; in none of the others */
	uint64_t delayed_discarded; /* of those that were kept: never published */
	uint64_t reserved[3];
} weir_broker_statistics;

/* Each fills in `statistics`.  Threads: any, at once.  Blocks for calls that
 * change topics or subscriptions (not that of a subscription).
 * Returns 0; WEIR_EINVAL: NULL or a bad name; WEIR_ENOENT: no such topic. */
WEIR_API int weir_broker_statistics_get(
	struct weir_broker *broker, weir_broker_statistics *statistics);
WEIR_API int weir_topic_statistics_get(
	struct weir_broker *broker, const char *name, weir_topic_statistics *statistics);
WEIR_API int weir_subscription_statistics_get(
	struct weir_subscription *subscription, weir_subscription_statistics *statistics);

/*
 * weir_subscription_priorities_get - what became of the messages of a
 * subscription, by their priority.  It must have been opened with
 * `count_priorities`.
 *
 * Threads: any, at once.  Never blocks.
 * Returns 0; WEIR_EINVAL: NULL, or it does not count them.
 */
WEIR_API int weir_subscription_priorities_get(
	struct weir_subscription *subscription, weir_priority_statistics *statistics);

WEIR_END_DECLS

#endif
