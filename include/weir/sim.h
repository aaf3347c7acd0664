/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weir/sim.h - programs in virtual time: deterministic, and as fast as they compute.
 *
 * A simulation has a clock of its own (weir_sim_clock) and runs processes:
 * functions that publish, receive, acknowledge and sleep on that clock, or on
 * brokers opened on it, as threads would on the real clock. One runs at a time,
 * until it waits; nothing takes time but waiting.
 *
 *	weir_sim_open(&sim, NULL);
 *	broker_options.clock = weir_sim_clock(sim);
 *	... open brokers, subscribe ...
 *	weir_sim_spawn(sim, "orders", publish_orders, &orders);
 *	weir_sim_run_until(sim, 20.0);
 *	weir_sim_stop(sim);
 *	... close the brokers ...
 *	weir_sim_close(sim);
 *
 * The rules of time
 *  1. Time is a double, in seconds, and starts at 0. A sleep ends at now +
 *     duration in floating point.
 *  2. Events run in the order of (time, serial number of their scheduling). The
 *     clock is set to the time of an event before it runs.
 *  3. A process starts through an event at the time of its spawning, and runs
 *     until it sleeps or has to wait.
 *  4. A receive that finds a message takes it, and then gives way: the process
 *     continues through a new event at the same time.
 *  5. A receive that finds none waits in line. Whoever publishes hands the
 *     message to the first in line, whose process continues through a new event
 *     at the same time.
 *  6. A publish that need not wait runs to its end within its process's event.
 *  7. Polling does not hold time still: a process whose attempts have found
 *     nothing WEIR_SIM_POLLS_MAX times, while nothing but such attempts ran,
 *     continues through a new event after the next event of another kind.
 *
 * The same program with the same options is the same run, on any machine and
 * with any compiler: no decision depends on addresses, real time or threads.
 * What the program does by itself must not either: weir_sim_random has random
 * numbers for it.
 *
 * Threads: a simulation, its processes and the brokers on its clock are used by
 * one thread at a time. A process should not hold what belongs to a thread over
 * a wait (a mutex, errno) if runs are made by different threads. Several
 * simulations run side by side in different threads.
 */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include <stddef.h>
#include <stdint.h>

#include <weir/api.h>
#include <weir/clock.h>
#include <weir/error.h>

WEIR_BEGIN_DECLS

/* Consecutive polls without result after which a process waits for others (rule 7). */
#define WEIR_SIM_POLLS_MAX 64
/* Bytes of a process's name with its final 0. */
#define WEIR_SIM_NAME_SIZE 48
/* Bytes a stack must have at least: the library, and a printf of any double, fit into it. */
#define WEIR_SIM_STACK_SIZE_MIN        ((size_t)16 * 1024)
#define WEIR_SIM_STACK_SIZE_MAX        ((size_t)256 * 1024 * 1024)
#define WEIR_SIM_PROCESSES_MAX         ((size_t)10 * 1000 * 1000)
#define WEIR_SIM_PCT_CHANGE_POINTS_MAX 32
/* Waits refused to a process after weir_sim_stop until it is abandoned. */
#define WEIR_SIM_REFUSALS_MAX 1000

typedef struct weir_sim weir_sim;

/* Which of the events that are due at the same instant runs next. */
enum weir_schedule {
	WEIR_SCHEDULE_ORDER = 0, /* the one scheduled first: rule 2 */
	WEIR_SCHEDULE_RANDOM,    /* any, all equally likely */
	/* Each process has a random priority, and the highest that is due runs;
	 * at some random events the process that is next falls below all others.
	 * Finds bugs that need one process to overtake another at a few certain
	 * places: each seed with probability of at least 1 / (n k^d) for d change
	 * points, n processes and k events at which they might fall. */
	WEIR_SCHEDULE_PCT
};

