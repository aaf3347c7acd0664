/* SPDX-License-Identifier: BSD-2-Clause */
/* What a group and its members did. */
#include <math.h>

#include "core/group.h"
#include <weir/group.h>

/* Lock held. */
static void member_fill(struct weiri_group *group, const struct weiri_group_member *member,
	weir_group_member_statistics *statistics)
{
	const struct weiri_group_candidate *candidate = weiri_group_candidate_of(group, member);

	*statistics = (weir_group_member_statistics){
		.id = candidate->id,
		.weight = candidate->weight,
		.is_active = member == group->active,
		.is_avoided = candidate->standing != WEIRI_GROUP_GOOD,
		.is_away = candidate->standing == WEIRI_GROUP_AWAY,
		.queued = weiri_load_relaxed(&member->lane.count),
		.in_flight = member->in_flight,
		.delivered = member->delivered,
		.redelivered = member->redelivered,
		.handled = member->handled,
		.timeouts = member->timeouts,
	};
}

/* What a member handled, by what it was to handle. */
static double part_of(struct weiri_group *group, const struct weiri_group_member *member)
{
	uint32_t weight = group->policy == WEIR_GROUP_WEIGHTED
				  ? weiri_group_candidate_of(group, member)->weight
				  : 1;

	return (double)member->handled / weight;
}

/* Lock held. */
static void sums_fill(struct weiri_group *group, weir_group_statistics *statistics)
{
	double sum = 0, most = 0;

	for (size_t i = 0; i < group->dealer.count; i++) {
		double part = part_of(group, group->members[i]);

		statistics->handled += group->members[i]->handled;
		sum += part;
		most = fmax(most, part);
	}
	statistics->members = group->dealer.count;
	if (sum > 0)
		statistics->imbalance = most * (double)group->dealer.count / sum - 1;
	statistics->rebalances = group->rebalances;
	statistics->moved = group->moved;
	statistics->keys_moved = group->keys_moved;
	if (group->core->acks == NULL)
		statistics->in_flight = group->in_flight;
}

int weir_group_statistics_get(struct weir_subscription *member, weir_group_statistics *statistics,
	weir_group_member_statistics *members, size_t size)
{
	struct weiri_group *group;
	weir_group_statistics sums = { 0 };

	if (member == NULL || statistics == NULL || (members == NULL && size > 0))
		return WEIR_EINVAL;
	if (weiri_broker_forked(member->broker))
		return WEIR_EFORK;
	group = member->group;
	if (group == NULL)
		return WEIR_EINVAL;
	weiri_subscription_statistics_read(group->core, &sums.total);
	sums.id = group->core->id;
	sums.queued = sums.total.queued;
	sums.in_flight = sums.total.in_flight;
	weiri_group_lock(group);
	sums_fill(group, &sums);
	for (size_t i = 0; i < group->dealer.count && i < size; i++) {
		member_fill(group, group->members[i], &members[i]);
		if (sums.handled > 0)
			members[i].share = (double)members[i].handled / (double)sums.handled;
	}
	weiri_group_unlock(group);
	*statistics = sums;
	return 0;
}

void weiri_group_member_read(
	struct weir_subscription *subscription, weir_subscription_statistics *statistics)
{
	struct weiri_group_member *member = subscription->member;
	uint64_t queued = weiri_load_relaxed(&member->lane.count);
	/* Without acknowledgements what it has in hand is done with. */
	uint64_t in_flight = subscription->acks != NULL ? member->in_flight : 0;

	*statistics = (weir_subscription_statistics){
		.matched = member->handled + queued + in_flight,
		.enqueued = member->handled + queued + in_flight,
		.delivered = member->handled + in_flight,
		.redelivered = member->redelivered,
		.acknowledged = member->handled,
		.timeouts = member->timeouts,
		.in_flight = in_flight,
		.queued = queued,
		.high_water = subscription->group->is_assigned
				      ? subscription->core->queue.store->high_water
				      : 0,
		.capacity = subscription->core->queue.capacity,
	};
}
