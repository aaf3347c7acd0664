/* SPDX-License-Identifier: BSD-2-Clause */
/* virtual.c - the event loop of a simulation, and waiting in virtual time. */
#include "clock/virtual.h"

#include <string.h>

#include "base/debug.h"
#include "clock/simulation.h"
#include <weir/error.h>

/* ---- Events ---- */

void weiri_sim_hash(struct weir_sim *sim, uint64_t word)
{
	uint64_t hash = (sim->hash ^ word) * UINT64_C(0x9fb21c651e98df25);

	sim->hash = hash ^ (hash >> 32);
}

/* Odd factors keep the parts of the word apart; it takes one multiplication
 * after the other only once an event, in weiri_sim_hash. */
static void hash_event(struct weir_sim *sim, const struct weiri_event *event, uint64_t process)
{
	uint64_t time;

	memcpy(&time, &event->time, sizeof(time));
	weiri_sim_hash(sim, time * UINT64_C(0xff51afd7ed558ccd) +
				    event->serial * UINT64_C(0xc4ceb9fe1a85ec53) +
				    (process << 3 | event->kind) * UINT64_C(0x2545f4914f6cdd1d));
}

void weiri_sim_schedule(
	struct weir_sim *sim, struct weiri_event *event, double time, enum weiri_event_kind kind)
{
	weiri_assert(event->place == WEIRI_PLACE_NONE);
	event->serial = ++sim->serial;
	event->kind = (uint8_t)kind;
	if (time > sim->now) {
		event->time = time;
		event->place = WEIRI_PLACE_FUTURE;
		weiri_event_queue_add(&sim->future, event);
	} else {
		event->time = sim->now;
		event->place = WEIRI_PLACE_DUE;
		weiri_schedule_add(&sim->due, event);
	}
}

void weiri_sim_unschedule(struct weir_sim *sim, struct weiri_event *event)
{
	if (event->place == WEIRI_PLACE_FUTURE)
		weiri_event_queue_remove(&sim->future, event);
	else if (event->place == WEIRI_PLACE_DUE)
		weiri_schedule_remove(&sim->due, event);
	event->place = WEIRI_PLACE_NONE;
}

/* Something happened since these processes polled in vain. */
static void release_stalled(struct weir_sim *sim)
{
	struct weiri_process *process = sim->first_stalled;

	sim->first_stalled = NULL;
	for (; process != NULL; process = process->next_stalled) {
		process->is_stalled = false;
		weiri_sim_schedule(sim, &process->event, sim->now, WEIRI_EVENT_POLL);
	}
}

/* Go on to the time of the next event.  Returns whether there is one that may run. */
static bool advance_time(struct weir_sim *sim)
{
	const struct weiri_event_key *first = weiri_event_queue_first(&sim->future);
	uint64_t rank;

	if (first == NULL || weiri_event_rank(sim->until) < first->rank)
		return false;
	rank = first->rank;
	do {
		struct weiri_event *event = weiri_event_queue_take(&sim->future);

		sim->now = event->time;
		event->place = WEIRI_PLACE_DUE;
		weiri_schedule_add(&sim->due, event);
		first = weiri_event_queue_first(&sim->future);
	} while (first != NULL && first->rank == rank);
	return true;
}

/* Take the next event that may run; NULL if there is none. */
static struct weiri_event *take_event(struct weir_sim *sim)
{
	struct weiri_event *event;

	if (sim->events_left == 0)
		return NULL;
	if (sim->first_stalled != NULL && sim->stalled_at != sim->happened)
		release_stalled(sim);
	if (weiri_schedule_is_empty(&sim->due) && !advance_time(sim))
		return NULL;
	event = weiri_schedule_take(&sim->due);
	event->place = WEIRI_PLACE_NONE;
	sim->events_left--;
	sim->event_count++;
	sim->happened += event->kind != WEIRI_EVENT_POLL;
	hash_event(
		sim, event, event->kind == WEIRI_EVENT_TIMER ? 0 : weiri_process_of(event)->number);
	return event;
}

/* ---- The loop ---- */

