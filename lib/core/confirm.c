/* SPDX-License-Identifier: BSD-2-Clause */
/* Confirms: opening and closing, who waits, and who is told. */
#include "core/confirm.h"

#include <math.h>

#include "base/reserved.h"
#include "core/ticket.h"

static void confirm_free(struct weir_confirm *confirm)
{
	struct weir_broker *broker = confirm->broker;

	while (confirm->idle != NULL) {
		struct weiri_ticket *ticket = confirm->idle;

		confirm->idle = ticket->next;
		weiri_deallocate(&broker->allocator, ticket, sizeof(*ticket));
	}
	(void)pthread_mutex_destroy(&confirm->mutex);
	weiri_deallocate(&broker->allocator, confirm, sizeof(*confirm));
	weiri_broker_unref(broker);
}

void weiri_confirm_unlock(struct weir_confirm *confirm)
{
	bool is_unused = confirm->is_gone && confirm->tickets == 0 &&
			 weiri_load_relaxed(&confirm->telling) == 0;

	(void)pthread_mutex_unlock(&confirm->mutex);
	if (is_unused)
		confirm_free(confirm);
}

/* Mutex held: what is overdue has timed out. */
static void overdue_decide(struct weir_confirm *confirm)
{
	double now = weiri_clock_now(confirm->broker->clock);

	while (confirm->pending.first != NULL && confirm->pending.first->deadline <= now)
		weiri_ticket_decide(confirm->pending.first, WEIR_CONFIRM_TIMED_OUT);
}

/* Mutex held, and let go for each call. */
static void decided_tell(struct weir_confirm *confirm)
{
	weir_confirmation confirmation;

	while (!confirm->is_closed && weiri_ticket_tell_next(confirm, &confirmation)) {
		weiri_store_relaxed(&confirm->caller, (uintptr_t)pthread_self());
		(void)pthread_mutex_unlock(&confirm->mutex);
		confirm->options.on_outcome(confirm->options.context, &confirmation);
		(void)pthread_mutex_lock(&confirm->mutex);
		weiri_store_relaxed(&confirm->caller, 0);
	}
}

/* Mutex held, and let go: decide and tell what there is. */
static void outcomes_see_to(struct weir_confirm *confirm)
{
	(void)weiri_add_relaxed(&confirm->telling, 1);
	/* What is decided until the end is told here; it starts no timer. */
	confirm->timer_time = -WEIR_FOREVER;
	overdue_decide(confirm);
	decided_tell(confirm);
	confirm->timer_time = WEIR_FOREVER;
	if (confirm->pending.first != NULL)
		weiri_confirm_timer_set(confirm, confirm->pending.first->deadline);
	/* L1 (pairs with the acquire in await, at close): the last call of the user. */
	(void)weiri_sub_release(&confirm->telling, 1);
	weiri_confirm_unlock(confirm);
}

/* By the timer thread, or outside any process. */
static void confirm_due(struct weiri_timer *timer)
{
	struct weir_confirm *confirm = (struct weir_confirm *)(void *)timer;

	(void)pthread_mutex_lock(&confirm->mutex);
	outcomes_see_to(confirm);
}

static bool options_are_valid(const weir_confirm_options *options)
{
	return WEIRI_RESERVED_ARE_ZERO(options->reserved) &&
	       weiri_duration_is_valid(options->timeout);
}

/* A confirm that nobody knows yet.  Returns 0 or an error. */
static int confirm_make(
	struct weir_confirm **made, struct weir_broker *broker, const weir_confirm_options *options)
{
	struct weir_confirm *confirm =
		weiri_allocate(&broker->allocator, sizeof(*confirm), WEIRI_CACHE_LINE);
	int error = 0;

