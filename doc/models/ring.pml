/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/queue/ring.c: two pushers and the popper.  Each pusher pushes FIRST values at
 * once, and then reserves a place, which it fills or cancels.
 *
 * Holds: what is popped is what was pushed, once, each pusher's in order; never
 * more than CAPACITY between head and tail; 0 is returned only if the ring was
 * full at some moment of the call; the high water mark was reached.
 *
 * Must fail:
 *   SEQUENCE_FIRST   the sequence is shown before the value (no W1)
 *   HEAD_FIRST       the place is given back before the value is read (no H1)
 *   UNSIGNED_USED    a head newer than the tail counts as "full"
 *   CANCEL_BLINDLY   a cancelled place goes back even if others have followed
 *   HIGH_WATER_PEAK  high_water is the highest count ever: it is not if a pop
 *                    comes between the reservation and the look at the head
 *                    (with FIRST 1)
 */
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef PLACES
#define PLACES 2
#endif
#ifndef FIRST
#define FIRST 2
#endif

#define THREADS 3
#define TAIL 0
#define HEAD 1
#define HEAD_SEEN 2
#define HIGH_WATER 3
#define SEQUENCE 4
#define VALUE (SEQUENCE + PLACES)
#define WORDS (VALUE + PLACES)
#define DEPTH 4
#include "tso.pml"

#define POPPER 0
#define VOID 0
#define COUNT (memory[TAIL] - memory[HEAD])

byte done;           /* pushers at their end */
byte reserved_ever;  /* places */
byte popped_ever;
byte most;           /* the highest COUNT ever */
byte last[THREADS];  /* the last value popped from a pusher */
bit was_full[THREADS]; /* since the pusher's call began */

inline full_note()
{
	if
	:: COUNT >= CAPACITY -> was_full[1] = 1; was_full[2] = 1
	:: else
	fi;
	if
	:: COUNT > most -> most = COUNT
	:: else
	fi
}

inline head_refresh(t)
{
	fresh = LOAD(t, HEAD);
	store(t, HEAD_SEEN, fresh)
}

inline high_water_note(t)
{
	high = LOAD(t, HIGH_WATER);
	if
	:: tail + room - head > high ->
		head_refresh(t);
		used = tail + room - fresh;
		assert(used > 0 && used <= CAPACITY);
		atomic {
			FENCE(t) ->
			if
			:: used > memory[HIGH_WATER] -> memory[HIGH_WATER] = used
			:: else
			fi;
			assert(memory[HIGH_WATER] <= most)
		}
	:: else
	fi;
	high = 0
}

/* Up to `want` places from `tail` on; their number in `room`. */
inline reserve(t, want)
{
	atomic {
		was_full[t] = (COUNT >= CAPACITY);
		tail = LOAD(t, TAIL)
	};
	head = LOAD(t, HEAD_SEEN);
	do
	:: atomic {
		used = tail - head;
#ifdef UNSIGNED_USED
		room = ((used >= 0 && used < CAPACITY) -> CAPACITY - used : 0)
#else
		if
		:: used < 0 -> tail = LOAD(t, TAIL); goto next
		:: else
		fi;
		room = (used < CAPACITY -> CAPACITY - used : 0)
#endif
	   };
	   if
	   :: room < want ->
		head_refresh(t);
		if
		:: fresh != head -> head = fresh; goto next
		:: fresh == head && room == 0 ->
			assert(was_full[t]);
			store(t, HIGH_WATER, CAPACITY);
			break
		:: else
		fi
	   :: else -> room = want
	   fi;
	   atomic {
		FENCE(t) ->
		if
		:: memory[TAIL] == tail ->
			memory[TAIL] = tail + room;
			reserved_ever = reserved_ever + room;
			assert(COUNT <= CAPACITY);
			full_note();
			break
		:: else ->
			tail = memory[TAIL]
		fi
	   };
next:	   skip
	od;
	if
	:: room > 0 -> high_water_note(t)
	:: else
	fi;
	head = 0;
	fresh = 0;
	used = 0
}

inline fill(t, what)
{
#ifdef SEQUENCE_FIRST
	store(t, SEQUENCE + tail % PLACES, tail + 1);
	store(t, VALUE + tail % PLACES, what)
#else
	store(t, VALUE + tail % PLACES, what);
	store(t, SEQUENCE + tail % PLACES, tail + 1)
#endif
}

inline push(t, want)
{
	reserve(t, want);
	do
	:: room > 0 ->
		value++;
		fill(t, value);
		tail++;
		room--
	:: else -> break
	od;
	tail = 0
}

inline cancel(t)
{
	atomic {
		FENCE(t) ->
		if
#ifdef CANCEL_BLINDLY
		:: true ->
#else
		:: memory[TAIL] == tail + 1 ->
#endif
			memory[TAIL] = tail;
			reserved_ever--
		:: else -> is_followed = 1
		fi
	};
	if
	:: is_followed -> fill(t, VOID)
	:: else
	fi;
	is_followed = 0
}

inline push_or_not(t)
{
	reserve(t, 1);
	if
	:: room == 1 -> value++; fill(t, value)
	:: room == 1 -> cancel(t)
	:: else
	fi;
	room = 0;
	tail = 0
}

proctype Pusher(byte t)
{
	byte tail, head, fresh, room, high;
	byte value = t * 8;
	bit is_followed;
	short used;

	push(t, FIRST);
	push_or_not(t);
	done++
}

inline value_check(v)
{
	d_step {
		assert(v / 8 == 1 || v / 8 == 2);
		assert(v > last[v / 8]);
		last[v / 8] = v;
		popped_ever++
	}
}

/* A batch of any size: after each value the head may be moved, or later. */
proctype Popper()
{
	byte head, value;

	do
	:: LOAD(POPPER, SEQUENCE + head % PLACES) == head + 1 ->
#ifdef HEAD_FIRST
		store(POPPER, HEAD, head + 1);
#endif
		value = LOAD(POPPER, VALUE + head % PLACES);
		if
		:: value != VOID -> value_check(value)
		:: else -> popped_ever++
		fi;
		value = 0;
		head++
	:: LOAD(POPPER, HEAD) != head ->
		store(POPPER, HEAD, head)
	:: done == 2 && popped_ever == reserved_ever -> break
	od;
	FENCE(POPPER);
	assert(memory[TAIL] == head && memory[HIGH_WATER] <= most);
#ifdef HIGH_WATER_PEAK
	assert(memory[HIGH_WATER] == most);
#endif
}

init {
	atomic {
		run Buffer(0);
		run Buffer(1);
		run Buffer(2);
		run Popper();
		run Pusher(1);
		run Pusher(2)
	}
}
