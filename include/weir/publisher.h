/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publisher: a handle bound to one topic, the fast path of publishing.
 *
 * A publish puts the message into the queue of every subscription that matches
 * the topic, each by its own overflow policy.  First all that have room get it;
 * only then does the publisher wait for those that are full and whose policy is
 * WEIR_OVERFLOW_BLOCK, so a full queue delays no other subscription (promise
 * P2).  What one publisher sends to one subscription arrives in order (P1), and
 * so does what is sent by publishers of which the one begins when the other has
 * returned: a publish that has returned is in every queue that it gets into.
 *
 * Topic names: 1..255 bytes of '.'-separated tokens, no token empty, no '*',
 * no '>', no control bytes (0x00-0x1f, 0x7f).  Other bytes are taken as they
 * are; names are compared byte by byte.
 */
#ifndef WEIR_PUBLISHER_H
#define WEIR_PUBLISHER_H

#include <weir/broker.h>
#include <weir/message.h>

WEIR_BEGIN_DECLS

#define WEIR_TOPIC_SIZE_MAX 255

typedef struct weir_publisher weir_publisher;
typedef struct weir_confirm weir_confirm; /* weir/confirm.h */

/* Whether it is a correct topic name.  NULL is none.  Threads: any. */
WEIR_API bool weir_topic_is_valid(const char *name);

/* How a thread waits: for room (publisher) or for a message (subscription). */
typedef enum weir_wait {
	/* Spin for about a microsecond, yield the processor some times, then
	 * sleep until woken.  The default. */
	WEIR_WAIT_SPIN_THEN_PARK = 0,
	/* Never sleep: the lowest latency, at the price of a whole core. */
	WEIR_WAIT_SPIN = 1,
	/* Sleep at once. */
	WEIR_WAIT_PARK = 2,
	/* Spin as by default, then yield the processor between looks, without end:
	 * for a machine of one's own with more threads than cores. */
	WEIR_WAIT_YIELD = 3,
} weir_wait;

/* Every zero field means its default. */
typedef struct weir_publisher_options {
	/* How long a publish may wait, for room or for its rate, in seconds; 0 =
	 * WEIR_FOREVER.
	 * weir_publish_options can say otherwise for one publish. */
	double timeout;
	weir_wait wait;
	/* Messages a second that may go out, finite; 0 = no limit.  A publish
	 * beyond it waits before it does anything else; how long at most, its
	 * timeout says.  A batch of n counts n, goes out at once, and needs what
	 * is there of the burst, up to all of it; those after it wait the longer. */
	double max_rate;
	/* Messages that may go out at once after a pause, 1..2^53: what a publisher
	 * may make up for when it is late.  0 = what comes in a hundredth of a second,
	 * at least 1.  With 1 no two are nearer than 1 / max_rate. */
	uint64_t burst;
	uint64_t reserved[6]; /* must be 0 */
} weir_publisher_options;

/* Every zero field means its default. */
typedef struct weir_publish_options {
	double timeout;      /* seconds to wait; 0 = the publisher's */
	bool no_wait;        /* do not wait at all; `timeout` must be 0 */
	bool has_key;        /* `key` counts */
	bool want_fill;      /* tell in the receipt how full the queues are */
	bool all_or_nothing; /* to every matching subscription, or to none: WEIR_EFULL */
	int32_t priority;    /* lower is more urgent */
	uint64_t key;        /* for conflation; weir_key makes one of bytes */
	/* How long the message is good for, in seconds from now (0, WEIR_FOREVER = for
	 * ever), or until when, by the broker's clock (0 = for ever); not both.  It is
	 * handed out to nobody at that time or later, also not again, and no publish
	 * waits for room for it then: such a wait is over (WEIR_ETIMEDOUT).  A receiver
	 * that has it may keep and acknowledge it.  "Now" is after any wait for the
	 * publisher's rate. */
	double ttl;
	double expires_at;
	/* With has_id: an id of the caller's, for a topic that remembers ids
	 * (weir_topic_dedupe; WEIR_EINVAL for another one, and for a batch); weir_key
	 * makes one of bytes.  If it is remembered, nothing is published, WEIR_EDUPLICATE
	 * is returned, and the receipt's `sequence` is that of the first one.  An id is
	 * remembered once its message is published, also if all dropped it, and never
	 * for a publish that failed. */
	bool has_id;
	uint64_t id;
	/* Publish the message in so many seconds (finite; 0 = now), or at that time by the
	 * broker's clock (0, or one that has passed = now); not both, and not with
	 * all_or_nothing.  The broker keeps it meanwhile, also when the publisher is
	 * closed, and publishes it never earlier, in the order of the calls where times
	 * are equal, by its timer thread (an event, in virtual time).  That waits for no
	 * room: where a BLOCK subscription is full, it is dropped as timed out
	 * (WEIR_DROP_TIMEOUT).  Who matches, and the sequence, are found then; `ttl` counts
	 * from then; the id, and the publisher's rate, count at the call.  A topic that
	 * was removed meanwhile is made anew.  Returns 0 with `delayed` in the receipt, or
	 * WEIR_ELIMIT: as much as the broker allows is kept; WEIR_ESYSTEM: the system
	 * refused the timer thread. */
	double delay;
	double publish_at;
	/* Tell, through this confirm, of the broker's (weir/confirm.h), what becomes of
	 * the message, and call it so.  WEIR_ELIMIT: as many as the confirm allows have no
	 * outcome yet. */
	weir_confirm *confirm;
	uint64_t confirm_tag;
	uint64_t reserved[8]; /* must be 0 */
} weir_publish_options;