	if (confirm == NULL)
		return WEIR_ENOMEM;
	confirm->broker = broker;
	confirm->options = *options;
	confirm->timer_time = WEIR_FOREVER;
	confirm->waiter.operation = "confirm";
	confirm->waiter.object = "confirm";
	confirm->has_timer = options->on_outcome != NULL ||
			     (options->timeout != 0 && options->timeout < WEIR_FOREVER);
	if (pthread_mutex_init(&confirm->mutex, NULL) != 0) {
		error = WEIR_ESYSTEM;
		goto fail_mutex;
	}
	if (confirm->has_timer)
		error = weiri_timer_open(&broker->timers, &confirm->timer, confirm_due);
	if (error != 0)
		goto fail_timer;
	weiri_broker_ref(broker);
	*made = confirm;
	return 0;

fail_timer:
	(void)pthread_mutex_destroy(&confirm->mutex);
fail_mutex:
	weiri_deallocate(&broker->allocator, confirm, sizeof(*confirm));
	return error;
}

static void list_add(struct weir_broker *broker, struct weir_confirm *confirm)
{
	confirm->next = broker->confirms;
	if (confirm->next != NULL)
		confirm->next->previous = confirm;
	broker->confirms = confirm;
}

static void list_remove(struct weir_broker *broker, struct weir_confirm *confirm)
{
	if (confirm->previous != NULL)
		confirm->previous->next = confirm->next;
	else
		broker->confirms = confirm->next;
	if (confirm->next != NULL)
		confirm->next->previous = confirm->previous;
}

int weir_confirm_open(
	weir_confirm **confirm, weir_broker *broker, const weir_confirm_options *options)
{
	static const weir_confirm_options defaults;
	struct weir_confirm *made;
	bool is_running;
	int error;

	if (options == NULL)
		options = &defaults;
	if (confirm == NULL || broker == NULL || !options_are_valid(options))
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	error = confirm_make(&made, broker, options);
	if (error != 0)
		return error;
	weiri_registry_lock(&broker->registry);
	is_running = weiri_load_relaxed(&broker->state) == WEIRI_BROKER_RUNNING;
	list_add(broker, made);
	weiri_registry_unlock(&broker->registry);
	if (!is_running) {
		weir_confirm_close(made);
		return WEIR_ESHUTDOWN;
	}
	*confirm = made;
	return 0;
}

/* Mutex held: nobody is told any more. */
static void tickets_let_go(struct weir_confirm *confirm)
{
	weir_confirmation confirmation;

	confirm->options.on_outcome = NULL;
	while (confirm->pending.first != NULL)
		weiri_ticket_decide(confirm->pending.first, WEIR_CONFIRM_FAILED);
	while (weiri_ticket_tell_next(confirm, &confirmation))
		;
}

void weir_confirm_close(weir_confirm *confirm)
{
	struct weir_broker *broker;
	bool is_caller;

	if (confirm == NULL || weiri_broker_forked(confirm->broker))
		return;
	broker = confirm->broker;
	is_caller = weiri_load_relaxed(&confirm->caller) == (uintptr_t)pthread_self();
	weiri_registry_lock(&broker->registry);
	list_remove(broker, confirm);
	weiri_registry_unlock(&broker->registry);
	(void)pthread_mutex_lock(&confirm->mutex);
	confirm->is_closed = true;
	(void)pthread_mutex_unlock(&confirm->mutex);
	if (confirm->has_timer)
		weiri_timer_close(&broker->timers, &confirm->timer);
	/* It may be a broker's close that is telling. */
	if (!is_caller && !broker->clock->is_virtual)
		weiri_word_await(&confirm->telling, 0);
	(void)pthread_mutex_lock(&confirm->mutex);
	tickets_let_go(confirm);
	confirm->is_gone = true;
	weiri_confirm_unlock(confirm);
}

/* Whether all up to this number have an outcome; gives the counts. */
static bool is_decided(struct weir_confirm *confirm, uint64_t number, int *error)
{
	bool is_over;

	(void)pthread_mutex_lock(&confirm->mutex);
	is_over = confirm->pending.first == NULL || confirm->pending.first->number > number;
	*error = !is_over && confirm->is_stopped ? WEIR_ESHUTDOWN : 0;
	(void)pthread_mutex_unlock(&confirm->mutex);
	return is_over;
}

