/* SPDX-License-Identifier: BSD-2-Clause */
/* What is queued when members come and go: to whom it moves. */
#include <stdlib.h>

#include "core/group.h"

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

static void node_move(struct weiri_group *group, struct weiri_store_node *node,
	struct weiri_group_member *to, struct moved *moved)
{
	const struct weir_message *message = weiri_store_node_value(node);
	bool was_assigned = owner_of(weiri_store_lane_of(node)) != NULL;

	weiri_group_give(group, node, to);
	if (!was_assigned)
		return;
	group->moved++;
	if (weiri_group_has_key(group, message) && moved->count < moved->size)
		moved->keys[moved->count++] = message->key;
}

/* All of a lane, to whoever is there. */
static void lane_deal(struct weiri_group *group, struct weiri_store_lane *lane, struct moved *moved)
{
	struct weiri_store_node *node = weiri_store_lane_oldest(lane);

	while (node != NULL) {
		struct weiri_store_node *newer = weiri_store_lane_newer(node);

		node_move(
			group, node, weiri_group_pick(group, weiri_store_node_value(node)), moved);
		node = newer;
	}
}

/* Of a member's lane, those whose key is the newcomer's now. */
static void lane_share(struct weiri_group *group, struct weiri_group_member *member,
	struct weiri_group_member *newcomer, struct moved *moved)
{
	struct weiri_store_node *node = weiri_store_lane_oldest(&member->lane);

	while (node != NULL) {
		struct weiri_store_node *newer = weiri_store_lane_newer(node);
		const struct weir_message *message = weiri_store_node_value(node);

		if (weiri_group_has_key(group, message) &&
			weiri_group_draw_wins(
				&group->dealer, message->key, newcomer->index, member->index))
			node_move(group, node, newcomer, moved);
		node = newer;
	}
}

static void all_move(
	struct weiri_group *group, struct weiri_group_member *member, struct moved *moved)
{
	if (weiri_group_candidate_of(group, member)->standing == WEIRI_GROUP_AWAY) {
		lane_deal(group, &member->lane, moved);
		return;
	}
	lane_deal(group, &group->unassigned, moved);
	for (size_t i = 0; group->policy == WEIR_GROUP_KEY && i < group->dealer.count; i++)
		if (group->members[i] != member)
			lane_share(group, group->members[i], member, moved);
}

void weiri_group_deal_again(struct weiri_group *group, struct weiri_group_member *member)
{
	const weir_allocator *allocator = &group->core->broker->allocator;
	struct moved moved = { .size = weiri_store_count(group->core->queue.store) };

	if (group->policy == WEIR_GROUP_KEY && moved.size > 0)
		moved.keys = weiri_allocate_raw(
			allocator, moved.size * sizeof(*moved.keys), sizeof(*moved.keys));
	if (moved.keys == NULL)
		moved.size = 0;
	all_move(group, member, &moved);
	group->keys_moved += moved_keys(&moved);
	weiri_deallocate(allocator, moved.keys, moved.size * sizeof(*moved.keys));
	if (group->policy == WEIR_GROUP_KEY)
		weiri_group_keys_settle(group);
}

/* All that is queued, to nobody. */
static void lanes_empty(struct weiri_group *group)
{
	struct weiri_group_key *key = NULL;
	struct weiri_store_node *node;
	size_t cursor = 0;

	for (size_t i = 0; i < group->dealer.count; i++)
		while ((node = weiri_store_lane_oldest(&group->members[i]->lane)) != NULL)
			weiri_group_give(group, node, NULL);
	while ((key = weiri_group_keys_next(&group->keys, key, &cursor)) != NULL)
		while ((node = weiri_store_lane_oldest(&key->parked)) != NULL)
			weiri_group_give(group, node, NULL);
}

struct weir_message *weiri_group_take_any(struct weiri_group *group)
{
	struct weir_message *message = NULL;
	struct weiri_store_node *node;

	weiri_group_lock(group);
	if (weiri_store_lane_oldest(&group->unassigned) == NULL)
		lanes_empty(group);
	node = weiri_store_lane_oldest(&group->unassigned);
	if (node != NULL)
		message = weiri_store_lane_take(group->core->queue.store, node);
	weiri_group_unlock(group);
	return message;
}
