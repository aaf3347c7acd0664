/* SPDX-License-Identifier: BSD-2-Clause */
/* Tickets: from the publish of a message to its outcome. */
#include "core/ticket.h"

#define PENDING_DEFAULT ((uint64_t)1 << 20)

static void list_append(struct weiri_ticket_list *list, struct weiri_ticket *ticket)
{
	ticket->previous = list->last;
	ticket->next = NULL;
	if (list->last != NULL)
		list->last->next = ticket;
	else
		list->first = ticket;
	list->last = ticket;
}

static void list_remove(struct weiri_ticket_list *list, struct weiri_ticket *ticket)
{
	if (ticket->previous != NULL)
		ticket->previous->next = ticket->next;
	else
		list->first = ticket->next;
	if (ticket->next != NULL)
		ticket->next->previous = ticket->previous;
	else
		list->last = ticket->previous;
}

/* Mutex held. */
static void rest_if_unused(struct weiri_ticket *ticket)
{
	struct weir_confirm *confirm = ticket->confirm;

	if (ticket->holders > 0 || ticket->state != WEIRI_TICKET_TOLD)
		return;
	ticket->next = confirm->idle;
	confirm->idle = ticket;
	confirm->tickets--;
}

void weiri_confirm_timer_set(struct weir_confirm *confirm, double time)
{
	if (!confirm->has_timer || confirm->is_closed || time >= confirm->timer_time)
		return;
	confirm->timer_time = time;
	weiri_timer_start(&confirm->broker->timers, &confirm->timer, time);
}

static void outcome_count(weir_confirm_counts *counts, weir_confirm_outcome outcome)
{
	counts->pending--;
	if (outcome == WEIR_CONFIRM_DONE)
		counts->confirmed++;
	else if (outcome == WEIR_CONFIRM_FAILED)
		counts->failed++;
	else
		counts->timed_out++;
}

/* Mutex held: an outcome, or one less to wait for. */
static void wait_tell(struct weir_confirm *confirm)
{
	const struct weiri_ticket *first = confirm->pending.first;

	/* The waiter's memory is the confirm's, which the mutex keeps. */
	if (weiri_load_relaxed(&confirm->is_waiting) != 0 &&
		(first == NULL || first->number > confirm->wait_number))
		(void)weiri_waiter_notify(confirm->broker->clock, &confirm->waiter);
}

void weiri_ticket_decide(struct weiri_ticket *ticket, weir_confirm_outcome outcome)
{
	struct weir_confirm *confirm = ticket->confirm;

	list_remove(&confirm->pending, ticket);
	outcome_count(&confirm->counts, outcome);
	ticket->outcome = outcome;
	if (confirm->options.on_outcome != NULL) {
		ticket->state = WEIRI_TICKET_DECIDED;
		list_append(&confirm->decided, ticket);
		weiri_confirm_timer_set(confirm, weiri_clock_now(confirm->broker->clock));
	} else {
		ticket->state = WEIRI_TICKET_TOLD;
	}
	wait_tell(confirm);
	rest_if_unused(ticket);
}

bool weiri_ticket_tell_next(struct weir_confirm *confirm, weir_confirmation *confirmation)
{
	struct weiri_ticket *ticket = confirm->decided.first;

	if (ticket == NULL)
		return false;
	list_remove(&confirm->decided, ticket);
	*confirmation = (weir_confirmation){
		.outcome = ticket->outcome,
		.tag = ticket->tag,
		.sequence = weiri_load_relaxed(&ticket->sequence),
	};
	ticket->state = WEIRI_TICKET_TOLD;
	rest_if_unused(ticket);
	return true;
}

/* Mutex held. */
static struct weiri_ticket *ticket_take(struct weir_confirm *confirm)
{
	struct weiri_ticket *ticket = confirm->idle;

	if (ticket != NULL)
		confirm->idle = ticket->next;
	else
		ticket = weiri_allocate(
			&confirm->broker->allocator, sizeof(*ticket), sizeof(void *));
	if (ticket != NULL)
		confirm->tickets++;
	return ticket;
}

