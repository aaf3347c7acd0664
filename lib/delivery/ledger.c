/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries, tokens, deadlines. */
#include "delivery/ledger.h"

#include <float.h>
#include <math.h>

#include <weir/error.h>

#define ENTRY_OF(heap_node)                                                  \
	((struct weiri_ledger_entry *)(void *)((char *)(heap_node)-offsetof( \
		struct weiri_ledger_entry, node)))

static void list_append(struct weiri_ledger_list *list, struct weiri_ledger_entry *entry)
{
	entry->previous = list->last;
	entry->next = NULL;
	if (list->last != NULL)
		list->last->next = entry;
	else
		list->first = entry;
	list->last = entry;
}

static void list_remove(struct weiri_ledger_list *list, struct weiri_ledger_entry *entry)
{
	if (entry->previous != NULL)
		entry->previous->next = entry->next;
	else
		list->first = entry->next;
	if (entry->next != NULL)
		entry->next->previous = entry->previous;
	else
		list->last = entry->previous;
}

/* The hand-over can be settled. */
static void open_append(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry)
{
	struct weiri_ledger_list *open = &ledger->open;

	entry->earlier = open->last;
	entry->later = NULL;
	if (open->last != NULL)
		open->last->later = entry;
	else
		open->first = entry;
	open->last = entry;
}

static void open_remove(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry)
{
	struct weiri_ledger_list *open = &ledger->open;

	if (entry->earlier != NULL)
		entry->earlier->later = entry->later;
	else
		open->first = entry->later;
	if (entry->later != NULL)
		entry->later->earlier = entry->earlier;
	else
		open->last = entry->earlier;
}

/* No token fits any more, until the next hand-over. */
static void fence(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry)
{
	if (!entry->is_fenced)
		open_remove(ledger, entry);
	entry->is_fenced = true;
}

static size_t index_of(const struct weiri_ledger *ledger, const struct weiri_ledger_entry *entry)
{
	return (size_t)(entry - ledger->entries);
}

/* The one timer stands for the earliest deadline.  It is moved only to an earlier
 * time: one that comes too early for what is left finds nothing and is set anew. */
static void timer_set(struct weiri_ledger *ledger, double time)
{
	if (time >= ledger->timer_time)
		return;
	ledger->timer_time = time;
	weiri_timer_start(ledger->timers, &ledger->timer, time);
}

static void deadline_add(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry, double time)
{
	struct weiri_ledger_entry *last = ledger->deadlines.last;

	entry->deadline = time;
	if (time >= WEIR_FOREVER)
		return;
	if (ledger->events != NULL) {
		weiri_timer_start(
			ledger->timers, &ledger->events[index_of(ledger, entry)].timer, time);
		return;
	}
	if (entry->state == WEIRI_LEDGER_IN_FLIGHT && (last == NULL || last->deadline <= time)) {
		entry->is_in_list = true;
		list_append(&ledger->deadlines, entry);
	} else {
		entry->node.key = time;
		entry->node.serial = entry->generation;
		weiri_heap_add(&ledger->others, &entry->node);
	}
	timer_set(ledger, time);
}

static void deadline_remove(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry)
{
	if (entry->deadline >= WEIR_FOREVER)
		return;
	if (ledger->events != NULL)
		weiri_timer_start(ledger->timers, &ledger->events[index_of(ledger, entry)].timer,
			WEIR_FOREVER);
	else if (entry->is_in_list)
		list_remove(&ledger->deadlines, entry);
	else
		weiri_heap_remove(&ledger->others, &entry->node);
	entry->is_in_list = false;
	entry->deadline = WEIR_FOREVER;
}

/* Out of whatever its state has it in. */
static void state_leave(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry)
{
	if (entry->state == WEIRI_LEDGER_READY)
		list_remove(&ledger->ready, entry);
	else
		deadline_remove(ledger, entry);
	if (entry->state == WEIRI_LEDGER_IN_FLIGHT)
		ledger->in_flight--;
}

