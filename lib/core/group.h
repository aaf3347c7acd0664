/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Group: subscriptions that share one queue and one ledger (weir/group.h).
 *
 *                      +--- core: a subscription, in the topics' snapshots ---+
 *   publishers --push--> [ queue ]                          [ ledger ]        |
 *                      +------|--------------------------------|--------------+
 *                             +---> member a ---> hands -------+
 *                             +---> member b ---> hands -------+
 *
 * The core is a struct weir_subscription that no user has a handle of.  Publishers,
 * overflow, counters, acknowledgements and drains know only it.  Members are those that
 * users have: each points to the core (`core`), receives, and has no messages of its
 * own; its own queue stays empty.
 *
 * Two kinds:
 *   pulled    SHARED, SINGLE_ACTIVE: the queue is as any subscription's; who may
 *             take does so under the group's lock, one at a time
 *   assigned  all others: the queue is a store with a lane for each member; a push
 *             assigns, with the store locked, whose mutex is the group's
 *
 * One lock.  `mutex` is the ledger's if there is one, else the group's own; a store
 * with lanes uses the same one.  So whoever pushes (assigned), takes, settles, joins
 * or leaves has it, and the ledger's watch is called with it.  Order: the registry's,
 * the group's, a pulled store's.
 *
 * Waking.  Members that wait stand in line in `waiting`.
 *   pulled    the core's `armed` shows the waiter of the first in line, so a push
 *             wakes one without a lock.  Pushes before it has run wake nobody else;
 *             whoever ends a receive looks whether something is left, and wakes the
 *             next (weiri_group_pass): no message waits while one sleeps that may
 *             take it.  With a full window nobody is shown; who settles wakes.
 *   assigned  a push wakes the member that it assigns to
 *   all       what is returned, freed or moved: weiri_group_kick
 */
#ifndef WEIRI_GROUP_H
#define WEIRI_GROUP_H

#include "core/subscription.h"
#include "delivery/group_keys.h"
#include "delivery/group_policy.h"

/* What a member has besides its subscription. */
struct weiri_group_member {
	struct weir_subscription *subscription;
	struct weiri_store_lane lane; /* first in line here: what is assigned to it */
	size_t index;                 /* in the group's arrays */
	bool is_waiting;              /* in line */
	bool is_stopped;
	double suspect_until;

	/* KEY, without a ledger: the keys that it has in hand.  They are in the group's
	 * table only if others may meet them (`shown`), which begins when members come
	 * or go: before that, all that is queued of them is in this member's lane.
	 * The receiver has let go of them since (`released`), or will by a take. */
	uint64_t *held_keys;
	size_t held_count;
	size_t held_size;
	_Atomic uint32_t shown;
	_Atomic uint32_t released;

	struct weiri_group_member *next; /* in line */
	struct weiri_group_member *previous;
	uint64_t in_flight;
	uint64_t delivered;
	uint64_t redelivered;
	uint64_t handled;
	uint64_t timeouts;
};

struct weiri_group {
	struct weir_subscription *core;
	weir_group_policy policy;
	bool is_assigned;
	bool keeps;                        /* its messages, without members */
	weir_subscription_options options; /* that all members have; name and topic copied */
	pthread_mutex_t own_mutex;
	pthread_mutex_t *mutex;

	/* In the order in which they came; candidates[i] is members[i]'s. */
	struct weiri_group_member **members;
	struct weiri_group_dealer dealer;
	size_t size;                       /* of both arrays */
	size_t alive;                      /* members that are not stopped */
	struct weiri_group_member *active; /* SINGLE_ACTIVE; NULL: nobody is there */
	struct weiri_store_lane unassigned;
	struct weiri_group_keys keys; /* KEY */

	struct weiri_group_member *first; /* in line */
	struct weiri_group_member *last;
	_Atomic uint32_t waiting;   /* how many */
	_Atomic uint32_t ready;     /* returned messages to be handed out now */
	uint64_t in_flight;         /* in members' hands */
	size_t held_size;           /* the sum of theirs */
	_Atomic uint64_t lost_seen; /* losses that some member was told of */
	uint64_t rebalances;
	uint64_t moved;
	uint64_t keys_moved;
};

