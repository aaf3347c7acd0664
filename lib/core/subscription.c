/* SPDX-License-Identifier: BSD-2-Clause */
/* The opening and the end of a subscription. */
#include "core/subscription.h"

#include <math.h>
#include <string.h>

#include "base/reserved.h"
#include "core/confirm.h"
#include "core/crate.h"
#include "core/enqueue.h"
#include "core/expiry.h"
#include "core/filter.h"
#include "core/group.h"
#include "core/inline.h"
#include "core/receive_plain.h"

#define CAPACITY_DEFAULT      1024
#define HOOK_INTERVAL_DEFAULT 1.0

static bool enums_are_valid(const weir_subscription_options *options)
{
	return (unsigned int)options->overflow <= WEIR_OVERFLOW_UNBOUNDED &&
	       (unsigned int)options->order <= WEIR_ORDER_PRIORITY &&
	       (unsigned int)options->wait <= WEIR_WAIT_YIELD;
}

static bool priorities_are_valid(const weir_subscription_options *options)
{
	if (options->order != WEIR_ORDER_PRIORITY)
		return options->priority_classes == 0 && options->ageing == 0;
	return options->priority_classes <= WEIR_PRIORITY_CLASSES_MAX &&
	       isfinite(options->ageing) && options->ageing >= 0 &&
	       (options->ageing == 0 || options->priority_classes == 0);
}

static bool watermarks_are_valid(const weir_subscription_options *options)
{
	if (options->high_watermark == 0)
		return options->low_watermark == 0 && options->on_slow == NULL &&
		       options->on_recovered == NULL &&
		       weiri_duration_is_valid(options->hook_interval);
	return options->low_watermark < options->high_watermark &&
	       weiri_duration_is_valid(options->hook_interval) &&
	       (options->overflow == WEIR_OVERFLOW_UNBOUNDED ||
		       options->high_watermark <=
			       (options->capacity != 0 ? options->capacity : CAPACITY_DEFAULT));
}

static bool dead_letters_are_valid(const weir_subscription_options *options)
{
	if (options->dead_letter_topic == NULL)
		return !options->dead_letter_expired;
	return weiri_topic_name_length(options->dead_letter_topic) > 0 &&
	       (options->ack != WEIR_ACK_NONE || options->dead_letter_expired);
}

static bool options_are_valid(
	const struct weir_broker *broker, const weir_subscription_options *options)
{
	return WEIRI_RESERVED_ARE_ZERO(options->reserved) && enums_are_valid(options) &&
	       weiri_acks_options_are_valid(broker, options) && priorities_are_valid(options) &&
	       watermarks_are_valid(options) && dead_letters_are_valid(options) &&
	       weiri_group_options_are_valid(options) && options->capacity <= WEIR_CAPACITY_MAX &&
	       (options->capacity == 0 || options->overflow != WEIR_OVERFLOW_UNBOUNDED);
}

static enum weiri_store_full full_policy(weir_overflow overflow)
{
	switch (overflow) {
	case WEIR_OVERFLOW_DROP_OLDEST:
		return WEIRI_STORE_EVICT_OLDEST;
	case WEIR_OVERFLOW_DROP_LOWEST:
		return WEIRI_STORE_EVICT_LOWEST;
	case WEIR_OVERFLOW_CONFLATE:
		return WEIRI_STORE_CONFLATE;
	case WEIR_OVERFLOW_UNBOUNDED:
		return WEIRI_STORE_GROW;
	case WEIR_OVERFLOW_BLOCK:
	case WEIR_OVERFLOW_DROP_NEWEST:
		break;
	}
	return WEIRI_STORE_REFUSE;
}

/* Whether the lock-free queues can do what is asked for. */
static bool needs_store(const struct weir_broker *broker, const weir_subscription_options *options)
{
	return weiri_group_assigns(options) || options->overflow > WEIR_OVERFLOW_DROP_NEWEST ||
	       options->capacity_bytes != 0 || broker->limits_bytes || options->protect ||
	       options->expire_at_once ||
	       (options->order == WEIR_ORDER_PRIORITY && options->priority_classes == 0);
}

static int queue_make(
	struct weir_subscription *subscription, const weir_subscription_options *options)
{
	struct weir_broker *broker = subscription->broker;
	size_t capacity = options->capacity != 0 ? options->capacity : CAPACITY_DEFAULT;
	struct weiri_store_options store = {
		.order = options->order == WEIR_ORDER_PRIORITY ? WEIRI_STORE_RANKED
							       : WEIRI_STORE_FIFO,
		.full = full_policy(options->overflow),
		.capacity = capacity,
		.bytes = options->capacity_bytes,
		.ageing = options->ageing,
		.expires = options->expire_at_once,
		.secret = broker->registry.hash_key.word[0],
		.has_lanes = weiri_group_assigns(options),
	};

