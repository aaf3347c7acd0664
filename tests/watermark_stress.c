/* SPDX-License-Identifier: BSD-2-Clause */
/* Hooks of watermarks with threads: they alternate, never meet, and none is lost. */
#include "base/atomics.h"
#include "fixture.h"

#define PUBLISHERS 4

struct gate {
	weir_broker *broker;
	weir_subscription *subscription;
	_Atomic uint32_t is_closed;
	_Atomic uint32_t inside; /* hooks */
	_Atomic uint64_t slow;
	_Atomic uint64_t recovered;
	uint64_t count;
};

static void gate_turn(struct gate *gate, uint32_t is_closed)
{
	CHECK_EQ(weiri_add_acq_rel(&gate->inside, 1), 0);
	CHECK_EQ(weiri_exchange_acq_rel(&gate->is_closed, is_closed), 1 - is_closed);
	(void)weiri_sub_acq_rel(&gate->inside, 1);
}

static void gate_close(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct gate *gate = context;

	(void)subscription;
	(void)queued;
	gate_turn(gate, 1);
	(void)weiri_add_relaxed(&gate->slow, 1);
}

static void gate_open(void *context, weir_subscription *subscription, uint64_t queued)
{
	struct gate *gate = context;

	(void)subscription;
	(void)queued;
	gate_turn(gate, 0);
	(void)weiri_add_relaxed(&gate->recovered, 1);
}

static void *publish_through_gate(void *argument)
{
	struct gate *gate = argument;
	weir_publisher *publisher = fixture_publisher(gate->broker, "t");

	for (uint64_t i = 0; i < gate->count; i++) {
		FIXTURE_UNTIL(weiri_load_acquire(&gate->is_closed) == 0);
		CHECK_EQ(weir_publish(publisher, &i, sizeof(i), NULL, NULL), 0);
	}
	weir_publisher_close(publisher);
	return NULL;
}

static void *receive_to_the_end(void *argument)
{
	struct gate *gate = argument;
	weir_delivery delivery;

	while (weir_receive(gate->subscription, &delivery, WEIR_FOREVER) == 0)
		;
	return NULL;
}

/* Publishers that stop at on_slow and go on at on_recovered: one of these that is
 * lost, and the case never ends. */
static void gate_run(const weir_subscription_options *queue)
{
	struct gate gate = { .broker = fixture_broker(NULL), .count = harness_scaled(10000) };
	weir_subscription_options options = *queue;
	pthread_t receiver, publishers[PUBLISHERS];

	options.capacity = 64;
	options.high_watermark = 16;
	options.low_watermark = 0;
	options.on_slow = gate_close;
	options.on_recovered = gate_open;
	options.hook_context = &gate;
	options.hook_interval = 1e-9;
	CHECK_EQ(weir_subscribe(&gate.subscription, gate.broker, "t", &options), 0);
	receiver = fixture_thread(receive_to_the_end, &gate);
	for (int i = 0; i < PUBLISHERS; i++)
		publishers[i] = fixture_thread(publish_through_gate, &gate);
	for (int i = 0; i < PUBLISHERS; i++)
		fixture_join(publishers[i]);
	CHECK_EQ(weir_broker_drain(gate.broker, WEIR_FOREVER), 0);
	fixture_join(receiver);
	CHECK(weiri_load_relaxed(&gate.slow) > 0);
	CHECK_EQ(weiri_load_relaxed(&gate.slow), weiri_load_relaxed(&gate.recovered));
	CHECK_EQ(weir_unsubscribe(gate.subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(gate.broker, NULL), 0);
}

WEIR_TEST(watermark_stress, no_recovery_is_lost_and_hooks_never_meet)
{
	gate_run(&(weir_subscription_options){ .overflow = WEIR_OVERFLOW_BLOCK });
	gate_run(&(weir_subscription_options){ .overflow = WEIR_OVERFLOW_DROP_OLDEST });
	gate_run(&(weir_subscription_options){ .overflow = WEIR_OVERFLOW_DROP_NEWEST,
		.order = WEIR_ORDER_PRIORITY,
		.priority_classes = 4 });
}
