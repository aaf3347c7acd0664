/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registry: where topics and subscriptions meet.
 *
 * Matching happens here and only here: a new topic is matched with the
 * subscriptions that have wildcards, a new subscription with the topics (one
 * look-up if it has no wildcard, for then it makes its topic).  The result is
 * in the topics' snapshots, so a publish resolves nothing.
 *
 * One mutex; all functions marked "lock" want it held.  It is never held while
 * waiting for a receiver or a publisher, only through a grace period, which
 * sections keep short by never waiting.
 *
 * The order of subscriptions in every snapshot is that of their opening.
 */
#ifndef WEIRI_REGISTRY_H
#define WEIRI_REGISTRY_H

#include <pthread.h>

#include "base/hash.h"
#include "core/reclaim.h"
#include "core/topic.h"
#include "core/topic_memory.h"
#include "core/topic_table.h"
#include "core/waiters.h"

struct weiri_registry {
	pthread_mutex_t mutex;
	struct weiri_reclaim reclaim;
	struct weiri_topic_table topics;
	struct weiri_topic_memory topic_memory;
	struct weiri_hash_key hash_key;
	struct weir_subscription *subscriptions; /* all, newest last */
	struct weir_subscription *subscriptions_last;
	size_t subscription_count; /* that users have */
	uint64_t subscription_last_id;
	struct weiri_waiters waiters;      /* for subscriptions */
	struct weir_publisher *publishers; /* all bound ones, in no order */
	size_t publisher_count;
};

/* Returns 0, WEIR_ENOMEM or WEIR_ESYSTEM. */
int weiri_registry_open(struct weiri_registry *registry, struct weir_broker *broker);
void weiri_registry_close(struct weiri_registry *registry, struct weir_broker *broker);

void weiri_registry_lock(struct weiri_registry *registry);
void weiri_registry_unlock(struct weiri_registry *registry);

/* Lock.  The topic of that correct name, made and matched if it is not there.
 * Returns 0, WEIR_ENOMEM or WEIR_ELIMIT. */
int weiri_registry_topic(
	struct weir_broker *broker, const char *name, size_t length, struct weiri_topic **topic);

/* Lock.  Another publisher than the only bound one, if there is one, is going to publish on
 * the topic (see weiri_topic_is_sole). */
void weiri_registry_topic_share(struct weir_broker *broker, struct weiri_topic *topic);

/* Inside a section: the topic with a reference added, or NULL. */
struct weiri_topic *weiri_registry_topic_find(
	struct weir_broker *broker, const char *name, size_t length);

/* Lock.  Let all matching topics know the subscription, and put it on the list.
 * Returns 0 or WEIR_ENOMEM or WEIR_ELIMIT; nothing has changed then but that
 * a topic may have been made. */
int weiri_registry_add(struct weir_broker *broker, struct weir_subscription *subscription);

/* Lock.  A member of a group only on the list, with a waiter and an id; or the waiter
 * back.  Returns 0 or WEIR_ENOMEM or WEIR_ELIMIT. */
int weiri_registry_enlist(struct weir_broker *broker, struct weir_subscription *subscription);
void weiri_registry_waiter_give_back(
	struct weir_broker *broker, struct weir_subscription *subscription);

/* Lock.  No publisher knows the subscription when this returns.  Cannot fail. */
void weiri_registry_forget(struct weir_broker *broker, struct weir_subscription *subscription);

/* Lock.  Off the list, after it was forgotten. */
void weiri_registry_remove(struct weir_broker *broker, struct weir_subscription *subscription);

/* Lock.  Forget a topic; see weir_topic_remove for what it returns. */
int weiri_registry_topic_remove(struct weir_broker *broker, const char *name, size_t length);

#endif
