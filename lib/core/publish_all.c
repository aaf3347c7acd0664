/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All or nothing: every matching subscription takes the message, or none does.
 *
 * Two phases in one section.  First a place is reserved in every queue, in the
 * order of the snapshot: in a ring or in lanes a place proper, of a store its
 * mutex, which is kept.  If one refuses, the others are let go again.  If none
 * does, the message goes into all of them.  Every snapshot has the order in which
 * subscriptions were opened, so two such publishes cannot wait for each other's
 * mutexes.
 *
 * If the one that refuses is full and its policy is to wait, the publisher waits
 * for room there, holding nothing, and begins anew.
 */
#include "core/confirm.h"
#include "core/identity.h"

/* The places reserved so far are in publisher->blocked, one for each place of
 * the snapshot. */
static void reserved_cancel(struct weiri_publish *publish, size_t count)
{
	while (count-- > 0) {
		struct weiri_blocked *blocked = &publish->publisher->blocked[count];

		if (blocked->subscription != NULL)
			weiri_reserve_cancel(
				blocked->subscription, publish->messages[0], &blocked->reservation);
		blocked->subscription = NULL;
	}
}

/* The first that would refuse, or NULL.  Looked at before anything is reserved, so
 * that one that stays full does not make the attempts hold places in the others. */
static struct weir_subscription *refuser_find(
	struct weiri_publish *publish, struct weiri_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);

		if (subscription != NULL &&
			!weiri_reserve_could(subscription, publish->messages[0]))
			return subscription;
	}
	return NULL;
}

/* Reserve in every queue.  Not 0: *refuser refuses, for what weiri_reserve says. */
static int all_reserve(struct weiri_publish *publish, struct weiri_snapshot *snapshot,
	struct weir_subscription **refuser)
{
	*refuser = refuser_find(publish, snapshot);
	if (*refuser != NULL)
		return WEIR_EFULL;
	for (size_t i = 0; i < snapshot->count; i++) {
		struct weiri_blocked *blocked = &publish->publisher->blocked[i];
		struct weir_subscription *subscription =
			weiri_load_relaxed(&snapshot->subscriptions[i]);
		int error = 0;

		if (subscription != NULL)
			error = weiri_reserve(
				subscription, publish->messages[0], &blocked->reservation);
		blocked->subscription = error == 0 ? subscription : NULL;
		if (error != 0) {
			reserved_cancel(publish, i);
			*refuser = subscription;
			return error;
		}
	}
	return 0;
}

static void all_commit(struct weiri_publish *publish, struct weiri_snapshot *snapshot)
{
	struct weir_message *message = publish->messages[0];
	size_t empty = 0;

	publish->receipt->published = 1;
	weiri_publish_stamp(publish, snapshot->count > 0 ? snapshot->count : 1);
	for (size_t i = 0; i < snapshot->count; i++) {
		struct weiri_blocked *blocked = &publish->publisher->blocked[i];
		struct weiri_enqueued enqueued;

		if (blocked->subscription == NULL) {
			empty++;
			continue;
		}
		weiri_reserve_commit(blocked->subscription, message, &blocked->reservation,
			&enqueued, &publish->dead);
		if (enqueued.is_first_loss)
			weiri_publish_note_loss(publish, blocked->subscription);
		publish->receipt->enqueued += enqueued.count;
		publish->receipt->evicted += enqueued.evicted;
		weiri_publish_look(publish, blocked->subscription);
		blocked->subscription = NULL;
	}
	publish->receipt->matched = snapshot->count - empty;
	weiri_publish_wake(publish, snapshot);
	if (snapshot->count == 0)
		empty = 1;
	if (empty > 0) {
		weiri_message_settle(message, (uint32_t)empty, true);
		weiri_message_unref_later(message, (uint32_t)empty, &publish->dead);
	}
}

/* One try in one section.  WEIR_EFULL or WEIR_ENOMEM: the subscription in the
 * receipt refused; if waiting may help it is noted. */
static int all_try(struct weiri_publish *publish)
{
	struct weir_publisher *publisher = publish->publisher;
	struct weir_broker *broker = publisher->broker;
	struct weir_subscription *refuser = NULL;
	struct weiri_snapshot *snapshot;
	int error;

	weiri_reclaim_begin(publisher->member);
	snapshot = weiri_load_acquire(&publish->topic->snapshot); /* S2 */
	error = weiri_blocked_reserve(publisher, snapshot->count);
	if (weiri_snapshot_is_removed(snapshot))
		error = WEIR_ENOENT;
	if (weiri_load_acquire(&broker->state) != WEIRI_BROKER_RUNNING)
		error = WEIR_ESHUTDOWN;
	if (error == 0)
		error = all_reserve(publish, snapshot, &refuser);
	if (error == 0 && publish->id != NULL) {
		error = weiri_identity_enter(publish);
		if (error != 0)
			reserved_cancel(publish, snapshot->count);
	}
	if (refuser != NULL) {
		publish->receipt->refused_by = refuser->id;
		if (error == WEIR_EFULL && weiri_enqueue_may_wait(refuser, publish->messages[0]))
			weiri_blocked_note(publish, refuser, 0);
	} else if (error == 0) {
		publish->receipt->refused_by = 0;
		all_commit(publish, snapshot);
	}
	weiri_publish_section_end(publish);
	return error;
}

/* Wait at the one that was noted.  Returns 0: try again. */
static int refuser_await(struct weiri_publish *publish, unsigned int tries, double *pause)
{
	struct weir_broker *broker = publish->publisher->broker;
	int error = WEIR_ETIMEDOUT;

	if (publish->deadline > weiri_clock_now(broker->clock))
		error = weiri_blocked_wait(publish, tries, pause);
	weiri_blocked_done(publish, &publish->publisher->blocked[0]);
	publish->noted = 0;
	weiri_publish_leave(publish);
	return error;
}

int weiri_publish_all(struct weiri_publish *publish)
{
	double pause = WEIRI_ROOM_LOOK_FIRST;

	for (unsigned int tries = 0;; tries++) {
		int error = all_try(publish);

		if (publish->blocked == 0)
			return error;
		error = refuser_await(publish, tries, &pause);
		if (error != 0)
			return error;
	}
}