/* Mutex held.  Returns as weiri_confirm_begin. */
static int ticket_open(struct weir_confirm *confirm, uint64_t tag, struct weiri_ticket **opened)
{
	uint64_t pending_max = confirm->options.pending_max;
	struct weiri_ticket *ticket;

	if (confirm->is_stopped)
		return WEIR_ESHUTDOWN;
	if (confirm->counts.pending >= (pending_max != 0 ? pending_max : PENDING_DEFAULT))
		return WEIR_ELIMIT;
	ticket = ticket_take(confirm);
	if (ticket == NULL)
		return WEIR_ENOMEM;
	*ticket = (struct weiri_ticket){
		.confirm = confirm,
		.holders = 2,
		.number = ++confirm->last_number,
		.tag = tag,
		.deadline = WEIR_FOREVER,
	};
	weiri_store_relaxed(&ticket->shares, 1);
	if (confirm->options.timeout != 0)
		ticket->deadline =
			weiri_clock_now(confirm->broker->clock) + confirm->options.timeout;
	list_append(&confirm->pending, ticket);
	confirm->counts.published++;
	confirm->counts.pending++;
	weiri_confirm_timer_set(confirm, ticket->deadline);
	*opened = ticket;
	return 0;
}

int weiri_confirm_begin(struct weir_confirm *confirm, uint64_t tag, struct weir_message *message)
{
	int error;

	if (confirm->broker != message->pool->broker)
		return WEIR_EINVAL;
	(void)pthread_mutex_lock(&confirm->mutex);
	error = ticket_open(confirm, tag, &weiri_message_extra(message)->ticket);
	weiri_confirm_unlock(confirm);
	if (error == 0)
		message->flags |= WEIRI_MESSAGE_TICKET;
	return error;
}

void weiri_confirm_withdraw(struct weir_message *message)
{
	struct weiri_ticket *ticket = weiri_message_ticket(message);
	struct weir_confirm *confirm;

	if (ticket == NULL)
		return;
	message->flags &= (uint8_t)~WEIRI_MESSAGE_TICKET;
	confirm = ticket->confirm;
	(void)pthread_mutex_lock(&confirm->mutex);
	if (ticket->state == WEIRI_TICKET_PENDING) {
		list_remove(&confirm->pending, ticket);
		confirm->counts.published--;
		confirm->counts.pending--;
		ticket->state = WEIRI_TICKET_TOLD;
		wait_tell(confirm);
	}
	ticket->holders = 0;
	rest_if_unused(ticket);
	weiri_confirm_unlock(confirm);
}

void weiri_ticket_stamp(struct weiri_ticket *ticket, uint64_t sequence, uint32_t shares)
{
	weiri_store_relaxed(&ticket->sequence, sequence);
	/* Relaxed: nobody has a share to end before the message is in a queue. */
	(void)weiri_add_relaxed(&ticket->shares, shares);
}

void weiri_ticket_settle(struct weiri_ticket *ticket, uint32_t count, bool is_good)
{
	struct weir_confirm *confirm = ticket->confirm;

	/* F1 (pairs with itself): what was done with the other shares comes before
	 * the word that all is done. */
	if (is_good && weiri_sub_acq_rel(&ticket->shares, count) != count)
		return;
	(void)pthread_mutex_lock(&confirm->mutex);
	if (ticket->state == WEIRI_TICKET_PENDING)
		weiri_ticket_decide(ticket, is_good ? WEIR_CONFIRM_DONE : WEIR_CONFIRM_FAILED);
	(void)pthread_mutex_unlock(&confirm->mutex);
}

void weiri_ticket_release(struct weiri_ticket *ticket)
{
	struct weir_confirm *confirm = ticket->confirm;

	(void)pthread_mutex_lock(&confirm->mutex);
	ticket->holders--;
	/* Whoever had its last share has said so; what nobody settled did not arrive. */
	if (ticket->holders == 0 && ticket->state == WEIRI_TICKET_PENDING)
		weiri_ticket_decide(ticket, WEIR_CONFIRM_FAILED);
	else
		rest_if_unused(ticket);
	weiri_confirm_unlock(confirm);
}

void weiri_ticket_published(struct weiri_ticket *ticket, bool is_good)
{
	if (ticket == NULL)
		return;
	weiri_ticket_settle(ticket, 1, is_good);
	weiri_ticket_release(ticket);
}
