/* SPDX-License-Identifier: BSD-2-Clause */
/* ticket.h - the inside of a confirm (core/confirm.h), for its two files: ticket.c,
 * what becomes of messages, and confirm.c, who is told and who waits. */
#ifndef WEIRI_TICKET_H
#define WEIRI_TICKET_H

#include <pthread.h>

#include "core/broker.h"
#include "core/confirm.h"
#include "delivery/timers.h"

enum weiri_ticket_state {
	WEIRI_TICKET_PENDING, /* in `pending` */
	WEIRI_TICKET_DECIDED, /* in `decided` */
	WEIRI_TICKET_TOLD,    /* in no list */
};

struct weiri_ticket {
	struct weir_confirm *confirm;
	_Atomic uint32_t shares;
	uint32_t holders; /* message, publish */
	enum weiri_ticket_state state;
	weir_confirm_outcome outcome;
	uint64_t number; /* within the confirm, from 1 */
	uint64_t tag;
	_Atomic uint64_t sequence; /* written while its deadline may come */
	double deadline;
	struct weiri_ticket *previous; /* in its list */
	struct weiri_ticket *next;     /* in its list, or idle */
};

struct weiri_ticket_list {
	struct weiri_ticket *first;
	struct weiri_ticket *last;
};

struct weir_confirm {
	struct weiri_timer timer; /* first: found from it */
	struct weir_broker *broker;
	weir_confirm_options options;
	bool has_timer;

	pthread_mutex_t mutex;
	double timer_time; /* what it is started for; WEIR_FOREVER: nothing */
	struct weiri_ticket_list pending;
	struct weiri_ticket_list decided; /* and still to be told */
	struct weiri_ticket *idle;
	uint64_t tickets; /* not idle */
	uint64_t last_number;
	weir_confirm_counts counts;
	uint64_t bad_told;    /* bad outcomes that a wait has told of */
	uint64_t wait_number; /* up to which a wait wants outcomes */
	bool is_closed;       /* nobody is told any more */
	bool is_gone;         /* its owner has let go */
	bool is_stopped;      /* the broker is closed */

	_Atomic uint32_t telling; /* a call of on_outcome may be under way */
	_Atomic uintptr_t caller; /* the thread inside it, or 0 */
	_Atomic uint32_t is_waiting;
	struct weiri_waiter waiter;

	/* The broker's list, under the registry's lock. */
	struct weir_confirm *next;
	struct weir_confirm *previous;
	bool is_finished;
};

/* Mutex held: the pending ticket has its outcome. */
void weiri_ticket_decide(struct weiri_ticket *ticket, weir_confirm_outcome outcome);

/* Mutex held: the first one to be told of, which is told of then; false: none. */
bool weiri_ticket_tell_next(struct weir_confirm *confirm, weir_confirmation *confirmation);

/* Mutex held, and let go: frees the confirm if nobody has it any more. */
void weiri_confirm_unlock(struct weir_confirm *confirm);

/* Mutex held: start the timer for this time, unless it comes earlier. */
void weiri_confirm_timer_set(struct weir_confirm *confirm, double time);

#endif
