/* SPDX-License-Identifier: BSD-2-Clause */
/* The opening, draining and closing of a broker. */
#include "core/broker.h"

#include <unistd.h>

#include "base/pause.h"
#include "base/reserved.h"
#include "core/confirm.h"
#include "core/filter.h"
#include "core/pace.h"
#include "core/publisher.h"
#include "core/group.h"

#define CAPACITY_BYTES_DEFAULT ((uint64_t)1 << 30)
#define MESSAGE_SIZE_DEFAULT   ((size_t)64 << 20)
#define MESSAGE_SIZE_LIMIT     ((size_t)1 << 31)
#define TOPICS_DEFAULT         ((size_t)1 << 24)
#define SUBSCRIPTIONS_DEFAULT  ((size_t)1 << 20)
#define COUNT_LIMIT            ((size_t)1 << 32)

/* Looks at a queue before yielding, about a microsecond. */
#define SPINS 64

static bool options_are_valid(const weir_broker_options *options)
{
	return WEIRI_RESERVED_ARE_ZERO(options->reserved) &&
	       weiri_allocator_is_valid(&options->allocator) &&
	       options->message_size_max <= MESSAGE_SIZE_LIMIT &&
	       options->topics_max <= COUNT_LIMIT && options->subscriptions_max <= COUNT_LIMIT;
}

static size_t value_or(size_t value, size_t default_value)
{
	return value != 0 ? value : default_value;
}

static void broker_configure(struct weir_broker *broker, const weir_broker_options *options)
{
	broker->clock = options->clock != NULL ? options->clock : weir_clock_real();
	broker->log.function = options->log;
	broker->log.context = options->log_context;
	broker->capacity_bytes =
		options->capacity_bytes != 0 ? options->capacity_bytes : CAPACITY_BYTES_DEFAULT;
	broker->limits_bytes = options->capacity_bytes != 0;
	broker->message_size_max = value_or(options->message_size_max, MESSAGE_SIZE_DEFAULT);
	broker->topics_max = value_or(options->topics_max, TOPICS_DEFAULT);
	broker->subscriptions_max = value_or(options->subscriptions_max, SUBSCRIPTIONS_DEFAULT);
	broker->timestamps = options->timestamps;
	broker->fence_asymmetric = !broker->clock->is_virtual && weiri_fence_probe();
	broker->spins = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPINS : 0;
	broker->drain_waiter.operation = "drain";
	broker->drain_waiter.object = "broker";
	weiri_store_relaxed(&broker->references, 1);
}

int weir_broker_open(weir_broker **broker, const weir_broker_options *options)
{
	static const weir_broker_options defaults;
	weir_allocator allocator;
	struct weir_broker *made;
	int error;

	if (options == NULL)
		options = &defaults;
	if (broker == NULL || !options_are_valid(options))
		return WEIR_EINVAL;
	allocator = options->allocator;
	weiri_allocator_complete(&allocator);
	made = weiri_allocate(&allocator, sizeof(*made), WEIRI_CACHE_LINE);
	if (made == NULL)
		return WEIR_ENOMEM;
	made->allocator = allocator;
	broker_configure(made, options);
	error = weiri_fork_guard_open(&made->fork_guard);
	if (error != 0)
		goto fail_guard;
	if (pthread_mutex_init(&made->floating_mutex, NULL) != 0) {
		error = WEIR_ESYSTEM;
		goto fail_mutex;
	}
	if (pthread_mutex_init(&made->drain.mutex, NULL) != 0) {
		error = WEIR_ESYSTEM;
		goto fail_drain;
	}
	error = weiri_timers_open(&made->timers, made->clock, &made->allocator);
	if (error != 0)
		goto fail_timers;
	error = weiri_delays_open(&made->delays, options);
	if (error != 0)
		goto fail_delays;
	error = weiri_registry_open(&made->registry, made);
	if (error != 0)
		goto fail_registry;
	*broker = made;
	return 0;

fail_registry:
	weiri_delays_close(&made->delays);
fail_delays:
	weiri_timers_close(&made->timers);
fail_timers:
	(void)pthread_mutex_destroy(&made->drain.mutex);
fail_drain:
	(void)pthread_mutex_destroy(&made->floating_mutex);
fail_mutex:
	weiri_fork_guard_close(&made->fork_guard);
fail_guard:
	weiri_deallocate(&allocator, made, sizeof(*made));
	return error;
}

void weiri_broker_ref(struct weir_broker *broker)
{
	(void)weiri_add_relaxed(&broker->references, 1);
}

