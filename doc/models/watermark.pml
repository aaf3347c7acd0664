/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a slow phase: lib/core/watermark.c.  The publisher that filled the
 * queue calls on_slow, and meanwhile the receiver empties it for good.
 *
 * Holds: on_recovered is called, once, by one of the two.
 *
 * Must fail:
 *   NO_FENCE_AFTER_HOOK   Y2 left out: the state may still be in the store buffer
 *   NO_FENCE_AFTER_TAKE   Y1 left out: the new head may
 *   NO_SECOND_LOOK        the publisher does not look at the queue after on_slow
 */
#define THREADS 2
#define HEAD 0
#define STATE 1
#define WORDS 2
#define DEPTH 2
#include "tso.pml"

#define SLOW_CALL 0
#define SLOW 1
#define CALM_CALL 2
#define QUEUED 2

byte recovered;
byte at_end;

inline look(t)
{
	if
	:: LOAD(t, STATE) == SLOW && LOAD(t, HEAD) == QUEUED ->
		atomic {
			FENCE(t) ->
			if
			:: memory[STATE] == SLOW -> memory[STATE] = CALM_CALL; recovered++
			:: else
			fi
		}
	:: else
	fi
}

proctype Publisher()
{
	/* on_slow returns. */
	store(0, STATE, SLOW);
#ifndef NO_FENCE_AFTER_HOOK
	FENCE(0);
#endif
#ifndef NO_SECOND_LOOK
	look(0);
#endif
	at_end++
}

proctype Receiver()
{
	byte head;

	do
	:: head < QUEUED ->
		head++;
		store(1, HEAD, head);
#ifndef NO_FENCE_AFTER_TAKE
		FENCE(1);
#endif
		look(1)
	:: else -> break
	od;
	at_end++
}

init {
	atomic {
		run Buffer(0);
		run Buffer(1);
		run Publisher();
		run Receiver()
	}
	at_end == 2;
	assert(recovered == 1)
}
