/* SPDX-License-Identifier: BSD-2-Clause */
/* What members have in hand, and what is held against those that are slow. */
#include "core/group.h"

static void suspect(struct weiri_group *group, struct weiri_group_member *member)
{
	struct weir_subscription *subscription = member->subscription;
	struct weiri_group_candidate *candidate = weiri_group_candidate_of(group, member);
	/* One that waits, or is about to, is there. */
	bool is_there = member->is_waiting || weiri_load_relaxed(&subscription->receiving) != 0;

	member->timeouts++;
	member->suspect_until =
		weiri_clock_now(subscription->broker->clock) + group->core->acks->timeout;
	if (candidate->standing == WEIRI_GROUP_AWAY)
		return;
	candidate->standing = WEIRI_GROUP_SUSPECT;
	if (is_there || group->policy == WEIR_GROUP_SHARED)
		return;
	candidate->standing = WEIRI_GROUP_AWAY;
	weiri_group_rebalance(group, member);
}

static void trust(struct weiri_group *group, struct weiri_group_member *member)
{
	struct weiri_group_candidate *candidate = weiri_group_candidate_of(group, member);

	member->suspect_until = 0;
	if (candidate->standing == WEIRI_GROUP_SUSPECT)
		candidate->standing = WEIRI_GROUP_GOOD;
}

void weiri_group_standings_refresh(struct weiri_group *group)
{
	double now = -1;

	for (size_t i = 0; i < group->dealer.count; i++) {
		if (group->dealer.candidates[i].standing != WEIRI_GROUP_SUSPECT)
			continue;
		if (now < 0)
			now = weiri_clock_now(group->core->broker->clock);
		if (group->members[i]->suspect_until <= now)
			trust(group, group->members[i]);
	}
}

void weiri_group_is_back(struct weiri_group *group, struct weiri_group_member *member)
{
	struct weiri_group_candidate *candidate = weiri_group_candidate_of(group, member);

	if (candidate->standing != WEIRI_GROUP_AWAY || member->is_stopped)
		return;
	candidate->standing = WEIRI_GROUP_SUSPECT;
	weiri_group_standings_refresh(group);
	weiri_group_rebalance(group, member);
}

/* The active one stays so while it is there; else the one that came first takes over. */
static void active_find(struct weiri_group *group)
{
	if (group->policy != WEIR_GROUP_SINGLE_ACTIVE)
		return;
	if (group->active != NULL &&
		weiri_group_candidate_of(group, group->active)->standing != WEIRI_GROUP_AWAY)
		return;
	group->active = NULL;
	for (size_t i = 0; i < group->dealer.count && group->active == NULL; i++)
		if (group->dealer.candidates[i].standing != WEIRI_GROUP_AWAY)
			group->active = group->members[i];
}

void weiri_group_rebalance(struct weiri_group *group, struct weiri_group_member *member)
{
	group->rebalances++;
	weiri_group_dealer_change(&group->dealer);
	active_find(group);
	if (!group->is_assigned || member == NULL)
		return;
	weiri_group_keys_show(group);
	weiri_group_deal_again(group, member);
}

static void taken_count(struct weiri_group *group, struct weiri_group_member *member,
	const struct weiri_ledger_entry *entry)
{
	group->in_flight++;
	member->in_flight++;
	member->delivered++;
	if (entry->serial != entry->generation) {
		member->redelivered++;
		(void)weiri_sub_relaxed(&group->ready, 1);
	}
}

static void gone_count(struct weiri_group *group, struct weiri_group_member *member)
{
	group->in_flight--;
	member->in_flight--;
}

void weiri_group_watch(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry,
	enum weiri_ledger_change change)
{
	struct weir_subscription *core = ledger->owner;
	struct weiri_group_member *member = entry->holder;
	struct weiri_group *group;
	bool was_held = change == WEIRI_LEDGER_RETURNED || entry->state == WEIRI_LEDGER_IN_FLIGHT;

	/* At the end nobody minds. */
	if (core == NULL)
		return;
	group = core->group;
	if (change == WEIRI_LEDGER_HANDED_OUT)
		taken_count(group, member, entry);
	else if (was_held)
		gone_count(group, member);
	else if (change != WEIRI_LEDGER_DUE && entry->state == WEIRI_LEDGER_READY)
		(void)weiri_sub_relaxed(&group->ready, 1);
	if ((change == WEIRI_LEDGER_RETURNED || change == WEIRI_LEDGER_DUE) &&
		entry->state == WEIRI_LEDGER_READY)
		(void)weiri_add_relaxed(&group->ready, 1);
	if (change == WEIRI_LEDGER_SETTLED)
		member->handled++;
	if (group->policy == WEIR_GROUP_KEY)
		weiri_group_key_watch(group, entry, change);
	if (was_held && change != WEIRI_LEDGER_HANDED_OUT && entry->is_late)
		suspect(group, member);
	else if (was_held || change == WEIRI_LEDGER_SETTLED)
		if (change != WEIRI_LEDGER_HANDED_OUT)
			trust(group, member);
	weiri_group_announce(group);
}
