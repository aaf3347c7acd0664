/* SPDX-License-Identifier: BSD-2-Clause */
/* The timer thread and its heap; or events of a simulation. */
#include "delivery/timers.h"

#include <signal.h>
#include <time.h>

#include <weir/error.h>

/* Deadlines beyond this many seconds from zero are the same as none. */
#define SECONDS_MAX 9.2e9

#define TIMER_OF(heap_node) \
	((struct weiri_timer *)(void *)((char *)(heap_node)-offsetof(struct weiri_timer, node)))

static int condition_open(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	int error = pthread_condattr_init(&attributes);

	if (error != 0)
		return error;
	error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (error == 0)
		error = pthread_cond_init(condition, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return error;
}

int weiri_timers_open(
	struct weiri_timers *timers, struct weir_clock *clock, const weir_allocator *allocator)
{
	timers->clock = clock;
	timers->allocator = allocator;
	if (pthread_mutex_init(&timers->mutex, NULL) != 0)
		return WEIR_ESYSTEM;
	if (condition_open(&timers->changed) != 0) {
		(void)pthread_mutex_destroy(&timers->mutex);
		return WEIR_ESYSTEM;
	}
	return 0;
}

void weiri_timers_stop(struct weiri_timers *timers)
{
	bool has_thread;

	(void)pthread_mutex_lock(&timers->mutex);
	timers->is_closing = true;
	has_thread = timers->has_thread;
	timers->has_thread = false;
	(void)pthread_cond_broadcast(&timers->changed);
	(void)pthread_mutex_unlock(&timers->mutex);
	if (has_thread)
		(void)pthread_join(timers->thread, NULL);
}

void weiri_timers_close(struct weiri_timers *timers)
{
	weiri_timers_stop(timers);
	weiri_heap_close(&timers->heap, timers->allocator);
	(void)pthread_cond_destroy(&timers->changed);
	(void)pthread_mutex_destroy(&timers->mutex);
}

/* Mutex held: sleep until something changes, or until `time`. */
static void sleep_until(struct weiri_timers *timers, double time)
{
	struct timespec limit;
	double rest;

	if (time > SECONDS_MAX) {
		(void)pthread_cond_wait(&timers->changed, &timers->mutex);
		return;
	}
	limit.tv_sec = (time_t)time;
	rest = (time - (double)limit.tv_sec) * 1e9;
	/* Rounded up, so that the thread need not look twice. */
	limit.tv_nsec = (long)rest + 1;
	if (limit.tv_nsec >= 1000000000) {
		limit.tv_nsec -= 1000000000;
		limit.tv_sec++;
	}
	(void)pthread_cond_timedwait(&timers->changed, &timers->mutex, &limit);
}

/* Mutex held, and let go while the function runs. */
static void fire(struct weiri_timers *timers, struct weiri_heap_node *node)
{
	struct weiri_timer *timer = TIMER_OF(node);

	weiri_heap_remove(&timers->heap, node);
	timers->firing = timer;
	(void)pthread_mutex_unlock(&timers->mutex);
	timer->fire(timer);
	(void)pthread_mutex_lock(&timers->mutex);
	timers->firing = NULL;
	(void)pthread_cond_broadcast(&timers->changed);
}

static void *timers_run(void *argument)
{
	struct weiri_timers *timers = argument;

	(void)pthread_mutex_lock(&timers->mutex);
	while (!timers->is_closing) {
		struct weiri_heap_node *first = weiri_heap_first(&timers->heap);

		if (first != NULL && first->key <= weiri_clock_now(timers->clock))
			fire(timers, first);
		else
			sleep_until(timers, first != NULL ? first->key : WEIR_FOREVER);
	}
	(void)pthread_mutex_unlock(&timers->mutex);
	return NULL;
}

/* Mutex held.  The thread must not take the program's signals. */
static int thread_start(struct weiri_timers *timers)
{
	sigset_t all, before;
	int error;

	if (timers->has_thread || timers->is_closing)
		return 0;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&timers->thread, NULL, timers_run, timers);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return WEIR_ESYSTEM;
	(void)pthread_setname_np(timers->thread, "weir-timers");
	timers->has_thread = true;
	return 0;
}

static void simulated_fire(struct weiri_sim_timer *simulated)
{
	struct weiri_timer *timer = (struct weiri_timer *)(void *)simulated;

	timer->fire(timer);
}

int weiri_timer_open(struct weiri_timers *timers, struct weiri_timer *timer,
	void (*function)(struct weiri_timer *timer))
{
	int error;

	timer->fire = function;
	timer->node.position = WEIRI_HEAP_NOWHERE;
	if (timers->clock->is_virtual)
		return weiri_sim_timer_init(&timer->simulated, timers->clock, simulated_fire);
	(void)pthread_mutex_lock(&timers->mutex);
	error = weiri_heap_reserve(&timers->heap, timers->timer_count + 1, timers->allocator);
	if (error == 0)
		error = thread_start(timers);
	if (error == 0)
		timers->timer_count++;
	(void)pthread_mutex_unlock(&timers->mutex);
	return error;
}

/* Mutex held. */
static void take_out(struct weiri_timers *timers, struct weiri_timer *timer)
{
	if (timer->node.position != WEIRI_HEAP_NOWHERE)
		weiri_heap_remove(&timers->heap, &timer->node);
}

void weiri_timer_close(struct weiri_timers *timers, struct weiri_timer *timer)
{
	if (timers->clock->is_virtual) {
		weiri_sim_timer_destroy(&timer->simulated, timers->clock);
		return;
	}
	(void)pthread_mutex_lock(&timers->mutex);
	take_out(timers, timer);
	timers->timer_count--;
	while (timers->firing == timer && !pthread_equal(timers->thread, pthread_self()))
		(void)pthread_cond_wait(&timers->changed, &timers->mutex);
	take_out(timers, timer);
	(void)pthread_mutex_unlock(&timers->mutex);
}

void weiri_timer_start(struct weiri_timers *timers, struct weiri_timer *timer, double time)
{
	bool is_first;

	if (timers->clock->is_virtual) {
		weiri_sim_timer_start(&timer->simulated, timers->clock, time);
		return;
	}
	(void)pthread_mutex_lock(&timers->mutex);
	take_out(timers, timer);
	if (time < WEIR_FOREVER) {
		timer->node.key = time;
		timer->node.serial = ++timers->serial;
		weiri_heap_add(&timers->heap, &timer->node);
	}
	is_first = weiri_heap_first(&timers->heap) == &timer->node;
	if (is_first)
		(void)pthread_cond_broadcast(&timers->changed);
	(void)pthread_mutex_unlock(&timers->mutex);
}
