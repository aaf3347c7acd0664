/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Broker: owns topics, subscriptions and memory.  Any number per process.
 *
 * Every call on a broker, or on a handle that came from one, checks that it
 * still runs in the process that opened it; in a child after fork() it returns
 * WEIR_EFORK and touches nothing.  The child can only exit or exec.  This code
 * is not repeated below.
 */
#ifndef WEIR_BROKER_H
#define WEIR_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/clock.h>
#include <weir/statistics.h>

WEIR_BEGIN_DECLS

typedef struct weir_broker weir_broker;

/*
 * Where all memory of a broker comes from.  `allocate` returns `size` bytes
 * aligned to `alignment` (a power of two, at most 4096), or NULL;
 * `deallocate` gets the size that was asked for.  Both may be called by any
 * thread at once, and must not call weir.
 */
typedef struct weir_allocator {
	void *(*allocate)(void *context, size_t size, size_t alignment);
	void (*deallocate)(void *context, void *memory, size_t size);
	void *context;
} weir_allocator;

typedef enum weir_log_level {
	WEIR_LOG_INFO = 1,
	WEIR_LOG_WARNING = 2,
	WEIR_LOG_ERROR = 3,
} weir_log_level;

/* Told of rare events that a person would want to know (a subscription's first
 * loss, messages discarded at close).  May be called by any thread at once, with
 * no lock of the library held; must not call weir.  `text` is one line without a
 * newline, valid during the call. */
typedef void weir_log_function(void *context, weir_log_level level, const char *text);

/* Every zero field means its default. */
typedef struct weir_broker_options {
	weir_clock *clock;        /* NULL = weir_clock_real() */
	weir_allocator allocator; /* all NULL = aligned_alloc and free */
	weir_log_function *log;   /* NULL = nothing is told */
	void *log_context;
	/* Bytes that may be queued (payloads and WEIR_MESSAGE_OVERHEAD each): 0 =
	 * 1 GiB for all UNBOUNDED subscriptions together; given, it holds for all
	 * subscriptions together, and none of them has a lock-free queue. */
	uint64_t capacity_bytes;
	size_t message_size_max;  /* bytes, 1..2^31; 0 = 64 MiB */
	size_t topics_max;        /* 1..2^32; 0 = 2^24 */
	size_t subscriptions_max; /* 1..2^32; 0 = 2^20 */
	/* Messages that are kept to be published later: 0 = 2^20; and their bytes, with
	 * WEIR_MESSAGE_OVERHEAD each: 0 = 1 GiB. */
	uint64_t delayed_max;
	uint64_t delayed_bytes;
	bool timestamps;      /* stamp each message with the clock when published */
	uint64_t reserved[8]; /* must be 0 */
} weir_broker_options;

/*
 * weir_broker_open - a new broker, without topics and subscriptions.
 *
 * Threads: any.  NULL options mean all defaults.
 * Owner: the caller, who ends it with weir_broker_close.
 * Returns 0; WEIR_EINVAL: `broker` is NULL, an option is out of range, only one
 * of the allocator's functions is given; WEIR_ENOMEM; WEIR_ESYSTEM: the system
 * refused a mutex or a page.
 */
WEIR_API int weir_broker_open(weir_broker **broker, const weir_broker_options *options);

/*
 * weir_broker_drain - stop taking messages and wait until all queues are empty.
 * Messages that are kept to be published later are not waited for: they cannot be
 * published any more, and are discarded when their time comes or at the close.
 *
 * From the call on every publish returns WEIR_ESHUTDOWN, also one that is
 * blocked, and so do new publishers and subscriptions.  Receivers go on and get
 * what is queued; a receive on an empty queue returns WEIR_ESHUTDOWN.  There is
 * no way back, but after WEIR_ETIMEDOUT it may be called again, to wait on.  With
 * acknowledgements a queue is empty when everything handed out is settled, too.
 *
 * Acknowledgements go on: what is in flight is waited for, what is not settled is
 * delivered again, and what fails for good still goes to its dead-letter topic,
 * whose subscribers are not told that nothing is left before that is certain.
 *
 * Threads: any, one call at a time (a second one gets WEIR_EBUSY).  Blocks up to
 * `timeout` seconds (0 = look once, WEIR_FOREVER = until done).
 * Returns 0 when nothing is queued or in flight anywhere; WEIR_ETIMEDOUT; WEIR_EINVAL: NULL, a
 * timeout that is negative or not a number; WEIR_ESHUTDOWN: closed meanwhile;
 * WEIR_EDEADLK: virtual time, would wait outside a simulated process.
 */