/* Whether the subscription is a group's, and no user's. */
static inline bool weiri_subscription_is_core(const struct weir_subscription *subscription)
{
	return subscription->group != NULL && subscription->core == subscription;
}

/* Whether the options about groups are in range, together with the others. */
bool weiri_group_options_are_valid(const weir_subscription_options *options);

/* Whether they ask for a group whose queue has a lane for each member. */
bool weiri_group_assigns(const weir_subscription_options *options);

/* Registry's lock held: the subscription becomes a member of the group that its options
 * name, which is made if it is not there, and is on the registry's list.  Returns 0;
 * WEIR_EMISMATCH; WEIR_ENOMEM; WEIR_ELIMIT; WEIR_ESYSTEM. */
int weiri_group_join(
	struct weir_subscription *subscription, const weir_subscription_options *options);

/* Registry's lock held: the member gets nothing more.  Returns whether nobody in the
 * group does, and it is to be stopped too. */
bool weiri_group_stop(struct weir_subscription *subscription);

/* The member, which has stopped, is no member any more.  `last` (may be NULL) gets its
 * statistics.  Returns the core if it is to be closed, or NULL.  No lock held. */
struct weir_subscription *weiri_group_leave(
	struct weir_subscription *subscription, weir_subscription_statistics *last);

/* The core goes. */
void weiri_group_free(struct weiri_group *group);

/* The broker is closed: until no member is in a receive, in real time. */
void weiri_group_await(struct weir_subscription *core);

/* Registry's lock held: a group that has no members, or NULL. */
struct weir_subscription *weiri_group_find_empty(struct weir_broker *broker);

static inline void weiri_group_lock(struct weiri_group *group)
{
	(void)pthread_mutex_lock(group->mutex);
}

static inline void weiri_group_unlock(struct weiri_group *group)
{
	(void)pthread_mutex_unlock(group->mutex);
}

/* ---- Receiving (group_take.c, group_wait.c); all by the member's receiver ---- */

/* Without acknowledgements: as weiri_receiver_take. */
size_t weiri_group_take(struct weir_subscription *subscription, size_t count_max);

/* With them: parts of weiri_acks_take, with the lock held.  Begin one; the message that
 * comes next, returned or new: whether a returned one does (it is the ledger's first
 * ready one then), else a new one, NULL: none. */
bool weiri_group_take_begin(struct weir_subscription *subscription);
bool weiri_group_has_ready(struct weir_subscription *subscription);
struct weir_message *weiri_group_new_take(struct weir_subscription *subscription);

/* After a take: those who wait for room, and losses to tell of. */
void weiri_group_taken(struct weir_subscription *subscription, size_t count);

/* What it held without acknowledgements is done with; the latter with the lock held. */
void weiri_group_release(struct weir_subscription *subscription);
void weiri_group_let_go(struct weir_subscription *subscription);

/* So many can be held by the member's receives.  Returns 0 or WEIR_ENOMEM. */
int weiri_group_held_reserve(struct weir_subscription *subscription, size_t size);

/* As weiri_receiver_has and weiri_receiver_arm. */
bool weiri_group_has(struct weir_subscription *subscription);
void weiri_group_arm(struct weir_subscription *subscription, struct weiri_waiter *waiter);

/* The receive ends: what is left is for the next in line. */
void weiri_group_pass(struct weir_subscription *subscription);

/* ---- With the group's lock held ---- */

/* Whether the member may take something now. */
bool weiri_group_can_take(struct weiri_group *group, struct weiri_group_member *member);

/* Wake who may take what is there; and show publishers whom to wake. */
void weiri_group_kick(struct weiri_group *group);
void weiri_group_announce(struct weiri_group *group);

/* Out of the line, if it is there. */
void weiri_group_line_leave(struct weiri_group *group, struct weiri_group_member *member);

