/* SPDX-License-Identifier: BSD-2-Clause */
/* To which member's lane a message belongs, and which keys are blocked. */
#include "core/group.h"

/* Of a member's keys: 0, about to be, or in the table. */
enum {
	SHOWN_NEW = 1,
	SHOWN = 2,
};

static struct weiri_store *store_of(struct weiri_group *group)
{
	return group->core->queue.store;
}

static struct weiri_group_member *member_at(struct weiri_group *group, size_t index)
{
	return index != WEIRI_GROUP_NOBODY ? group->members[index] : NULL;
}

static bool minds_load(const struct weiri_group *group)
{
	return group->policy == WEIR_GROUP_LEAST_LOADED || group->policy == WEIR_GROUP_KEY;
}

struct weiri_group_member *weiri_group_pick(
	struct weiri_group *group, const struct weir_message *message)
{
	if (weiri_group_has_key(group, message))
		return member_at(group, weiri_group_deal_key(&group->dealer, message->key));
	/* Else nothing can time out. */
	if (group->core->acks != NULL)
		weiri_group_standings_refresh(group);
	if (minds_load(group))
		for (size_t i = 0; i < group->dealer.count; i++)
			group->dealer.candidates[i].load =
				weiri_store_lane_count(&group->members[i]->lane) +
				group->members[i]->in_flight;
	return member_at(group, weiri_group_deal(&group->dealer, group->policy));
}

static struct weiri_group_key *key_of(struct weiri_group *group, const struct weir_message *message)
{
	return weiri_group_has_key(group, message)
		       ? weiri_group_keys_find(&group->keys, message->key)
		       : NULL;
}

void weiri_group_give(
	struct weiri_group *group, struct weiri_store_node *node, struct weiri_group_member *member)
{
	struct weiri_store_lane *lane = member != NULL ? &member->lane : &group->unassigned;

	if (weiri_store_lane_of(node) != lane)
		weiri_store_lane_move(store_of(group), node, lane);
}

/* The lane that a new message goes into: parked with its key, if that is blocked for
 * its member.  *waiter is who is to know of it, or NULL. */
static struct weiri_store_lane *lane_pick(
	struct weiri_group *group, const struct weir_message *message, struct weiri_waiter **waiter)
{
	struct weiri_group_member *member = weiri_group_pick(group, message);
	struct weiri_group_key *key = key_of(group, message);

	*waiter = NULL;
	if (member == NULL)
		return &group->unassigned;
	if (key != NULL && weiri_group_key_is_blocked(key, member))
		return &key->parked;
	if (member->is_waiting)
		*waiter = weiri_load_relaxed(&member->subscription->armed);
	return &member->lane;
}

struct weiri_waiter *weiri_group_assign(struct weiri_group *group, struct weiri_store_node *node)
{
	struct weiri_waiter *waiter;

	weiri_store_lane_put(
		store_of(group), node, lane_pick(group, weiri_store_node_value(node), &waiter));
	return waiter;
}

struct weiri_waiter *weiri_group_add(struct weiri_group *group, struct weir_message *message)
{
	struct weiri_waiter *waiter;

	weiri_store_lane_add(store_of(group), lane_pick(group, message, &waiter), message);
	return waiter;
}

struct weiri_store_node *weiri_group_next(
	struct weiri_group *group, struct weiri_group_member *member)
{
	struct weiri_store_node *node;

	while ((node = weiri_store_lane_first(&member->lane)) != NULL) {
		struct weiri_group_key *key;

		if (group->policy != WEIR_GROUP_KEY)
			break;
		key = key_of(group, weiri_store_node_value(node));
		if (key == NULL || !weiri_group_key_is_blocked(key, member))
			break;
		weiri_store_lane_move(store_of(group), node, &key->parked);
	}
	return node;
}

/* What is parked with a key goes to its member as soon as that may have it.  Mostly
 * nothing is, and whose the key is need not be drawn. */
static void parked_give(struct weiri_group *group, struct weiri_group_key *key)
{
	struct weiri_group_member *member;
	struct weiri_store_node *node;

	if (weiri_store_lane_first(&key->parked) == NULL)
		return;
	member = member_at(group, weiri_group_deal_key(&group->dealer, key->key));
	if (!weiri_group_key_is_blocked(key, member))
		while ((node = weiri_store_lane_first(&key->parked)) != NULL)
			weiri_group_give(group, node, member);
}

/* The key at this place may be somebody else's now, or nobody's. */
static void key_settle(struct weiri_group *group, struct weiri_group_key **place)
{
	parked_give(group, *place);
	if ((*place)->held == 0 && (*place)->returned == 0)
		weiri_group_keys_remove(&group->keys, place);
}