	if (options->overflow == WEIR_OVERFLOW_UNBOUNDED)
		capacity = SIZE_MAX;
	return weiri_queue_open(&subscription->queue, capacity, options->priority_classes,
		needs_store(broker, options) ? &store : NULL, &broker->allocator);
}

static void options_keep(
	struct weir_subscription *subscription, const weir_subscription_options *options)
{
	struct weiri_watermark *watermark = &subscription->watermark;

	subscription->overflow = options->overflow;
	subscription->wait = options->wait;
	subscription->has_ageing = options->ageing > 0;
	subscription->counts_bytes =
		subscription->broker->limits_bytes || options->overflow == WEIR_OVERFLOW_UNBOUNDED;
	subscription->protect = options->protect;
	subscription->protect_priority = options->protect_priority;
	subscription->is_watched = options->high_watermark != 0 || options->count_priorities;
	subscription->class_last =
		options->priority_classes > 0 ? (int32_t)options->priority_classes - 1 : INT32_MAX;
	subscription->capacity_bytes = options->capacity_bytes;
	subscription->dead_letter_expired = options->dead_letter_expired;
	subscription->high_watermark = options->high_watermark;
	subscription->low_watermark = options->low_watermark;
	watermark->on_slow = options->on_slow;
	watermark->on_recovered = options->on_recovered;
	watermark->context = options->hook_context;
	watermark->interval =
		options->hook_interval != 0 ? options->hook_interval : HOOK_INTERVAL_DEFAULT;
	watermark->told = -WEIR_FOREVER;
}

static size_t subscription_bytes(size_t filter_length)
{
	return sizeof(struct weir_subscription) + filter_length + 1;
}

/* What is asked for by options and takes memory.  Returns 0, WEIR_ENOMEM, WEIR_ELIMIT
 * or WEIR_ESYSTEM. */
static int parts_make(
	struct weir_subscription *subscription, const weir_subscription_options *options)
{
	const weir_allocator *allocator = &subscription->broker->allocator;

	if (options->count_priorities) {
		subscription->levels =
			weiri_allocate(allocator, sizeof(*subscription->levels), WEIRI_CACHE_LINE);
		if (subscription->levels == NULL)
			return WEIR_ENOMEM;
	}
	if (options->dead_letter_topic != NULL) {
		size_t size = strlen(options->dead_letter_topic) + 1;

		subscription->dead_letter_topic = weiri_allocate(allocator, size, 1);
		if (subscription->dead_letter_topic == NULL)
			return WEIR_ENOMEM;
		subscription->dead_letter_topic_size = size;
		memcpy(subscription->dead_letter_topic, options->dead_letter_topic, size);
	}
	return weiri_expiry_open(subscription, options);
}

static void parts_free(struct weir_subscription *subscription)
{
	const weir_allocator *allocator = &subscription->broker->allocator;

	weiri_expiry_close(subscription);
	weiri_deallocate(allocator, subscription->levels, sizeof(*subscription->levels));
	weiri_deallocate(
		allocator, subscription->dead_letter_topic, subscription->dead_letter_topic_size);
}

void weiri_subscription_free(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;

	if (subscription->held != &subscription->held_one)
		weiri_deallocate(&broker->allocator, subscription->held,
			subscription->held_size * sizeof(void *));
	parts_free(subscription);
	weiri_queue_close(&subscription->queue, &broker->allocator);
	weiri_room_close(&subscription->room);
	weiri_deallocate(
		&broker->allocator, subscription, subscription_bytes(subscription->filter_length));
	weiri_broker_unref(broker);
}

