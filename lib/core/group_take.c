/* SPDX-License-Identifier: BSD-2-Clause */
/* What a member takes out of its group. */
#include "core/confirm.h"
#include "core/enqueue.h"
#include "core/expiry.h"
#include "core/group.h"
#include "core/receiver.h"

#define OVERDUE_MAX 4

/* Lock held: what it held without acknowledgements is done with.  Whether there may be
 * something for others then. */
static bool let_go(struct weiri_group *group, struct weiri_group_member *member)
{
	group->in_flight -= member->in_flight;
	member->in_flight = 0;
	return member->held_count > 0 && weiri_group_keys_let_go(group, member);
}

void weiri_group_let_go(struct weir_subscription *subscription)
{
	if (subscription->core->acks == NULL)
		(void)let_go(subscription->group, subscription->member);
}

/* Whether others have met the keys that it lets go of. */
static bool own_keys_release(struct weir_subscription *subscription)
{
	struct weiri_group_member *member = subscription->member;

	if (member->held_size == 0)
		return false;
	/* K1 (pairs with K2 and K3 in group_assign.c). */
	weiri_store_release(&member->released, 1);
	weiri_fence_light(subscription->broker->fence_asymmetric);
	return weiri_load_relaxed(&member->shown) != 0;
}

void weiri_group_release(struct weir_subscription *subscription)
{
	struct weiri_group *group = subscription->group;

	/* All else can wait until the take, which comes right after it; or never, if a
	 * select takes elsewhere. */
	if (subscription->member->in_flight == 0 ||
		(!own_keys_release(subscription) &&
			(weiri_attention_read(subscription) & WEIRI_ATTENTION_END) == 0))
		return;
	weiri_group_lock(group);
	(void)let_go(group, subscription->member);
	weiri_group_kick(group);
	weiri_group_unlock(group);
}

/* Of an assigned group, without acknowledgements: what is in its lane it may take. */
static bool lane_begin(struct weiri_group *group, struct weiri_group_member *member)
{
	if (let_go(group, member))
		weiri_group_kick(group);
	weiri_store_relaxed(&member->released, 0);
	return !member->is_stopped;
}

bool weiri_group_take_begin(struct weir_subscription *subscription)
{
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;

	if (group->core->acks != NULL) {
		weiri_group_is_back(group, member);
		group->core->acks->ledger->taker = member;
		weiri_ledger_ready_fill(group->core->acks->ledger);
	} else if (group->is_assigned) {
		return lane_begin(group, member);
	} else if (member->in_flight > 0) {
		(void)let_go(group, member);
	}
	if (weiri_group_can_take(group, member))
		return true;
	/* It may have been woken for something that is for another by now. */
	if (!group->is_assigned || weiri_load_relaxed(&group->ready) > 0)
		weiri_group_kick(group);
	return false;
}

bool weiri_group_has_ready(struct weir_subscription *subscription)
{
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;
	struct weiri_ledger *ledger = group->core->acks->ledger;
	uint64_t taken = group->core->acks->taken;
	struct weiri_ledger_entry *entry;

	if (ledger->ready.first == NULL)
		return false;
	if (!group->is_assigned)
		return weiri_ledger_has_ready(
			ledger, taken, weiri_queue_count(&group->core->queue));
	if (group->policy == WEIR_GROUP_KEY) {
		entry = weiri_group_key_ready(group, member);
		if (entry != NULL)
			weiri_ledger_ready_prefer(ledger, entry);
		return entry != NULL;
	}
	return weiri_ledger_has_ready(ledger, taken, weiri_store_lane_count(&member->lane)) &&
	       !weiri_group_must_yield(group, member);
}

/* Lock held: the next message of the member's lane, or NULL. */
static struct weir_message *lane_pop(struct weiri_group *group, struct weiri_group_member *member)
{
	struct weir_subscription *core = group->core;
	struct weiri_store_node *node = weiri_group_next(group, member);
	void *value;

	if (node == NULL)
		return NULL;
	value = weiri_store_lane_take(core->queue.store, node);
	if (core->counts_bytes)
		weiri_dequeue_note(core, &value, 1);
	return value;
}

/* Lock held: the next new message, out of the queue, or NULL. */
static struct weir_message *queue_take(struct weiri_group *group, struct weiri_group_member *member)
{
	struct weir_subscription *core = group->core;
	void *value;

	if (group->is_assigned)
		return lane_pop(group, member);
	if (weiri_queue_pop(&core->queue, &value, 1) == 0)
		return NULL;
	weiri_dequeue_note(core, &value, 1);
	return value;
}

struct weir_message *weiri_group_new_take(struct weir_subscription *subscription)
{
	struct weiri_group *group = subscription->group;
	struct weir_message *message = queue_take(group, subscription->member);

	if (message != NULL)
		group->core->acks->taken++;
	return message;
}

