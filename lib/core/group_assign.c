/* SPDX-License-Identifier: BSD-2-Clause */
/* To which member's lane a message belongs, and which keys are blocked. */
#include <stdlib.h>

#include "core/group.h"

static struct weiri_store *store_of(struct weiri_group *group)
{
	return group->core->queue.store;
}

static bool has_key(const struct weiri_group *group, const struct weir_message *message)
{
	return group->policy == WEIR_GROUP_KEY && (message->flags & WEIRI_MESSAGE_HAS_KEY) != 0;
}

static struct weiri_group_member *member_at(struct weiri_group *group, size_t index)
{
	return index != WEIRI_GROUP_NOBODY ? group->members[index] : NULL;
}

static bool minds_load(const struct weiri_group *group)
{
	return group->policy == WEIR_GROUP_LEAST_LOADED || group->policy == WEIR_GROUP_KEY;
}

/* Whose the message is to be; NULL: nobody is there. */
static struct weiri_group_member *member_pick(
	struct weiri_group *group, const struct weir_message *message)
{
	if (has_key(group, message))
		return member_at(group, weiri_group_deal_key(&group->dealer, message->key));
	weiri_group_standings_refresh(group);
	for (size_t i = 0; minds_load(group) && i < group->dealer.count; i++)
		group->dealer.candidates[i].load =
			weiri_store_lane_count(&group->members[i]->lane) +
			group->members[i]->in_flight;
	return member_at(group, weiri_group_deal(&group->dealer, group->policy));
}

static struct weiri_group_key *key_of(struct weiri_group *group, const struct weir_message *message)
{
	return has_key(group, message) ? weiri_group_keys_find(&group->keys, message->key) : NULL;
}

/* Into the lane of a member, or of nobody. */
static void node_give(
	struct weiri_group *group, struct weiri_store_node *node, struct weiri_group_member *member)
{
	struct weiri_store_lane *lane = member != NULL ? &member->lane : &group->unassigned;

	if (weiri_store_lane_of(node) != lane)
		weiri_store_lane_move(store_of(group), node, lane);
}

/* The lane that a new message goes into: parked with its key, if that is blocked for
 * its member. */
static struct weiri_store_lane *lane_pick(struct weiri_group *group,
	struct weiri_group_member *member, const struct weir_message *message)
{
	struct weiri_group_key *key = key_of(group, message);

	if (member == NULL)
		return &group->unassigned;
	return key != NULL && weiri_group_key_is_blocked(key, member) ? &key->parked
								      : &member->lane;
}

struct weiri_waiter *weiri_group_assign(
	struct weiri_group *group, const struct weir_message *message)
{
	struct weiri_store_node *node = weiri_store_newest(store_of(group));
	struct weiri_group_member *member;
	struct weiri_store_lane *lane;

	/* It took the place of another one: it is where that was. */
	if (weiri_store_lane_of(node) != NULL)
		return NULL;
	member = member_pick(group, message);
	lane = lane_pick(group, member, message);
	weiri_store_lane_put(store_of(group), node, lane);
	if (member == NULL || !member->is_waiting || lane != &member->lane)
		return NULL;
	return weiri_load_relaxed(&member->subscription->armed);
}

struct weiri_store_node *weiri_group_next(
	struct weiri_group *group, struct weiri_group_member *member)
{
	struct weiri_store_node *node;

	while ((node = weiri_store_lane_first(&member->lane)) != NULL) {
		struct weiri_group_key *key = key_of(group, weiri_store_node_value(node));

		if (key == NULL || !weiri_group_key_is_blocked(key, member))
			break;
		weiri_store_lane_move(store_of(group), node, &key->parked);
	}
	return node;
}

static void parked_give(struct weiri_group *group, struct weiri_group_key *key)
{
	struct weiri_group_member *member =
		member_at(group, weiri_group_deal_key(&group->dealer, key->key));
	struct weiri_store_node *node;

	if (!weiri_group_key_is_blocked(key, member))
		while ((node = weiri_store_lane_first(&key->parked)) != NULL)
			node_give(group, node, member);
}

/* What is parked with a key goes to its member as soon as that may have it.  Mostly
 * nothing is, and whose the key is need not be drawn. */
static void key_settle(struct weiri_group *group, struct weiri_group_key *key)
{
	if (weiri_store_lane_first(&key->parked) != NULL)
		parked_give(group, key);
	if (key->held == 0 && key->returned == 0)
		weiri_group_keys_remove(&group->keys, key);
}

