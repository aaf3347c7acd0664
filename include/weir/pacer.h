/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pacer: an adaptive publishing interval.  A publisher that is refused waits
 * longer before the next message, one that gets through waits shorter again:
 *
 *	refused:            interval = min(maximum, interval * multiplier)
 *	delivered to all:   interval = max(base, interval / divisor)
 *
 *	weir_pacer pacer = { .base = 0.5 };
 *
 *	for (;;) {
 *		int error = weir_publish(publisher, data, size, NULL, &receipt);
 *
 *		weir_sleep(clock, weir_pacer_feed(&pacer, error, &receipt));
 *	}
 *
 * weir_publish_paced does all of this in one call.
 *
 * A pacer is a plain value of the user's, to be copied, kept in a struct or
 * thrown away; it holds no memory and knows no clock.  Its arithmetic is that of
 * the two lines above, in double, and nothing else.
 *
 * Threads: a pacer belongs to one thread at a time.
 */
#ifndef WEIR_PACER_H
#define WEIR_PACER_H

#include <weir/publisher.h>

WEIR_BEGIN_DECLS

/* Every zero field means its default. */
typedef struct weir_pacer {
	double base;       /* seconds, finite: the shortest interval, and the first; 0 = 0.001 */
	double multiplier; /* at least 1, finite; 0 = 2 */
	double divisor;    /* at least 1 (1 = never returns), finite; 0 = 1.5 */
	/* Seconds, at least `base`: the longest interval; WEIR_FOREVER: none; 0 =
	 * 60, or `base` if that is longer. */
	double maximum;
	/* 0..1: a receipt with a `fill` of so much counts as a refusal, so that the
	 * publisher slows down before anything is refused; 0 = never.  The publish
	 * must ask for it with `want_fill`; weir_publish_paced does. */
	double slow_fill;
	/* 0..1: an interval of which weir_pacer_feed gives anything from 1 - jitter
	 * to 1 + jitter times its length, all equally likely, so that publishers
	 * who were refused at the same time do not come back at the same time; the
	 * interval that is kept is the one without it.  0 = none. */
	double jitter;
	uint64_t seed; /* of the jitter; any value is a good one */

	/* The pacer's own; 0 to begin with. */
	double interval; /* now, without jitter; 0: `base` */
	double due;      /* when weir_publish_paced may publish, by the broker's clock */
	uint64_t drawn;  /* random numbers so far */
	uint64_t reserved[4];
} weir_pacer;

/*
 * weir_pacer_feed - tell the pacer what a publish returned, and get the interval
 * to wait before the next one, in seconds.
 *
 * Refused: WEIR_ETIMEDOUT, WEIR_EAGAIN, WEIR_EFULL, WEIR_ENOMEM, WEIR_EDEADLK, or a
 * receipt of which something was dropped.  Delivered to all: 0 otherwise; older
 * messages that were evicted for this one are not a refusal.  Any other error
 * says nothing about load and leaves the interval as it is.
 * `receipt` may be NULL, and counts only with an error of 0.
 *
 * Never blocks.  Returns NaN if `pacer` is NULL or a field of it is out of range.
 */
WEIR_API double weir_pacer_feed(weir_pacer *pacer, int error, const weir_receipt *receipt);

/* The interval now, in seconds, without jitter.  NaN as weir_pacer_feed. */
WEIR_API double weir_pacer_interval(const weir_pacer *pacer);

/*
 * weir_publish_paced - wait until the pacer's interval since the previous call
 * has passed, publish, and feed the pacer.  The first call does not wait.  What
 * the caller does between two calls is part of the interval.
 *
 * As weir_publish otherwise.  Blocks for the interval also with `no_wait`; a
 * `timeout` begins when the interval has passed.  A pacer goes with one clock.
 * Returns as weir_publish; WEIR_EINVAL also: `pacer` is NULL or a field of it is
 * out of range; WEIR_ESHUTDOWN also: the broker was drained or closed during the
 * interval; WEIR_EDEADLK also: virtual time, would have to wait for the interval
 * outside a simulated process, nothing was published.
 */
WEIR_API int weir_publish_paced(weir_publisher *publisher, weir_pacer *pacer, const void *data,
	size_t size, const weir_publish_options *options, weir_receipt *receipt);

WEIR_END_DECLS

#endif
