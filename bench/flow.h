/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow: what flow control costs, each case as a ratio to another one of the same
 * turn, which is how figures of a busy machine can be compared.
 */
#ifndef BENCH_FLOW_H
#define BENCH_FLOW_H

#include <weir/weir.h>

#include "bench.h"

#define FLOW_FIGURES_MAX 3
#define FLOW_SIZE        64
#define FLOW_CAPACITY    1024

/* Who takes the messages of a case about groups. */
enum flow_subject {
	FLOW_GROUP = 0, /* the members of one */
	FLOW_TOPICS,    /* plain subscriptions, with a topic each */
	FLOW_MUTEX,     /* threads, from one queue with a mutex */
	FLOW_GO,        /* goroutines, from one channel */
};

struct flow_case {
	const char *name;
	size_t base; /* the case that it is compared with; itself: a base */
	weir_subscription_options options;
	bool no_wait;
	unsigned int priorities; /* distinct ones, at random; 0: none */
	unsigned int keys;
	bool is_stopped; /* nobody receives from it */
	enum flow_subject subject;
	unsigned int members;
};

struct flow_table {
	const char *name;
	const char *title;
	const char *figures[FLOW_FIGURES_MAX + 1]; /* less is better, in ns */
	const struct flow_case *cases;             /* to one without a name */
	void (*measure)(const struct flow_case *which, double seconds, double *figures);
	/* Whether a case can be measured here; NULL: all can.  No base may be missing. */
	bool (*is_there)(const struct flow_case *which);
};

/* One thread, in its own CPU time, so that others take no part in it. */
extern const struct flow_table flow_full;       /* publishes to a queue that is full */
extern const struct flow_table flow_through;    /* a publish and a receive at the edge of it */
extern const struct flow_table flow_priorities; /* the same, by priority */

/* Two threads, in real time. */
extern const struct flow_table flow_threads; /* publishes while another one receives */
extern const struct flow_table flow_stopped; /* the time of a publish by percentiles */

/* Acknowledgements. */
extern const struct flow_table flow_acks;  /* by how many are in flight */
extern const struct flow_table flow_timer; /* CPU time while nothing is due */
extern const struct flow_table flow_late;  /* from deadline to redelivery */

/* Groups: one thread, and many. */
extern const struct flow_table flow_policies;       /* the cost of each policy */
extern const struct flow_table flow_members;        /* beside topics, a mutex queue, Go */
extern const struct flow_table flow_policy_threads; /* each policy */

/* This thread's own CPU time, in ns. */
uint64_t flow_own_now(void);

void flow_must(int error, const char *what);

#endif