static void topics_free(struct weir_broker *broker)
{
	struct weiri_topic *topic;
	size_t cursor = 0;

	while ((topic = weiri_topic_table_next(&broker->registry.topics, &cursor)) != NULL)
		weiri_topic_unref(topic);
}

void weiri_broker_unref(struct weir_broker *broker)
{
	weir_allocator allocator = broker->allocator;

	/* K1 (pairs with itself): every use comes before the free. */
	if (weiri_sub_acq_rel(&broker->references, 1) != 1)
		return;
	topics_free(broker);
	weiri_registry_close(&broker->registry, broker);
	weiri_ledgers_close(&broker->ledgers, &broker->allocator);
	weiri_delays_close(&broker->delays);
	weiri_timers_close(&broker->timers);
	(void)pthread_mutex_destroy(&broker->drain.mutex);
	(void)pthread_mutex_destroy(&broker->floating_mutex);
	weiri_fork_guard_close(&broker->fork_guard);
	weiri_deallocate(&allocator, broker, sizeof(*broker));
}

void weiri_word_await(const _Atomic uint32_t *word, uint32_t value)
{
	for (unsigned int looks = 0; weiri_load_acquire(word) != value; looks++)
		weiri_pause(looks);
}

/* Registry's lock held: from now on the state is `state`, everybody who waits is
 * told, and no publish that began before is putting messages into queues. */
static void state_change(struct weir_broker *broker, uint32_t state, uint32_t attention)
{
	struct weir_subscription *subscription;

	/* G1: the state before the grace period, so that a section that begins
	 * after it sees the new one. */
	weiri_store_release(&broker->state, state);
	for (subscription = broker->registry.subscriptions; subscription != NULL;
		subscription = subscription->next)
		weiri_attention_set(subscription, attention);
	weiri_fence_heavy(broker->fence_asymmetric);
	for (subscription = broker->registry.subscriptions; subscription != NULL;
		subscription = subscription->next)
		weiri_subscription_tell(subscription);
	weiri_pace_tell_all(broker);
	weiri_reclaim_wait(&broker->registry.reclaim);
}

/* Wait until nothing is queued anywhere. */
static int queues_drain(struct weir_broker *broker, double deadline)
{
	for (;;) {
		int error;

		weiri_waiter_arm(&broker->drain_waiter);
		/* Pairs with the light fence in receive: whoever empties a queue
		 * from now on sees the waiter, or its queue is empty here. */
		weiri_fence_heavy(broker->fence_asymmetric);
		/* First: what is queued may have been discarded by the close. */
		if (weiri_load_acquire(&broker->state) == WEIRI_BROKER_CLOSED) {
			error = WEIR_ESHUTDOWN;
		} else if (weiri_drain_is_over_everywhere(broker)) {
			(void)weiri_waiter_disarm(&broker->drain_waiter);
			return 0;
		} else if (deadline == -WEIR_FOREVER) {
			error = WEIR_ETIMEDOUT;
		} else {
			error = weiri_clock_park(broker->clock, &broker->drain_waiter, deadline);
		}
		if (error != 0) {
			(void)weiri_waiter_disarm(&broker->drain_waiter);
			return error;
		}
	}
}

int weir_broker_drain(weir_broker *broker, double timeout)
{
	bool is_virtual;
	double deadline;
	int error;

	if (broker == NULL || !weiri_duration_is_valid(timeout))
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	if (weiri_exchange_acq_rel(&broker->draining, 1) != 0)
		return WEIR_EBUSY;
	/* In virtual time a close does not wait for this. */
	if (broker->clock->is_virtual)
		weiri_broker_ref(broker);
	deadline = timeout == 0 ? -WEIR_FOREVER : weiri_clock_deadline(broker->clock, timeout);
	weiri_registry_lock(&broker->registry);
	if (weiri_load_relaxed(&broker->state) == WEIRI_BROKER_RUNNING) {
		weiri_drain_begin(broker);
		state_change(broker, WEIRI_BROKER_DRAINING, WEIRI_ATTENTION_DRAINING);
	}
	weiri_registry_unlock(&broker->registry);
	error = queues_drain(broker, deadline);
	is_virtual = broker->clock->is_virtual;
	weiri_store_release(&broker->draining, 0);
	if (is_virtual)
		weiri_broker_unref(broker);
	return error;
}

#define UNFINISHED_MAX 64

struct unfinished {
	struct weir_subscription *subscription;
	bool is_others; /* whoever stopped it, or its group, discards what is queued */
};

/* Registry's lock held: subscriptions in which a receive is still under way, or
 * that have something queued, pinned; returns how many. */