/* The receiver's last word; none leaves the one before. */
static void error_set(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry, char *error)
{
	if (error == NULL)
		return;
	weiri_text_free(ledger->allocator, entry->error);
	entry->error = error;
}

static void tell(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry,
	enum weiri_ledger_change change)
{
	if (ledger->watch != NULL)
		ledger->watch(ledger, entry, change);
}

static void *entry_free(
	struct weiri_ledger *ledger, struct weiri_ledger_entry *entry, enum weiri_ledger_change why)
{
	tell(ledger, entry, why);
	state_leave(ledger, entry);
	fence(ledger, entry);
	weiri_text_free(ledger->allocator, entry->error);
	entry->error = NULL;
	entry->state = WEIRI_LEDGER_FREE;
	entry->next = ledger->idle;
	ledger->idle = entry;
	ledger->used--;
	return entry->value;
}

static void hand_out(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry, double deadline,
	struct weiri_handed *handed)
{
	bool is_timed = entry->attempt == 1 || !ledger->options.is_once_timed;

	entry->generation = ++ledger->generation;
	entry->state = WEIRI_LEDGER_IN_FLIGHT;
	entry->is_fenced = false;
	entry->is_late = false;
	entry->holder = ledger->taker;
	open_append(ledger, entry);
	ledger->in_flight++;
	deadline_add(ledger, entry, is_timed ? deadline : WEIR_FOREVER);
	tell(ledger, entry, WEIRI_LEDGER_HANDED_OUT);
	*handed = (struct weiri_handed){
		.value = entry->value,
		.token = { (uint32_t)index_of(ledger, entry), entry->generation },
		.attempt = entry->attempt,
		.deadline = entry->deadline,
	};
}

static struct weiri_ledger_entry *idle_take(struct weiri_ledger *ledger)
{
	struct weiri_ledger_entry *entry = ledger->idle;

	ledger->idle = entry->next;
	ledger->used++;
	return entry;
}

void weiri_ledger_hand_out(
	struct weiri_ledger *ledger, void *value, double deadline, struct weiri_handed *handed)
{
	struct weiri_ledger_entry *entry = idle_take(ledger);

	entry->value = value;
	entry->attempt = 1;
	entry->redrives = 0;
	entry->serial = ledger->generation + 1;
	hand_out(ledger, entry, deadline, handed);
}

bool weiri_ledger_has_ready(const struct weiri_ledger *ledger, uint64_t taken, uint64_t queued)
{
	const struct weiri_ledger_entry *first = ledger->ready.first;
	const struct weiri_parking *parking = &ledger->parking;

	if (first == NULL)
		return parking->returning > 0 && weiri_ledger_has_room(ledger) &&
		       (parking->behind <= taken || queued == 0);
	return first->behind <= taken || queued == 0 || !weiri_ledger_has_room(ledger);
}

/* An entry for a message that failed for good and that nobody holds. */
static struct weiri_ledger_entry *sent_back(
	struct weiri_ledger *ledger, void *value, uint32_t redrives)
{
	struct weiri_ledger_entry *entry = idle_take(ledger);

	entry->value = value;
	entry->attempt = 0;
	entry->redrives = redrives;
	entry->generation = ++ledger->generation;
	entry->serial = entry->generation;
	entry->holder = NULL;
	entry->is_late = false;
	return entry;
}

/* The oldest parked message that was sent back; there is one, and room. */
static struct weiri_ledger_entry *parked_ready(struct weiri_ledger *ledger)
{
	struct weiri_ledger_entry *entry;
	struct weiri_exhausted parked;

	(void)weiri_parking_take(&ledger->parking, &parked);
	weiri_text_free(ledger->allocator, parked.error);
	entry = sent_back(ledger, parked.value, parked.redrives + 1);
	entry->state = WEIRI_LEDGER_READY;
	entry->behind = 0;
	list_append(&ledger->ready, entry);
	tell(ledger, entry, WEIRI_LEDGER_DUE);
	return entry;
}

/* The returned message that comes next; there is one. */
static struct weiri_ledger_entry *ready_first(struct weiri_ledger *ledger)
{
	struct weiri_ledger_entry *entry = ledger->ready.first;

