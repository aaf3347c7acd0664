/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Group: subscriptions that share messages instead of each getting all.
 *
 * Subscriptions of one broker with the same `group` name and the same filter are the
 * members of one group.  To publishers the group is one subscription, with one
 * queue, whose options (capacity, overflow, acknowledgements, ...) are the group's;
 * each message goes to one member.  Groups and plain subscriptions of a topic do not
 * disturb each other.
 *
 * Options.  The members of a group have the same ones, but for `wait` and
 * `group_weight`; a weir_subscribe with others returns WEIR_EMISMATCH (they are
 * compared as given: a 0 is not the default that it stands for).  Hooks at
 * watermarks are refused in a group (WEIR_EINVAL): they would have no member of their
 * own.  redeliver_to_back is refused with WEIR_GROUP_KEY, which needs the order.
 *
 * Joining and leaving, at any time and by any thread.  weir_subscribe joins.  A member
 * that is stopped gets nothing more, and what was assigned to it goes to the others at
 * once; what it has in hand it may still settle.  weir_unsubscribe leaves: what it has
 * not settled goes to the others, before all that is queued and in the order in which
 * it got it.  That counts as an attempt, as a timeout does: after the last one the
 * message is a dead letter.  What the leaver received without acknowledgements was
 * delivered.  When the last member has left, the group ends, and what is queued is
 * dropped (WEIR_DROP_CLOSED), or, with `group_keep`, it stays and takes messages within
 * its capacity, until the next member comes or the broker is closed.  weir_broker_drain
 * waits for it in vain then, for nobody can join any more: with a timeout, or close.
 *
 * Slow members and dead ones.  A member whose delivery timed out is avoided: until it
 * settles something, or ack_timeout has passed, it gets new work only if no other
 * member is there for it.  If it was not inside a receive either, it counts as away until it
 * receives again: what is assigned to it goes to the others at once, its keys too, and
 * another becomes the active one.  So a member whose thread has died holds up nothing
 * for longer than ack_timeout; without acknowledgements nobody can know.
 *
 * A message that is delivered again goes to any member that may take it; with
 * WEIR_GROUP_KEY to the member of its key, with WEIR_GROUP_SINGLE_ACTIVE to the active
 * one.  weir_ack_up_to settles only what the same member got.  A dead letter names the
 * group's number (weir_group_statistics) as its subscription.
 */
#ifndef WEIR_GROUP_H
#define WEIR_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/statistics.h>

WEIR_BEGIN_DECLS

/* Bytes of a group's name at most, 1..255; any but 0. */
#define WEIR_GROUP_NAME_MAX 255

#define WEIR_GROUP_WEIGHT_MAX 1000000

/* Which member gets a message. */
typedef enum weir_group_policy {
	/* One queue, from which members take when they are free.  The default: work
	 * goes to whoever has time for it, and there is no guess to regret; a slow
	 * member takes less, and one that takes nothing holds up nothing.  Messages
	 * are taken in order, and with one lock-free queue for publishers. */
	WEIR_GROUP_SHARED = 0,
	/* Each in turn, at the publish. */
	WEIR_GROUP_ROUND_ROBIN = 1,
	/* In turn by `group_weight`, smoothly: with weights 2 and 1, a b a a b a ... */
	WEIR_GROUP_WEIGHTED = 2,
	/* The member with the fewest messages assigned and not settled (without
	 * acknowledgements: not done with, as its next receive tells), at the
	 * publish; equals in turn. */
	WEIR_GROUP_LEAST_LOADED = 3,
	/* Messages of one key to one member, in order, and never to two at once.  A
	 * member that joins or leaves moves only its share of the keys (rendezvous
	 * hashing); a key that a member has in hand goes to another only when all
	 * of it is settled, and a message that came back is delivered before those
	 * behind it.  Without acknowledgements a member has a message in hand until
	 * its next receive.  Messages without a key: as LEAST_LOADED, in no order. */
	WEIR_GROUP_KEY = 4,
	/* The member that has been there longest takes all; the others stand by.  When it
	 * leaves, or is away, the next one takes over, as soon as nothing is in the
	 * other's hand. */
	WEIR_GROUP_SINGLE_ACTIVE = 5,
} weir_group_policy;

typedef struct weir_group_member_statistics {
	uint64_t id; /* weir_subscription_id */
	uint32_t weight;
	bool is_active;       /* SINGLE_ACTIVE: this one takes */
	bool is_avoided;      /* a delivery timed out lately */
	bool is_away;         /* ... or it is stopped, and nothing is assigned to it */
	uint64_t queued;      /* assigned to it and waiting */
	uint64_t in_flight;   /* in its hand */
	uint64_t delivered;   /* handed to it, those included that others had before */
	uint64_t redelivered; /* of them: those that others, or it, had before */
	uint64_t handled;     /* acknowledged by it; without acknowledgements: delivered */
	uint64_t timeouts;
	double share; /* of all that its members handled; 0 if there is none */
	uint64_t reserved[4];
} weir_group_member_statistics;

typedef struct weir_group_statistics {
	uint64_t id; /* of the group, as `refused_by` of a receipt has it */
	uint64_t members;
	uint64_t queued;    /* waiting, assigned or not */
	uint64_t in_flight; /* in members' hands, or waiting for another attempt */
	uint64_t handled;   /* by members that are still there */
	/* The most that a member handled by its weight (WEIGHTED; else 1), divided
	 * by the mean of that, less 1: 0 when all did their part, members - 1 when
	 * one did all. */
	double imbalance;
	uint64_t rebalances; /* members that came, left, or were away and came back */
	uint64_t moved;      /* queued messages that went to another member for that */
	uint64_t keys_moved; /* KEY: the different keys of those, at each rebalance */
	weir_subscription_statistics total; /* of the group as a subscription */
	uint64_t reserved[8];
} weir_group_statistics;

/*
 * weir_group_statistics_get - of the group that `member` is in, and of each of its
 * members in the order in which they came, up to `size` of them (`members` may be NULL
 * if that is 0); statistics->members tells how many there are.  The member's own can
 * also be read with weir_subscription_statistics_get: `matched` is there what it has,
 * and what it handled; what was refused or dropped, capacity and high_water are the
 * group's (`total`).
 *
 * Threads: any, at once.  Blocks for other calls on the group, briefly.
 * Returns 0; WEIR_EINVAL: NULL, or the subscription is in no group.
 */
WEIR_API int weir_group_statistics_get(struct weir_subscription *member,
	weir_group_statistics *statistics, weir_group_member_statistics *members, size_t size);

WEIR_END_DECLS

#endif