/* How a run ended: what weir_sim_run, _run_until and _step return. */
enum weir_sim_state {
	WEIR_SIM_DONE = 0,    /* every process has ended, and no event is left */
	WEIR_SIM_MORE = 1,    /* events are left: later ones, or those after this step */
	WEIR_SIM_WAITING = 2, /* no event is left, and all processes wait: weir_sim_waits */
	WEIR_SIM_SPINNING = 3 /* the same, but some poll for what can no longer come */
};

/* An event that is about to run. */
typedef struct weir_sim_event {
	double time;      /* seconds */
	uint64_t serial;  /* of its scheduling, from 1; no two events have the same */
	uint64_t process; /* the number of its process, in order of spawning from 1; 0: a timer */
	const char *name; /* of the process; "" for a timer; valid during the call */
	const char *kind; /* "start", "sleep", "wake", "timeout", "yield", "poll" or "timer" */
} weir_sim_event;

/* A process that waits. */
typedef struct weir_sim_wait {
	uint64_t process;
	const char *name;      /* these three are valid during the call */
	const char *operation; /* "sleep", "poll", or what it called: "receive", "publish", ... */
	const char *object;    /* the topic or filter it waits at; "" where there is none */
	double since;
	double until; /* WEIR_FOREVER: no time was set */
} weir_sim_wait;

/* Every field 0 is its default. */
typedef struct weir_sim_options {
	uint64_t seed; /* of the schedule and of weir_sim_random; any value is a good one */
	enum weir_schedule schedule;
	/* WEIR_SCHEDULE_PCT: d, 1..WEIR_SIM_PCT_CHANGE_POINTS_MAX (0: 2), and k,
	 * an estimate of the events of the run (0: 1000); see weir_sim_event_count. */
	unsigned int pct_change_points;
	uint64_t pct_steps;
	/* The weir_sim_replay_string of an earlier run: replaces the four above. */
	const char *replay;
	/* Bytes of stack for each process, WEIR_SIM_STACK_SIZE_MIN.._MAX (0: 64
	 * KiB); with a guard page below. What is never touched takes no memory. A
	 * signal handler that interrupts a process runs on its stack too. */
	size_t stack_size;
	size_t processes_max; /* alive at once, 1..WEIR_SIM_PROCESSES_MAX (0: 100,000) */
	/* Called with each event before it runs, outside of any process; it may
	 * not run, step, stop or close the simulation. NULL: no trace. */
	void (*trace)(void *argument, const weir_sim_event *event);
	void *trace_argument;
} weir_sim_options;

/*
 * weir_sim_open - make a simulation, at time 0, in *sim. NULL options are all
 * defaults. It is the caller's, who ends it with weir_sim_close.
 *
 * Returns 0; WEIR_EINVAL: sim is NULL, an option is outside its range, or the
 * replay string is none; WEIR_ENOMEM.
 */
WEIR_API int weir_sim_open(weir_sim **sim, const weir_sim_options *options);

/*
 * weir_sim_stop - end all processes, in the order of their spawning. Whatever
 * one waits for returns WEIR_ESHUTDOWN, unless it had come true already, and so
 * does every later wait, at once; the process is expected to return. One that
 * waits more than WEIR_SIM_REFUSALS_MAX times instead is abandoned: it never
 * runs again, and what it held is lost. One that has not started never will.
 * No timer fires any more and no process can be spawned, but the clock still
 * tells the time, so that brokers on it can be closed now that nobody is in
 * them. Stopping again does nothing.
 *
 * Returns how many processes had to be abandoned, or WEIR_EDEADLK: called from
 * inside the simulation; WEIR_EINVAL: sim is NULL.
 */
WEIR_API int weir_sim_stop(weir_sim *sim);

/*
 * weir_sim_close - weir_sim_stop, then free the simulation with all stacks.
 * What uses its clock must be closed before. NULL is ignored.
 *
 * Returns what weir_sim_stop does; after WEIR_EDEADLK it is still open.
 */
WEIR_API int weir_sim_close(weir_sim *sim);