void weiri_sim_loop(struct weir_sim *sim)
{
	sim->chosen = take_event(sim);
	while (sim->chosen != NULL) {
		struct weiri_event *event = sim->chosen;

		if (sim->options.trace != NULL)
			weiri_sim_trace(sim, event);
		if (event->kind == WEIRI_EVENT_TIMER) {
			struct weiri_sim_timer *timer = (struct weiri_sim_timer *)(void *)event;

			timer->fire(timer);
			sim->chosen = take_event(sim);
		} else {
			/* Comes back when a process has chosen an event for us. */
			sim->current = weiri_process_of(event);
			weiri_fiber_switch(&sim->loop, &sim->current->fiber);
		}
	}
}

/* The fiber that has to run the next event. */
static struct weiri_fiber *next_fiber(struct weir_sim *sim)
{
	struct weiri_event *event = take_event(sim);

	if (event == NULL || event->kind == WEIRI_EVENT_TIMER || sim->options.trace != NULL) {
		sim->current = NULL;
		sim->chosen = event;
		return &sim->loop;
	}
	sim->current = weiri_process_of(event);
	return &sim->current->fiber;
}

void weiri_sim_leave(struct weir_sim *sim, struct weiri_process *process)
{
	struct weiri_fiber *next;

	if (sim->is_stopped) {
		sim->current = NULL;
		next = &sim->loop;
	} else {
		next = next_fiber(sim);
	}
	if (next != &process->fiber)
		weiri_fiber_switch(&process->fiber, next);
}

/* ---- Waiting ---- */

/* A wait of a process that is to end.  Returns WEIR_ESHUTDOWN, too often never. */
static int refuse(struct weir_sim *sim, struct weiri_process *process)
{
	if (++process->refusals > WEIR_SIM_REFUSALS_MAX)
		weiri_sim_leave(sim, process);
	return WEIR_ESHUTDOWN;
}

static double virtual_now(struct weir_clock *clock)
{
	return weiri_sim_of(clock)->now;
}

/* As weiri_waiter_disarm, without its exchange: nobody can come in between. */
static bool disarm(struct weiri_waiter *waiter)
{
	bool was_notified = weiri_load_relaxed(&waiter->state) == WEIRI_WAITER_NOTIFIED;

	weiri_store_relaxed(&waiter->state, WEIRI_WAITER_IDLE);
	return was_notified;
}

static int virtual_park(struct weir_clock *clock, struct weiri_waiter *waiter, double deadline)
{
	struct weir_sim *sim = weiri_sim_of(clock);
	struct weiri_process *process = sim->current;

	if (process != NULL && !sim->is_stopped &&
		weiri_load_relaxed(&waiter->state) == WEIRI_WAITER_WAITING) {
		sim->happened++;
		process->since = sim->now;
		process->waiter = waiter;
		waiter->process = process;
		process->event.kind = WEIRI_EVENT_TIMEOUT;
		if (deadline < WEIR_FOREVER)
			weiri_sim_schedule(sim, &process->event, deadline, WEIRI_EVENT_TIMEOUT);
		weiri_sim_leave(sim, process);
		waiter->process = NULL;
		process->waiter = NULL;
		if (!sim->is_stopped)
			return disarm(waiter) ? 0 : WEIR_ETIMEDOUT;
	}
	if (disarm(waiter))
		return 0;
	return process == NULL ? WEIR_EDEADLK : refuse(sim, process);
}

static void virtual_unpark(struct weir_clock *clock, struct weiri_waiter *waiter)
{
	struct weir_sim *sim = weiri_sim_of(clock);
	struct weiri_process *process = waiter->process;

	/* Armed, but not parked yet: it will see that it was notified. */
	if (process == NULL)
		return;
	sim->happened++;
	weiri_sim_unschedule(sim, &process->event);
	weiri_sim_schedule(sim, &process->event, sim->now, WEIRI_EVENT_WAKE);
}

static int virtual_sleep_until(struct weir_clock *clock, double time)
{
	struct weir_sim *sim = weiri_sim_of(clock);
	struct weiri_process *process = sim->current;

	if (process == NULL)
		return WEIR_EDEADLK;
	if (sim->is_stopped)
		return refuse(sim, process);
	sim->happened++;
	process->since = sim->now;
	process->event.kind = WEIRI_EVENT_SLEEP;
	if (time < WEIR_FOREVER)
		weiri_sim_schedule(sim, &process->event, time, WEIRI_EVENT_SLEEP);
	weiri_sim_leave(sim, process);
	return sim->is_stopped ? WEIR_ESHUTDOWN : 0;
}

