/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A topic's only publisher is the only one no more: weiri_topic_is_sole and
 * weiri_topic_number in lib/core/topic.h, weiri_registry_topic_share in
 * lib/core/registry.c, topic_get in lib/core/publish_named.c.
 *
 * The publisher opens a section by a plain store, looks whether it is the only one
 * and, if it is, takes a number by a load and a store; else by one read-modify-write.
 * (A place of a ring is taken in the same way, by the ring's tail.)  Guests come
 * meanwhile.  The first to have the registry's lock says so, passes the heavy fence
 * and waits until no section is open; those that find the topic shared go on at once.
 * The wait itself is reclaim.pml's matter: here it is one look at one record.
 *
 * Holds: no number is taken twice.
 *
 * Must fail:
 *   NO_HEAVY_FENCE  the wait begins without it
 *   NO_WAIT         a guest goes on after the heavy fence
 *   LOOK_FIRST      the publisher looks before it opens the section
 *   LOOK_ONCE       ... in its first section for all of them
 *   SHARED_FIRST    the topic is shared, for guests, when the wait begins
 */
#define PUBLISHES 2
#define GUESTS 2

#define THREADS (1 + GUESTS)
#define ACTIVE 0
#define SHARING 1
#define NUMBER 2
#define WORDS 3
#define DEPTH 4
#include "tso.pml"

#define PUBLISHER 0

#define SOLE 0
#define IN_SHARING 1
#define SHARED 2

bit registry_lock;
bit is_taken[PUBLISHES + GUESTS];

inline note(n)
{
	assert(!is_taken[n]);
	is_taken[n] = 1
}

inline number_add(t)
{
	atomic {
		FENCE(t) ->
		number = memory[NUMBER];
		memory[NUMBER]++;
		note(number)
	}
}

inline number_take()
{
	if
	:: is_sole ->
		number = LOAD(PUBLISHER, NUMBER);
		store(PUBLISHER, NUMBER, number + 1);
		note(number)
	:: else -> number_add(PUBLISHER)
	fi;
	number = 0
}

inline look()
{
	is_sole = LOAD(PUBLISHER, SHARING) == SOLE
}

proctype Publisher()
{
	byte publishes, number;
	bit is_sole;

	do
	:: publishes < PUBLISHES ->
#ifdef LOOK_FIRST
		look();
#endif
		store(PUBLISHER, ACTIVE, 1);
#ifdef LOOK_ONCE
		if
		:: publishes == 0 -> look()
		:: else
		fi;
#elif !defined(LOOK_FIRST)
		look();
#endif
		publishes++;
		number_take();
		store(PUBLISHER, ACTIVE, 0)
	:: else -> break
	od
}

/* With the lock; nobody else stores this word. */
inline share(t)
{
#ifdef SHARED_FIRST
	store(t, SHARING, SHARED);
#else
	store(t, SHARING, IN_SHARING);
#endif
#ifndef NO_HEAVY_FENCE
	membarrier(t);
#endif
	FENCE(t);
#ifndef NO_WAIT
	LOAD(t, ACTIVE) == 0;
#endif
	store(t, SHARING, SHARED)
}

proctype Guest(byte t)
{
	byte number, membarrier_other;

	if
	:: LOAD(t, SHARING) != SHARED ->
		atomic { FENCE(t) && !registry_lock -> registry_lock = 1 };
		if
		:: LOAD(t, SHARING) != SHARED -> share(t)
		:: else
		fi;
		atomic { FENCE(t) -> registry_lock = 0 }
	:: else
	fi;
	number_add(t)
}

init {
	atomic {
		run Buffer(0);
		run Buffer(1);
		run Buffer(2);
		run Publisher();
		run Guest(1);
		run Guest(2)
	}
}
