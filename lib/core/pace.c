/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits of a publisher for its time. */
#include "core/pace.h"

#include <math.h>
#include <sched.h>

#include <ck_pr.h>

#include <weir/pacer.h>

static bool is_running(struct weir_broker *broker)
{
	return weiri_load_acquire(&broker->state) == WEIRI_BROKER_RUNNING;
}

/* Inside a section, so that whoever ends the broker either sees the count after
 * the grace period, or is seen here. */
static bool wait_begin(struct weir_publisher *publisher)
{
	struct weir_broker *broker = publisher->broker;
	bool may_wait;

	weiri_reclaim_begin(publisher->member);
	may_wait = is_running(broker);
	if (may_wait)
		(void)weiri_add_relaxed(&broker->inside, 1);
	weiri_reclaim_end(&broker->registry.reclaim, publisher->member);
	return may_wait;
}

/* One look, pause or sleep.  Returns 0: look at the time again. */
static int wait_once(struct weir_publisher *publisher, double until)
{
	struct weir_broker *broker = publisher->broker;
	int error;

	if (publisher->wait == WEIR_WAIT_SPIN && !broker->clock->is_virtual) {
		ck_pr_stall();
		return is_running(broker) ? 0 : WEIR_ESHUTDOWN;
	}
	if (publisher->wait == WEIR_WAIT_YIELD && !broker->clock->is_virtual) {
		(void)sched_yield();
		return is_running(broker) ? 0 : WEIR_ESHUTDOWN;
	}
	/* C1: the waiter is armed before the look at the state (the fence in
	 * arm); the end of the broker changes the state, passes a fence and
	 * looks at the waiter (C2).  One of the two sees the other. */
	weiri_waiter_arm(&publisher->waiter);
	if (!is_running(broker)) {
		(void)weiri_waiter_disarm(&publisher->waiter);
		return WEIR_ESHUTDOWN;
	}
	error = weiri_clock_park(broker->clock, &publisher->waiter, until);
	return error == WEIR_ETIMEDOUT ? 0 : error;
}

int weiri_pace_wait(struct weir_publisher *publisher, double until)
{
	struct weir_broker *broker = publisher->broker;
	int error = 0;

	if (until <= weiri_clock_now(broker->clock))
		return 0;
	if (!wait_begin(publisher))
		return WEIR_ESHUTDOWN;
	while (error == 0 && weiri_clock_now(broker->clock) < until)
		error = wait_once(publisher, until);
	/* Q1 (pairs with the acquire in await, at close). */
	(void)weiri_sub_release(&broker->inside, 1);
	return error;
}

int weiri_pace_rate_wait(struct weir_publisher *publisher, uint64_t count, double deadline)
{
	struct weir_clock *clock = publisher->broker->clock;
	double now = weiri_clock_now(clock);
	double ready = weiri_bucket_ready(&publisher->bucket, count, now);
	int error;

	if (ready > now) {
		/* It may not wait; a deadline that has passed since the call is another end. */
		if (deadline == -WEIR_FOREVER)
			return WEIR_EAGAIN;
		error = weiri_pace_wait(publisher, ready < deadline ? ready : deadline);
		if (error != 0)
			return error;
		if (ready > deadline)
			return WEIR_ETIMEDOUT;
		now = weiri_clock_now(clock);
	}
	weiri_bucket_take(&publisher->bucket, count, now);
	return 0;
}

void weiri_pace_tell_all(struct weir_broker *broker)
{
	struct weir_publisher *publisher = broker->registry.publishers;

	for (; publisher != NULL; publisher = publisher->next)
		(void)weiri_waiter_notify(broker->clock, &publisher->waiter); /* C2 */
}

int weir_publish_paced(weir_publisher *publisher, weir_pacer *pacer, const void *data, size_t size,
	const weir_publish_options *options, weir_receipt *receipt)
{
	weir_publish_options paced = { 0 };
	weir_receipt own = { 0 };
	double interval;
	int error;

	if (publisher == NULL || isnan(weir_pacer_interval(pacer)) ||
		!weiri_publish_options_are_valid(options))
		return WEIR_EINVAL;
	if (weiri_broker_forked(publisher->broker))
		return WEIR_EFORK;
	error = weiri_pace_wait(publisher, pacer->due);
	if (error != 0)
		return error;
	if (options != NULL)
		paced = *options;
	if (pacer->slow_fill > 0)
		paced.want_fill = true;
	error = weir_publish(publisher, data, size, &paced, &own);
	interval = weir_pacer_feed(pacer, error, &own);
	pacer->due = weiri_clock_now(publisher->broker->clock) + interval;
	if (receipt != NULL && weiri_receipt_tells(&own))
		*receipt = own;
	return error;
}
