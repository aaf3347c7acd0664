/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bench: what all of the harness and all peers share, in C and in C++.
 *
 * A map of the words:
 *   peer       a library under test, or the queue that one would write oneself
 *   shape      how many publishers and subscribers, of what size, waiting how
 *   channel    a peer set up in a shape: everything between the two ends
 *   run        one measurement of one peer in one shape; it checks that every
 *              subscriber got every message, in order, undamaged
 *   repeat     a run together with the state of the machine while it lasted
 *   workload   a row of cases that belong together, each with its shape
 *
 * A message: bytes 0-7 are the publisher's number << 56 | its sequence, bytes
 * 8-15 the time it was due (paced runs only), the last 8 bytes the sequence
 * again.  The last message of each publisher carries BENCH_END instead of its
 * sequence, so that a run may end early.
 */
#ifndef BENCH_H
#define BENCH_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_LINE            64
#define BENCH_PUBLISHERS_MAX  8
#define BENCH_SUBSCRIBERS_MAX 64
#define BENCH_BATCH           32
#define BENCH_FIGURES_MAX     6
#define BENCH_END             (((uint64_t)1 << 56) - 1)

/* How the two ends wait.  A peer offers some of them. */
enum bench_mode {
	BENCH_SPIN = 1,    /* poll with a pause in between */
	BENCH_YIELD = 2,   /* poll, and yield the processor after 64 vain looks */
	BENCH_DEFAULT = 4, /* as the peer waits when nothing is said */
	BENCH_PARK = 8,    /* sleep at once */
};

struct bench_shape {
	unsigned int publishers;
	unsigned int subscribers;
	size_t size;     /* of the payload, in bytes; at least 8 */
	size_t capacity; /* messages that a subscriber may be behind */
	unsigned int mode;
	unsigned int batch; /* messages for each call; 1, or BENCH_BATCH where the peer can */
	bool is_loaned;     /* written in place instead of copied in, where the peer can */
	bool is_pinned;     /* publishers on CPU 0, subscribers on CPU 1 */
	bool is_latency;    /* every message counts: nothing may be held back to fill a batch */
};

/* What a peer can do besides the plain call. */
enum bench_ability {
	BENCH_CAN_BATCH = 1,
	BENCH_CAN_LOAN = 2,
};

/* What one subscriber has taken of one publisher, and a sleeping publisher's gate;
 * for peers whose publisher the harness holds back (loops.h). */
struct bench_passed {
	uint64_t count;
	unsigned char apart[BENCH_LINE - sizeof(uint64_t)];
};
struct bench_gate {
	int is_closed;
	unsigned char apart[BENCH_LINE - sizeof(int)];
};

/* One end of a run, as its loop sees it. */
struct bench_end {
	const struct bench_shape *shape;
	unsigned int index;
	uint64_t messages;     /* to publish */
	uint64_t deadline;     /* publishing ends early then */
	uint64_t interval;     /* paced: nanoseconds from one message to the next */
	unsigned char *buffer; /* BENCH_BATCH payloads, each on lines of its own */
	size_t stride;         /* from one to the next */
	uint64_t begun;        /* when the first message was published */
	uint64_t ended;        /* when the last one was received */
	uint64_t count;        /* messages published, or received */
	uint32_t *times;       /* of each round trip, or each paced message, in ns */

	uint64_t window;      /* messages of one publisher that may be on their way: a power of 2 */
	uint64_t window_seen; /* what all subscribers are known to have of this one's */
	/* Of a subscriber: its own, one for each publisher; of a publisher: all of
	 * the subscribers', BENCH_PUBLISHERS_MAX for each. */
	struct bench_passed *passed;
	struct bench_gate *gates; /* one for each publisher */
};

/* A program that a peer of this process talks to: the peer starts it when it first
 * needs it, and it ends with weir-bench, however that ends. */
struct bench_server {
	bool (*is_there)(void);
	pid_t (*process)(void); /* 0: not started */
};

/*
 * A peer: the ops table.  The loops are compiled for each peer from the same
 * text (bench/loops.h), with its calls inlined as far as its headers allow, so
 * that no peer pays for being called through this table: it is called once a run.
 */
struct bench_peer {
	const char *name;  /* for the command line */
	const char *title; /* for tables */
	unsigned int modes;
	unsigned int abilities;
	unsigned int publishers_max;
	unsigned int subscribers_max;
	unsigned int settle_ms;            /* that subscriptions take to reach the publishers */
	bool is_variant;                   /* enters only where a workload names it */
	const char *program;               /* of an external peer: no field below counts */
	const struct bench_server *server; /* NULL: none */

	void *(*open)(const struct bench_shape *shape);
	/* Both are called in the thread that will use the end. */
	void *(*publisher_open)(void *channel, unsigned int index);
	void *(*subscriber_open)(void *channel, unsigned int index);
	/* Every end is idle.  NULL, or what the peer's own counters say against the
	 * run, given what each subscriber received. */
	const char *(*close)(void *channel, uint64_t received);

	void (*publish)(struct bench_end *end, void *publisher);
	void (*receive)(struct bench_end *end, void *subscriber);
	void (*ping)(struct bench_end *end, void *publisher, void *subscriber);
	void (*echo)(struct bench_end *end, void *publisher, void *subscriber);
	void (*pace)(struct bench_end *end, void *publisher);
	void (*receive_paced)(struct bench_end *end, void *subscriber);
};

/* Ends the program: the harness cannot go on, or a run was wrong. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *format, ...);

/* Memory filled with zeros, on lines of its own; or ends the program. */
void *bench_memory(size_t bytes);
void bench_memory_free(void *memory);

/* Puts the calling thread on a CPU; on all of them, if negative. */
void bench_pin(int cpu);

/* Waits until the window lets this message of the publisher go. */
void bench_window_wait(struct bench_end *end, uint64_t sequence);

static inline uint64_t bench_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static inline void bench_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

/* One vain look more, counted in *looks. */
static inline void bench_idle(unsigned int mode, unsigned int *looks)
{
	if (mode != BENCH_SPIN && ++*looks >= 64) {
		*looks = 0;
		(void)sched_yield();
	} else {
		bench_relax();
	}
}

#ifdef __cplusplus
}
#endif

#endif
