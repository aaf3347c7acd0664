/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine with store buffers (x86-TSO), for the models beside this file.
 *
 * Each thread's stores go into a queue of its own and reach the memory later, in
 * order; a load sees the thread's own newest store of the word, or the memory.
 * So a store followed by a load of another word may happen in the other order,
 * which is the only reordering there is.
 *
 *	store(t, w, v)   weiri_store_*
 *	LOAD(t, w)       weiri_load_*; an expression
 *	FENCE(t)         weiri_fence_full; a statement that waits for the buffer
 *	atomic { FENCE(t) -> ... memory[w] ... }   one read-modify-write
 *	membarrier(t)    weiri_fence_heavy: every thread passes a fence meanwhile
 *
 * The including file defines THREADS, WORDS and DEPTH (places of a buffer), and
 * runs one Buffer(t) for each thread.
 */
byte memory[WORDS];
byte newest[THREADS * WORDS];  /* the thread's own last store of the word ... */
byte pending[THREADS * WORDS]; /* ... if this many are still in the buffer */
chan buffer[THREADS] = [DEPTH] of { byte, byte };

#define LOAD(t, w) (pending[(t) * WORDS + (w)] > 0 -> newest[(t) * WORDS + (w)] : memory[w])
#define FENCE(t) (empty(buffer[t]))

inline store(t, w, v)
{
	atomic {
		buffer[t]!w, v;
		newest[(t) * WORDS + (w)] = v;
		pending[(t) * WORDS + (w)]++
	}
}

inline membarrier(t)
{
	FENCE(t);
	membarrier_other = 0;
	do
	:: membarrier_other < THREADS ->
		FENCE(membarrier_other);
		membarrier_other++
	:: else -> break
	od;
	membarrier_other = 0
}

proctype Buffer(byte t)
{
	byte w, v;
end:
	do
	:: d_step {
		buffer[t]?w, v;
		memory[w] = v;
		pending[t * WORDS + w]--;
		if
		:: pending[t * WORDS + w] == 0 -> newest[t * WORDS + w] = 0
		:: else
		fi;
		w = 0;
		v = 0
	}
	od
}
