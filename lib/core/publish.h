/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publish: the publisher's side of the hot path.
 *
 * First pass (publish.c), inside a section: push to every subscription of the
 * snapshot, one full fence, wake those that wait.  Subscriptions that are full
 * and whose policy is to wait are pinned and noted.
 *
 * Second pass (publish_wait.c), only if some were noted: outside the section
 * look, yield, then stand in line at all of them (core/room.h) until each has
 * taken the messages or the deadline comes.  Each try is a short section of its
 * own.
 *
 * All or nothing (publish_all.c) instead reserves a place in every queue first.
 *
 * References: a message starts with one for each place of the snapshot; what is
 * not put into a queue is given back.
 */
#ifndef WEIRI_PUBLISH_H
#define WEIRI_PUBLISH_H

#include "core/enqueue.h"
#include "core/publisher.h"
#include "core/topic.h"

struct weiri_publish {
	struct weir_publisher *publisher;
	struct weiri_topic *topic;
	struct weir_message **messages;
	size_t count;
	int32_t priority; /* of all of them */
	double deadline;
	size_t blocked; /* noted and not done yet */
	size_t noted;   /* in publisher->blocked */
	int error;      /* what the publish will return */
	bool no_memory; /* a subscription refused it for a limit in bytes */
	bool want_fill;
	bool until_closed; /* also while the broker drains */
	bool has_watermarks;
	bool is_inside;                  /* counted in the broker's `inside` */
	struct weir_subscription *lossy; /* pinned; they lost their first message */
	struct weiri_message_dead dead;  /* to be freed after the section */
	weir_receipt *receipt;           /* of this publish alone */
	const uint64_t *id;              /* NULL: none */
};

/* Room in the publisher to note `size` subscriptions.  Returns 0 or WEIR_ENOMEM. */
int weiri_blocked_reserve_more(struct weir_publisher *publisher, size_t size);

static inline int weiri_blocked_reserve(struct weir_publisher *publisher, size_t size)
{
	return size <= publisher->blocked_size ? 0 : weiri_blocked_reserve_more(publisher, size);
}

/* Messages[pushed..] have to wait at this subscription; inside a section. */
void weiri_blocked_note(
	struct weiri_publish *publish, struct weir_subscription *subscription, size_t pushed);

/* It has them, or will not get them. */
void weiri_blocked_done(struct weiri_publish *publish, struct weiri_blocked *blocked);

/* One wait before the try with this number; *pause is after how long to look
 * again, WEIRI_ROOM_LOOK_FIRST at first.  Returns 0: try again; WEIR_ETIMEDOUT:
 * try for the last time; WEIR_EDEADLK, WEIR_ESHUTDOWN: give up. */
int weiri_blocked_wait(struct weiri_publish *publish, unsigned int tries, double *pause);

/* The second pass, to its end. */
void weiri_publish_second_pass(struct weiri_publish *publish);

/* Messages[from..] to one subscription, by its policy.  Returns the index of the
 * first that has to wait for room, or their count: all are settled. */
size_t weiri_publish_deliver(
	struct weiri_publish *publish, struct weir_subscription *subscription, size_t from);

/* Messages[from..from + count] do not get into this queue. */
void weiri_publish_drop(struct weiri_publish *publish, struct weir_subscription *subscription,
	weir_drop reason, size_t from, size_t count);

/* A subscription has lost its first message; inside a section. */
void weiri_publish_note_loss(struct weiri_publish *publish, struct weir_subscription *subscription);

/* What a publish is asked, or has promised, to do with a queue that got something. */
void weiri_publish_look(struct weiri_publish *publish, struct weir_subscription *subscription);

/* Number the messages, with so many references each; one with an id has its number. */
void weiri_publish_stamp(struct weiri_publish *publish, size_t references);

/* End the section of the first pass: counts what is settled, frees what is dead. */
void weiri_publish_section_end(struct weiri_publish *publish);

/* Outside sections: free what is dead, tell of a first loss. */
void weiri_publish_aftermath(struct weiri_publish *publish);

/* Do what had to wait for the section's end, and be no longer inside. */
void weiri_publish_leave(struct weiri_publish *publish);

/* After pushes: wake the receivers that wait. */
void weiri_publish_wake(struct weiri_publish *publish, struct weiri_snapshot *snapshot);

/* The same, after the fence. */
static inline void weiri_publish_wake_all(struct weiri_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription != NULL && weiri_load_acquire(&subscription->armed) != NULL)
			(void)weiri_subscription_wake(subscription);
	}
}

/* What a publish without options (core/publish_plain.h) comes to, inside its section,
 * when it has pushed to the first `pushed` places and could not to the next one. */
int weiri_publish_resume(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weir_message *message, size_t pushed, weir_receipt *receipt);

/* The whole of an all-or-nothing publish of one message, but for the counters.
 * Not 0: nothing was published. */
int weiri_publish_all(struct weiri_publish *publish);

#endif