void weiri_group_keys_settle(struct weiri_group *group)
{
	struct weiri_group_key *key, *next;
	size_t cursor = 0;

	for (key = weiri_group_keys_next(&group->keys, NULL, &cursor); key != NULL; key = next) {
		next = weiri_group_keys_next(&group->keys, key, &cursor);
		key_settle(group, weiri_group_keys_place(&group->keys, key->key));
	}
}

bool weiri_group_keys_let_go(struct weiri_group *group, struct weiri_group_member *member)
{
	bool was_shown = weiri_load_relaxed(&member->shown) != 0;

	for (size_t i = 0; was_shown && i < member->held_count; i++) {
		struct weiri_group_key **place =
			weiri_group_keys_place(&group->keys, member->held_keys[i]);

		weiri_group_key_let_go(*place);
		key_settle(group, place);
	}
	member->held_count = 0;
	weiri_store_relaxed(&member->shown, 0);
	return was_shown;
}

/* Into the table with the keys of a member that has just been marked as shown, unless
 * it has let go of them. */
static void keys_enter(struct weiri_group *group, struct weiri_group_member *member)
{
	/* K3 (pairs with K1): what it did with the messages comes before what others
	 * do with the next ones of their keys. */
	if (weiri_load_acquire(&member->released) != 0) {
		member->held_count = 0;
		weiri_store_relaxed(&member->shown, 0);
		return;
	}
	for (size_t i = 0; i < member->held_count; i++)
		weiri_group_key_hold(
			weiri_group_keys_make(&group->keys, member->held_keys[i]), member);
}

void weiri_group_keys_show(struct weiri_group *group)
{
	struct weiri_group_member **members = group->members;
	bool has_new = false;

	for (size_t i = 0; i < group->dealer.count; i++) {
		if (members[i]->held_count == 0 || weiri_load_relaxed(&members[i]->shown) != 0)
			continue;
		weiri_store_relaxed(&members[i]->shown, SHOWN_NEW);
		has_new = true;
	}
	if (!has_new)
		return;
	/* K2: a member stores `released` and looks at `shown` (weiri_group_release);
	 * here it is the other way round.  One of the two sees the other. */
	weiri_fence_heavy(group->core->broker->fence_asymmetric);
	for (size_t i = 0; i < group->dealer.count; i++) {
		if (weiri_load_relaxed(&members[i]->shown) != SHOWN_NEW)
			continue;
		weiri_store_relaxed(&members[i]->shown, SHOWN);
		keys_enter(group, members[i]);
	}
}

/* A message of the key was handed out, for the first time or again. */
static void key_handed_out(
	struct weiri_group *group, struct weiri_ledger_entry *entry, uint64_t number)
{
	struct weiri_group_key *key = weiri_group_keys_make(&group->keys, number);

	weiri_group_key_hold(key, entry->holder);
	if (entry->serial != entry->generation)
		weiri_group_key_resume(key, entry);
	parked_give(group, key);
}

void weiri_group_key_watch(struct weiri_group *group, struct weiri_ledger_entry *entry,
	enum weiri_ledger_change change)
{
	const struct weir_message *message = entry->value;
	struct weiri_group_key **place;

	if (!weiri_group_has_key(group, message))
		return;
	if (change == WEIRI_LEDGER_HANDED_OUT) {
		key_handed_out(group, entry, message->key);
		return;
	}
	/* One that was sent back, when nobody had any of it. */
	if (entry->holder == NULL && entry->state != WEIRI_LEDGER_IN_FLIGHT) {
		if (change == WEIRI_LEDGER_DUE)
			weiri_group_key_return(
				weiri_group_keys_make(&group->keys, message->key), entry);
		if (change == WEIRI_LEDGER_DUE || entry->state == WEIRI_LEDGER_DELAYED)
			return;
	}
	if (change == WEIRI_LEDGER_DUE)
		return;
	place = weiri_group_keys_place(&group->keys, message->key);
	if (change == WEIRI_LEDGER_RETURNED || entry->state == WEIRI_LEDGER_IN_FLIGHT)
		weiri_group_key_let_go(*place);
	else
		weiri_group_key_resume(*place, entry);
	if (change == WEIRI_LEDGER_RETURNED)
		weiri_group_key_return(*place, entry);
	key_settle(group, place);
}

struct weiri_ledger_entry *weiri_group_key_ready(
	struct weiri_group *group, struct weiri_group_member *member)
{
	struct weiri_ledger_entry *entry = group->core->acks->ledger->ready.first;

	for (; entry != NULL; entry = entry->next) {
		const struct weiri_group_key *key = key_of(group, entry->value);

		if (key == NULL && !weiri_group_must_yield(group, member))
			return entry;
		/* The first of its key, and nobody else has any of it. */
		if (key != NULL && key->first == entry &&
			(key->held == 0 || key->holder == member) &&
			member_at(group, weiri_group_deal_key(&group->dealer, key->key)) == member)
			return entry;
	}
	return NULL;
}
