/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Confirm: what tells a publisher that its messages are done with.
 *
 * A message that is published with a confirm is confirmed when every subscription
 * that it matched has settled it well: acknowledged it or, without acknowledgements,
 * handed it to its receiver; a group counts once.  A message that matched nobody is
 * confirmed at once.  It has failed as soon as one subscription drops it for whatever
 * reason, evicts, replaces or discards it, lets it expire, parks it or makes a dead
 * letter of it; what becomes of it after that changes nothing.  It has timed out if
 * neither came about in time.  Each message has exactly one of these outcomes.
 *
 *	weir_confirm_open(&confirm, broker, NULL);
 *	weir_publish(publisher, data, size, &(weir_publish_options){ .confirm = confirm }, NULL);
 *	if (weir_confirm_wait(confirm, 5.0, NULL) == 0)
 *		... all of it has arrived ...
 */
#ifndef WEIR_CONFIRM_H
#define WEIR_CONFIRM_H

#include <weir/publisher.h>

WEIR_BEGIN_DECLS

typedef enum weir_confirm_outcome {
	WEIR_CONFIRM_DONE = 0,      /* every matched subscription settled it well */
	WEIR_CONFIRM_FAILED = 1,    /* one did not */
	WEIR_CONFIRM_TIMED_OUT = 2, /* neither, in time */
} weir_confirm_outcome;

/* What became of one message. */
typedef struct weir_confirmation {
	weir_confirm_outcome outcome;
	uint64_t tag;      /* `confirm_tag` of the publish; of each message of a batch */
	uint64_t sequence; /* within its topic; 0: it was never published (`delay`) */
	uint64_t reserved[4];
} weir_confirmation;

/*
 * Told of the outcome of a message, once for each, in the order of the outcomes, by
 * the broker's timer thread; in virtual time by an event, outside any process; what
 * is left at weir_broker_close, by that.  Never two at once for one confirm, and with
 * no lock held.  It may call weir, weir_confirm_close on this confirm included, but
 * not weir_broker_close; and it should not wait, for all that is timed waits for it.
 */
typedef void weir_confirm_function(void *context, const weir_confirmation *confirmation);

/* Every zero field means its default. */
typedef struct weir_confirm_options {
	/* Seconds until a message times out, from the call of its publish, also if that
	 * is delayed; 0 = WEIR_FOREVER. */
	double timeout;
	weir_confirm_function *on_outcome; /* NULL = nobody is told */
	void *context;
	/* Messages without an outcome at most; 0 = 2^20.  A publish beyond it returns
	 * WEIR_ELIMIT and publishes nothing. */
	uint64_t pending_max;
	uint64_t reserved[4]; /* must be 0 */
} weir_confirm_options;

/* published = pending + confirmed + failed + timed_out. */
typedef struct weir_confirm_counts {
	uint64_t published; /* with this confirm, those that are still delayed included */
	uint64_t pending;   /* of them: without an outcome */
	uint64_t confirmed;
	uint64_t failed;
	uint64_t timed_out;
	uint64_t reserved[3];
} weir_confirm_counts;

/*
 * weir_confirm_open - a confirm, which may serve any number of messages of any
 * publishers of the broker at once: `confirm` in weir_publish_options.
 *
 * Threads: any.  NULL options mean all defaults.  Blocks for other calls that change
 * topics or subscriptions.
 * Owner: the caller, who ends it with weir_confirm_close.
 * Returns 0; WEIR_EINVAL: NULL, an option out of range; WEIR_ENOMEM; WEIR_ELIMIT;
 * WEIR_ESYSTEM: the system refused a mutex or the timer thread; WEIR_ESHUTDOWN.
 */
WEIR_API int weir_confirm_open(
	weir_confirm **confirm, weir_broker *broker, const weir_confirm_options *options);

/*
 * weir_confirm_close - end a confirm.  Messages without an outcome get none any more,
 * and when it has returned nobody is told anything; messages go their way as before.
 *
 * Threads: any, once, while no publish with it and no wait is under way.  Blocks until
 * on_outcome has returned, unless called by that.  NULL is fine.
 */
WEIR_API void weir_confirm_close(weir_confirm *confirm);

/*
 * weir_confirm_wait - wait up to `timeout` seconds (0 = look once, WEIR_FOREVER) until
 * all messages that were published with the confirm before this call have an outcome.
 * `counts` (may be NULL) gets the counts as they are then, whatever is returned but
 * WEIR_EINVAL, WEIR_EFORK and WEIR_EBUSY.
 *
 * Threads: one at a time (a second one gets WEIR_EBUSY).
 * Returns 0: all of them are confirmed, those included that had an outcome before;
 * WEIR_ELOST: they have an outcome, but some failed or timed out since a wait said so
 * last; WEIR_ETIMEDOUT: some have no outcome yet; WEIR_ESHUTDOWN: the same, and the
 * broker is closed; WEIR_EDEADLK: the same in virtual time, outside a simulated
 * process; WEIR_EINVAL: NULL, a timeout that is negative or not a number.
 */
WEIR_API int weir_confirm_wait(weir_confirm *confirm, double timeout, weir_confirm_counts *counts);

/* Fills in the counts.  Threads: any.  Never blocks.  Returns 0; WEIR_EINVAL: NULL. */
WEIR_API int weir_confirm_counts_get(weir_confirm *confirm, weir_confirm_counts *counts);

WEIR_END_DECLS

#endif
