/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ledger: what was handed out of a subscription and is not settled yet.
 *
 * One entry per message, from its first hand-over until it is acknowledged,
 * rejected or out of attempts.  The number of entries is the in-flight window,
 * exact; a message that waits for its next attempt keeps its entry, so memory is
 * bounded however often messages fail.
 *
 *            hand_out                     expire: deadline passed
 *   (queue) ---------> IN_FLIGHT ----------------------------> READY or DELAYED
 *                       |   ^  |  nack, release                  |        |
 *                settle |   |  +--------------------------------->        | time
 *                       v   |         hand_out_again             |        v
 *                     FREE  +------------------------------------+-- READY
 *
 * Fencing.  A token is an index and a generation.  Each hand-over draws a new
 * generation, so only the last delivery of a message has a token that fits; a
 * verb of the receiver ends it too.  A timeout does not: an acknowledgement that
 * comes before the next hand-over wins and withdraws the redelivery.  Generations
 * are never used again, also not by the next owner of the ledger.  Those whose tokens
 * fit are in a list in the order of their hand-overs, which is that of generations.
 *
 * Deadlines.  With one timeout they come in the order of the hand-overs: a list,
 * whose head is the next one due.  What does not fit at the list's end (extended
 * deadlines, delays) goes into a heap.  One timer stands for the earliest.  In
 * virtual time each entry has an event of its own instead, so that events of one
 * instant come in the order in which they were scheduled.
 *
 * What fails for good leaves the ledger, or is parked in it; parked messages that are
 * sent back wait there until the window has room, and are handed out as returned
 * ones that were never tried.
 *
 * Memory: ledgers live as long as the broker and are used again, so a token can
 * always be checked.  Threads: all functions want the mutex held but open, close
 * and lock.
 */
#ifndef WEIRI_LEDGER_H
#define WEIRI_LEDGER_H

#include "base/random.h"
#include "delivery/backoff.h"
#include "delivery/parking.h"
#include "delivery/text.h"
#include "delivery/timers.h"

struct weiri_ledger_options {
	size_t window;         /* entries */
	bool is_once_timed;    /* only first hand-overs have a deadline */
	bool is_to_back;       /* returned messages queue behind what is queued */
	uint32_t attempts_max; /* UINT32_MAX: no limit */
	size_t parking;        /* places for what failed for good */
	struct weiri_backoff backoff;
	uint64_t seed; /* of the jitter */
};

enum weiri_ledger_state {
	WEIRI_LEDGER_FREE,
	WEIRI_LEDGER_IN_FLIGHT,
	WEIRI_LEDGER_DELAYED,
	WEIRI_LEDGER_READY,
};

struct weiri_ledger_entry {
	struct weiri_heap_node node; /* in `others` */
	void *value;
	uint64_t generation;
	double deadline; /* of the hand-over or the delay */
	uint64_t behind; /* READY: how many must be taken from the queue before it */
	uint32_t attempt;
	uint32_t redrives; /* how often it was sent back after it had failed for good */
	uint8_t state;
	bool is_in_list; /* of deadlines */
	bool is_fenced;  /* no token fits: free, or given back by the receiver */
	char *error;     /* the last text that came back with it, or NULL */
	struct weiri_ledger_entry *previous; /* in the list of its state */
	struct weiri_ledger_entry *next;
	struct weiri_ledger_entry *earlier; /* in `open` */
	struct weiri_ledger_entry *later;
	bool is_late;                            /* its time has run out */
	uint64_t serial;                         /* the generation of its first hand-over */
	void *holder;                            /* whom it was handed to last */
	struct weiri_ledger_entry *next_of_kind; /* the owner's */
};

/* What an owner with several receivers wants to know of an entry. */
enum weiri_ledger_change {
	WEIRI_LEDGER_HANDED_OUT,
	WEIRI_LEDGER_RETURNED, /* from its receiver; it is READY or DELAYED now */
	WEIRI_LEDGER_DUE,      /* DELAYED before, READY now */
	WEIRI_LEDGER_SETTLED,  /* acknowledged; about to become FREE, as the next two */
	WEIRI_LEDGER_FAILED,
	WEIRI_LEDGER_DISCARDED,
};

/* Virtual time: the event of an entry. */
struct weiri_ledger_event {
	struct weiri_timer timer; /* first */
	struct weiri_ledger *ledger;
};

struct weiri_ledger_list {
	struct weiri_ledger_entry *first;
	struct weiri_ledger_entry *last;
};