/* The clock of a simulation, which is valid as long as the simulation is. NULL for NULL. */
WEIR_API weir_clock *weir_sim_clock(weir_sim *sim);

/* weir_now of its clock. NULL gives NaN. */
WEIR_API double weir_sim_now(const weir_sim *sim);

/*
 * weir_sim_spawn - start a process that calls function(argument) on a stack of
 * its own, through an event at the present time. It ends when the function
 * returns, and only so (no longjmp, pthread_exit or C++ exception may leave it);
 * its stack serves the next that is spawned. Its name is copied, need not be
 * unique, and appears in traces and reports; NULL is "process". Inside and
 * outside of processes.
 *
 * Returns 0; WEIR_EINVAL: sim or function is NULL, the name has control bytes
 * or WEIR_SIM_NAME_SIZE bytes or more; WEIR_ENOMEM: also when the system has no
 * more mappings for stacks; WEIR_ELIMIT: processes_max are alive;
 * WEIR_ESHUTDOWN: after weir_sim_stop.
 */
WEIR_API int weir_sim_spawn(
	weir_sim *sim, const char *name, void (*function)(void *argument), void *argument);

/*
 * weir_sim_run - run events until none is left. Never returns if they never end.
 * weir_sim_run_until - run the events up to `time`, those at `time` included,
 *	and stop before the first later one. Now is `time` afterwards, whether or
 *	not there was an event at it; WEIR_FOREVER is weir_sim_run.
 * weir_sim_step - run one event, if there is one.
 *
 * How a run is cut into these calls has no influence on it.
 *
 * Each returns a weir_sim_state; WEIR_EINVAL: sim is NULL, or `time` is in the
 * past or not a number; WEIR_EDEADLK: called from inside the simulation;
 * WEIR_ESHUTDOWN: after weir_sim_stop.
 */
WEIR_API int weir_sim_run(weir_sim *sim);
WEIR_API int weir_sim_run_until(weir_sim *sim, double time);
WEIR_API int weir_sim_step(weir_sim *sim);

/* The events that have run. 0 for NULL. */
WEIR_API uint64_t weir_sim_event_count(const weir_sim *sim);

/*
 * weir_sim_trace_hash - 64 bits that stand for the run so far: for every event,
 * in order, its time, serial, process and kind, and for the names of processes.
 * Equal runs have equal hashes, whatever the machine, compiler or build. 0 for NULL.
 */
WEIR_API uint64_t weir_sim_trace_hash(const weir_sim *sim);

/*
 * weir_sim_replay_string - text without blanks that, as the option `replay`,
 * makes the same program run the same way again. The simulation's. NULL for NULL.
 */
WEIR_API const char *weir_sim_replay_string(const weir_sim *sim);

/*
 * weir_sim_random - the next of a sequence of random numbers that depends on
 * the seed and on nothing else: the schedule's draws are others. 0 for NULL.
 */
WEIR_API uint64_t weir_sim_random(weir_sim *sim);

/*
 * weir_sim_waits - call visit(argument, wait) for each process that waits or
 * sleeps, in the order of their spawning. It may not change the simulation.
 */
WEIR_API void weir_sim_waits(const weir_sim *sim,
	void (*visit)(void *argument, const weir_sim_wait *wait), void *argument);

/*
 * weir_sim_event_text, weir_sim_wait_text - one line of text without its end,
 * the same in every locale, for traces and reports:
 *	1.5 #12 wake 3 Analytics
 *	process 3 Analytics waits in receive at orders since 1.5 until 6.5
 * Of longer text, buffer gets the first size - 1 bytes; always a final 0, unless
 * size is 0.
 *
 * Threads: any. Returns the length of the whole text, as snprintf does.
 */
WEIR_API int weir_sim_event_text(char *buffer, size_t size, const weir_sim_event *event);
WEIR_API int weir_sim_wait_text(char *buffer, size_t size, const weir_sim_wait *wait);

WEIR_END_DECLS

#endif /* WEIR_SIM_H */
