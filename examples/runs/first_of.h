/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FirstOf: the lesson's way of waiting on several queues, with its flaw.
 *
 * Each turn of a subscriber issues one receive on each of its queues, in order,
 * and the first to complete wins the turn. But a receive that lost is not
 * withdrawn: it keeps its place in line, or what it took, and the message it gets
 * is lost to the subscriber. So each losing receive swallows exactly one message
 * of its queue. It shows in the lesson's statistics, as "Analytics received: 14".
 *
 * weir_select, which loses nothing, is what a program should use. This is a model
 * of the lesson's, made of the library's parts: in front of each queue stands a
 * process, the line, that does the receives of all turns one after another. Turns
 * are called out to the lines, and a win told to the subscriber, by messages on a
 * broker of its own, so that they do not count among those of the run.
 *
 *   subscriber            line of "orders"          queue of "orders"
 *     turn 7      --->      receive for turn 7  <---  message
 *     won         <---      first of turn 7?
 *                           else: swallowed
 */
#ifndef RUNS_FIRST_OF_H
#define RUNS_FIRST_OF_H

#include "stage.h"

struct first_of;

/* Over `count` queues of the stage's. To be opened before the processes that are
 * to see its lines ready are spawned. Exits if it fails. */
struct first_of *first_of_open(struct stage *stage, weir_subscription *const *queues, size_t count);

/*
 * first_of_receive - one turn. Blocks until it is won; *message, to be released by
 * the caller, is then what the winner got.
 *
 * Threads: one at a time. Returns 0, or what the library returned: the run ends.
 */
int first_of_receive(struct first_of *first_of, weir_message **message);

/* After stage_run, before stage_close. */
void first_of_close(struct first_of *first_of);

#endif
