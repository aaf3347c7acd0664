/* SPDX-License-Identifier: BSD-2-Clause */
/* Who of a group's members waits, and who of them is woken. */
#include "core/group.h"

static void line_append(struct weiri_group *group, struct weiri_group_member *member)
{
	member->is_waiting = true;
	member->next = NULL;
	member->previous = group->last;
	if (group->last != NULL)
		group->last->next = member;
	else
		group->first = member;
	group->last = member;
	(void)weiri_add_relaxed(&group->waiting, 1);
}

void weiri_group_line_leave(struct weiri_group *group, struct weiri_group_member *member)
{
	if (!member->is_waiting)
		return;
	member->is_waiting = false;
	if (member->previous != NULL)
		member->previous->next = member->next;
	else
		group->first = member->next;
	if (member->next != NULL)
		member->next->previous = member->previous;
	else
		group->last = member->previous;
	(void)weiri_sub_relaxed(&group->waiting, 1);
}

/* The first in line of those that nothing is held against, or just the first. */
static struct weiri_group_member *line_best(struct weiri_group *group)
{
	struct weiri_group_member *member = group->first;

	while (member != NULL &&
		weiri_group_candidate_of(group, member)->standing != WEIRI_GROUP_GOOD)
		member = member->next;
	return member != NULL ? member : group->first;
}

bool weiri_group_must_yield(struct weiri_group *group, struct weiri_group_member *member)
{
	struct weiri_group_member *best;

	weiri_group_standings_refresh(group);
	if (weiri_group_candidate_of(group, member)->standing == WEIRI_GROUP_GOOD)
		return false;
	best = line_best(group);
	return best != NULL && best != member &&
	       weiri_group_candidate_of(group, best)->standing == WEIRI_GROUP_GOOD;
}

static bool has_room(const struct weiri_group *group)
{
	return group->core->acks == NULL || weiri_ledger_has_room(group->core->acks->ledger);
}

static bool has_ready(const struct weiri_group *group)
{
	return group->core->acks != NULL && group->core->acks->ledger->ready.first != NULL;
}

/* The active member takes when nothing is left in another's hand. */
static bool is_active(const struct weiri_group *group, const struct weiri_group_member *member)
{
	return member == group->active && group->in_flight == member->in_flight;
}

bool weiri_group_can_take(struct weiri_group *group, struct weiri_group_member *member)
{
	if (member->is_stopped)
		return false;
	if (!group->is_assigned)
		return (group->policy == WEIR_GROUP_SINGLE_ACTIVE
				       ? is_active(group, member)
				       : !weiri_group_must_yield(group, member)) &&
		       (has_ready(group) ||
			       (has_room(group) && !weiri_queue_is_empty(&group->core->queue)));
	if (has_room(group) && weiri_group_next(group, member) != NULL)
		return true;
	if (!has_ready(group))
		return false;
	return group->policy == WEIR_GROUP_KEY ? weiri_group_key_ready(group, member) != NULL
					       : !weiri_group_must_yield(group, member);
}

void weiri_group_announce(struct weiri_group *group)
{
	struct weiri_group_member *member = group->active;
	struct weiri_waiter *waiter = NULL;

	if (group->is_assigned)
		return;
	if (group->policy == WEIR_GROUP_SHARED)
		member = line_best(group);
	else if (member != NULL && (!member->is_waiting || !is_active(group, member)))
		member = NULL;
	if (member != NULL && has_room(group))
		waiter = weiri_load_relaxed(&member->subscription->armed);
	weiri_store_release(&group->core->armed, waiter);
}

void weiri_group_tell_all(struct weiri_group *group)
{
	weiri_fence_full();
	for (struct weiri_group_member *member = group->first; member != NULL;
		member = member->next)
		(void)weiri_subscription_wake(member->subscription);
}

/* Pulled: one is enough, for it passes on what it leaves. */
static void pulled_kick(struct weiri_group *group)
{
	struct weiri_group_member *member;

	weiri_group_standings_refresh(group);
	member = line_best(group);
	if (group->policy == WEIR_GROUP_SINGLE_ACTIVE)
		member = group->active != NULL && group->active->is_waiting ? group->active : NULL;
	if (member != NULL && weiri_group_can_take(group, member))
		(void)weiri_subscription_wake(member->subscription);
}

/* Each that has something of its own, and one for what is for anybody. */
static void assigned_kick(struct weiri_group *group)
{
	bool is_for_any = group->policy != WEIR_GROUP_KEY && has_ready(group);
	struct weiri_group_member *best;

	weiri_group_standings_refresh(group);
	best = is_for_any ? line_best(group) : NULL;

	for (struct weiri_group_member *member = group->first; member != NULL;
		member = member->next)
		if (member == best || (has_room(group) && weiri_group_next(group, member)) ||
			(group->policy == WEIR_GROUP_KEY && has_ready(group) &&
				weiri_group_key_ready(group, member) != NULL))
			(void)weiri_subscription_wake(member->subscription);
}

void weiri_group_kick(struct weiri_group *group)
{
	if (group->core->acks != NULL)
		weiri_ledger_ready_fill(group->core->acks->ledger);
	/* One that is armed later comes by this lock, and then looks. */
	if (group->is_assigned && group->first == NULL)
		return;
	weiri_group_announce(group);
	/* Pairs with the arm of a waiter, and what is shown to publishers comes before
	 * the look at the queue. */
	weiri_fence_full();
	if (group->is_assigned)
		assigned_kick(group);
	else if (group->first != NULL)
		pulled_kick(group);
}

/* Whether there may be something; without the lock. */
static bool may_have(struct weir_subscription *subscription)
{
	struct weiri_group *group = subscription->group;

	if (weiri_load_relaxed(&group->ready) > 0)
		return true;
	return group->is_assigned ? weiri_store_lane_count(&subscription->member->lane) > 0
				  : weiri_queue_count(&group->core->queue) > 0;
}

bool weiri_group_has(struct weir_subscription *subscription)
{
	struct weiri_group *group = subscription->group;
	bool can;

	if (!may_have(subscription))
		return false;
	weiri_group_lock(group);
	can = weiri_group_can_take(group, subscription->member);
	weiri_group_unlock(group);
	return can;
}

void weiri_group_arm(struct weir_subscription *subscription, struct weiri_waiter *waiter)
{
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;

	weiri_group_lock(group);
	weiri_group_line_leave(group, member);
	weiri_store_release(&subscription->armed, waiter);
	if (waiter != NULL) {
		line_append(group, member);
		weiri_group_is_back(group, member);
	}
	weiri_group_announce(group);
	weiri_group_unlock(group);
	/* Whom publishers are shown from now on comes before the look at the queue in
	 * pass; they push, and then look. */
	weiri_fence_full();
}

void weiri_group_pass(struct weir_subscription *subscription)
{
	struct weiri_group *group = subscription->group;

	if (weiri_load_relaxed(&group->waiting) == 0)
		return;
	if (weiri_load_relaxed(&group->ready) == 0 &&
		(group->is_assigned || weiri_queue_count(&group->core->queue) == 0))
		return;
	weiri_group_lock(group);
	weiri_group_kick(group);
	weiri_group_unlock(group);
}