/* What a publish did.  matched = enqueued + dropped. */
typedef struct weir_receipt {
	uint64_t sequence;  /* of the message within its topic; of the last one of a batch */
	uint64_t published; /* messages that went out: 1, or up to the size of the batch */
	uint64_t matched;   /* subscriptions that the topic has, times published */
	uint64_t enqueued;  /* ... that took it */
	uint64_t dropped;   /* ... that did not, for whatever reason */
	uint64_t timed_out; /* of `dropped`: those whose wait for room ended without it */
	uint64_t evicted;   /* older messages that were thrown out or replaced for it */
	/* all_or_nothing: the weir_subscription_id of the one that refused, else 0. */
	uint64_t refused_by;
	/* How full the fullest queue is, from 0 to 1, after the message went in: of
	 * its capacity in messages or in bytes, or of the broker's in bytes where
	 * that counts, whichever is nearer; only if `want_fill` was asked for. */
	double fill;
	/* Messages that are kept and will be published later; all else is 0 then, for
	 * nothing is known yet. */
	uint64_t delayed;
	uint64_t reserved[3];
} weir_receipt;

/* One message of a batch. */
typedef struct weir_payload {
	const void *data; /* may be NULL if size is 0 */
	size_t size;
} weir_payload;

/*
 * weir_publisher_open - a publisher on the topic `name`, which is made if it does
 * not exist.
 *
 * Threads: any.  Blocks for other calls that change topics or subscriptions.
 * Owner: the caller, who ends it with weir_publisher_close.
 * Returns 0; WEIR_EINVAL: NULL, a bad name, an option out of range; WEIR_ENOMEM (the
 * topic may have been made); WEIR_ELIMIT: topics_max topics exist; WEIR_ESHUTDOWN.
 */
WEIR_API int weir_publisher_open(weir_publisher **publisher, weir_broker *broker, const char *name,
	const weir_publisher_options *options);

/*
 * weir_publisher_close - end a publisher.  What it has published is still
 * delivered; a loan of it may still be released, but no more be published.
 *
 * Threads: the one that may use the publisher.  NULL is fine.
 */
WEIR_API void weir_publisher_close(weir_publisher *publisher);

/*
 * weir_publish - copy `size` bytes into a message and publish it.
 *
 * Threads: one at a time per publisher.  `options` and `receipt` may be NULL.
 * Blocks only while a matching subscription whose policy is
 * WEIR_OVERFLOW_BLOCK is full, and while the publisher is ahead of its max_rate,
 * up to the timeout.
 * Owner: the bytes stay the caller's, whatever is returned.
 *
 * Returns 0: the message went to every matching subscription that took it, and
 * the receipt says how many did; having no subscription is not an error.
 * WEIR_ETIMEDOUT: as 0, but a BLOCK subscription stayed full to the end of the
 * wait (or was full, with no_wait) and did not get the message.
 * WEIR_ESHUTDOWN: the broker is draining or closed.  If that came while the
 * call was waiting, the others have the message; the receipt tells.
 * WEIR_EINVAL: NULL, a size above message_size_max, an option out of range;
 * WEIR_ENOMEM: nothing was published, or (the receipt's `published` tells) an
 * UNBOUNDED subscription or a limit in bytes refused it;
 * WEIR_EDEADLK: virtual time, would have to wait outside a simulated process: as
 * WEIR_ETIMEDOUT.
 * WEIR_EFULL: with all_or_nothing, nothing was published, no counter counts it,
 * and `refused_by` in the receipt says which subscription refused; WEIR_ETIMEDOUT
 * then means the same after having waited for it.  (For a moment the message may
 * have held places in the other queues.)  WEIR_ENOMEM with `refused_by`: likewise,
 * for want of memory or for the broker's limit in bytes.
 * With a max_rate also, and then nothing was published: WEIR_ETIMEDOUT: the rate
 * did not let it go in time; WEIR_EAGAIN: the same with no_wait; WEIR_ESHUTDOWN
 * and WEIR_EDEADLK while waiting for the rate.
 * WEIR_EDUPLICATE: the topic remembers the id; nothing was published, and the
 * receipt has the first one's sequence and is zero otherwise (if that one is kept to
 * be published later, it has no sequence yet, and the receipt is untouched).
 * The receipt is filled in whenever a message went out (0, WEIR_ETIMEDOUT,
 * WEIR_EDEADLK, WEIR_ESHUTDOWN while waiting for room, WEIR_ENOMEM of a
 * subscription) and untouched otherwise.
 */
