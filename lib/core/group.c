/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a group: the first member, others, the last one. */
#include "core/group.h"

#include <string.h>

#include "base/pause.h"

#define MEMBERS_FIRST 8

bool weiri_group_assigns(const weir_subscription_options *options)
{
	return options->group != NULL && options->group_policy != WEIR_GROUP_SHARED &&
	       options->group_policy != WEIR_GROUP_SINGLE_ACTIVE;
}

bool weiri_group_options_are_valid(const weir_subscription_options *options)
{
	size_t length;

	if (options->group == NULL)
		return options->group_policy == WEIR_GROUP_SHARED && options->group_weight == 0 &&
		       !options->group_keep;
	length = strnlen(options->group, WEIR_GROUP_NAME_MAX + 1);
	return length > 0 && length <= WEIR_GROUP_NAME_MAX &&
	       (unsigned int)options->group_policy <= WEIR_GROUP_SINGLE_ACTIVE &&
	       options->group_weight <= WEIR_GROUP_WEIGHT_MAX && options->high_watermark == 0 &&
	       !(options->group_policy == WEIR_GROUP_KEY && options->redeliver_to_back);
}

static bool texts_match(const char *one, const char *other)
{
	return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static bool queues_match(
	const weir_subscription_options *one, const weir_subscription_options *other)
{
	return one->capacity == other->capacity && one->capacity_bytes == other->capacity_bytes &&
	       one->overflow == other->overflow && one->order == other->order &&
	       one->priority_classes == other->priority_classes && one->ageing == other->ageing &&
	       one->protect == other->protect && one->protect_priority == other->protect_priority &&
	       one->count_priorities == other->count_priorities &&
	       one->expire_at_once == other->expire_at_once;
}

static bool acks_match(const weir_subscription_options *one, const weir_subscription_options *other)
{
	return one->ack == other->ack && one->ack_timeout == other->ack_timeout &&
	       one->ack_timeout_from_publish == other->ack_timeout_from_publish &&
	       one->ack_timeout_once == other->ack_timeout_once &&
	       one->max_in_flight == other->max_in_flight &&
	       one->max_attempts == other->max_attempts &&
	       one->redeliver_to_back == other->redeliver_to_back &&
	       one->redelivery_delay == other->redelivery_delay &&
	       one->redelivery_factor == other->redelivery_factor &&
	       one->redelivery_delay_max == other->redelivery_delay_max &&
	       one->redelivery_jitter == other->redelivery_jitter &&
	       one->park_max == other->park_max &&
	       texts_match(one->dead_letter_topic, other->dead_letter_topic) &&
	       one->dead_letter_expired == other->dead_letter_expired;
}

/* Whether a member with these options may be in the group: all but the wait and the
 * weight are the same.  Whoever adds an option adds it here. */
static bool options_match(
	const weir_subscription_options *one, const weir_subscription_options *other)
{
	return queues_match(one, other) && acks_match(one, other) &&
	       one->group_policy == other->group_policy && one->group_keep == other->group_keep;
}

static struct weiri_group *group_find(
	struct weir_broker *broker, const char *filter, const weir_subscription_options *options)
{
	struct weir_subscription *core = broker->registry.subscriptions;

	for (; core != NULL; core = core->next)
		if (weiri_subscription_is_core(core) && !core->is_stopped &&
			strcmp(core->group->options.group, options->group) == 0 &&
			strcmp(core->filter, filter) == 0)
			return core->group;
	return NULL;
}

void weiri_group_free(struct weiri_group *group)
{
	const weir_allocator *allocator = &group->core->broker->allocator;
	const char *name = group->options.group;

	weiri_group_keys_close(&group->keys);
	weiri_deallocate(
		allocator, group->dealer.drawn, WEIRI_GROUP_DRAWN * sizeof(*group->dealer.drawn));
	weiri_deallocate(allocator, group->dealer.candidates,
		group->size * sizeof(*group->dealer.candidates));
	weiri_deallocate(allocator, group->members, group->size * sizeof(*group->members));
	weiri_deallocate(allocator, (void *)(uintptr_t)name, name != NULL ? strlen(name) + 1 : 0);
	(void)pthread_mutex_destroy(&group->own_mutex);
	weiri_deallocate(allocator, group, sizeof(*group));
}

/* A group without members, for a core that is made already. */
static struct weiri_group *group_make(
	struct weir_subscription *core, const weir_subscription_options *options)
{
	const weir_allocator *allocator = &core->broker->allocator;
	struct weiri_group *group = weiri_allocate(allocator, sizeof(*group), WEIRI_CACHE_LINE);
	size_t length = strlen(options->group);
	char *name;

	if (group == NULL)
		return NULL;
	if (pthread_mutex_init(&group->own_mutex, NULL) != 0) {
		weiri_deallocate(allocator, group, sizeof(*group));
		return NULL;
	}
	group->core = core;
	group->policy = options->group_policy;
	group->is_assigned = weiri_group_assigns(options);
	group->keeps = options->group_keep;
	group->mutex = &group->own_mutex;
	group->options = *options;
	group->options.dead_letter_topic = core->dead_letter_topic;
	group->dealer.round = 1;
	group->dealer.secret = core->broker->registry.hash_key.word[0];
	group->keys.allocator = allocator;
	group->keys.secret = group->dealer.secret;
	name = weiri_allocate(allocator, length + 1, 1);
	group->options.group = name;
	if (name == NULL) {
		weiri_group_free(group);
		return NULL;
	}
	memcpy(name, options->group, length);
	return group;
}

/* What is kept about keys, of which members can have so many in hand. */
static int keys_begin(struct weiri_group *group, size_t count)
{
	const weir_allocator *allocator = &group->core->broker->allocator;
	size_t size = WEIRI_GROUP_DRAWN * sizeof(*group->dealer.drawn);

	group->dealer.drawn = weiri_allocate(allocator, size, WEIRI_CACHE_LINE);
	if (group->dealer.drawn == NULL)
		return WEIR_ENOMEM;
	return weiri_group_keys_reserve(&group->keys, count);
}

/* The core's ledger, and what shares its mutex. */
static int acks_begin(struct weir_subscription *core, const weir_subscription_options *options)
{
	struct weiri_group *group = core->group;
	size_t window = options->max_in_flight;
	int error = weiri_acks_open(core, options);

	if (error == 0 && core->acks != NULL) {
		group->mutex = &core->acks->ledger->mutex;
		core->acks->ledger->watch = weiri_group_watch;
		window = core->acks->ledger->size;
	}
	if (group->is_assigned) {
		weiri_store_use_mutex(core->queue.store, group->mutex);
		core->is_dealt = weiri_store_is_plain(core->queue.store);
	}
	if (error == 0 && group->policy == WEIR_GROUP_KEY)
		error = keys_begin(group, window + 1);
	return error;
}

static void core_end(struct weir_subscription *core)
{
	struct weiri_group *group = core->group;

	weiri_acks_close(core);
	core->group = NULL;
	weiri_group_free(group);
	weiri_subscription_free(core);
}

/* A group that nobody knows yet, or NULL: *error says why. */
static struct weiri_group *core_make(const struct weir_subscription *member,
	const weir_subscription_options *options, int *error)
{
	struct weir_subscription *core = weiri_subscription_make(
		member->broker, member->filter, member->filter_length, options, error);

	if (core == NULL)
		return NULL;
	core->id = ++member->broker->registry.subscription_last_id;
	core->has_wildcard = member->has_wildcard;
	/* Who waits is a member, by its own way to wait: shown in the core's `armed`, or
	 * woken by the push. */
	weiri_store_relaxed(&core->sleeps, !weiri_group_assigns(options));
	core->group = group_make(core, options);
	if (core->group == NULL) {
		*error = WEIR_ENOMEM;
		weiri_subscription_free(core);
		return NULL;
	}
	*error = acks_begin(core, options);
	if (*error == 0)
		return core->group;
	core_end(core);
	return NULL;
}

/* Lock held: room for one member more. */
static int members_reserve(struct weiri_group *group)
{
	const weir_allocator *allocator = &group->core->broker->allocator;
	size_t size = group->size > 0 ? group->size * 2 : MEMBERS_FIRST;
	struct weiri_group_candidate *candidates;
	struct weiri_group_member **members;

	if (group->dealer.count < group->size)
		return 0;
	members = weiri_allocate(allocator, size * sizeof(*members), sizeof(void *));
	candidates = weiri_allocate(allocator, size * sizeof(*candidates), sizeof(void *));
	if (members == NULL || candidates == NULL) {
		weiri_deallocate(allocator, members, size * sizeof(*members));
		weiri_deallocate(allocator, candidates, size * sizeof(*candidates));
		return WEIR_ENOMEM;
	}
	if (group->size > 0) {
		memcpy(members, group->members, group->size * sizeof(*members));
		memcpy(candidates, group->dealer.candidates, group->size * sizeof(*candidates));
	}
	weiri_deallocate(allocator, group->dealer.candidates, group->size * sizeof(*candidates));
	weiri_deallocate(allocator, group->members, group->size * sizeof(*members));
	group->members = members;
	group->dealer.candidates = candidates;
	group->size = size;
	return 0;
}

int weiri_group_held_reserve(struct weir_subscription *subscription, size_t size)
{
	const weir_allocator *allocator = &subscription->broker->allocator;
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;
	uint64_t *keys;
	int error = 0;

	/* With a ledger its window bounds them. */
	if (group->policy != WEIR_GROUP_KEY || group->core->acks != NULL)
		return 0;
	keys = weiri_allocate_raw(allocator, size * sizeof(*keys), sizeof(*keys));
	if (keys == NULL)
		return WEIR_ENOMEM;
	weiri_group_lock(group);
	error = weiri_group_keys_reserve(&group->keys, group->held_size + size);
	if (error == 0) {
		uint64_t *old = member->held_keys;
		size_t old_size = member->held_size;

		if (member->held_count > 0)
			memcpy(keys, old, member->held_count * sizeof(*keys));
		member->held_keys = keys;
		member->held_size = size;
		group->held_size += size - old_size;
		keys = old;
		size = old_size;
	}
	weiri_group_unlock(group);
	weiri_deallocate(allocator, keys, size * sizeof(*keys));
	return error;
}

/* Lock held by nobody who could mind: it is no member. */
static void member_free(struct weir_subscription *subscription)
{
	const weir_allocator *allocator = &subscription->broker->allocator;
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;

	weiri_group_lock(group);
	if (group->is_assigned)
		weiri_store_lane_close(group->core->queue.store, &member->lane);
	group->held_size -= member->held_size;
	weiri_group_unlock(group);
	weiri_deallocate(
		allocator, member->held_keys, member->held_size * sizeof(*member->held_keys));
	weiri_acks_close_member(subscription);
	subscription->group = NULL;
	subscription->member = NULL;
	subscription->core = subscription;
	weiri_deallocate(allocator, member, sizeof(*member));
}

/* All that a member takes in memory, before anybody knows it. */
static int member_make(struct weiri_group *group, struct weir_subscription *subscription)
{
	const weir_allocator *allocator = &group->core->broker->allocator;
	struct weiri_group_member *member =
		weiri_allocate(allocator, sizeof(*member), WEIRI_CACHE_LINE);
	int error;

	if (member == NULL)
		return WEIR_ENOMEM;
	member->subscription = subscription;
	subscription->group = group;
	subscription->core = group->core;
	weiri_group_lock(group);
	error = members_reserve(group);
	if (error == 0 && group->is_assigned)
		error = weiri_store_lane_open(group->core->queue.store, &member->lane);
	weiri_group_unlock(group);
	if (error != 0)
		goto fail_lane;
	error = weiri_acks_open_member(subscription);
	if (error != 0)
		goto fail_acks;
	subscription->member = member;
	error = weiri_group_held_reserve(subscription, 1);
	if (error != 0) {
		member_free(subscription);
		return error;
	}
	member->lane.owner = member;
	/* There is more to a receive than its own queue. */
	subscription->is_simple = false;
	return 0;

fail_acks:
	weiri_group_lock(group);
	if (group->is_assigned)
		weiri_store_lane_close(group->core->queue.store, &member->lane);
	weiri_group_unlock(group);
fail_lane:
	weiri_deallocate(allocator, member, sizeof(*member));
	subscription->group = NULL;
	subscription->core = subscription;
	return error;
}

static void member_add(
	struct weiri_group *group, struct weiri_group_member *member, uint32_t weight)
{
	weiri_group_lock(group);
	member->index = group->dealer.count++;
	group->members[member->index] = member;
	group->dealer.candidates[member->index] = (struct weiri_group_candidate){
		.id = member->subscription->id,
		.weight = weight != 0 ? weight : 1,
	};
	group->alive++;
	weiri_group_rebalance(group, member);
	weiri_group_kick(group);
	weiri_group_unlock(group);
}

int weiri_group_join(
	struct weir_subscription *subscription, const weir_subscription_options *options)
{
	struct weir_broker *broker = subscription->broker;
	struct weiri_group *group = group_find(broker, subscription->filter, options);
	bool is_new = group == NULL;
	int error;

	if (is_new)
		group = core_make(subscription, options, &error);
	else if (!options_match(&group->options, options))
		return WEIR_EMISMATCH;
	if (group == NULL)
		return error;
	error = member_make(group, subscription);
	if (error != 0)
		goto fail_make;
	error = weiri_registry_enlist(broker, subscription);
	if (error != 0)
		goto fail_enlist;
	if (is_new)
		error = weiri_registry_add(broker, group->core);
	if (error != 0)
		goto fail_add;
	member_add(group, subscription->member, options->group_weight);
	return 0;

fail_add:
	weiri_registry_remove(broker, subscription);
	weiri_registry_waiter_give_back(broker, subscription);
fail_enlist:
	member_free(subscription);
fail_make:
	if (is_new)
		core_end(group->core);
	return error;
}

bool weiri_group_stop(struct weir_subscription *subscription)
{
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;
	bool is_over;

	weiri_group_lock(group);
	member->is_stopped = true;
	weiri_group_candidate_of(group, member)->standing = WEIRI_GROUP_AWAY;
	group->alive--;
	is_over = group->alive == 0 && !group->keeps;
	weiri_group_rebalance(group, member);
	weiri_group_kick(group);
	weiri_group_unlock(group);
	return is_over;
}

/* What it has in hand goes to the others.  Leaves the lock held. */
static void hands_empty(struct weir_subscription *subscription)
{
	struct weiri_group_member *member = subscription->member;
	struct weiri_group *group = subscription->group;
	struct weir_subscription *core = group->core;
	struct weiri_exhausted exhausted;
	int result;

	for (;;) {
		weiri_group_lock(group);
		do
			result = core->acks != NULL ? weiri_ledger_take_back(core->acks->ledger,
							      member, &exhausted)
						    : 0;
		while (result == 1);
		if (result == 0)
			return;
		weiri_acks_enter(core);
		weiri_group_unlock(group);
		weiri_acks_exhausted(core, &exhausted);
	}
}

/* Lock held: out of the arrays. */
static void member_remove(struct weiri_group *group, struct weiri_group_member *member)
{
	weiri_group_line_leave(group, member);
	if (group->active == member)
		group->active = NULL;
	weiri_group_dealer_remove(&group->dealer, member->index);
	for (size_t i = member->index; i < group->dealer.count; i++) {
		group->members[i] = group->members[i + 1];
		group->members[i]->index = i;
	}
	weiri_group_rebalance(group, NULL);
	weiri_group_kick(group);
}

struct weir_subscription *weiri_group_leave(
	struct weir_subscription *subscription, weir_subscription_statistics *last)
{
	struct weiri_group *group = subscription->group;
	struct weir_broker *broker = subscription->broker;
	struct weir_subscription *core = group->core;
	bool is_last;

	hands_empty(subscription);
	weiri_group_unlock(group);
	weiri_registry_lock(&broker->registry);
	weiri_group_lock(group);
	weiri_group_let_go(subscription);
	if (last != NULL)
		weiri_group_member_read(subscription, last);
	member_remove(group, subscription->member);
	is_last = group->dealer.count == 0 &&
		  (!group->keeps || weiri_load_relaxed(&broker->state) == WEIRI_BROKER_CLOSED);
	weiri_group_unlock(group);
	member_free(subscription);
	weiri_registry_remove(broker, subscription);
	weiri_drain_forget(subscription);
	if (is_last)
		weiri_subscription_stop(core);
	weiri_registry_unlock(&broker->registry);
	weiri_broker_drained(broker);
	return is_last ? core : NULL;
}

void weiri_group_await(struct weir_subscription *core)
{
	struct weiri_group *group = core->group;
	bool is_receiving = !core->broker->clock->is_virtual;

	for (unsigned int looks = 0; is_receiving; looks++) {
		is_receiving = false;
		weiri_group_lock(group);
		for (size_t i = 0; i < group->dealer.count; i++)
			if (weiri_load_acquire(&group->members[i]->subscription->receiving) != 0)
				is_receiving = true;
		weiri_group_unlock(group);
		if (is_receiving)
			weiri_pause(looks);
	}
}

struct weir_subscription *weiri_group_find_empty(struct weir_broker *broker)
{
	struct weir_subscription *core = broker->registry.subscriptions;

	while (core != NULL && (!weiri_subscription_is_core(core) || core->is_stopped ||
				       core->group->dealer.count > 0))
		core = core->next;
	return core;
}