/* Returns 0: all up to this number have an outcome. */
static int decided_await(struct weir_confirm *confirm, uint64_t number, double timeout)
{
	struct weir_clock *clock = confirm->broker->clock;
	double deadline = weiri_clock_deadline(clock, timeout);
	int error, waited = 0;

	for (;;) {
		weiri_waiter_arm(&confirm->waiter);
		if (is_decided(confirm, number, &error) || error != 0 || waited != 0 ||
			timeout == 0) {
			(void)weiri_waiter_disarm(&confirm->waiter);
			break;
		}
		waited = weiri_clock_park(clock, &confirm->waiter, deadline);
	}
	if (is_decided(confirm, number, &error))
		return 0;
	if (error != 0)
		return error;
	return waited != 0 ? waited : WEIR_ETIMEDOUT;
}

/* What a wait says that has seen all outcomes; *counts are those of now. */
static int bad_tell(struct weir_confirm *confirm, int error, weir_confirm_counts *counts)
{
	uint64_t bad;

	(void)pthread_mutex_lock(&confirm->mutex);
	bad = confirm->counts.failed + confirm->counts.timed_out;
	if (error == 0 && bad > confirm->bad_told) {
		confirm->bad_told = bad;
		error = WEIR_ELOST;
	}
	if (counts != NULL)
		*counts = confirm->counts;
	(void)pthread_mutex_unlock(&confirm->mutex);
	return error;
}

int weir_confirm_wait(weir_confirm *confirm, double timeout, weir_confirm_counts *counts)
{
	struct weir_broker *broker;
	uint64_t number;
	int error;

	if (confirm == NULL || !weiri_duration_is_valid(timeout))
		return WEIR_EINVAL;
	broker = confirm->broker;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	if (weiri_exchange_acq_rel(&confirm->is_waiting, 1) != 0)
		return WEIR_EBUSY;
	/* A close of the broker waits for this; it stops the wait before. */
	(void)weiri_add_relaxed(&broker->inside, 1);
	(void)pthread_mutex_lock(&confirm->mutex);
	number = confirm->last_number;
	confirm->wait_number = number;
	(void)pthread_mutex_unlock(&confirm->mutex);
	error = bad_tell(confirm, decided_await(confirm, number, timeout), counts);
	weiri_store_release(&confirm->is_waiting, 0);
	/* Q1 (pairs with the acquire in await, at close). */
	(void)weiri_sub_release(&broker->inside, 1);
	return error;
}

int weir_confirm_counts_get(weir_confirm *confirm, weir_confirm_counts *counts)
{
	if (confirm == NULL || counts == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(confirm->broker))
		return WEIR_EFORK;
	(void)pthread_mutex_lock(&confirm->mutex);
	*counts = confirm->counts;
	(void)pthread_mutex_unlock(&confirm->mutex);
	return 0;
}

void weiri_confirms_stop(struct weir_broker *broker)
{
	struct weir_confirm *confirm = broker->confirms;

	for (; confirm != NULL; confirm = confirm->next) {
		(void)pthread_mutex_lock(&confirm->mutex);
		confirm->is_stopped = true;
		(void)weiri_waiter_notify(broker->clock, &confirm->waiter);
		(void)pthread_mutex_unlock(&confirm->mutex);
	}
}

/* One that is not finished yet, with its mutex; NULL: none. */
static struct weir_confirm *unfinished_find(struct weir_broker *broker)
{
	struct weir_confirm *confirm;

	weiri_registry_lock(&broker->registry);
	confirm = broker->confirms;
	while (confirm != NULL && confirm->is_finished)
		confirm = confirm->next;
	if (confirm != NULL) {
		confirm->is_finished = true;
		(void)pthread_mutex_lock(&confirm->mutex);
	}
	weiri_registry_unlock(&broker->registry);
	return confirm;
}

void weiri_confirms_finish(struct weir_broker *broker)
{
	struct weir_confirm *confirm;

	while ((confirm = unfinished_find(broker)) != NULL) {
		while (confirm->pending.first != NULL)
			weiri_ticket_decide(confirm->pending.first, WEIR_CONFIRM_FAILED);
		outcomes_see_to(confirm);
	}
}