static size_t unfinished_find(struct weir_broker *broker, struct unfinished *found)
{
	struct weir_subscription *subscription = broker->registry.subscriptions;
	size_t count = 0;

	for (; subscription != NULL && count < UNFINISHED_MAX; subscription = subscription->next) {
		bool is_receiving = !broker->clock->is_virtual &&
				    weiri_load_acquire(&subscription->receiving) != 0;

		if (!is_receiving && (subscription->is_stopped || subscription->member != NULL ||
					     weiri_subscription_count(subscription) == 0))
			continue;
		weiri_subscription_pin(subscription);
		found[count++] = (struct unfinished){ subscription,
			subscription->is_stopped || subscription->member != NULL };
	}
	return count;
}

/* Wait for the receives under way and discard what is queued, without the lock:
 * what is released may call the user. */
static uint64_t subscriptions_finish(struct weir_broker *broker)
{
	struct unfinished found[UNFINISHED_MAX];
	uint64_t discarded = 0;

	for (;;) {
		size_t count;

		weiri_registry_lock(&broker->registry);
		count = unfinished_find(broker, found);
		weiri_registry_unlock(&broker->registry);
		if (count == 0)
			return discarded;
		for (size_t i = 0; i < count; i++) {
			struct weir_subscription *subscription = found[i].subscription;

			if (!broker->clock->is_virtual)
				weiri_word_await(&subscription->receiving, 0);
			if (!found[i].is_others)
				discarded += weiri_subscription_discard(subscription);
			weiri_subscription_unpin(subscription);
		}
	}
}

/* Registry's lock held. */
static void floating_end(struct weir_broker *broker)
{
	(void)pthread_mutex_lock(&broker->floating_mutex);
	while (broker->floating != NULL) {
		struct weir_publisher *publisher = broker->floating;

		broker->floating = publisher->next_idle;
		weiri_publisher_end(publisher);
	}
	(void)pthread_mutex_unlock(&broker->floating_mutex);
}

/* Groups that were kept without members: nobody else ends them. */
static void groups_end(struct weir_broker *broker)
{
	struct weir_subscription *core;

	do {
		weiri_registry_lock(&broker->registry);
		core = weiri_group_find_empty(broker);
		if (core != NULL)
			weiri_subscription_stop(core);
		weiri_registry_unlock(&broker->registry);
		if (core != NULL)
			weiri_subscription_close(core, NULL);
	} while (core != NULL);
}

static void calls_await(struct weir_broker *broker)
{
	if (broker->clock->is_virtual)
		return;
	weiri_word_await(&broker->draining, 0);
	weiri_word_await(&broker->inside, 0);
}

int weir_broker_close(weir_broker *broker, weir_broker_statistics *last)
{
	uint64_t discarded, delayed;

	if (broker == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	weiri_registry_lock(&broker->registry);
	state_change(broker, WEIRI_BROKER_CLOSED, WEIRI_ATTENTION_SHUTDOWN);
	weiri_confirms_stop(broker);
	weiri_registry_unlock(&broker->registry);
	/* A drain that still waits: nobody empties queues any more. */
	weiri_broker_drained(broker);
	calls_await(broker);
	weiri_timers_stop(&broker->timers);
	delayed = weiri_delays_discard(broker);
	discarded = subscriptions_finish(broker);
	/* Again: the last receives may have come to call a hook. */
	calls_await(broker);
	groups_end(broker);
	weiri_confirms_finish(broker);
	if (discarded > 0)
		weiri_log(&broker->log, WEIR_LOG_INFO,
			"broker closed: %llu queued messages discarded",
			(unsigned long long)discarded);
	if (delayed > 0)
		weiri_log(&broker->log, WEIR_LOG_INFO,
			"broker closed: %llu delayed messages discarded",
			(unsigned long long)delayed);
	weiri_registry_lock(&broker->registry);
	floating_end(broker);
	weiri_registry_unlock(&broker->registry);
	if (last != NULL)
		weiri_broker_statistics_read(broker, last);
	weiri_broker_unref(broker);
	return 0;
}

weir_clock *weir_broker_clock(const weir_broker *broker)
{
	return broker == NULL ? NULL : broker->clock;
}

int weir_topic_remove(weir_broker *broker, const char *name)
{
	size_t length = weiri_topic_name_length(name);
	int error;

	if (broker == NULL || length == 0)
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	weiri_registry_lock(&broker->registry);
	if (weiri_load_relaxed(&broker->state) != WEIRI_BROKER_RUNNING)
		error = WEIR_ESHUTDOWN;
	else
		error = weiri_registry_topic_remove(broker, name, length);
	weiri_registry_unlock(&broker->registry);
	return error;
}
