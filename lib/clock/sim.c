/* SPDX-License-Identifier: BSD-2-Clause */
/* sim.c - simulations and their processes, from opening to closing: weir/sim.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock/simulation.h"

#define STACK_SIZE_DEFAULT    ((size_t)64 * 1024)
#define PROCESSES_DEFAULT     ((size_t)100 * 1000)
#define CHANGE_POINTS_DEFAULT 2
#define STEPS_DEFAULT         1000

/* The colours of the process records, see simulation.h. */
#define COLOUR_COUNT 16
#define COLOUR_SIZE  ((size_t)128)

/* What the mapping of a stack has above what the user asked for. */
#define STACK_OVERHEAD \
	(WEIRI_FIBER_STACK_EXTRA + COLOUR_COUNT * COLOUR_SIZE + sizeof(struct weiri_process))

/* The streams of a seed, see random.h; the schedule's own is in schedule.c. */
#define STREAM_PROGRAM 2

/* ---- Opening ---- */

static bool options_are_valid(const weir_sim_options *options)
{
	return (unsigned)options->schedule <= WEIR_SCHEDULE_PCT &&
	       options->pct_change_points <= WEIR_SIM_PCT_CHANGE_POINTS_MAX &&
	       options->stack_size >= WEIR_SIM_STACK_SIZE_MIN &&
	       options->stack_size <= WEIR_SIM_STACK_SIZE_MAX &&
	       options->processes_max <= WEIR_SIM_PROCESSES_MAX;
}

/* Returns whether the options are valid; then *complete has the defaults filled in. */
static bool complete_options(weir_sim_options *complete, const weir_sim_options *options)
{
	if (options != NULL)
		*complete = *options;
	if (complete->replay != NULL && !weiri_sim_read_replay(complete->replay, complete))
		return false;
	if (complete->pct_change_points == 0)
		complete->pct_change_points = CHANGE_POINTS_DEFAULT;
	if (complete->pct_steps == 0)
		complete->pct_steps = STEPS_DEFAULT;
	if (complete->stack_size == 0)
		complete->stack_size = STACK_SIZE_DEFAULT;
	if (complete->processes_max == 0)
		complete->processes_max = PROCESSES_DEFAULT;
	return options_are_valid(complete);
}

int weir_sim_open(weir_sim **result, const weir_sim_options *options)
{
	weir_sim_options complete = { .seed = 0 };
	weir_sim *sim;

	if (result == NULL || !complete_options(&complete, options))
		return WEIR_EINVAL;
	sim = calloc(1, sizeof(*sim));
	if (sim == NULL)
		return WEIR_ENOMEM;
	sim->clock.operations = &weiri_virtual_clock_operations;
	sim->clock.is_virtual = true;
	sim->options = complete;
	sim->options.replay = NULL;
	weiri_event_queue_init(&sim->future);
	weiri_schedule_init(&sim->due, &complete);
	weiri_stack_arena_init(&sim->stacks, complete.stack_size + STACK_OVERHEAD);
	sim->random = weiri_random_stream(complete.seed, STREAM_PROGRAM);
	weiri_sim_write_replay(sim);
	*result = sim;
	return 0;
}

/* ---- Processes ---- */

static void link_alive(weir_sim *sim, struct weiri_process *process)
{
	process->next = NULL;
	process->previous = sim->last_alive;
	if (sim->last_alive != NULL)
		sim->last_alive->next = process;
	else
		sim->first_alive = process;
	sim->last_alive = process;
	sim->alive_count++;
}

/* The process is no longer alive; its record and stack wait for another. */
static void retire(weir_sim *sim, struct weiri_process *process)
{
	if (process->previous != NULL)
		process->previous->next = process->next;
	else
		sim->first_alive = process->next;
	if (process->next != NULL)
		process->next->previous = process->previous;
	else
		sim->last_alive = process->previous;
	sim->alive_count--;
	process->next = sim->ended;
	sim->ended = process;
}

/* What the fiber of a process record runs: one process after the other. */
static void run_processes(void *argument)
{
	struct weiri_process *process = argument;
	weir_sim *sim = process->sim;

	for (;;) {
		process->is_started = true;
		process->function(process->argument);
		sim->happened++;
		retire(sim, process);
		weiri_sim_leave(sim, process);
	}
}

/* A record with a stack and a fiber that nobody uses, at the top of sim->ended. */
static int add_record(weir_sim *sim)
{
	size_t colour = sim->record_count % COLOUR_COUNT * COLOUR_SIZE;
	struct weiri_process *process;
	void *stack;
	size_t stack_size;
	int error = weiri_sim_reserve(sim, sim->record_count + sim->timer_count + 1);

	if (error == 0)
		error = weiri_stack_arena_add(&sim->stacks, &stack);
	if (error != 0)
		return error;
	stack_size = (sim->stacks.stack_size - colour - sizeof(*process)) / 64 * 64;
	process = (struct weiri_process *)(void *)((char *)stack + stack_size);
	process->sim = sim;
	weiri_fiber_create(&process->fiber, stack, stack_size, run_processes, process);
	sim->record_count++;
	process->next = sim->ended;
	sim->ended = process;
	return 0;
}

/* The length of a valid name, else -1. */
static int name_length(const char *name)
{
	int length = 0;

	for (; name[length] != '\0'; length++) {
		if (length + 1 >= WEIR_SIM_NAME_SIZE || (unsigned char)name[length] < ' ' ||
			name[length] == '\x7f')
			return -1;
	}
	return length;
}