WEIR_API int weir_publish(weir_publisher *publisher, const void *data, size_t size,
	const weir_publish_options *options, weir_receipt *receipt);

/*
 * weir_key - a key made of bytes: a 64-bit hash of them (SipHash-2-4 under a
 * fixed key), the same in every process.
 *
 * Threads: any.  NULL is fine with a size of 0.
 */
WEIR_API uint64_t weir_key(const void *data, size_t size);

/*
 * weir_publish_batch - publish `count` messages in one go; they arrive in order,
 * and a receiver is woken once.  The options hold for each of them
 * (all_or_nothing: it stops at the first that is refused); the timeout is for the
 * whole call.  The receipt has the sums.
 *
 * As weir_publish, but: memory may give out midway.  Then WEIR_ENOMEM is returned
 * and, if some messages had gone out, the receipt is filled in and `published`
 * says how many.
 */
WEIR_API int weir_publish_batch(weir_publisher *publisher, const weir_payload *payloads,
	size_t count, const weir_publish_options *options, weir_receipt *receipt);

/*
 * weir_loan - a message of `size` bytes to be written by the caller through
 * weir_message_buffer and then published without a copy (but a small one may travel in
 * the queues themselves, where that is faster).
 *
 * Threads: one at a time per publisher.  Never blocks.
 * Owner: the caller, until weir_publish_message takes it; otherwise it gives it
 * back with weir_message_release.
 * Returns 0; WEIR_EINVAL: NULL, a size above message_size_max; WEIR_ENOMEM;
 * WEIR_ESHUTDOWN: the broker is draining or closed.
 */
WEIR_API int weir_loan(weir_publisher *publisher, size_t size, weir_message **message);

/*
 * weir_message_wrap - a message whose bytes are the caller's own buffer.  It
 * must not change any more, and is freed by `free_function(context, data)` when
 * the last reference is gone.
 *
 * Threads: one at a time per publisher.  Never blocks.
 * Owner: on success the message owns the buffer, and the caller the message, as
 * after weir_loan; otherwise the buffer stays the caller's and is not freed.
 * Returns as weir_loan; WEIR_EINVAL also: no free function.
 */
WEIR_API int weir_message_wrap(weir_publisher *publisher, void *data, size_t size,
	weir_free_function *free_function, void *context, weir_message **message);

/*
 * weir_publish_message - publish a loan or a wrapped buffer of this publisher.
 *
 * As weir_publish.  Owner: the message is taken whenever it went out or is kept to be
 * published later: clear the receipt before the call, and `published` or `delayed` is 1
 * if the message was taken.  Otherwise the message stays the caller's, to publish again
 * or to release.
 * Returns also WEIR_EINVAL: the message is not a loan or wrap of this publisher,
 * or was published before.
 */
WEIR_API int weir_publish_message(weir_publisher *publisher, weir_message *message,
	const weir_publish_options *options, weir_receipt *receipt);

/*
 * weir_publish_to - publish to a topic by name, without a handle: for messages
 * that are few.  The topic is made if it does not exist.
 *
 * Threads: any, at once.  As weir_publish otherwise, with a default timeout of
 * WEIR_FOREVER; WEIR_EINVAL also: a bad name; WEIR_ELIMIT: topics_max topics exist.
 */
WEIR_API int weir_publish_to(weir_broker *broker, const char *name, const void *data, size_t size,
	const weir_publish_options *options, weir_receipt *receipt);

WEIR_END_DECLS

#endif
