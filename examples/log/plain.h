/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain pass: the same work on the same input by one thread and without a broker:
 * what each subscriber must have found.
 *
 * It numbers the lines of each topic as the broker numbers its messages. So it
 * can ask, line by line, whether that message came to a subscriber; where it did,
 * the line is tallied and is the archive's next one, and where it did not the line
 * is counted as lost.
 */
#ifndef LOG_PLAIN_H
#define LOG_PLAIN_H

#include "feed.h"
#include "subscriber.h"

/* For one subscriber. */
struct expected {
	uint64_t matched;   /* lines that its filter asks for */
	uint64_t lost;      /* of them: that did not come */
	struct tally tally; /* of those that came */
	bool has_archive_fault;
	uint64_t archive_fault; /* the line, from 1, where the archive has another one */
};

struct plain {
	uint64_t lines;
	uint64_t bytes;
	struct expected *expected; /* by subscriber */
	struct topics topics;
	uint64_t *sequences; /* by topic: the number of its last line */
	size_t sequence_size;
};

/* Read again what the feed has read: the inputs, each as far as it got, or, if
 * that was not possible, the tape. Archives are to be rewound before. */
void plain_pass(struct plain *plain, const struct feed *feed, const struct subscriber *subscribers,
	size_t count);

void plain_free(struct plain *plain, size_t count);

#endif