static void hash_name(weir_sim *sim, const char *name)
{
	for (; *name != '\0'; name++)
		weiri_sim_hash(sim, (unsigned char)*name);
	weiri_sim_hash(sim, UINT64_C(0x100));
}

/* Make the record at the top of sim->ended that of a new process. */
static void start(weir_sim *sim, const char *name, void (*function)(void *argument), void *argument)
{
	struct weiri_process *process = sim->ended;

	sim->ended = process->next;
	process->number = ++sim->spawned;
	process->function = function;
	process->argument = argument;
	process->is_started = false;
	process->polls = 0;
	process->polled_at = UINT64_MAX;
	memcpy(process->name, name, strlen(name) + 1);
	hash_name(sim, name);
	link_alive(sim, process);
	weiri_schedule_admit(&sim->due, &process->event);
	weiri_sim_schedule(sim, &process->event, sim->now, WEIRI_EVENT_START);
	sim->happened++;
}

int weir_sim_spawn(
	weir_sim *sim, const char *name, void (*function)(void *argument), void *argument)
{
	int error;

	if (name == NULL)
		name = "process";
	if (sim == NULL || function == NULL || name_length(name) < 0)
		return WEIR_EINVAL;
	if (sim->is_stopped)
		return WEIR_ESHUTDOWN;
	if (sim->alive_count >= sim->options.processes_max)
		return WEIR_ELIMIT;
	if (sim->ended == NULL) {
		error = add_record(sim);
		if (error != 0)
			return error;
	}
	start(sim, name, function, argument);
	return 0;
}

/* ---- Running ---- */

static int state(const weir_sim *sim)
{
	if (!weiri_schedule_is_empty(&sim->due) || !weiri_event_queue_is_empty(&sim->future) ||
		(sim->first_stalled != NULL && sim->stalled_at != sim->happened))
		return WEIR_SIM_MORE;
	if (sim->first_stalled != NULL)
		return WEIR_SIM_SPINNING;
	return sim->alive_count == 0 ? WEIR_SIM_DONE : WEIR_SIM_WAITING;
}

static int run(weir_sim *sim, double until, uint64_t events)
{
	if (sim == NULL)
		return WEIR_EINVAL;
	if (sim->is_running)
		return WEIR_EDEADLK;
	if (sim->is_stopped)
		return WEIR_ESHUTDOWN;
	/* Written so that a NaN is refused. */
	if (!(until >= sim->now))
		return WEIR_EINVAL;
	sim->is_running = true;
	sim->until = until;
	sim->events_left = events;
	weiri_fiber_adopt(&sim->loop);
	weiri_sim_loop(sim);
	sim->is_running = false;
	return state(sim);
}

int weir_sim_run(weir_sim *sim)
{
	return run(sim, WEIR_FOREVER, UINT64_MAX);
}

int weir_sim_step(weir_sim *sim)
{
	return run(sim, WEIR_FOREVER, 1);
}

int weir_sim_run_until(weir_sim *sim, double time)
{
	int result = run(sim, time, UINT64_MAX);

	if (result >= 0 && time < WEIR_FOREVER)
		sim->now = time;
	return result;
}

/* ---- Stopping ---- */

/* Let a process run to its end.  Returns whether it did end. */
static bool unwind(weir_sim *sim, struct weiri_process *process)
{
	weiri_sim_unschedule(sim, &process->event);
	process->refusals = 0;
	if (process->is_started) {
		sim->current = process;
		weiri_fiber_switch(&sim->loop, &process->fiber);
		if (process != sim->first_alive)
			return true;
	}
	retire(sim, process);
	return !process->is_started;
}

int weir_sim_stop(weir_sim *sim)
{
	int abandoned = 0;

	if (sim == NULL)
		return WEIR_EINVAL;
	if (sim->is_running)
		return WEIR_EDEADLK;
	sim->is_running = true;
	sim->is_stopped = true;
	sim->first_stalled = NULL;
	weiri_fiber_adopt(&sim->loop);
	while (sim->first_alive != NULL)
		abandoned += !unwind(sim, sim->first_alive);
	sim->is_running = false;
	return abandoned;
}

int weir_sim_close(weir_sim *sim)
{
	int result;

	if (sim == NULL)
		return 0;
	result = weir_sim_stop(sim);
	if (result < 0)
		return result;
	for (struct weiri_process *process = sim->ended; process != NULL; process = process->next)
		weiri_fiber_destroy(&process->fiber);
	weiri_stack_arena_destroy(&sim->stacks);
	weiri_schedule_destroy(&sim->due);
	weiri_event_queue_destroy(&sim->future);
	free(sim);
	return result;
}

/* ---- Asking ---- */

weir_clock *weir_sim_clock(weir_sim *sim)
{
	return sim == NULL ? NULL : &sim->clock;
}

double weir_sim_now(const weir_sim *sim)
{
	return sim == NULL ? (double)NAN : sim->now;
}

uint64_t weir_sim_event_count(const weir_sim *sim)
{
	return sim == NULL ? 0 : sim->event_count;
}

uint64_t weir_sim_trace_hash(const weir_sim *sim)
{
	return sim == NULL ? 0 : sim->hash;
}

uint64_t weir_sim_random(weir_sim *sim)
{
	return sim == NULL ? 0 : weiri_random_next(&sim->random);
}
