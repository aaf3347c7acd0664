/* SPDX-License-Identifier: BSD-2-Clause */
/* The windows of topics. */
#include "core/identity.h"

#include <math.h>

#include "core/filter.h"
#include "delivery/dedupe.h"

int weiri_identity_enter(struct weiri_publish *publish)
{
	struct weiri_topic *topic = publish->topic;
	struct weiri_dedupe *dedupe = weiri_load_acquire(&topic->dedupe); /* D2 */

	if (dedupe == NULL)
		return WEIR_EINVAL;
	return weiri_dedupe_enter(
		       dedupe, *publish->id, &topic->sequence, &publish->receipt->sequence)
		       ? 0
		       : WEIR_EDUPLICATE;
}

int weiri_identity_keep(struct weir_publisher *publisher, struct weiri_topic *topic, uint64_t id,
	uint64_t *sequence)
{
	struct weiri_dedupe *dedupe;
	int error = WEIR_EINVAL;

	weiri_reclaim_begin(publisher->member);
	dedupe = weiri_load_acquire(&topic->dedupe); /* D2 */
	if (dedupe != NULL)
		error = weiri_dedupe_enter(dedupe, id, NULL, sequence) ? 0 : WEIR_EDUPLICATE;
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
	return error;
}

void weiri_identity_number(
	struct weir_publisher *publisher, struct weiri_topic *topic, uint64_t id, uint64_t sequence)
{
	struct weiri_dedupe *dedupe;

	weiri_reclaim_begin(publisher->member);
	dedupe = weiri_load_acquire(&topic->dedupe); /* D2 */
	if (dedupe != NULL)
		weiri_dedupe_number(dedupe, id, sequence);
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
}

void weiri_identity_forget(struct weir_publisher *publisher, struct weiri_topic *topic, uint64_t id)
{
	struct weiri_dedupe *dedupe;

	weiri_reclaim_begin(publisher->member);
	dedupe = weiri_load_acquire(&topic->dedupe); /* D2 */
	if (dedupe != NULL)
		weiri_dedupe_forget(dedupe, id);
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
}

/* Registry's lock held: the window of that topic, which is made if need be, from now
 * on; NULL: none.  The one before is gone. */
static int window_set(
	struct weir_broker *broker, const char *name, size_t length, struct weiri_dedupe *dedupe)
{
	struct weiri_dedupe *before;
	struct weiri_topic *topic;
	int error;

	if (weiri_load_relaxed(&broker->state) != WEIRI_BROKER_RUNNING)
		return WEIR_ESHUTDOWN;
	error = weiri_registry_topic(broker, name, length, &topic);
	if (error != 0)
		return error;
	before = weiri_load_relaxed(&topic->dedupe);
	/* D1 (pairs with D2): the window is complete before a publisher finds it. */
	weiri_store_release(&topic->dedupe, dedupe);
	weiri_reclaim_wait(&broker->registry.reclaim);
	weiri_dedupe_close(before, &broker->allocator);
	return 0;
}

int weir_topic_dedupe(weir_broker *broker, const char *name, size_t count, double seconds)
{
	size_t length = weiri_topic_name_length(name);
	struct weiri_dedupe *dedupe = NULL;
	int error = 0;

	if (broker == NULL || length == 0 || count > WEIR_DEDUPE_MAX ||
		!weiri_duration_is_valid(seconds) || (count == 0 && seconds != 0))
		return WEIR_EINVAL;
	if (weiri_broker_forked(broker))
		return WEIR_EFORK;
	if (count > 0)
		error = weiri_dedupe_open(&dedupe, broker->clock, count,
			seconds != 0 ? seconds : WEIR_FOREVER, broker->registry.hash_key.word[0],
			&broker->allocator);
	if (error != 0)
		return error;
	weiri_registry_lock(&broker->registry);
	error = window_set(broker, name, length, dedupe);
	weiri_registry_unlock(&broker->registry);
	if (error != 0)
		weiri_dedupe_close(dedupe, &broker->allocator);
	return error;
}