void weiri_group_key_taken(struct weiri_group *group, struct weiri_group_member *member,
	const struct weir_message *message)
{
	if (has_key(group, message))
		weiri_group_key_hold(weiri_group_keys_make(&group->keys, message->key), member);
}

void weiri_group_key_done(struct weiri_group *group, const struct weir_message *message)
{
	struct weiri_group_key *key = key_of(group, message);

	if (key == NULL)
		return;
	weiri_group_key_let_go(key);
	key_settle(group, key);
}

void weiri_group_key_watch(struct weiri_group *group, struct weiri_ledger_entry *entry,
	enum weiri_ledger_change change)
{
	const struct weir_message *message = entry->value;
	struct weiri_group_key *key;

	if (!has_key(group, message))
		return;
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
	if (change == WEIRI_LEDGER_HANDED_OUT) {
		key = weiri_group_keys_make(&group->keys, message->key);
		weiri_group_key_hold(key, entry->holder);
		if (entry->serial != entry->generation)
			weiri_group_key_resume(key, entry);
	} else {
		key = weiri_group_keys_find(&group->keys, message->key);
		if (change == WEIRI_LEDGER_RETURNED || entry->state == WEIRI_LEDGER_IN_FLIGHT)
			weiri_group_key_let_go(key);
		else
			weiri_group_key_resume(key, entry);
		if (change == WEIRI_LEDGER_RETURNED)
			weiri_group_key_return(key, entry);
	}
	key_settle(group, key);
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

/* ---- When members come and go ---- */

/* Keys that moved, for counting the different ones; `keys` NULL: no memory for that. */
struct moved {
	uint64_t *keys;
	size_t size;
	size_t count;
};

static int keys_compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static uint64_t moved_keys(struct moved *moved)
{
	uint64_t different = moved->count > 0 ? 1 : 0;

	if (moved->count > 0)
		qsort(moved->keys, moved->count, sizeof(*moved->keys), keys_compare);
	for (size_t i = 1; i < moved->count; i++)
		different += moved->keys[i] != moved->keys[i - 1];
	return different;
}

/* Whose lane it is; NULL: nobody's, or a key's. */
static struct weiri_group_member *owner_of(const struct weiri_store_lane *lane)
{
	return lane->owner;
}

/* Whether it is to be dealt again, being in this lane. */
static bool is_misplaced(struct weiri_group *group, const struct weiri_store_lane *lane,
	const struct weir_message *message)
{
	struct weiri_group_member *owner = owner_of(lane);

	if (owner == NULL)
		return lane == &group->unassigned;
	return has_key(group, message) ||
	       weiri_group_candidate_of(group, owner)->standing == WEIRI_GROUP_AWAY;
}

static void node_deal(struct weiri_group *group, struct weiri_store_node *node, struct moved *moved)
{
	const struct weir_message *message = weiri_store_node_value(node);
	struct weiri_group_member *from = owner_of(weiri_store_lane_of(node));
	struct weiri_group_member *to = member_pick(group, message);

	if (from == to)
		return;
	node_give(group, node, to);
	if (from == NULL)
		return;
	group->moved++;
	if (has_key(group, message) && moved->count < moved->size)
		moved->keys[moved->count++] = message->key;
}

static void keys_settle(struct weiri_group *group)
{
	struct weiri_group_key *key, *next;
	size_t cursor = 0;

	for (key = weiri_group_keys_next(&group->keys, NULL, &cursor); key != NULL; key = next) {
		next = weiri_group_keys_next(&group->keys, key, &cursor);
		key_settle(group, key);
	}
}

void weiri_group_deal_again(struct weiri_group *group)
{
	const weir_allocator *allocator = &group->core->broker->allocator;
	struct weiri_store_node *node = weiri_store_oldest(store_of(group));
	struct moved moved = { .size = weiri_store_count(store_of(group)) };

	if (group->policy == WEIR_GROUP_KEY && moved.size > 0)
		moved.keys = weiri_allocate_raw(
			allocator, moved.size * sizeof(*moved.keys), sizeof(*moved.keys));
	if (moved.keys == NULL)
		moved.size = 0;
	while (node != NULL) {
		struct weiri_store_node *newer = weiri_store_newer(node);

		if (is_misplaced(group, weiri_store_lane_of(node), weiri_store_node_value(node)))
			node_deal(group, node, &moved);
		node = newer;
	}
	group->keys_moved += moved_keys(&moved);
	weiri_deallocate(allocator, moved.keys, moved.size * sizeof(*moved.keys));
	if (group->policy == WEIR_GROUP_KEY)
		keys_settle(group);
}
