/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tally: what is to be found out about lines: how many of each topic, and the
 * longest time that passed between one line and the next.
 *
 * A subscriber keeps one of the messages it gets, and the plain pass one for each
 * subscriber, by the same functions; so they can be compared.
 */
#ifndef LOG_TALLY_H
#define LOG_TALLY_H

#include "topics.h"

struct tally {
	struct topics topics;
	uint64_t *counts; /* by topic */
	size_t count_size;
	uint64_t lines;
	uint64_t bytes;
	/* Lines without a time are passed over, and where time goes back there
	 * is no gap. */
	bool has_time;
	int64_t last_time;
	bool has_gap;
	int64_t gap;       /* seconds */
	int64_t gap_begin; /* the time of the line before it */
};

/* One line more; returns the number of its topic in the tally's topics. */
size_t tally_add(struct tally *tally, const char *topic, const char *text, size_t size);

/* How many lines of that topic. */
uint64_t tally_count(const struct tally *tally, const char *topic);

void tally_free(struct tally *tally);

#endif
