/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscriber: a subscription and the thread that receives from it, which tallies
 * the lines, measures their waits, and may write an archive.
 *
 * The thread runs until the broker is drained. While it does, only
 * `subscription` may be used by others; after subscriber_join all of it.
 */
#ifndef LOG_SUBSCRIBER_H
#define LOG_SUBSCRIBER_H

#include <pthread.h>

#include <weir/weir.h>

#include "archive.h"
#include "sequences.h"
#include "tally.h"
#include "waits.h"

struct subscriber {
	weir_subscription *subscription;
	weir_clock *clock;
	pthread_t thread;
	bool is_running;
	struct archive *archive; /* may be NULL */
	struct tally tally;
	struct waits waits;
	uint64_t missed; /* messages lost, as the deliveries told */
	/* By topic of the tally, if it is to be said which messages came. */
	bool has_seen;
	struct sequences *seen;
	size_t seen_size;
	int error; /* what ended it, if not the drain */
	weir_subscription_statistics statistics;
};

/* Subscribe and start. Returns 0; what weir_subscribe returns; WEIR_ESYSTEM: no
 * thread to be had. */
int subscriber_start(struct subscriber *subscriber, weir_broker *broker, const char *filter,
	const weir_subscription_options *options, struct archive *archive, bool has_seen);

/* Wait until it is done, which it is when the broker is drained or closed. A second
 * time is nothing. */
void subscriber_join(struct subscriber *subscriber);

/* How many messages it lost, for whatever reason. */
uint64_t subscriber_dropped(const struct subscriber *subscriber);

/* Did the message of that topic and sequence come? Needs has_seen. */
bool subscriber_has_seen(const struct subscriber *subscriber, const char *topic, uint64_t sequence);

/* Join, and end the subscription. */
void subscriber_free(struct subscriber *subscriber);

#endif
