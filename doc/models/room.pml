/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line of publishers at a full queue: lib/core/room.c, the waiting in
 * lib/core/publish_wait.c, taken_note in lib/core/receiver.c.
 *
 * A queue of capacity 1, full at the start, and PUBLISHERS who wait for room for
 * ever; with IMPATIENT that one may give up at any wait (its deadline).  A receiver
 * takes all that comes and sees the line by the ROOM bit of attention.  Nobody looks
 * by himself after a while, as the library does besides, so a lost wake-up is a
 * deadlock.  With CLOSE nobody receives, and the subscription is ended while they
 * wait.
 *
 * Holds: whoever waits for ever gets in (CLOSE: leaves); the line is empty and ROOM is
 * clear at the end; never more than the capacity; after the end of the
 * subscription nothing touches it.
 *
 * Must fail:
 *   NO_HEAVY_FENCE   the one after joining the line is an ordinary fence
 *   NO_LOOK          no look at the queue between joining and sleeping
 *   NO_PASS_ON       who leaves the line does not tell the next one (IMPATIENT)
 *   CLEAR_UNLOCKED   ROOM is cleared after the line's mutex is released
 *   NO_TELL          the end of the subscription tells nobody in line (CLOSE)
 *   NO_PINS          it does not wait for the pins (CLOSE)
 */
#ifndef PUBLISHERS
#define PUBLISHERS 2
#endif
#ifndef IMPATIENT
#define IMPATIENT NONE
#endif

#define THREADS (PUBLISHERS + 1)
#define TAIL 0
#define HEAD 1
#define ATTENTION 2
#define STATE 3 /* of the publishers' waiters: STATE + thread */
#define WORDS (STATE + PUBLISHERS)
#define DEPTH 3
#include "tso.pml"

#define RECEIVER PUBLISHERS
#define CLOSER PUBLISHERS

#define ROOM 1
#define CLOSED 2

#define IDLE 0
#define WAITING 1
#define NOTIFIED 2

#define NONE 255

bit room_mutex;
byte line[PUBLISHERS]; /* the first ones first */
byte line_length;
byte pins;
byte done;             /* publishers at their end */
byte gone_in;          /* messages put in by publishers */
bit is_freed;

inline touch()
{
	assert(!is_freed)
}

inline lock()
{
	atomic { touch(); !room_mutex -> room_mutex = 1 }
}

inline unlock(t)
{
	atomic { FENCE(t) -> touch(); room_mutex = 0 }
}

/* Mutex held: the first `count` of the line; each is one exchange of a state. */
inline line_tell(t, count)
{
	place = 0;
	do
	:: place < line_length && place < count ->
		atomic {
			FENCE(t) ->
			if
			:: memory[STATE + line[place]] == WAITING ->
				memory[STATE + line[place]] = NOTIFIED
			:: else
			fi
		};
		place++
	:: else -> break
	od;
	place = 0
}

inline room_join(t)
{
	lock();
	d_step {
		line[line_length] = t;
		line_length++;
		is_joined = 1
	};
	atomic { FENCE(t) -> memory[ATTENTION] = memory[ATTENTION] | ROOM };
	unlock(t)
}

#define USED(t) (LOAD(t, TAIL) - LOAD(t, HEAD))

inline room_clear(t)
{
	atomic { FENCE(t) -> touch(); memory[ATTENTION] = memory[ATTENTION] & CLOSED }
}

inline room_leave(t)
{
	if
	:: is_joined ->
		lock();
		d_step {
			is_joined = 0;
			place = 0;
			do
			:: line[place] == t -> break
			:: else -> place++
			od;
			line_length--;
			do
			:: place < line_length -> line[place] = line[place + 1]; place++
			:: else -> break
			od;
			line[line_length] = 0;
			place = 0;
			was_last = (line_length == 0)
		};
#ifdef CLEAR_UNLOCKED
		if
		:: !was_last && USED(t) == 0 -> line_tell(t, 1)
		:: else
		fi;
		unlock(t);
		if
		:: was_last -> room_clear(t)
		:: else
		fi;
#else
		if
		:: was_last -> room_clear(t)
#ifndef NO_PASS_ON
		:: !was_last && USED(t) == 0 -> line_tell(t, 1)
#endif
		:: else
		fi;
		unlock(t);
#endif
		was_last = 0
	:: else
	fi
}

/* Pushes, or finds the queue full or closed; sets is_out when there is an end. */
inline try(t)
{
	touch();
	if
	:: LOAD(t, ATTENTION) & CLOSED -> is_out = 1
	:: else ->
		atomic {
			FENCE(t) ->
			if
			:: memory[TAIL] - memory[HEAD] < 1 ->
				memory[TAIL]++;
				gone_in++;
				is_out = 1
			:: else
			fi
		}
	fi
}

proctype Publisher(byte t)
{
	byte membarrier_other, place;
	bit is_joined, was_last, is_out, may_go, gives_up;

	do
	:: try(t);
	   if
	   :: is_out || gives_up -> break
	   :: else
	   fi;
	   store(t, STATE + t, WAITING);
	   FENCE(t);
	   if
	   :: !is_joined -> room_join(t)
	   :: else
	   fi;
#ifdef NO_HEAVY_FENCE
	   FENCE(t);
#else
	   membarrier(t);
#endif
	   touch();
#ifndef NO_LOOK
	   may_go = ((LOAD(t, ATTENTION) & CLOSED) || USED(t) == 0);
#endif
	   if
	   :: may_go -> may_go = 0
	   :: !may_go ->
		if
		:: LOAD(t, STATE + t) != WAITING -> skip
		:: t == IMPATIENT -> gives_up = 1
		fi
	   fi;
	   atomic { FENCE(t) -> memory[STATE + t] = IDLE }
	od;
	room_leave(t);
	atomic {
		touch();
		pins--;
		done++
	}
}

proctype Receiver()
{
	byte place, head, room;

	do
	:: LOAD(RECEIVER, TAIL) != head ->
		head++;
		assert(LOAD(RECEIVER, TAIL) - LOAD(RECEIVER, HEAD) <= 1);
		store(RECEIVER, HEAD, head);
		/* Here is the light fence. */
		if
		:: LOAD(RECEIVER, ATTENTION) & ROOM ->
			lock();
			room = 1 - USED(RECEIVER);
			line_tell(RECEIVER, room);
			unlock(RECEIVER)
		:: else
		fi
	:: done == PUBLISHERS && LOAD(RECEIVER, TAIL) == head -> break
	od;
	assert(gone_in == PUBLISHERS || IMPATIENT != NONE);
	assert(line_length == 0 && (LOAD(RECEIVER, ATTENTION) & ROOM) == 0)
}

proctype Closer()
{
	byte membarrier_other, place;

	atomic { FENCE(CLOSER) -> memory[ATTENTION] = memory[ATTENTION] | CLOSED };
	membarrier(CLOSER);
#ifndef NO_TELL
	lock();
	line_tell(CLOSER, PUBLISHERS);
	unlock(CLOSER);
#endif
#ifndef NO_PINS
	pins == 0;
#endif
	is_freed = 1;
	assert(line_length == 0)
}

init {
	atomic {
		memory[TAIL] = 1;
		pins = PUBLISHERS; /* taken inside their first sections */
		run Buffer(RECEIVER);
		run Buffer(0);
		run Publisher(0);
		run Buffer(1);
		run Publisher(1);
#if PUBLISHERS == 3
		run Buffer(2);
		run Publisher(2);
#endif
#ifdef CLOSE
		run Closer()
#else
		run Receiver()
#endif
	}
}