struct weiri_token {
	uint32_t index;
	uint64_t generation;
};

/* A hand-over. */
struct weiri_handed {
	void *value;
	struct weiri_token token;
	uint32_t attempt;
	double deadline;
};

/* How a receiver gives a message back. */
struct weiri_returned {
	double now;
	double delay;
	bool is_counted; /* the attempt was one, and the backoff holds */
	uint64_t behind; /* as in weiri_ledger_has_ready: taken + queued */
	char *error;     /* weiri_text_copy, or NULL */
};

struct weiri_ledger_sums {
	uint64_t acknowledged;
	uint64_t handed_again; /* hand-overs after the first */
	uint64_t timeouts;
	uint64_t exhausted; /* left without being acknowledged */
	uint64_t late_max;  /* nanoseconds from a deadline to its timeout */
	uint64_t late_sum;
};

struct weiri_ledger {
	pthread_mutex_t mutex;
	struct weiri_timers *timers;
	const weir_allocator *allocator;
	void *owner;                                 /* NULL: nobody, every token is stale */
	void (*on_due)(struct weiri_ledger *ledger); /* called with nothing held */
	/* Several receivers (groups): told of every change, with the mutex held; or NULL.
	 * `taker` is the holder of what is handed out next. */
	void (*watch)(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry,
		enum weiri_ledger_change change);
	void *taker;
	struct weiri_ledger_options options;
	struct weiri_ledger_entry *entries;
	size_t size;
	struct weiri_ledger_event *events; /* virtual time: one for each entry */
	struct weiri_ledger_entry *idle;
	size_t used; /* entries that are not free */
	size_t in_flight;
	size_t leaving;                   /* exhausted, and still to be seen to */
	struct weiri_ledger_entry *fired; /* virtual time: the one whose event this is */
	uint64_t generation;              /* the last one drawn */
	struct weiri_random random;
	struct weiri_ledger_list open;      /* whose tokens fit, in order of hand-over */
	struct weiri_ledger_list deadlines; /* IN_FLIGHT, sorted */
	struct weiri_heap others;           /* deadlines that are not in the list */
	struct weiri_ledger_list ready;
	struct weiri_parking parking;
	struct weiri_timer timer; /* real time */
	double timer_time;        /* what it is started for; WEIR_FOREVER: nothing */
	struct weiri_ledger_sums sums;
	uint32_t number;           /* the broker's name for it */
	struct weiri_ledger *next; /* of the broker's idle ones */
};

/* A ledger without owner.  Returns 0, WEIR_ENOMEM, WEIR_ELIMIT or WEIR_ESYSTEM. */
int weiri_ledger_open(struct weiri_ledger *ledger, struct weiri_timers *timers,
	const weir_allocator *allocator, void (*on_due)(struct weiri_ledger *ledger));
void weiri_ledger_close(struct weiri_ledger *ledger);

/* Give it to an owner.  Returns 0, WEIR_ENOMEM, WEIR_ELIMIT. */
int weiri_ledger_own(
	struct weiri_ledger *ledger, void *owner, const struct weiri_ledger_options *options);

/* The owner leaves: every token is stale from now on.  Afterwards, with the mutex
 * not held, values are taken with weiri_ledger_take_any (*cursor = 0 at first)
 * until there are none, and
 * weiri_ledger_clean makes it ready for the next owner. */
void weiri_ledger_disown(struct weiri_ledger *ledger);
void *weiri_ledger_take_any(struct weiri_ledger *ledger, size_t *cursor);
void weiri_ledger_clean(struct weiri_ledger *ledger);

void weiri_ledger_lock(struct weiri_ledger *ledger);
void weiri_ledger_unlock(struct weiri_ledger *ledger);

/* Whether a new message can be handed out. */
static inline bool weiri_ledger_has_room(const struct weiri_ledger *ledger)
{
	return ledger->used < ledger->size;
}

/* Hand out a new message until the deadline; there is room. */
void weiri_ledger_hand_out(
	struct weiri_ledger *ledger, void *value, double deadline, struct weiri_handed *handed);

/* Whether it has an owner who can hand out no new message. */
static inline bool weiri_ledger_is_full(const struct weiri_ledger *ledger)
{
	return ledger->owner != NULL && !weiri_ledger_has_room(ledger);
}