WEIR_API int weir_broker_drain(weir_broker *broker, double timeout);

/*
 * weir_broker_close - end a broker.
 *
 * Blocked publishers and waiting receivers return WEIR_ESHUTDOWN, and so does
 * every later publish and receive on a handle of this broker; acknowledgements
 * return WEIR_ESTALE.  What is still queued or in flight is discarded and counted
 * (WEIR_DROP_CLOSED in `last`, which may be NULL and otherwise gets the broker's
 * final statistics), and so is what was kept to be published later
 * (`delayed_discarded`); nobody could receive a dead letter any more, so none is made:
 * drain first.  When it returns, no other
 * thread runs inside a call of this broker, and none of its threads is left.
 * It takes as long as the calls under way need to leave, which none of them
 * draws out by waiting.
 *
 * Owner: `broker` is gone.  Handles that are still open (subscriptions,
 * publishers, kept messages) stay valid as shells, to be closed by their owners
 * whenever they like; the broker's memory goes with the last of them, or at
 * once if there is none.
 * Threads: any, once.  Not from within a free function or a hook.  Calls with the
 * broker itself that are under way (weir_publish_to, weir_broker_drain) return
 * WEIR_ESHUTDOWN and are waited for; none may begin once this one has.
 * Returns 0; WEIR_EINVAL: NULL.
 */
WEIR_API int weir_broker_close(weir_broker *broker, weir_broker_statistics *last);

/* The clock the broker lives on.  Threads: any.  NULL gives NULL. */
WEIR_API weir_clock *weir_broker_clock(const weir_broker *broker);

/*
 * weir_topic_remove - forget a topic that nobody publishes to.
 *
 * What is queued of it is still delivered.  Its counters stay in the broker's
 * sums.  A later publisher makes the topic anew, with sequence 1.
 *
 * Threads: any.  Blocks for other calls that change topics or subscriptions.
 * Returns 0; WEIR_EINVAL: NULL or not a topic's name; WEIR_ENOENT: no such topic;
 * WEIR_EBUSY: a publisher, or a subscription whose filter is exactly this name,
 * is open on it; WEIR_ESHUTDOWN.
 */
WEIR_API int weir_topic_remove(weir_broker *broker, const char *name);

/* Ids that a topic remembers at most. */
#define WEIR_DEDUPE_MAX ((size_t)1 << 24)

/*
 * weir_topic_dedupe - have a topic, which is made if it does not exist, remember the
 * ids of what is published on it: the last `count` ones, each for less than `seconds`
 * (0, WEIR_FOREVER = as long as it is among the last).  A publish with an id that it
 * remembers publishes nothing and returns WEIR_EDUPLICATE, whoever made the first
 * one; of several at once exactly one is published.  The memory is taken here: 48 to
 * 56 bytes for each of `count`.
 *
 * Called again, it begins anew with nothing remembered; a `count` of 0 (and 0
 * seconds) ends it.  It ends with weir_topic_remove, too.
 *
 * Threads: any.  Blocks for other calls that change topics or subscriptions, and
 * until the publishes under way have done their hand-over.
 * Returns 0; WEIR_EINVAL: NULL, not a topic's name, a count above WEIR_DEDUPE_MAX, a
 * time that is negative or not a number; WEIR_ENOMEM; WEIR_ELIMIT: topics_max topics
 * exist; WEIR_ESHUTDOWN; WEIR_ESYSTEM: the system refused a mutex.
 */
WEIR_API int weir_topic_dedupe(weir_broker *broker, const char *name, size_t count, double seconds);

WEIR_END_DECLS

#endif
