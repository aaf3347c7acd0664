/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receives against those who end them: lib/core/receiver.c (enter, leave),
 * weir_unsubscribe in lib/core/subscription.c, and the closing of the broker,
 * which discards what is queued but leaves the memory.
 *
 * A receiver receives up to CALLS times; two threads end the subscription, the
 * closer first (shutdown, wait, pop what is queued) and the unsubscriber at any
 * time (closed, off the list, wait for receive and pin, pop, free).
 *
 * Holds: one popper at a time; nothing is touched after the free by a receive
 * that had announced itself before the unsubscriber looked.  (A receive that
 * begins when the subscription may be gone already is the caller's mistake.)
 *
 * Must fail:
 *   NO_HEAVY_FENCE   the ending side has a fence of its own only, no membarrier
 *   LOOK_THEN_ENTER  attention is looked at before `receiving` is stored
 *   TOUCH_AFTER      the receiver touches the subscription after leaving
 *   NO_PIN           the closer does not pin the subscription that it discards
 *   TWO_RECEIVERS    two receivers enter by a load and a store of `receiving`
 *                    (ENTER_BY_EXCHANGE with it holds)
 */
#define THREADS 4
#define RECEIVING 0
#define ATTENTION 1
#define PINS 2
#define WORDS 3
#define DEPTH 3
#include "tso.pml"

#ifndef CALLS
#define CALLS 2
#endif

#define CLOSER 2
#define UNSUBSCRIBER 3

byte popping;          /* threads inside pop */
bit is_freed;
bit is_listed = 1;     /* in the registry's list */
bit registry_lock;
bit has_begun_to_end;  /* weir_unsubscribe has been called */

inline touch()
{
	assert(!is_freed)
}

inline pop()
{
	atomic { touch(); popping++; assert(popping == 1) };
	atomic { touch(); popping-- }
}

#define FREE_TO_ENTER(t) (LOAD(t, RECEIVING) == 0)

inline receiver_store(t)
{
	touch();
	store(t, RECEIVING, 1)
}

proctype Receiver(byte t)
{
	byte calls, attention;

	do
	:: calls < CALLS ->
		calls++;
		/* The caller does not begin a receive once it is ended. */
#ifdef ENTER_BY_EXCHANGE
		atomic {
			FENCE(t) ->
			if
			:: has_begun_to_end -> break
			:: !has_begun_to_end && memory[RECEIVING] != 0 -> goto next
			:: else -> memory[RECEIVING] = 1
			fi
		};
#else
#ifdef TWO_RECEIVERS
		if
		:: FREE_TO_ENTER(t)
		:: !FREE_TO_ENTER(t) -> goto next
		fi;
#endif
#ifdef LOOK_THEN_ENTER
		attention = LOAD(t, ATTENTION);
#endif
		atomic {
			if
			:: has_begun_to_end -> break
			:: else -> receiver_store(t)
			fi
		};
#endif
		/* Here is the light fence: nothing at all for the machine. */
#ifndef LOOK_THEN_ENTER
		attention = LOAD(t, ATTENTION);
#endif
		touch();
		if
		:: attention == 0 -> pop()
		:: else
		fi;
		atomic { touch(); store(t, RECEIVING, 0) };
#ifdef TOUCH_AFTER
		touch();
#endif
		attention = 0;
next:		skip
	:: calls == CALLS -> break
	od
}

inline attention_set(t, bits)
{
	atomic {
		FENCE(t) -> memory[ATTENTION] = memory[ATTENTION] | bits
	};
#ifdef NO_HEAVY_FENCE
	FENCE(t)
#else
	membarrier(t)
#endif
}

proctype Closer()
{
	byte membarrier_other;
	bit has_work;

	atomic { !registry_lock -> registry_lock = 1 };
	if
	:: is_listed -> attention_set(CLOSER, 1)
	:: else
	fi;
	registry_lock = 0;

	atomic {
		!registry_lock ->
		if
		:: is_listed ->
			has_work = 1;
#ifndef NO_PIN
			memory[PINS]++
#endif
		:: else
		fi
	};
	if
	:: has_work ->
		LOAD(CLOSER, RECEIVING) == 0;
		pop();
#ifndef NO_PIN
		atomic { touch(); memory[PINS]-- }
#endif
	:: else
	fi
}

proctype Unsubscriber()
{
	byte membarrier_other;

	has_begun_to_end = 1;
	atomic { !registry_lock -> registry_lock = 1 };
	attention_set(UNSUBSCRIBER, 2);
	is_listed = 0;
	registry_lock = 0;
	LOAD(UNSUBSCRIBER, RECEIVING) == 0;
	LOAD(UNSUBSCRIBER, PINS) == 0;
	pop();
	is_freed = 1
}

init {
	atomic {
		run Buffer(0);
		run Buffer(1);
		run Buffer(2);
		run Buffer(3);
		run Receiver(0);
#ifdef TWO_RECEIVERS
		run Receiver(1);
#endif
		run Closer();
		run Unsubscriber()
	}
}
