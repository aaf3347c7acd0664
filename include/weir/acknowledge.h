/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acknowledge: what a receiver says about a delivery, of a subscription whose
 * `ack` is not WEIR_ACK_NONE.
 *
 * A message is delivered again when its receiver's time runs out, when the
 * receiver gives it back, or by another receiver's taking over, until it is
 * acknowledged, rejected or out of attempts (promise P4).  Of all deliveries of
 * one message to one subscription exactly one acknowledgement returns 0 (P5): who
 * gets 0 may commit what he did; who gets WEIR_ESTALE must not.
 *
 * State of the message     ack, ack up to   nack, release   extend   reject
 *   in hand                0                0               0        0
 *   timed out, waiting     0 (1)            ESTALE          ESTALE   ESTALE
 *   given back, waiting    ESTALE           ESTALE          ESTALE   ESTALE
 *   delivered again        ESTALE           ESTALE          ESTALE   ESTALE
 *   settled, failed for good,
 *   subscription closed    ESTALE           ESTALE          ESTALE   ESTALE
 *   (1) wins, and withdraws the redelivery
 *
 * Time.  A timeout never comes early.  It comes when the broker's timer thread gets
 * the processor, one after the other, after the dead letters and hooks that those
 * before it made it publish and call; how late that was is in the statistics.  In
 * virtual time it comes at its instant.
 *
 * A receiver that dies.  What a thread had in hand when it exited, or hangs, comes
 * back when its time runs out, to whoever receives on the subscription next: the
 * handle is the program's and not the thread's, and another thread may go on with
 * it at once.  weir_unsubscribe does not wait for that: with the subscription all
 * that it had goes.
 *
 * Threads: each function may be called by any thread, at once, for any delivery;
 * not after the broker has been closed and its last handle is gone.  None of them
 * blocks, but weir_reject and the nack of a last attempt publish to the
 * dead-letter topic (without waiting for room there).  Each is O(1) for a message.
 * All return WEIR_EINVAL for NULL, and for a delivery that needs no
 * acknowledgement.
 */
#ifndef WEIR_ACKNOWLEDGE_H
#define WEIR_ACKNOWLEDGE_H

#include <weir/subscription.h>

WEIR_BEGIN_DECLS

/* Bytes of a reason or error text that travel with a dead letter, with the 0. */
#define WEIR_REASON_SIZE 128

/* weir_ack - done.  Returns 0; WEIR_ESTALE. */
WEIR_API int weir_ack(const weir_delivery *delivery);

/*
 * weir_ack_batch - done with each of `count` deliveries of one subscription.
 * `acknowledged` (may be NULL) gets how many were not stale.
 * Returns 0 if all were acknowledged; WEIR_ESTALE if some were stale, the others
 * are acknowledged; WEIR_EINVAL also: deliveries of several subscriptions.
 */
WEIR_API int weir_ack_batch(const weir_delivery *deliveries, size_t count, size_t *acknowledged);

/*
 * weir_ack_up_to - done with this delivery and with all that came before it: every
 * earlier hand-over of the subscription, in the order of hand-overs and whatever
 * its attempt, that weir_ack would still acknowledge.  A message that was handed
 * over again after this delivery is left alone.  `acknowledged` (may be NULL) gets
 * how many were acknowledged, this one included, which is also what it costs.
 * Returns 0; WEIR_ESTALE: this delivery is stale, and nothing was acknowledged.
 */
WEIR_API int weir_ack_up_to(const weir_delivery *delivery, size_t *acknowledged);

/*
 * weir_nack - tried, and failed: deliver it again, after `delay` seconds and the
 * backoff.  The attempt counts; if it was the last one, the message goes to the
 * dead-letter topic, is parked or is dropped.  The reason is a text of up to
 * WEIR_REASON_SIZE - 1 bytes (longer ones are cut; NULL = none) which is kept
 * with the message: if it becomes a dead letter, by whatever attempt, the last text
 * given travels with it.  Without memory for it the text is lost, no more.
 * Returns 0; WEIR_ESTALE; WEIR_EINVAL also: a delay that is negative, not a
 * number or WEIR_FOREVER.
 */
WEIR_API int weir_nack(const weir_delivery *delivery, double delay, const char *reason);

