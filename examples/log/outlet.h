/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outlet: where lines become messages. It has a publisher for each topic, opened
 * when the first line of that topic comes.
 *
 * A short line is copied into the broker's memory (weir_publish). A long one is
 * handed over in a buffer of its own (weir_message_wrap), and all such buffers
 * together are held to OUTLET_BYTES_MAX: a queue's capacity is in messages, and a
 * thousand lines of 1 MiB are a gigabyte. Who publishes waits until one is free.
 * (A subscription's capacity_bytes would hold them too, but by a queue with a lock,
 * where the short lines, nearly all, are better off without.)
 *
 * One thread at a time uses an outlet; so the lines arrive everywhere in the order
 * in which they were published, whatever their topics.
 */
#ifndef LOG_OUTLET_H
#define LOG_OUTLET_H

#include <pthread.h>

#include <weir/weir.h>

#include "line_reader.h"
#include "topics.h"

#define OUTLET_LONG_LINE ((size_t)16 << 10)
#define OUTLET_BYTES_MAX ((size_t)64 << 20)

struct outlet {
	weir_broker *broker;
	struct topics topics;
	weir_publisher **publishers; /* by topic */
	size_t publisher_size;
	/* The bytes of long lines that are on their way. */
	pthread_mutex_t mutex;
	pthread_cond_t freed;
	size_t bytes;
};

void outlet_open(struct outlet *outlet, weir_broker *broker);

/* The publishers are closed, what they published is still delivered. */
void outlet_close(struct outlet *outlet);

/* When the broker is gone, and with it every message. */
void outlet_free(struct outlet *outlet);

/* Publish a line to its topic. Blocks while a queue with WEIR_OVERFLOW_BLOCK is
 * full. Returns what weir_publish does; WEIR_ENOMEM. */
int outlet_publish(struct outlet *outlet, const struct line *line);

#endif