	return entry != NULL ? entry : parked_ready(ledger);
}

void weiri_ledger_ready_fill(struct weiri_ledger *ledger)
{
	while (ledger->parking.returning > 0 && weiri_ledger_has_room(ledger))
		(void)parked_ready(ledger);
}

void weiri_ledger_hand_out_again(
	struct weiri_ledger *ledger, double deadline, struct weiri_handed *handed)
{
	struct weiri_ledger_entry *entry = ready_first(ledger);

	state_leave(ledger, entry);
	fence(ledger, entry);
	entry->attempt++;
	ledger->sums.handed_again++;
	hand_out(ledger, entry, deadline, handed);
}

/* The entry of a token that still fits. */
static struct weiri_ledger_entry *token_find(struct weiri_ledger *ledger, struct weiri_token token)
{
	struct weiri_ledger_entry *entry;

	if (ledger->owner == NULL || token.index >= ledger->size)
		return NULL;
	entry = &ledger->entries[token.index];
	return entry->generation == token.generation && !entry->is_fenced ? entry : NULL;
}

/* The same, if the message has not been taken from its receiver. */
static struct weiri_ledger_entry *in_flight_find(
	struct weiri_ledger *ledger, struct weiri_token token)
{
	struct weiri_ledger_entry *entry = token_find(ledger, token);

	return entry != NULL && entry->state == WEIRI_LEDGER_IN_FLIGHT ? entry : NULL;
}

void *weiri_ledger_acknowledge(struct weiri_ledger *ledger, struct weiri_token token)
{
	struct weiri_ledger_entry *entry = token_find(ledger, token);

	if (entry == NULL)
		return NULL;
	ledger->sums.acknowledged++;
	return entry_free(ledger, entry, WEIRI_LEDGER_SETTLED);
}

void *weiri_ledger_holder(struct weiri_ledger *ledger, struct weiri_token token)
{
	const struct weiri_ledger_entry *entry = token_find(ledger, token);

	return entry != NULL ? entry->holder : NULL;
}

/* The earliest hand-over to the holder that can still be settled. */
static struct weiri_ledger_entry *held_find(struct weiri_ledger *ledger, const void *holder)
{
	struct weiri_ledger_entry *entry = ledger->open.first;

	while (entry != NULL && entry->holder != holder)
		entry = entry->later;
	return entry;
}

void *weiri_ledger_acknowledge_earlier(
	struct weiri_ledger *ledger, const void *holder, uint64_t generation)
{
	struct weiri_ledger_entry *first = held_find(ledger, holder);

	if (ledger->owner == NULL || first == NULL || first->generation >= generation)
		return NULL;
	ledger->sums.acknowledged++;
	return entry_free(ledger, first, WEIRI_LEDGER_SETTLED);
}

static void exhaust(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry,
	enum weiri_ledger_reason reason, struct weiri_exhausted *exhausted)
{
	exhausted->attempt = entry->attempt;
	exhausted->redrives = entry->redrives;
	exhausted->reason = reason;
	exhausted->error = entry->error;
	entry->error = NULL;
	exhausted->value = entry_free(ledger, entry, WEIRI_LEDGER_FAILED);
	ledger->sums.exhausted++;
	ledger->leaving++;
}

void weiri_ledger_leave(struct weiri_ledger *ledger)
{
	ledger->leaving++;
}

void weiri_ledger_left(struct weiri_ledger *ledger)
{
	ledger->leaving--;
}

/* To its next attempt, after the delay. */
static void wait_for_next(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry, double now,
	double delay, uint64_t behind)
{
	bool was_held = entry->state == WEIRI_LEDGER_IN_FLIGHT;

	state_leave(ledger, entry);
	entry->behind = ledger->options.is_to_back ? behind : 0;
	if (delay > 0) {
		entry->state = WEIRI_LEDGER_DELAYED;
		/* A sum that is infinite would never come back, not even in
		 * virtual time. */
		deadline_add(ledger, entry, fmin(now + delay, DBL_MAX));
	} else {
		entry->state = WEIRI_LEDGER_READY;
		list_append(&ledger->ready, entry);
	}
	tell(ledger, entry, was_held ? WEIRI_LEDGER_RETURNED : WEIRI_LEDGER_DUE);
}

