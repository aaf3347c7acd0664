/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grace periods: ck_epoch_begin, ck_epoch_end and ck_epoch_synchronize_wait of
 * Concurrency Kit 0.7.1 as lib/core/reclaim.c and the registry use them: one
 * writer at a time (the registry's lock), records that are only ever added, also
 * under that lock, and sections that never nest.
 *
 * A pointer shows one of three snapshots.  The writer puts the next one in its
 * place, waits for a grace period and frees the old one, twice.  Two readers
 * have two sections each, in which they read the pointer and look at the snapshot;
 * the second one's record is registered at some time while all that goes on.
 *
 * ASYMMETRIC: a section is announced by a plain store, and the writer passes a heavy
 * fence before it looks at the records.
 *
 * Holds: no reader looks at a freed snapshot.
 *
 * Must fail:
 *   BEGIN_BY_STORE  a section is announced by a plain store, not an exchange, and
 *                   there is no heavy fence
 *   ONE_ROUND       the writer waits for one observation of the epoch, not two
 *   NO_WRITER_FENCE the writer looks at the records before its store is out
 *   EARLY_LOADS     a section's loads come before that of the epoch, as 0.7.1 lets
 *                   them on machines weaker than x86 (hence the fence in
 *                   weiri_reclaim_begin)
 */
#ifdef ASYMMETRIC
#define BEGIN_BY_STORE
#endif
#define READERS 2
#define SECTIONS 2
#define UPDATES 2

#define THREADS 3
#define POINTER 0
#define EPOCH 1
#define ACTIVE 2              /* of each record */
#define SEEN (ACTIVE + READERS) /* the epoch that its section saw */
#define WORDS (SEEN + READERS)
#define DEPTH 3
#include "tso.pml"

#define WRITER 2
#ifdef ONE_ROUND
#define ROUNDS 1
#else
#define ROUNDS 2
#endif

bit is_freed[UPDATES + 1];
bit is_registered[READERS];
bit registry_lock;

inline section_begin(t)
{
#ifdef BEGIN_BY_STORE
	store(t, ACTIVE + t, 1);
#else
	atomic { FENCE(t) -> memory[ACTIVE + t] = 1 };
#endif
#ifdef EARLY_LOADS
	snapshot = LOAD(t, POINTER);
#endif
	epoch = LOAD(t, EPOCH);
	store(t, SEEN + t, epoch)
}

proctype Reader(byte t)
{
	byte sections, epoch, snapshot;

	atomic { !registry_lock -> is_registered[t] = 1 };
	do
	:: sections < SECTIONS ->
		sections++;
		section_begin(t);
#ifndef EARLY_LOADS
		snapshot = LOAD(t, POINTER);
#endif
		assert(!is_freed[snapshot]);
		store(t, ACTIVE + t, 0);
		epoch = 0;
		snapshot = 0
	:: else -> break
	od
}

/* Passes records until one has not seen the epoch; the loads of one record are
 * two steps, since its owner may run between them. */
inline scan()
{
	do
	:: record < READERS && is_registered[record] ->
		in_section = LOAD(WRITER, ACTIVE + record);
		is_active = is_active || in_section;
		if
		:: in_section && LOAD(WRITER, SEEN + record) != epoch -> break
		:: else -> record++
		fi
	:: record < READERS && !is_registered[record] -> record++
	:: record == READERS -> break
	od
}

/* Nobody else moves the epoch, so its other cases cannot come about. */
inline synchronize()
{
#ifdef ASYMMETRIC
	membarrier(WRITER);
#endif
#ifndef NO_WRITER_FENCE
	FENCE(WRITER);
#endif
	epoch = LOAD(WRITER, EPOCH);
	round = 0;
	do
	:: round < ROUNDS ->
		record = 0;
		is_active = 0;
		scan();
		do
		:: record < READERS -> scan()
		:: else -> break
		od;
		if
		:: !is_active -> break
		:: else
		fi;
		atomic { FENCE(WRITER) -> memory[EPOCH]++; epoch = memory[EPOCH] };
		round++
	:: else -> break
	od;
	FENCE(WRITER);
	record = 0;
	round = 0;
	is_active = 0;
	in_section = 0
}

proctype Writer()
{
	byte updates, epoch, round, record, membarrier_other;
	bit in_section, is_active;

	do
	:: updates < UPDATES ->
		updates++;
		atomic { !registry_lock -> registry_lock = 1 };
		store(WRITER, POINTER, updates);
		synchronize();
		is_freed[updates - 1] = 1;
		registry_lock = 0
	:: else -> break
	od
}

init {
	atomic {
		memory[EPOCH] = 1;
		is_registered[0] = 1;
		run Buffer(0);
		run Buffer(1);
		run Buffer(2);
		run Writer();
		run Reader(0);
		run Reader(1)
	}
}