struct weir_subscription *weiri_subscription_make(struct weir_broker *broker, const char *filter,
	size_t length, const weir_subscription_options *options, int *error)
{
	struct weir_subscription *subscription =
		weiri_allocate(&broker->allocator, subscription_bytes(length), WEIRI_CACHE_LINE);

	*error = WEIR_ENOMEM;
	if (subscription == NULL)
		return NULL;
	memcpy(subscription->filter, filter, length);
	subscription->filter_length = (uint32_t)length;
	subscription->broker = broker;
	subscription->core = subscription;
	options_keep(subscription, options);
	subscription->held = &subscription->held_one;
	subscription->held_size = 1;
	*error = parts_make(subscription, options);
	if (*error == 0)
		*error = queue_make(subscription, options);
	if (*error != 0)
		goto fail_queue;
	/* One that is never to sleep does so only in a select that begins with another. */
	weiri_store_relaxed(&subscription->sleeps,
		!broker->fence_asymmetric ||
			(options->wait != WEIR_WAIT_SPIN && options->wait != WEIR_WAIT_YIELD));
	subscription->is_simple = subscription->queue.kind == WEIRI_QUEUE_RING &&
				  !broker->clock->is_virtual && !options->dead_letter_expired;
	weiri_inline_prepare(subscription, subscription->queue.capacity);
	*error = weiri_room_open(&subscription->room);
	if (*error != 0)
		goto fail_room;
	weiri_broker_ref(broker);
	return subscription;

fail_room:
	weiri_queue_close(&subscription->queue, &broker->allocator);
fail_queue:
	parts_free(subscription);
	weiri_deallocate(&broker->allocator, subscription, subscription_bytes(length));
	return NULL;
}

/* Registry's lock held: let the rest know it. */
static int subscription_open(
	struct weir_subscription *subscription, const weir_subscription_options *options)
{
	struct weir_broker *broker = subscription->broker;
	int error;

	if (weiri_load_relaxed(&broker->state) != WEIRI_BROKER_RUNNING)
		return WEIR_ESHUTDOWN;
	/* Before a ledger shows it to others. */
	subscription->id = ++broker->registry.subscription_last_id;
	if (options->group != NULL)
		return weiri_group_join(subscription, options);
	error = weiri_acks_open(subscription, options);
	subscription->is_plain = weiri_receive_is_plain(subscription);
	if (error == 0)
		error = weiri_registry_add(broker, subscription);
	if (error != 0)
		weiri_acks_close(subscription);
	return error;
}

int weir_subscribe(weir_subscription **subscription, weir_broker *broker, const char *filter,
	const weir_subscription_options *options)
{
	static const weir_subscription_options defaults;
	weir_subscription_options of_member;
	struct weir_subscription *made;
	bool has_wildcard = false;
	size_t length = weiri_filter_length(filter, &has_wildcard);
	int error;

	if (options == NULL)
		options = &defaults;
	if (subscription == NULL || broker == NULL || length == 0 ||
		!options_are_valid(broker, options))
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	/* What else is asked for is the group's. */
	of_member = (weir_subscription_options){ .capacity = 1, .wait = options->wait };
	made = weiri_subscription_make(
		broker, filter, length, options->group != NULL ? &of_member : options, &error);
	if (made == NULL)
		return error;
	made->has_wildcard = has_wildcard;
	weiri_registry_lock(&broker->registry);
	error = subscription_open(made, options);
	weiri_registry_unlock(&broker->registry);
	if (error != 0) {
		weiri_subscription_free(made);
		return error;
	}
	*subscription = made;
	return 0;
}

bool weiri_subscription_is_waiting(struct weir_subscription *subscription)
{
	/* The waiter's memory outlives every subscription: core/waiters.h. */
	struct weiri_waiter *waiter = weiri_load_acquire(&subscription->armed);

	return waiter != NULL && weiri_load_relaxed(&waiter->state) == WEIRI_WAITER_WAITING;
}

bool weiri_subscription_wake(struct weir_subscription *subscription)
{
	struct weiri_waiter *waiter = weiri_load_acquire(&subscription->armed);

	/* Most publishes find nobody waiting, and that costs no atomic write. */
	return waiter != NULL && weiri_load_relaxed(&waiter->state) == WEIRI_WAITER_WAITING &&
	       weiri_waiter_notify(subscription->broker->clock, waiter);
}

static void members_tell(struct weiri_group *group)
{
	weiri_group_lock(group);
	weiri_group_tell_all(group);
	weiri_group_unlock(group);
}

void weiri_subscription_tell(struct weir_subscription *subscription)
{
	if (subscription->acks != NULL && subscription->group == NULL)
		weiri_acks_tell(subscription);
	if (weiri_subscription_is_core(subscription))
		members_tell(subscription->group);
	else
		(void)weiri_subscription_wake(subscription);
	weiri_room_tell_all(subscription);
}