bool weiri_ledger_park(struct weiri_ledger *ledger, const struct weiri_exhausted *exhausted)
{
	return ledger->owner != NULL && weiri_parking_put(&ledger->parking, exhausted);
}

size_t weiri_ledger_unpark(struct weiri_ledger *ledger, size_t count_max, uint64_t behind)
{
	return weiri_parking_return(
		&ledger->parking, count_max, ledger->options.is_to_back ? behind : 0);
}

struct weiri_token weiri_ledger_reserve(struct weiri_ledger *ledger, void *value, uint32_t redrives)
{
	struct weiri_ledger_entry *entry = sent_back(ledger, value, redrives);

	/* As one whose delay has no end, so that nobody else touches it. */
	entry->state = WEIRI_LEDGER_DELAYED;
	return (struct weiri_token){ (uint32_t)index_of(ledger, entry), entry->generation };
}

void weiri_ledger_settle_reserved(
	struct weiri_ledger *ledger, struct weiri_token token, bool is_kept, uint64_t behind)
{
	struct weiri_ledger_entry *entry = &ledger->entries[token.index];

	if (is_kept)
		wait_for_next(ledger, entry, 0, 0, behind);
	else
		(void)entry_free(ledger, entry, WEIRI_LEDGER_DISCARDED);
}

static double backoff_draw(struct weiri_ledger *ledger, uint32_t attempt)
{
	double random = (double)(weiri_random_next(&ledger->random) >> 11) * 0x1p-53;

	return weiri_backoff_delay(&ledger->options.backoff, attempt, random);
}

void *weiri_ledger_ready_value(struct weiri_ledger *ledger)
{
	return ready_first(ledger)->value;
}

void weiri_ledger_ready_prefer(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry)
{
	struct weiri_ledger_list *ready = &ledger->ready;

	if (ready->first == entry)
		return;
	list_remove(ready, entry);
	entry->previous = NULL;
	entry->next = ready->first;
	ready->first->previous = entry;
	ready->first = entry;
}

void weiri_ledger_ready_drop(struct weiri_ledger *ledger, struct weiri_exhausted *exhausted)
{
	exhaust(ledger, ledger->ready.first, WEIRI_LEDGER_EXPIRED, exhausted);
}

int weiri_ledger_give_back(struct weiri_ledger *ledger, struct weiri_token token,
	const struct weiri_returned *returned, struct weiri_exhausted *exhausted)
{
	struct weiri_ledger_entry *entry = in_flight_find(ledger, token);
	double delay = returned->delay;

	if (entry == NULL)
		return WEIR_ESTALE;
	error_set(ledger, entry, returned->error);
	if (returned->is_counted && entry->attempt >= ledger->options.attempts_max) {
		exhaust(ledger, entry, WEIRI_LEDGER_NACKED, exhausted);
		return 1;
	}
	if (returned->is_counted)
		delay += backoff_draw(ledger, entry->attempt);
	else
		entry->attempt--;
	fence(ledger, entry);
	wait_for_next(ledger, entry, returned->now, delay, returned->behind);
	return 0;
}

int weiri_ledger_reject(struct weiri_ledger *ledger, struct weiri_token token, char *error,
	struct weiri_exhausted *exhausted)
{
	struct weiri_ledger_entry *entry = in_flight_find(ledger, token);

	if (entry == NULL)
		return WEIR_ESTALE;
	error_set(ledger, entry, error);
	exhaust(ledger, entry, WEIRI_LEDGER_REJECTED, exhausted);
	return 0;
}

int weiri_ledger_extend(struct weiri_ledger *ledger, struct weiri_token token, double deadline)
{
	struct weiri_ledger_entry *entry = in_flight_find(ledger, token);

	if (entry == NULL)
		return WEIR_ESTALE;
	deadline_remove(ledger, entry);
	deadline_add(ledger, entry, deadline);
	return 0;
}