/* Whether a returned message is to be handed out before what is queued, of which
 * `taken` were ever taken and `queued` are there; also one that should wait for
 * them, when there is no room for them. */
bool weiri_ledger_has_ready(const struct weiri_ledger *ledger, uint64_t taken, uint64_t queued);

/* Whether that can be, for some `taken` and `queued`. */
static inline bool weiri_ledger_may_have_ready(const struct weiri_ledger *ledger)
{
	return ledger->ready.first != NULL || ledger->parking.returning > 0;
}
void weiri_ledger_hand_out_again(
	struct weiri_ledger *ledger, double deadline, struct weiri_handed *handed);

/* The value of the returned message that comes next; there is one. */
void *weiri_ledger_ready_value(struct weiri_ledger *ledger);

/* Parked messages that were sent back: READY now, as far as there is room for them. */
void weiri_ledger_ready_fill(struct weiri_ledger *ledger);

/* Let this one, which is READY, come next. */
void weiri_ledger_ready_prefer(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry);

/* A holder has gone: the next of what it had in hand becomes READY, before what is
 * queued, and no token of its fits any more.  Returns 0: there is none; 1; 2: it was out
 * of attempts, see *exhausted. */
int weiri_ledger_take_back(
	struct weiri_ledger *ledger, const void *holder, struct weiri_exhausted *exhausted);

/* It is not to be handed out again: the value is the caller's, as exhausted. */
void weiri_ledger_ready_drop(struct weiri_ledger *ledger, struct weiri_exhausted *exhausted);

/* Keep aside what failed for good; false: there is no room, or no owner. */
bool weiri_ledger_park(struct weiri_ledger *ledger, const struct weiri_exhausted *exhausted);

/* Send up to `count_max` parked ones back, the oldest first.  Returns how many. */
size_t weiri_ledger_unpark(struct weiri_ledger *ledger, size_t count_max, uint64_t behind);

/* Take in a value that was sent back from elsewhere, in two steps: an entry of the
 * window is reserved, then it is as if its receiver had given it back, or (`is_kept`
 * false) the reservation is undone.  There is room. */
struct weiri_token weiri_ledger_reserve(
	struct weiri_ledger *ledger, void *value, uint32_t redrives);
void weiri_ledger_settle_reserved(
	struct weiri_ledger *ledger, struct weiri_token token, bool is_kept, uint64_t behind);

/* Acknowledge.  Returns the value, which is the caller's now, or NULL: stale. */
void *weiri_ledger_acknowledge(struct weiri_ledger *ledger, struct weiri_token token);

/* Who has what the token stands for; NULL also if it is stale. */
void *weiri_ledger_holder(struct weiri_ledger *ledger, struct weiri_token token);

/* Acknowledge the earliest hand-over of all whose tokens still fit and that this holder
 * got, if it came before that of this generation.  The holder may be gone.  Returns the
 * value, which is the caller's now, or NULL: none. */
void *weiri_ledger_acknowledge_earlier(
	struct weiri_ledger *ledger, const void *holder, uint64_t generation);

/* Give back.  Returns 0; WEIR_ESTALE: the text stays the caller's; 1: it was the last
 * attempt, and value and text are the caller's, as *exhausted. */
int weiri_ledger_give_back(struct weiri_ledger *ledger, struct weiri_token token,
	const struct weiri_returned *returned, struct weiri_exhausted *exhausted);

/* Never again: value and text are the caller's, as *exhausted.  Returns 0; or
 * WEIR_ESTALE: the text stays the caller's. */
int weiri_ledger_reject(struct weiri_ledger *ledger, struct weiri_token token, char *error,
	struct weiri_exhausted *exhausted);

/* A value that was never in it counts as exhausted. */
void weiri_ledger_leave(struct weiri_ledger *ledger);

/* What was exhausted is where it belongs now. */
void weiri_ledger_left(struct weiri_ledger *ledger);

/* A new deadline.  Returns 0 or WEIR_ESTALE (also after a timeout). */
int weiri_ledger_extend(struct weiri_ledger *ledger, struct weiri_token token, double deadline);

/* From on_due: the next entry that is due at `now`, until there is none.  Returns
 * 0: none; 1: it waits for its next attempt, and is ready if *is_ready; 2: out of
 * attempts, see *exhausted.  Starts the timer for the rest. */
int weiri_ledger_expire_next(struct weiri_ledger *ledger, double now, uint64_t behind,
	bool *is_ready, struct weiri_exhausted *exhausted);

#endif
