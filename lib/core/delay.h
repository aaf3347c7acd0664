/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delay: messages that are kept to be published later.
 *
 * Each has a timer of its own among the broker's (delivery/timers.h), whose heap is
 * the only one there is, and whose order of equal times is that of the calls.  When
 * it comes, the message is published by the topic's name: its publisher may be closed
 * and its topic removed by then.  The timer thread must not wait, so a queue that is
 * full then refuses it.  What publishes it is a floating publisher that is made with
 * the first delayed message and stays, so that this cannot fail for memory later.
 *
 * What is kept is bounded, in messages and in bytes; what cannot be published in the
 * end, and what is left at close, is discarded and counted.
 *
 * Lock order: delays', timers'.
 */
#ifndef WEIRI_DELAY_H
#define WEIRI_DELAY_H

#include <pthread.h>

#include "delivery/timers.h"
#include <weir/broker.h>
#include <weir/publisher.h>

struct weir_broker;
struct weir_publisher;
struct weiri_topic;
struct weiri_delayed;

struct weiri_delays {
	pthread_mutex_t mutex;
	struct weir_publisher *publisher; /* that publishes them; NULL: not needed yet */
	struct weiri_delayed *first;      /* all of them, in no order */
	uint64_t count;
	uint64_t bytes;
	uint64_t count_max;
	uint64_t bytes_max;
	uint64_t discarded; /* ever */
	bool is_closed;
};

/* What a delayed publish is about. */
struct weiri_delay {
	const weir_publish_options *options;
	double time;
};

/* Returns 0 or WEIR_ESYSTEM. */
int weiri_delays_open(struct weiri_delays *delays, const weir_broker_options *options);
void weiri_delays_close(struct weiri_delays *delays);

/* The broker is closed, and its timer thread has ended: discard what is left; returns
 * how many.  No lock held. */
uint64_t weiri_delays_discard(struct weir_broker *broker);

/* Add to the statistics. */
void weiri_delays_read(struct weiri_delays *delays, weir_broker_statistics *statistics);

/* When a publish with these options is to come, or not after now. */
double weiri_delay_time(struct weir_broker *broker, const weir_publish_options *options);

/*
 * Keep messages, each with one reference, for the topic; all of them, or none.
 * Returns 0: they are taken, and the receipt says how many; WEIR_ENOMEM;
 * WEIR_ELIMIT; WEIR_ESYSTEM; WEIR_ESHUTDOWN; with an id as weiri_identity_enter.
 */
int weiri_delay_put(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_delay *delay,
	weir_receipt *receipt);

#endif
