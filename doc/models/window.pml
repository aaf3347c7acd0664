/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A receiver whose in-flight window is full falls asleep, while others settle and
 * publish: lib/core/receiver.c (arm, is_armed), wait_park in lib/core/receive.c, and
 * weiri_acks_settled in lib/core/acks.c.
 *
 * Behind a full window a new message is no news, so the receiver is announced to
 * publishers (ARMED) only if the window had room when it looked; to those who settle
 * (SETTLED) always.  Room that comes between that look and the arming of the waiter
 * tells nobody, nor does a message that comes then; so the receiver looks once more.
 *
 * The window holds one, and is full.  Another thread acknowledges what is in flight,
 * a third publishes MESSAGES; the receiver takes them all.
 *
 * Holds: it never sleeps for ever.
 *
 * Must fail:
 *   NO_SECOND_LOOK   the receiver does not ask whether publishers know of it
 *   LOOK_FIRST       the window is looked at before SETTLED is stored, and not again
 *   NO_TELL          who settles tells nobody
 *   NOT_IF_FULL      who settles tells only if the window was not full
 *   NO_FENCE_IN_ARM  the fence in weiri_waiter_arm left out, and the looks at the
 *                    window made without the mutex
 */
#define THREADS 3
#define SETTLED 0
#define ARMED 1
#define STATE 2
#define QUEUED 3
#define WORDS 4
#define DEPTH 4
#include "tso.pml"

#define RECEIVER 0
#define SETTLER 1
#define PUBLISHER 2

#define IDLE 0
#define WAITING 1
#define NOTIFIED 2

#ifndef MESSAGES
#define MESSAGES 2
#endif

bit mutex;          /* the ledger's; what it protects is in_flight */
byte in_flight = 1; /* of a window of one */
byte taken;

/* Taking it and letting it go are read-modify-writes. */
inline lock(t)
{
	atomic {
		FENCE(t) && !mutex -> mutex = 1
	}
}

inline unlock(t)
{
	atomic {
		FENCE(t) -> mutex = 0
	}
}

inline notify(t, word)
{
	if
	:: LOAD(t, word) == 1 ->
		atomic {
			FENCE(t) ->
			if
			:: memory[STATE] == WAITING -> memory[STATE] = NOTIFIED
			:: else
			fi
		}
	:: else
	fi
}

inline room_look()
{
#ifdef NO_FENCE_IN_ARM
	has_room = in_flight == 0;
#else
	lock(RECEIVER);
	has_room = in_flight == 0;
	unlock(RECEIVER);
#endif
}

/* Into *could; a message is taken from the queue under the ledger's mutex. */
inline take()
{
	could = 0;
	lock(RECEIVER);
	if
	:: in_flight == 0 && LOAD(RECEIVER, QUEUED) > 0 ->
		atomic {
			FENCE(RECEIVER) -> memory[QUEUED]--
		};
		in_flight = 1;
		taken++;
		could = 1
	:: else
	fi;
	unlock(RECEIVER)
}

inline can_take()
{
#ifdef NO_FENCE_IN_ARM
	could = in_flight == 0 && LOAD(RECEIVER, QUEUED) > 0;
#else
	lock(RECEIVER);
	could = in_flight == 0 && LOAD(RECEIVER, QUEUED) > 0;
	unlock(RECEIVER);
#endif
}

proctype Receiver()
{
	bit has_room, could;

	do
	:: taken == MESSAGES -> break
	:: else ->
		take();
		if
		:: could
		:: !could ->
#ifdef LOOK_FIRST
			room_look();
			store(RECEIVER, SETTLED, 1);
#else
			store(RECEIVER, SETTLED, 1);
			room_look();
#endif
			if
			:: has_room -> store(RECEIVER, ARMED, 1)
			:: else
			fi;
			store(RECEIVER, STATE, WAITING);
#ifndef NO_FENCE_IN_ARM
			FENCE(RECEIVER);
#endif
			/* Whether publishers know of it, or need not. */
#if !defined(NO_SECOND_LOOK) && !defined(LOOK_FIRST)
			if
			:: has_room
			:: !has_room ->
				room_look();
				if
				:: has_room -> could = 1
				:: else
				fi
			fi;
#endif
			if
			:: could
			:: !could -> can_take()
			fi;
			if
			:: could
			:: !could -> LOAD(RECEIVER, STATE) == NOTIFIED
			fi;
			atomic {
				FENCE(RECEIVER) -> memory[STATE] = IDLE
			};
			store(RECEIVER, SETTLED, 0);
			store(RECEIVER, ARMED, 0)
		fi;
		has_room = 0;
		could = 0
	od
}

proctype Settler()
{
	byte settled;
	bit was_full;

	do
	:: settled == MESSAGES + 1 -> break
	:: settled <= MESSAGES && in_flight > 0 ->
		lock(SETTLER);
		was_full = in_flight == 1;
		in_flight = 0;
#ifdef NOT_IF_FULL
		was_full = !was_full;
#endif
#ifndef NO_TELL
		if
		:: was_full ->
			FENCE(SETTLER);
			notify(SETTLER, SETTLED)
		:: else
		fi;
#endif
		unlock(SETTLER);
		was_full = 0;
		settled++
	od
}

proctype Publisher()
{
	byte published;

	do
	:: published == MESSAGES -> break
	:: else ->
		atomic {
			FENCE(PUBLISHER) -> memory[QUEUED]++
		};
		FENCE(PUBLISHER);
		notify(PUBLISHER, ARMED);
		published++
	od
}

init {
	atomic {
		run Buffer(0);
		run Buffer(1);
		run Buffer(2);
		run Receiver();
		run Settler();
		run Publisher()
	}
}