/* Wake all who wait. */
void weiri_group_tell_all(struct weiri_group *group);

/* Whether it is suspected to be slow, and another one waits that is not. */
bool weiri_group_must_yield(struct weiri_group *group, struct weiri_group_member *member);

/* ---- Standing (group_standing.c) ---- */

/* The ledger's watch. */
void weiri_group_watch(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry,
	enum weiri_ledger_change change);

static inline struct weiri_group_candidate *weiri_group_candidate_of(
	struct weiri_group *group, const struct weiri_group_member *member)
{
	return &group->dealer.candidates[member->index];
}

/* It is there: it receives. */
void weiri_group_is_back(struct weiri_group *group, struct weiri_group_member *member);

/* Suspicions that are over. */
void weiri_group_standings_refresh(struct weiri_group *group);

/* The member is away, or it came; NULL: one that was away is no member any more.  What is
 * assigned changes, and the active member. */
void weiri_group_rebalance(struct weiri_group *group, struct weiri_group_member *member);

/* ---- Assigning (group_assign.c) ---- */

/* Whose the message is to be; NULL: nobody is there. */
struct weiri_group_member *weiri_group_pick(
	struct weiri_group *group, const struct weir_message *message);

/* Into the lane of a member, or of nobody. */
void weiri_group_give(struct weiri_group *group, struct weiri_store_node *node,
	struct weiri_group_member *member);

/* A new message to a member: one that was pushed into the store; or, if that is plain
 * and has provided a place, one that is put there.  Returns the waiter to be notified,
 * when nothing is locked, or NULL. */
struct weiri_waiter *weiri_group_assign(struct weiri_group *group, struct weiri_store_node *node);
struct weiri_waiter *weiri_group_add(struct weiri_group *group, struct weir_message *message);

/* The member's next message that may be taken, or NULL; what is blocked is parked. */
struct weiri_store_node *weiri_group_next(
	struct weiri_group *group, struct weiri_group_member *member);

/* Whether the message has a key that the group minds. */
static inline bool weiri_group_has_key(
	const struct weiri_group *group, const struct weir_message *message)
{
	return group->policy == WEIR_GROUP_KEY && (message->flags & WEIRI_MESSAGE_HAS_KEY) != 0;
}

/* Keys may be other members' now: what is parked with them goes there. */
void weiri_group_keys_settle(struct weiri_group *group);

/* Without a ledger: the key of a message that the member takes is in its hand; and all
 * that are there are in nobody's.  Returns whether that is news to others. */
static inline void weiri_group_key_hold_own(
	struct weiri_group_member *member, const struct weir_message *message)
{
	if (message->flags & WEIRI_MESSAGE_HAS_KEY)
		member->held_keys[member->held_count++] = message->key;
}

bool weiri_group_keys_let_go(struct weiri_group *group, struct weiri_group_member *member);

/* Members come or go: others may meet the keys that each has in hand. */
void weiri_group_keys_show(struct weiri_group *group);

/* With one: what becomes of an entry, and of its key. */
void weiri_group_key_watch(struct weiri_group *group, struct weiri_ledger_entry *entry,
	enum weiri_ledger_change change);

/* The returned message that this member may have, or NULL. */
struct weiri_ledger_entry *weiri_group_key_ready(
	struct weiri_group *group, struct weiri_group_member *member);

/* ---- Moving (group_move.c) ---- */

/* The member went away, or came: what it had is dealt to the others; what is nobody's,
 * or has a key that is its own now, becomes its.  Kicks nobody. */
void weiri_group_deal_again(struct weiri_group *group, struct weiri_group_member *member);

/* At the end, without the lock: any message out of the lanes, or NULL. */
struct weir_message *weiri_group_take_any(struct weiri_group *group);

/* ---- Statistics (group_statistics.c) ---- */

/* The member's own, with the lock held. */
void weiri_group_member_read(
	struct weir_subscription *subscription, weir_subscription_statistics *statistics);

#endif