bool weiri_subscription_lose(
	struct weir_subscription *subscription, weir_drop reason, uint64_t count, uint64_t refused)
{
	if (count == 0)
		return false;
	(void)weiri_add_relaxed(&subscription->dropped[reason], count);
	(void)weiri_add_relaxed(&subscription->refused, refused);
	return weiri_add_relaxed(&subscription->lost, count) == 0;
}

void weiri_subscription_tell_loss(struct weir_subscription *subscription)
{
	weiri_log(&subscription->broker->log, WEIR_LOG_WARNING,
		"subscription to %s: first message lost, %llu are queued", subscription->filter,
		(unsigned long long)weiri_subscription_count(subscription));
	weiri_subscription_unpin(subscription);
}

/* Whether there was something in the queue. */
static bool any_pop(struct weir_subscription *subscription, void **value)
{
	if (!weiri_subscription_is_core(subscription) || !subscription->group->is_assigned)
		return weiri_queue_pop(&subscription->queue, value, 1) > 0;
	*value = weiri_group_take_any(subscription->group);
	return *value != NULL;
}

uint64_t weiri_subscription_discard(struct weir_subscription *subscription)
{
	struct weir_message *hand = subscription->hand;
	weir_subscription_statistics now;
	uint64_t count = 0, inlined;
	void *value;

	/* X1 (pairs with X2): what is taken out from now on is not delivered.  A
	 * second time, after a close, nothing was delivered in between. */
	if (weiri_subscription_is_core(subscription))
		weiri_group_await(subscription);
	weiri_subscription_statistics_read(subscription, &now);
	weiri_store_release(&subscription->delivered_last, now.delivered + 1);
	if (hand != NULL) {
		subscription->hand = NULL;
		weiri_levels_drop(subscription->levels, hand->priority, 1);
		weiri_message_settle(hand, 1, false);
		weiri_message_unref(hand, 1, NULL);
		count++;
	}
	do {
		for (; any_pop(subscription, &value); count++) {
			weiri_dequeue_note(subscription, &value, 1);
			weiri_levels_drop_all(subscription->levels, &value, 1);
			weiri_message_settle(value, 1, false);
			weiri_message_unref(value, 1, NULL);
		}
		/* These stop a pop that may just have passed cancelled places. */
		inlined = weiri_inline_discard(subscription);
		count += inlined;
	} while (inlined > 0);
	count += weiri_acks_discard(subscription);
	(void)weiri_add_relaxed(&subscription->dropped[WEIR_DROP_CLOSED], count);
	return count;
}

/* Leave to the broker's sums what would go with the subscription. */
static void sums_leave(struct weir_subscription *subscription)
{
	struct weiri_subscription_sums *sums = &subscription->broker->subscriptions;
	weir_subscription_statistics last;

	weiri_subscription_statistics_read(subscription, &last);
	(void)weiri_add_relaxed(&sums->delivered, last.delivered);
	(void)weiri_add_relaxed(&sums->acknowledged, last.acknowledged);
	(void)weiri_add_relaxed(&sums->dead_lettered, last.dead_lettered);
	(void)weiri_add_relaxed(&sums->expired, last.expired);
	(void)weiri_add_relaxed(&sums->redriven, last.redriven);
	for (int i = 0; i < WEIR_DROP_REASONS; i++)
		(void)weiri_add_relaxed(&sums->dropped[i], last.dropped[i]);
}

/* Nobody is inside any more: what the receiver held, and the rest. */
static void subscription_end(struct weir_subscription *subscription)
{
	struct weiri_registry *registry = &subscription->broker->registry;

	weiri_subscription_held_release(subscription);
	weiri_crate_chain_flush(&subscription->chain);
	weiri_inline_close(subscription);
	weiri_registry_lock(registry);
	weiri_acks_close(subscription);
	if (weiri_subscription_is_core(subscription))
		weiri_group_free(subscription->group);
	subscription->waiter->object = NULL;
	weiri_waiters_give_back(&registry->waiters, subscription->waiter);
	weiri_registry_unlock(registry);
	weiri_subscription_free(subscription);
}

/* In real time nobody receives any more once the end has begun. */
static bool is_in_use(const struct weir_subscription *subscription)
{
	return (subscription->broker->clock->is_virtual &&
		       weiri_load_acquire(&subscription->receiving) != 0) ||
	       weiri_load_acquire(&subscription->pins) != 0;
}

void weiri_subscription_unpin(struct weir_subscription *subscription)
{
	/* In real time only the very thread that unpins can have made it an
	 * orphan, from inside a hook; in virtual time there is one thread. */
	bool may_be_orphan = subscription->is_orphan || subscription->broker->clock->is_virtual;

	/* P1 (pairs with the acquire in await): the publisher's last use comes
	 * before the free. */
	(void)weiri_sub_release(&subscription->pins, 1);
	if (may_be_orphan)
		weiri_subscription_orphan_check(subscription);
}