/* An entry whose deadline has come. */
static struct weiri_ledger_entry *due_find(struct weiri_ledger *ledger, double now)
{
	struct weiri_ledger_entry *first = ledger->deadlines.first;
	struct weiri_heap_node *other = weiri_heap_first(&ledger->others);

	if (first != NULL && first->deadline <= now)
		return first;
	return other != NULL && other->key <= now ? ENTRY_OF(other) : NULL;
}

/* The one whose event has come, unless it was settled or moved meanwhile. */
static struct weiri_ledger_entry *fired_find(struct weiri_ledger *ledger, double now)
{
	struct weiri_ledger_entry *fired = ledger->fired;

	ledger->fired = NULL;
	return fired != NULL && fired->deadline <= now ? fired : NULL;
}

static double deadline_next(const struct weiri_ledger *ledger)
{
	const struct weiri_heap_node *other = weiri_heap_first(&ledger->others);
	double next =
		ledger->deadlines.first != NULL ? ledger->deadlines.first->deadline : WEIR_FOREVER;

	return other != NULL && other->key < next ? other->key : next;
}

static void timeout_count(struct weiri_ledger *ledger, double late)
{
	uint64_t nanoseconds = (uint64_t)(late * 1e9);

	ledger->sums.timeouts++;
	ledger->sums.late_sum += nanoseconds;
	if (nanoseconds > ledger->sums.late_max)
		ledger->sums.late_max = nanoseconds;
}

int weiri_ledger_expire_next(struct weiri_ledger *ledger, double now, uint64_t behind,
	bool *is_ready, struct weiri_exhausted *exhausted)
{
	struct weiri_ledger_entry *entry =
		ledger->events != NULL ? fired_find(ledger, now) : due_find(ledger, now);

	if (entry == NULL) {
		if (ledger->events == NULL) {
			ledger->timer_time = WEIR_FOREVER;
			timer_set(ledger, deadline_next(ledger));
		}
		return 0;
	}
	*is_ready = true;
	if (entry->state == WEIRI_LEDGER_DELAYED) {
		wait_for_next(ledger, entry, now, 0, entry->behind);
		return 1;
	}
	timeout_count(ledger, now - entry->deadline);
	entry->is_late = true;
	if (entry->attempt >= ledger->options.attempts_max) {
		exhaust(ledger, entry, WEIRI_LEDGER_TIMED_OUT, exhausted);
		return 2;
	}
	wait_for_next(ledger, entry, now, backoff_draw(ledger, entry->attempt), behind);
	*is_ready = entry->state == WEIRI_LEDGER_READY;
	return 1;
}

int weiri_ledger_take_back(
	struct weiri_ledger *ledger, const void *holder, struct weiri_exhausted *exhausted)
{
	struct weiri_ledger_entry *entry = held_find(ledger, holder);

	if (entry == NULL)
		return 0;
	fence(ledger, entry);
	/* One that timed out is on its way already. */
	if (entry->state != WEIRI_LEDGER_IN_FLIGHT)
		return 1;
	if (entry->attempt >= ledger->options.attempts_max) {
		exhaust(ledger, entry, WEIRI_LEDGER_TIMED_OUT, exhausted);
		return 2;
	}
	wait_for_next(ledger, entry, 0, 0, 0);
	return 1;
}

void *weiri_ledger_take_any(struct weiri_ledger *ledger, size_t *cursor)
{
	struct weiri_exhausted parked;

	while (*cursor < ledger->size) {
		struct weiri_ledger_entry *entry = &ledger->entries[(*cursor)++];

		if (entry->state != WEIRI_LEDGER_FREE)
			return entry_free(ledger, entry, WEIRI_LEDGER_DISCARDED);
	}
	if (weiri_parking_take(&ledger->parking, &parked)) {
		weiri_text_free(ledger->allocator, parked.error);
		return parked.value;
	}
	return NULL;
}
