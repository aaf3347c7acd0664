/* SPDX-License-Identifier: BSD-2-Clause */
/* A ledger's own life, and its life with an owner. */
#include "delivery/ledger.h"

#include <weir/error.h>

static void timer_fired(struct weiri_timer *timer)
{
	struct weiri_ledger *ledger =
		(void *)((char *)timer - offsetof(struct weiri_ledger, timer));

	ledger->on_due(ledger);
}

static void event_fired(struct weiri_timer *timer)
{
	struct weiri_ledger_event *event = (void *)timer;
	struct weiri_ledger *ledger = event->ledger;

	ledger->fired = &ledger->entries[event - ledger->events];
	ledger->on_due(ledger);
}

int weiri_ledger_open(struct weiri_ledger *ledger, struct weiri_timers *timers,
	const weir_allocator *allocator, void (*on_due)(struct weiri_ledger *ledger))
{
	int error;

	ledger->timers = timers;
	ledger->allocator = allocator;
	ledger->on_due = on_due;
	ledger->timer_time = WEIR_FOREVER;
	if (pthread_mutex_init(&ledger->mutex, NULL) != 0)
		return WEIR_ESYSTEM;
	error = weiri_timer_open(timers, &ledger->timer, timer_fired);
	if (error != 0)
		(void)pthread_mutex_destroy(&ledger->mutex);
	return error;
}

void weiri_ledger_close(struct weiri_ledger *ledger)
{
	weiri_timer_close(ledger->timers, &ledger->timer);
	(void)pthread_mutex_destroy(&ledger->mutex);
}

void weiri_ledger_lock(struct weiri_ledger *ledger)
{
	(void)pthread_mutex_lock(&ledger->mutex);
}

void weiri_ledger_unlock(struct weiri_ledger *ledger)
{
	(void)pthread_mutex_unlock(&ledger->mutex);
}

static void entries_free(struct weiri_ledger *ledger)
{
	for (size_t i = 0; ledger->events != NULL && i < ledger->size; i++)
		if (ledger->events[i].ledger != NULL)
			weiri_timer_close(ledger->timers, &ledger->events[i].timer);
	weiri_deallocate(ledger->allocator, ledger->events, ledger->size * sizeof(*ledger->events));
	weiri_deallocate(
		ledger->allocator, ledger->entries, ledger->size * sizeof(*ledger->entries));
	weiri_heap_close(&ledger->others, ledger->allocator);
	weiri_parking_close(&ledger->parking, ledger->allocator);
	ledger->others = (struct weiri_heap){ 0 };
	ledger->events = NULL;
	ledger->entries = NULL;
	ledger->idle = NULL;
	ledger->size = 0;
}

static int events_make(struct weiri_ledger *ledger)
{
	ledger->events = weiri_allocate(
		ledger->allocator, ledger->size * sizeof(*ledger->events), WEIRI_CACHE_LINE);
	if (ledger->events == NULL)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < ledger->size; i++) {
		int error = weiri_timer_open(ledger->timers, &ledger->events[i].timer, event_fired);

		if (error != 0)
			return error;
		ledger->events[i].ledger = ledger;
	}
	return 0;
}

static int entries_make(struct weiri_ledger *ledger, size_t size)
{
	int error = weiri_heap_reserve(&ledger->others, size, ledger->allocator);

	ledger->entries = weiri_allocate(
		ledger->allocator, size * sizeof(*ledger->entries), WEIRI_CACHE_LINE);
	if (ledger->entries == NULL || error != 0)
		return WEIR_ENOMEM;
	ledger->size = size;
	/* The first ones are used first. */
	for (size_t i = size; i-- > 0;) {
		ledger->entries[i].next = ledger->idle;
		ledger->entries[i].deadline = WEIR_FOREVER;
		ledger->entries[i].is_fenced = true;
		ledger->idle = &ledger->entries[i];
	}
	return ledger->timers->clock->is_virtual ? events_make(ledger) : 0;
}

int weiri_ledger_own(
	struct weiri_ledger *ledger, void *owner, const struct weiri_ledger_options *options)
{
	int error = entries_make(ledger, options->window);

	if (error == 0)
		error = weiri_parking_open(&ledger->parking, options->parking, ledger->allocator);
	if (error != 0) {
		ledger->size = ledger->entries != NULL ? options->window : 0;
		entries_free(ledger);
		return error;
	}
	weiri_ledger_lock(ledger);
	ledger->options = *options;
	ledger->random = weiri_random_stream(options->seed, 0);
	ledger->sums = (struct weiri_ledger_sums){ 0 };
	ledger->timer_time = WEIR_FOREVER;
	weiri_timer_start(ledger->timers, &ledger->timer, WEIR_FOREVER);
	ledger->owner = owner;
	ledger->watch = NULL;
	ledger->taker = NULL;
	weiri_ledger_unlock(ledger);
	return 0;
}

void weiri_ledger_disown(struct weiri_ledger *ledger)
{
	ledger->owner = NULL;
}

void weiri_ledger_clean(struct weiri_ledger *ledger)
{
	entries_free(ledger);
}