void weiri_subscription_orphan_check(struct weir_subscription *subscription)
{
	if (subscription->is_orphan && !is_in_use(subscription))
		subscription_end(subscription);
}

void weiri_subscription_stop(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;

	if (subscription->is_stopped)
		return;
	subscription->is_stopped = true;
	weiri_attention_set(subscription, WEIRI_ATTENTION_CLOSED);
	weiri_fence_heavy(broker->fence_asymmetric);
	weiri_subscription_tell(subscription);
	if (subscription->member == NULL)
		weiri_registry_forget(broker, subscription);
	else if (weiri_group_stop(subscription))
		weiri_subscription_stop(subscription->core);
}

static void subscription_stop(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;

	weiri_registry_lock(&broker->registry);
	weiri_subscription_stop(subscription);
	weiri_registry_unlock(&broker->registry);
}

int weir_subscription_stop(weir_subscription *subscription)
{
	if (subscription == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	subscription_stop(subscription);
	weiri_broker_drained(subscription->broker);
	return 0;
}

/* Real time: until nobody is inside but, in a hook, the caller. */
static void others_await(struct weir_subscription *subscription)
{
	uint32_t own = weiri_watermark_is_caller(subscription) ? 1 : 0;

	if (subscription->broker->clock->is_virtual)
		return;
	weiri_word_await(&subscription->receiving, 0);
	weiri_word_await(&subscription->pins, own);
}

/* It is known to nobody, but somebody may still be inside. */
static void subscription_let_go(struct weir_subscription *subscription)
{
	if (is_in_use(subscription))
		subscription->is_orphan = true;
	else
		subscription_end(subscription);
}

void weiri_subscription_close(
	struct weir_subscription *subscription, weir_subscription_statistics *last)
{
	struct weir_broker *broker = subscription->broker;

	subscription_stop(subscription);
	/* Nothing comes any more, so nothing is to expire; and a timer that came after
	 * the last look at the pins would add one. */
	weiri_expiry_close(subscription);
	others_await(subscription);
	(void)weiri_subscription_discard(subscription);
	/* Until then a message may have failed for good: what became of it is in
	 * the last sums too. */
	others_await(subscription);

	weiri_registry_lock(&broker->registry);
	sums_leave(subscription);
	weiri_registry_remove(broker, subscription);
	weiri_drain_forget(subscription);
	weiri_registry_unlock(&broker->registry);
	weiri_broker_drained(broker);
	/* A close may have pinned it while it was still on the list. */
	others_await(subscription);

	if (last != NULL)
		weiri_subscription_statistics_read(subscription, last);
	subscription_let_go(subscription);
}

/* The last member closes its group. */
static void member_close(struct weir_subscription *member, weir_subscription_statistics *last)
{
	weir_subscription_statistics of_group;
	struct weir_subscription *core;

	subscription_stop(member);
	others_await(member);
	core = weiri_group_leave(member, last);
	others_await(member);
	if (core != NULL) {
		weiri_subscription_close(core, &of_group);
		if (last != NULL) {
			last->dropped[WEIR_DROP_CLOSED] = of_group.dropped[WEIR_DROP_CLOSED];
			last->matched += of_group.dropped[WEIR_DROP_CLOSED];
		}
	}
	subscription_let_go(member);
}

int weir_unsubscribe(weir_subscription *subscription, weir_subscription_statistics *last)
{
	if (subscription == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	if (subscription->member != NULL)
		member_close(subscription, last);
	else
		weiri_subscription_close(subscription, last);
	return 0;
}

int weir_wake(weir_subscription *subscription)
{
	if (subscription == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(subscription->broker))
		return WEIR_EFORK;
	weiri_attention_set(subscription, WEIRI_ATTENTION_INTERRUPT);
	weiri_fence_full();
	/* Behind a full window it waits in another place. */
	if (subscription->acks != NULL)
		weiri_acks_tell(subscription);
	(void)weiri_subscription_wake(subscription);
	return 0;
}

uint64_t weir_subscription_id(const weir_subscription *subscription)
{
	return subscription == NULL ? 0 : subscription->id;
}

const char *weir_subscription_filter(const weir_subscription *subscription)
{
	return subscription == NULL ? NULL : subscription->filter;
}
