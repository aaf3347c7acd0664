/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage: what a run plays on: a clock, a broker on it, and its processes.
 *
 * In virtual time the processes are those of a simulation, and a run of twenty
 * seconds takes none. In real time they are threads, and the clock is the real
 * one, sped up on request. The process functions are the same, and so are the
 * calls of the library in them; what they take from the stage is only the time
 * as the run counts it: seconds since it began, which last 1 / speed of a second.
 *
 * A process function returns when a call tells it anything but success: that is
 * how the end of a run comes to it.
 */
#ifndef RUNS_STAGE_H
#define RUNS_STAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <weir/weir.h>

struct options;

struct stage {
	weir_clock *clock;
	weir_sim *sim; /* NULL: in real time */
	weir_broker *broker;
	double begin; /* by the clock */
	double speed; /* seconds of the run in one of the clock; 1 in virtual time */
	double until;
	bool is_quiet; /* stage_say says nothing */
	pthread_t *threads;
	size_t thread_count;
	weir_subscription **subscriptions;
	size_t subscription_count;
};

/* All of these exit if they fail. */

/* A broker that stamps its messages, in the kind of time the options ask for. */
void stage_open(struct stage *stage, const struct options *options);

/* A further broker on the same clock; the caller's to close, after stage_run. */
weir_broker *stage_broker_open(struct stage *stage);

/* As weir_subscribe. The stage's to end. */
weir_subscription *stage_subscribe(struct stage *stage, weir_broker *broker, const char *filter,
	const weir_subscription_options *options);

/* Processes start in the order of these calls. */
void stage_spawn(
	struct stage *stage, const char *name, void (*function)(void *argument), void *argument);

/* Play up to the time `until`. When it returns all processes have ended. */
void stage_run(struct stage *stage);

/* Those of the stage's broker. */
void stage_statistics(const struct stage *stage, weir_broker_statistics *statistics);

void stage_close(struct stage *stage);

/* For the process functions. */

/* The time now, and a time of the stage's clock, as the run counts it. */
double stage_now(const struct stage *stage);
double stage_time(const struct stage *stage, double clock_time);

/* As weir_sleep; in real time it ends with WEIR_ESHUTDOWN at the end of the run. */
int stage_sleep(const struct stage *stage, double seconds);

/* A line of the transcript, behind the time. */
void stage_say(const struct stage *stage, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
