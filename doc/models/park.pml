/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a receiver sleeps and is woken: lib/core/receive.c (wait_park, sleep_announce),
 * lib/clock/waiter.[ch], lib/clock/real.c, and the other side, M2 and M4, in
 * lib/core/publish_plain.c.
 *
 * Two publishers; each reserves a place of the queue and fills it later, so places
 * may be filled in another order than reserved.  One publishes twice, the other
 * once, and then cancels a place (all_or_nothing): the last place goes back, one
 * that others have followed becomes void.  The receiver takes in order, and sleeps
 * without a deadline; up to GIVE_UPS waits end by themselves before they begin, so
 * that the same waiter is armed again while a teller is still on its way.  Up to
 * TAKE_BACKS times, when it has found a message, it lets publishers off looking, and
 * sets that right with a heavy fence before it sleeps again.
 *
 * Holds: the receiver gets everything and never sleeps for ever; of several
 * tellers one wins for each time the waiter was armed.
 *
 * Must fail:
 *   NO_FENCE_IN_PUBLISH   weiri_fence_full left out after the push
 *   NO_HEAVY_FENCE        publishers are told to look, but not made to pass a fence
 *   LOOK_BEFORE_PUSH      a publisher looks whether it has to look before its push
 *   NO_FENCE_IN_ARM       the one in weiri_waiter_arm left out
 *   LOOK_BEFORE_ARM       the queue is looked at before the waiter is armed only
 *   SLEEP_UNSEEN          the futex does not compare the state again
 *   SILENT_VOID           who makes a place void tells nobody
 *   WAKE_BEFORE_STATE     the wake-up comes before NOTIFIED is stored
 */
#define PUBLICATIONS 3
#define GIVE_UPS 1
#define TAKE_BACKS 1

#define THREADS 3
#define ARMED 0
#define STATE 1
#define SPARED 2 /* publishers need not look: the opposite of `sleeps` */
#define FILLED 3
#define WORDS (FILLED + PUBLICATIONS + 1)
#define DEPTH 3
#include "tso.pml"

#define RECEIVER 0
#define IDLE 0
#define WAITING 1
#define NOTIFIED 2

#define MESSAGE 1
#define VOID 2

byte reserved;     /* places; the tail of the ring */
bit is_asleep;     /* in the futex */
byte armed_ever;
byte notified_ever;

inline exchange_to_idle()
{
	atomic {
		FENCE(RECEIVER) -> memory[STATE] = IDLE
	}
}

/* After the receiver took back that it sleeps. */
inline sleep_announce()
{
	if
	:: LOAD(RECEIVER, SPARED) == 1 ->
		store(RECEIVER, SPARED, 0);
#ifndef NO_HEAVY_FENCE
		membarrier(RECEIVER)
#endif
	:: else
	fi
}

#define HAS_PLACE (LOAD(RECEIVER, FILLED + head) != 0)

inline park()
{
	do
	:: LOAD(RECEIVER, STATE) == WAITING ->
		/* The system call: passes a fence, and compares with the
		 * sleepers' list locked. */
		atomic {
			FENCE(RECEIVER) ->
			if
#ifdef SLEEP_UNSEEN
			:: is_asleep = 1
#else
			:: memory[STATE] == WAITING -> is_asleep = 1
			:: else
#endif
			fi
		};
		!is_asleep
	:: else -> break
	od;
	store(RECEIVER, STATE, IDLE)
}

proctype Receiver()
{
	byte taken, head, given_up, taken_back, membarrier_other;

	do
	:: taken == PUBLICATIONS -> break
	:: taken < PUBLICATIONS ->
		if
		:: LOAD(RECEIVER, FILLED + head) == MESSAGE ->
			taken++;
			head++;
			if
			:: taken_back < TAKE_BACKS -> taken_back++; store(RECEIVER, SPARED, 1)
			:: true
			fi
		:: LOAD(RECEIVER, FILLED + head) == VOID -> head++
		:: else ->
			sleep_announce();
			store(RECEIVER, ARMED, 1);
			armed_ever++;
			store(RECEIVER, STATE, WAITING);
#ifndef NO_FENCE_IN_ARM
			FENCE(RECEIVER);
#endif
			if
#ifndef LOOK_BEFORE_ARM
			:: HAS_PLACE -> exchange_to_idle()
			:: !HAS_PLACE -> park()
#else
			:: park()
#endif
			:: given_up < GIVE_UPS -> given_up++; exchange_to_idle()
			fi;
			store(RECEIVER, ARMED, 0)
		fi
	od
}

inline tell(t)
{
#ifndef NO_FENCE_IN_PUBLISH
	FENCE(t);
#endif
	if
	:: LOAD(t, ARMED) == 1 ->
		if
		:: LOAD(t, STATE) == WAITING ->
#ifdef WAKE_BEFORE_STATE
			is_asleep = 0;
#endif
			atomic {
				FENCE(t) ->
				if
				:: memory[STATE] == WAITING ->
					memory[STATE] = NOTIFIED;
					notified_ever++;
					assert(notified_ever <= armed_ever);
					won = 1
				:: else
				fi
			};
#ifndef WAKE_BEFORE_STATE
			if
			:: won -> is_asleep = 0
			:: else
			fi;
#endif
			won = 0
		:: else
		fi
	:: else
	fi
}

/* After the push of a plain publish. */
inline tell_if_it_sleeps(t)
{
#ifndef LOOK_BEFORE_PUSH
	is_spared = LOAD(t, SPARED);
#endif
	if
	:: is_spared
	:: else -> tell(t)
	fi
}

proctype Publisher(byte t; byte count; bit cancels)
{
	byte place;
	bit won, is_followed, is_spared;

	do
	:: count > 0 ->
		atomic {
			FENCE(t) -> place = reserved; reserved++
		};
#ifdef LOOK_BEFORE_PUSH
		is_spared = LOAD(t, SPARED);
#endif
		store(t, FILLED + place, MESSAGE);
		tell_if_it_sleeps(t);
		count--
	:: else -> break
	od;
	if
	:: cancels ->
		atomic {
			FENCE(t) -> place = reserved; reserved++
		};
		atomic {
			FENCE(t) ->
			if
			:: reserved == place + 1 -> reserved--
			:: else -> is_followed = 1
			fi
		};
		if
		:: is_followed ->
			store(t, FILLED + place, VOID);
#ifndef SILENT_VOID
			tell(t)
#endif
		:: else
		fi
	:: else
	fi
}

init {
	atomic {
		run Buffer(0);
		run Buffer(1);
		run Buffer(2);
		run Receiver();
		run Publisher(1, 2, 0);
		run Publisher(2, 1, 1)
	}
}
