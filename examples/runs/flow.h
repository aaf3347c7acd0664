/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow: a publisher that is too fast, a bounded queue that refuses what it has no
 * room for, and a subscriber that is too slow.
 *
 *   FastPublisher -- events -- SlowSubscriber
 *
 * The publisher slows down when it is refused and comes back to its base interval
 * little by little: weir_pacer.
 */
#ifndef RUNS_FLOW_H
#define RUNS_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "series.h"

struct options;

/* What a flow was, and what became of it. */
struct flow {
	size_t capacity;
	double base_interval;
	uint64_t published;
	uint64_t delivered;
	uint64_t dropped;
	uint64_t received;
	uint64_t high_water; /* the most messages that were in the queue */
	uint64_t slowdowns;
	double last_interval;
	double latency_sum; /* of the received, in seconds */
	double latency_max;
	bool is_recorded;
	struct series series; /* if so: of the publisher's interval and the queue's depth */
};

/* Play one; with a transcript unless it `is_quiet`, and recorded if it is to be
 * plotted. */
void flow_play(struct flow *flow, const struct options *options, bool is_quiet);

void flow_free(struct flow *flow);

#endif