/* Lock held: up to `count_max` out of the lane, with their keys in hand; what is too late
 * for that apart. */
static size_t keyed_pop(struct weir_subscription *subscription, size_t count_max,
	struct weiri_exhausted *overdue, size_t *expired)
{
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;
	struct weir_message *message;
	size_t taken = 0;
	double now = -1;

	while (taken < count_max && *expired < OVERDUE_MAX &&
		(message = lane_pop(group, member)) != NULL) {
		if (now < 0 && weiri_message_has_extra(message))
			now = weiri_clock_now(subscription->broker->clock);
		if (now >= 0 && weiri_message_is_expired(message, now)) {
			overdue[(*expired)++] = (struct weiri_exhausted){ .value = message,
				.reason = WEIRI_LEDGER_EXPIRED };
			continue;
		}
		weiri_group_key_hold_own(member, message);
		weiri_message_settle(message, 1, true);
		subscription->held[taken++] = message;
	}
	return taken;
}

static void handed_count(struct weiri_group *group, struct weiri_group_member *member, size_t count)
{
	group->in_flight += count;
	member->in_flight += count;
	member->delivered += count;
	member->handled += count;
}

/* So many of them had expired. */
static void handed_uncount(
	struct weiri_group *group, struct weiri_group_member *member, size_t count)
{
	group->in_flight -= count;
	member->in_flight -= count;
	member->delivered -= count;
	member->handled -= count;
}

static size_t keyed_take(struct weir_subscription *subscription, size_t count_max)
{
	struct weiri_exhausted overdue[OVERDUE_MAX];
	struct weiri_group *group = subscription->group;
	size_t taken, expired;

	do {
		expired = 0;
		taken = 0;
		weiri_group_lock(group);
		if (weiri_group_take_begin(subscription))
			taken = keyed_pop(subscription, count_max, overdue, &expired);
		handed_count(group, subscription->member, taken);
		weiri_group_unlock(group);
		for (size_t i = 0; i < expired; i++) {
			weiri_expiry_count_taken(group->core);
			weiri_receiver_defer(subscription, weiri_expire(group->core, &overdue[i]));
		}
	} while (taken == 0 && expired > 0);
	return taken;
}

/* Lock held: up to `count_max` out of the queue, or the lane. */
static size_t unkeyed_pop(struct weir_subscription *subscription, size_t count_max)
{
	struct weiri_group *group = subscription->group;
	struct weiri_queue *queue = &group->core->queue;

	return group->is_assigned ? weiri_store_lane_pop(queue->store, &subscription->member->lane,
					    subscription->held, count_max)
				  : weiri_queue_pop(queue, subscription->held, count_max);
}

static size_t unkeyed_take(struct weir_subscription *subscription, size_t count_max)
{
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;
	size_t left = 0, taken;

	do {
		weiri_group_lock(group);
		taken = 0;
		if (weiri_group_take_begin(subscription))
			taken = unkeyed_pop(subscription, count_max);
		handed_count(group, member, taken);
		weiri_group_unlock(group);
		weiri_dequeue_note(group->core, subscription->held, taken);
		left = weiri_hand_over_look(subscription, subscription->held, taken);
		if (left == taken)
			return left;
		weiri_group_lock(group);
		handed_uncount(group, member, taken - left);
		weiri_group_unlock(group);
	} while (left == 0);
	return left;
}

size_t weiri_group_take(struct weir_subscription *subscription, size_t count_max)
{
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;
	size_t taken;

	/* What comes right after the look is as if it came after the take. */
	if (group->is_assigned && member->in_flight == 0 &&
		weiri_store_lane_count(&member->lane) == 0)
		return 0;
	weiri_expiry_begin(subscription->core);
	taken = group->policy == WEIR_GROUP_KEY ? keyed_take(subscription, count_max)
						: unkeyed_take(subscription, count_max);
	weiri_expiry_end(subscription->core);
	weiri_group_taken(subscription, taken);
	return taken;
}

void weiri_group_taken(struct weir_subscription *subscription, size_t count)
{
	struct weiri_group *group = subscription->group;
	struct weir_subscription *core = group->core;
	uint64_t seen = weiri_load_relaxed(&group->lost_seen);
	uint64_t lost = weiri_load_relaxed(&core->lost);
	uint32_t attention;

	/* Whoever comes first tells of the gap. */
	if (count > 0 && lost > seen && weiri_cas_acq_rel(&group->lost_seen, &seen, lost))
		(void)weiri_add_relaxed(&subscription->lost, lost - seen);
	/* Pairs with the heavy fences in room.c and broker.c. */
	weiri_fence_light(subscription->broker->fence_asymmetric);
	attention = weiri_load_acquire(&core->attention);
	if (attention != 0)
		weiri_receiver_attend(core, attention);
}
