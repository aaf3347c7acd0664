/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.h - a broker beside a model of it: every operation is done to both, and
 * what the broker returns, delivers and counts must be what the model says.
 *
 * The model is as simple as can be: arrays, and a matcher that recurses. It knows
 * the documented rules only. One thread, and nobody waits: a publish that would
 * have to wait is one with `no_wait`.
 */
#ifndef WEIR_TESTS_MODEL_H
#define WEIR_TESTS_MODEL_H

#include <stdint.h>

#include <weir/weir.h>

struct model;

/* How often rare things happened, so that a case can demand them. */
struct model_counts {
	uint64_t operations;
	uint64_t publishes;
	uint64_t batches;
	uint64_t by_name;
	uint64_t deliveries;
	uint64_t missed;      /* deliveries that told of a loss */
	uint64_t newest;      /* messages dropped by DROP_NEWEST */
	uint64_t timed_out;   /* by BLOCK */
	uint64_t closed;      /* discarded by unsubscribing */
	uint64_t partial;     /* batches of which a queue took a part */
	uint64_t busy_topics; /* removals refused */
	uint64_t removals;
};

struct model *model_open(const weir_broker_options *options, uint64_t seed);

/* One operation, drawn by the seed; everything it returns is checked. */
void model_step(struct model *model);

/* All counters of the broker against all of the model's. */
void model_check(struct model *model);

/* Closes everything and checks the final sums. */
struct model_counts model_close(struct model *model);

#endif /* WEIR_TESTS_MODEL_H */