static void virtual_give_way(struct weir_clock *clock)
{
	struct weir_sim *sim = weiri_sim_of(clock);
	struct weiri_process *process = sim->current;

	if (process == NULL)
		return;
	if (sim->is_stopped) {
		(void)refuse(sim, process);
		return;
	}
	sim->happened++;
	weiri_sim_schedule(sim, &process->event, sim->now, WEIRI_EVENT_YIELD);
	weiri_sim_leave(sim, process);
}

/* Wait, in line with those before, until something has happened. */
static void stall(struct weir_sim *sim, struct weiri_process *process)
{
	process->is_stalled = true;
	process->next_stalled = NULL;
	process->event.kind = WEIRI_EVENT_POLL;
	if (sim->first_stalled == NULL)
		sim->first_stalled = process;
	else
		sim->last_stalled->next_stalled = process;
	sim->last_stalled = process;
	sim->stalled_at = sim->happened;
}

static void virtual_pause(struct weir_clock *clock)
{
	struct weir_sim *sim = weiri_sim_of(clock);
	struct weiri_process *process = sim->current;

	if (process == NULL)
		return;
	if (sim->is_stopped) {
		(void)refuse(sim, process);
		return;
	}
	if (process->polled_at != sim->happened) {
		process->polled_at = sim->happened;
		process->since = sim->now;
		process->polls = 0;
	}
	if (++process->polls < WEIR_SIM_POLLS_MAX)
		weiri_sim_schedule(sim, &process->event, sim->now, WEIRI_EVENT_POLL);
	else
		stall(sim, process);
	weiri_sim_leave(sim, process);
}

static void virtual_changed(struct weir_clock *clock)
{
	weiri_sim_of(clock)->happened++;
}

const struct weiri_clock_operations weiri_virtual_clock_operations = {
	.now = virtual_now,
	.now_roughly = virtual_now,
	.park = virtual_park,
	.unpark = virtual_unpark,
	.give_way = virtual_give_way,
	.pause = virtual_pause,
	.changed = virtual_changed,
	.sleep_until = virtual_sleep_until,
};

/* ---- Timers ---- */

int weiri_sim_reserve(struct weir_sim *sim, size_t count)
{
	int error = weiri_event_queue_reserve(&sim->future, count);

	return error != 0 ? error : weiri_schedule_reserve(&sim->due, count);
}

int weiri_sim_timer_init(struct weiri_sim_timer *timer, struct weir_clock *clock,
	void (*fire_function)(struct weiri_sim_timer *timer))
{
	struct weir_sim *sim = weiri_sim_of(clock);
	int error = weiri_sim_reserve(sim, sim->record_count + sim->timer_count + 1);

	if (error != 0)
		return error;
	sim->timer_count++;
	*timer = (struct weiri_sim_timer){ .fire = fire_function };
	timer->event.kind = WEIRI_EVENT_TIMER;
	return 0;
}

void weiri_sim_timer_destroy(struct weiri_sim_timer *timer, struct weir_clock *clock)
{
	(void)weiri_sim_timer_cancel(timer, clock);
	weiri_sim_of(clock)->timer_count--;
}

void weiri_sim_timer_start(struct weiri_sim_timer *timer, struct weir_clock *clock, double time)
{
	struct weir_sim *sim = weiri_sim_of(clock);

	weiri_sim_unschedule(sim, &timer->event);
	weiri_schedule_admit(&sim->due, &timer->event);
	if (time < WEIR_FOREVER)
		weiri_sim_schedule(sim, &timer->event, time, WEIRI_EVENT_TIMER);
}

bool weiri_sim_timer_cancel(struct weiri_sim_timer *timer, struct weir_clock *clock)
{
	bool was_started = timer->event.place != WEIRI_PLACE_NONE;

	weiri_sim_unschedule(weiri_sim_of(clock), &timer->event);
	return was_started;
}