/*
 * weir_release - not tried: deliver it again after `delay` seconds, without the
 * backoff, and do not count this attempt.  Nothing ends a message that is always
 * released.
 * Returns as weir_nack.
 */
WEIR_API int weir_release(const weir_delivery *delivery, double delay);

/*
 * weir_extend - more time: the timeout counts anew from now, `duration` seconds (0
 * = the subscription's ack_timeout, WEIR_FOREVER = none).
 * Returns 0; WEIR_ESTALE; WEIR_EINVAL also: a duration that is negative or not a
 * number.
 */
WEIR_API int weir_extend(const weir_delivery *delivery, double duration);

/*
 * weir_reject - never again: to the dead-letter topic with the reason, a text as in
 * weir_nack, or parked, or dropped.
 * Returns 0; WEIR_ESTALE.
 */
WEIR_API int weir_reject(const weir_delivery *delivery, const char *reason);

/* Why a message became a dead letter. */
typedef enum weir_dead_reason {
	WEIR_DEAD_TIMEOUT = 1,  /* the last attempt timed out */
	WEIR_DEAD_NACK = 2,     /* the last attempt failed */
	WEIR_DEAD_REJECTED = 3, /* rejected */
	WEIR_DEAD_EXPIRED = 4,  /* its time to live was over */
} weir_dead_reason;

/* What travels with a dead letter.  The strings are valid as long as the message. */
typedef struct weir_dead_letter {
	weir_dead_reason reason;
	uint32_t attempts;     /* hand-overs that it had */
	const char *topic;     /* where it was published */
	const char *filter;    /* the subscription's that it failed in */
	uint64_t subscription; /* its number, weir_subscription_id */
	const char *error;     /* the last text given to weir_nack or weir_reject, or "" */
	uint32_t redrives;     /* how often it had been sent back before */
	uint64_t reserved[4];
} weir_dead_letter;

/*
 * weir_message_dead_letter - what happened to a message received from a dead-letter
 * topic.  A dead letter that fails again is dropped, or parked, not dead-lettered again.
 * Returns 0; WEIR_EINVAL: NULL; WEIR_ENOENT: it is no dead letter.
 */
WEIR_API int weir_message_dead_letter(const weir_message *message, weir_dead_letter *letter);

/*
 * weir_redrive - send a dead letter back to the subscription that it failed in, and
 * to no other that has the same topic, and acknowledge it here.
 *
 * The subscription gets the original message again, as one that was given back: it
 * takes a place in the in-flight window, comes as redeliveries do (first, or with
 * redeliver_to_back behind what is queued), and has all its attempts anew, from 1;
 * its statistics count it in `redriven` and once more in `matched`.  If it fails
 * again, its dead letter says how often it was sent back; it is up to the caller
 * not to do so for ever.  One whose time to live is over expires again at once.
 *
 * A dead letter is sent back once, by whichever of those who got it comes first.
 * `delivery` is from any subscription, with acknowledgements or without, as long as
 * its message is valid.
 * Returns 0; WEIR_ESTALE: it was sent back by another call, or the delivery is
 * stale; WEIR_ENOENT: the subscription is gone, or had no acknowledgements;
 * WEIR_EFULL: its in-flight window is full; WEIR_ESHUTDOWN: the broker is draining
 * or closed; WEIR_EINVAL: NULL, or no dead letter.  When it fails the dead letter is
 * what it was.
 */
WEIR_API int weir_redrive(const weir_delivery *delivery);

/*
 * weir_redrive_parked - send up to `count_max` parked messages back to their
 * subscription (park_max), the oldest first, as weir_redrive does; those for which
 * the in-flight window has no room come as soon as it has.  `redriven` (may be NULL)
 * gets how many.  What remains parked can be told from weir_subscription_statistics.
 *
 * Threads: any, at once; not after weir_unsubscribe.  Never blocks.
 * Returns 0; WEIR_ECLOSED: stopped; WEIR_ESHUTDOWN: the broker is draining or
 * closed; WEIR_EINVAL: NULL, or a subscription without acknowledgements.
 */
WEIR_API int weir_redrive_parked(
	weir_subscription *subscription, size_t count_max, size_t *redriven);

WEIR_END_DECLS

#endif
