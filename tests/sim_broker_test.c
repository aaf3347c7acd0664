/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Brokers in virtual time: every call that may wait, outside and inside of
 * processes, exact times, and the ends that come while processes wait.
 */
#include <string.h>

#include "fixture.h"
#include "sim_fixture.h"

static struct {
	weir_broker *broker;
	weir_subscription *subscription; /* of "t" */
	weir_publisher *publisher;       /* on "t" */
} bed;

static weir_broker *broker_open(void)
{
	return fixture_broker(&(weir_broker_options){ .clock = fixture.clock });
}

static void bed_open(const weir_subscription_options *options)
{
	fixture_open(NULL);
	bed.broker = broker_open();
	CHECK_EQ(weir_subscribe(&bed.subscription, bed.broker, "t", options), 0);
	bed.publisher = fixture_publisher(bed.broker, "t");
}

/* NULL handles were closed by the case. */
static void bed_close(void)
{
	weir_subscription_statistics last;

	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	weir_publisher_close(bed.publisher);
	if (bed.subscription != NULL) {
		CHECK_EQ(weir_unsubscribe(bed.subscription, &last), 0);
		fixture_check_sums(&last);
	}
	if (bed.broker != NULL)
		CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static const char *name_of(int error)
{
	switch (error) {
	case 0:
		return "";
	case WEIR_ETIMEDOUT:
		return "late";
	case WEIR_EINTR:
		return "woken";
	case WEIR_ECLOSED:
		return "closed";
	case WEIR_ESHUTDOWN:
		return "shutdown";
	default:
		return weir_strerror(error);
	}
}

/* ---- One body, two kinds of time ---- */

#define SENT 20

struct worker {
	weir_clock *clock;
	weir_publisher *publishers[2];
	weir_subscription *subscriptions[3];
	uint64_t received;
	uint64_t selected;
};

static void publish_to_both(void *argument)
{
	const struct worker *self = argument;

	for (uint64_t i = 0; i < SENT; i++) {
		CHECK_EQ(weir_sleep(self->clock, 1e-4), 0);
		for (int k = 0; k < 2; k++)
			CHECK_EQ(weir_publish(self->publishers[k], &i, sizeof(i), NULL, NULL), 0);
	}
}

static void receive_and_acknowledge(void *argument)
{
	struct worker *self = argument;
	weir_delivery delivery;

	while (self->received < SENT) {
		int error = weir_receive(self->subscriptions[0], &delivery, 2e-5);

		if (error == WEIR_ETIMEDOUT)
			continue;
		CHECK_EQ(error, 0);
		CHECK_EQ(fixture_number(&delivery), self->received++);
		CHECK_EQ(weir_sleep(self->clock, 5e-5), 0);
		CHECK_EQ(weir_ack(&delivery), 0);
		CHECK_EQ(weir_ack(&delivery), WEIR_ESTALE);
	}
}

static void select_from_two(void *argument)
{
	struct worker *self = argument;
	uint64_t next[2] = { 0, 0 };
	weir_delivery delivery;
	size_t index;

	while (self->selected < 2 * SENT) {
		CHECK_EQ(weir_select(&self->subscriptions[1], 2, WEIR_SELECT_FAIR, WEIR_FOREVER,
				 &delivery, &index),
			0);
		CHECK_EQ(fixture_number(&delivery), next[index]++);
		self->selected++;
	}
}

static void worker_open(struct worker *self, weir_broker *broker)
{
	*self = (struct worker){ .clock = weir_broker_clock(broker) };
	self->publishers[0] = fixture_publisher(broker, "a.x");
	self->publishers[1] = fixture_publisher(broker, "b.x");
	CHECK_EQ(weir_subscribe(&self->subscriptions[0], broker, "a.*",
			 &(weir_subscription_options){ .ack = WEIR_ACK_MANUAL }),
		0);
	self->subscriptions[1] = fixture_subscribe(broker, "a.>", 0);
	self->subscriptions[2] = fixture_subscribe(broker, "b.x", 0);
}

static void worker_close(struct worker *self, weir_broker *broker)
{
	CHECK_EQ(self->received, SENT);
	CHECK_EQ(self->selected, 2 * SENT);
	CHECK_EQ(fixture_statistics(self->subscriptions[0]).acknowledged, SENT);
	for (int i = 0; i < 2; i++)
		weir_publisher_close(self->publishers[i]);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weir_unsubscribe(self->subscriptions[i], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

static void (*const bodies[])(
	void *argument) = { publish_to_both, receive_and_acknowledge, select_from_two };

struct thread_start {
	void (*body)(void *argument);
	void *argument;
};

static void *thread_run(void *argument)
{
	const struct thread_start *start = argument;

	start->body(start->argument);
	return NULL;
}

WEIR_TEST(sim_broker, the_same_functions_run_as_processes_and_as_threads)
{
	struct thread_start starts[3];
	pthread_t threads[3];
	struct worker worker;
	weir_broker *broker;

	fixture_open(NULL);
	broker = broker_open();
	worker_open(&worker, broker);
	for (int i = 0; i < 3; i++)
		fixture_spawn("body", bodies[i], &worker);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	worker_close(&worker, broker);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);

	broker = fixture_broker(NULL);
	worker_open(&worker, broker);
	for (int i = 0; i < 3; i++) {
		starts[i] = (struct thread_start){ bodies[i], &worker };
		threads[i] = fixture_thread(thread_run, &starts[i]);
	}
	for (int i = 0; i < 3; i++)
		fixture_join(threads[i]);
	worker_close(&worker, broker);
}

/* ---- Outside of processes ---- */

WEIR_TEST(sim_broker, a_call_outside_of_a_process_that_would_wait_is_a_deadlock)
{
	weir_delivery delivery = { .size = 77 };
	weir_receipt receipt;
	size_t index;

	bed_open(&(weir_subscription_options){ .capacity = 1 });
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 0), WEIR_EAGAIN);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 1), WEIR_EDEADLK);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, WEIR_FOREVER), WEIR_EDEADLK);
	CHECK_EQ(weir_select(&bed.subscription, 1, WEIR_SELECT_FAIR, 1, &delivery, &index),
		WEIR_EDEADLK);
	CHECK_EQ(delivery.size, 77);
	CHECK_EQ(weir_wake(bed.subscription), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 1), WEIR_EINTR);
	CHECK_EQ(fixture_publish(bed.publisher, 1), 1);
	CHECK_EQ(weir_publish(bed.publisher, "", 0, NULL, &receipt), WEIR_EDEADLK);
	CHECK_EQ(receipt.matched, 1);
	CHECK_EQ(receipt.dropped, 1);
	CHECK_EQ(weir_broker_drain(bed.broker, 1), WEIR_EDEADLK);
	CHECK_EQ(fixture_receive(bed.subscription), 1);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 1), WEIR_ESHUTDOWN);
	CHECK_EQ(weir_broker_drain(bed.broker, 1), 0);
	CHECK_EQ(weir_subscription_stop(bed.subscription), 0);
	CHECK_EQ(weir_receive(bed.subscription, &delivery, 1), WEIR_ECLOSED);
	CHECK(!(weir_now(fixture.clock) > 0));
	bed_close();
}

/* ---- Publishers that wait ---- */

struct sender {
	double start;
	double timeout;
	uint64_t number;
};

static void send_at(void *argument)
{
	const struct sender *self = argument;
	weir_publisher *publisher = fixture_publisher(bed.broker, "t");
	int error;

	fixture_sleep(self->start);
	error = weir_publish(publisher, &self->number, sizeof(self->number),
		&(weir_publish_options){ .timeout = self->timeout }, NULL);
	fixture_log("%d%s", (int)self->number, name_of(error));
	weir_publisher_close(publisher);
}

static void take_every_second(void *argument)
{
	weir_delivery delivery;

	(void)argument;
	while (weir_sleep(fixture.clock, 1) == 0 &&
		weir_receive(bed.subscription, &delivery, 0) == 0)
		fixture_log("got%d", (int)fixture_number(&delivery));
}

WEIR_TEST(sim_broker, publishers_wait_in_line_and_their_deadlines_are_exact)
{
	const struct sender senders[] = { { 0, 9, 1 }, { 0.125, 9, 2 }, { 0.25, 0.5, 3 },
		{ 0.375, 9, 4 }, { 1.25, 1.25, 5 } };
	weir_subscription_statistics statistics;

	bed_open(&(weir_subscription_options){ .capacity = 1 });
	for (int i = 0; i < 5; i++)
		fixture_spawn("sender", send_at, &senders[i]);
	fixture_spawn("taker", take_every_second, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:1 0.75:3late 1:2 1:got1 2:4 2:got2 2.5:5late 3:got4");
	statistics = fixture_statistics(bed.subscription);
	CHECK_EQ(statistics.delivered, 3);
	CHECK_EQ(statistics.dropped[WEIR_DROP_TIMEOUT], 2);
	bed_close();
}

/* ---- Hand-over ---- */

static void receive_all(void *argument)
{
	weir_subscription *subscription = *(weir_subscription **)argument;
	weir_delivery delivery;
	int error;

	while ((error = weir_receive(subscription, &delivery, WEIR_FOREVER)) == 0)
		fixture_log("%d", (int)fixture_number(&delivery));
	fixture_log("%s", name_of(error));
}

static uint64_t try_to_publish(uint64_t number)
{
	weir_receipt receipt;

	CHECK_EQ(weir_publish(bed.publisher, &number, sizeof(number), NULL, &receipt), 0);
	return receipt.enqueued;
}

WEIR_TEST(sim_broker, a_message_that_finds_its_receiver_in_line_takes_no_room)
{
	for (size_t capacity = 1; capacity <= 3; capacity++) {
		weir_subscription_statistics statistics;

		bed_open(&(weir_subscription_options){
			.capacity = capacity, .overflow = WEIR_OVERFLOW_DROP_NEWEST });
		fixture_spawn("receiver", receive_all, &bed.subscription);
		CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_WAITING);
		/* One into the hand, `capacity` into the queue. */
		for (uint64_t i = 0; i <= capacity; i++)
			CHECK_EQ(try_to_publish(i), 1);
		CHECK_EQ(try_to_publish(9), 0);
		CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_WAITING);
		statistics = fixture_statistics(bed.subscription);
		CHECK_EQ(statistics.delivered, capacity + 1);
		CHECK_EQ(statistics.high_water, capacity);
		bed_close();
	}
}

/* ---- Select ---- */

static struct {
	weir_subscription *subscriptions[2];
	weir_publisher *publishers[2];
	uint64_t next[2];
} pair;

static void pair_open(void)
{
	bed_open(NULL);
	memset(&pair, 0, sizeof(pair));
	for (int i = 0; i < 2; i++) {
		pair.subscriptions[i] = fixture_subscribe(bed.broker, i == 0 ? "a" : "b", 0);
		pair.publishers[i] = fixture_publisher(bed.broker, i == 0 ? "a" : "b");
	}
}

static void pair_close(void)
{
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(weir_unsubscribe(pair.subscriptions[i], NULL), 0);
		weir_publisher_close(pair.publishers[i]);
	}
	bed_close();
}

static void select_all(void *argument)
{
	weir_delivery delivery;
	size_t index;
	int error;

	(void)argument;
	while ((error = weir_select(
			pair.subscriptions, 2, WEIR_SELECT_FAIR, 10, &delivery, &index)) == 0)
		fixture_log("%c%d", (int)('a' + index), (int)fixture_number(&delivery));
	fixture_log("%s", name_of(error));
}

static void publish_in_turns(void *argument)
{
	(void)argument;
	for (uint64_t i = 0; i < 3; i++)
		(void)fixture_publish(pair.publishers[1], i);
	for (uint64_t i = 0; i < 3; i++)
		(void)fixture_publish(pair.publishers[0], i);
}

WEIR_TEST(sim_broker, a_select_gets_what_it_was_woken_for_and_then_is_fair)
{
	pair_open();
	fixture_spawn("selector", select_all, NULL);
	fixture_spawn("publisher", publish_in_turns, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:b0 0:a0 0:b1 0:a1 0:b2 0:a2 10:late");
	pair_close();
}

static void publish_all_or_nothing(void *argument)
{
	const uint64_t number = 7;
	weir_publisher *publisher = fixture_publisher(bed.broker, "c");
	weir_receipt receipt;

	(void)argument;
	CHECK_EQ(weir_publish(publisher, &number, sizeof(number),
			 &(weir_publish_options){ .all_or_nothing = true }, &receipt),
		0);
	CHECK_EQ(receipt.enqueued, 2);
	weir_publisher_close(publisher);
}

/* The first of them wakes the select, which then is in line at the other no more. */
WEIR_TEST(sim_broker, a_select_gets_all_of_a_publish_to_several_of_its_subscriptions)
{
	pair_open();
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(weir_unsubscribe(pair.subscriptions[i], NULL), 0);
		pair.subscriptions[i] = fixture_subscribe(bed.broker, "c", 1);
	}
	fixture_spawn("selector", select_all, NULL);
	fixture_spawn("publisher", publish_all_or_nothing, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:b7 0:a7 10:late");
	pair_close();
}

/* Its timeouts fall on the instants at which messages come. */
static void select_with_timeouts(void *argument)
{
	unsigned int *timeouts = argument;
	weir_delivery delivery;
	size_t index;

	while (pair.next[0] + pair.next[1] < 200) {
		int error = weir_select(
			pair.subscriptions, 2, WEIR_SELECT_FAIR, 0.25, &delivery, &index);

		*timeouts += error == WEIR_ETIMEDOUT;
		CHECK(error == 0 || error == WEIR_ETIMEDOUT);
		if (error == 0)
			CHECK_EQ(fixture_number(&delivery), pair.next[index]++);
	}
}

static void publish_now_and_then(void *argument)
{
	weir_publisher *publisher = *(weir_publisher **)argument;

	for (uint64_t i = 0; i < 100; i++) {
		fixture_sleep((double)(weir_sim_random(fixture.sim) % 6) * 0.125);
		(void)fixture_publish(publisher, i);
	}
}

WEIR_TEST(sim_broker, a_select_that_times_out_as_a_message_comes_loses_nothing)
{
	unsigned int timeouts = 0;

	pair_open();
	fixture_spawn("selector", select_with_timeouts, &timeouts);
	for (int i = 0; i < 2; i++)
		fixture_spawn("publisher", publish_now_and_then, &pair.publishers[i]);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK(timeouts > 5);
	pair_close();
}

/* ---- Processes that come and go ---- */

struct visit {
	int depth;
	uint64_t got;
};

/* Opens a subscription of its own, spawns two more, and waits for one message. */
static void visit(void *argument)
{
	struct visit *self = argument;
	const int depth = self->depth;
	struct visit children[2] = { { depth - 1, 0 }, { depth - 1, 0 } };
	uint64_t got;
	weir_subscription *own = fixture_subscribe(bed.broker, "*", 1);
	weir_delivery delivery;

	for (int i = 0; depth > 0 && i < 2; i++)
		fixture_spawn("child", visit, &children[i]);
	CHECK_EQ(weir_receive(own, &delivery, WEIR_FOREVER), 0);
	self->got = got = fixture_number(&delivery);
	CHECK_EQ(weir_unsubscribe(own, NULL), 0);
	fixture_sleep(1);
	for (int i = 0; depth > 0 && i < 2; i++)
		CHECK_EQ(children[i].got, got);
}

static void visit_and_publish(void *argument)
{
	struct visit first = { 5, 0 };

	(void)argument;
	for (uint64_t i = 1; i <= 20; i++) {
		fixture_spawn("first", visit, &first);
		fixture_sleep(1);
		CHECK_EQ(fixture_publish(bed.publisher, i), 63);
		fixture_sleep(2);
		CHECK_EQ(first.got, i);
	}
}

WEIR_TEST(sim_broker, processes_spawn_others_open_and_close_subscriptions_and_end)
{
	bed_open(NULL);
	CHECK_EQ(weir_unsubscribe(bed.subscription, NULL), 0);
	bed.subscription = NULL;
	fixture_spawn("root", visit_and_publish, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_EQ(fixture_broker_statistics(bed.broker).subscriptions, 0);
	bed_close();
}

/* ---- Ends while processes wait ---- */

static void publish_full(void *argument)
{
	uint64_t number = 5;
	int error = 0;

	(void)argument;
	while (error == 0)
		error = weir_publish(bed.publisher, &number, sizeof(number), NULL, NULL);
	fixture_log("publish-%s", name_of(error));
}

static void unsubscribe_at_two(void *argument)
{
	weir_subscription **subscription = argument;

	fixture_sleep(2);
	CHECK_EQ(weir_unsubscribe(*subscription, NULL), 0);
	*subscription = NULL;
	fixture_log("unsubscribed");
}

WEIR_TEST(sim_broker, unsubscribing_ends_a_receive_that_waits)
{
	bed_open(NULL);
	fixture_spawn("receiver", receive_all, &bed.subscription);
	fixture_spawn("closer", unsubscribe_at_two, &bed.subscription);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "2:unsubscribed 2:closed");
	bed_close();

	/* From outside, with a message in the hand that nobody has seen. */
	bed_open(NULL);
	fixture_spawn("receiver", receive_all, &bed.subscription);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_WAITING);
	CHECK_EQ(fixture_publish(bed.publisher, 1), 1);
	CHECK_EQ(weir_unsubscribe(bed.subscription, NULL), 0);
	bed.subscription = NULL;
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:closed");
	bed_close();
}

WEIR_TEST(sim_broker, unsubscribing_lets_its_publishers_go_on)
{
	bed_open(&(weir_subscription_options){ .capacity = 1 });
	fixture_spawn("sender", send_at, &(const struct sender){ 0, 9, 1 });
	fixture_spawn("sender", send_at, &(const struct sender){ 1, 9, 2 });
	fixture_spawn("closer", unsubscribe_at_two, &bed.subscription);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:1 2:unsubscribed 2:2");
	bed_close();
}

static void wake_stop_and_close(void *argument)
{
	(void)argument;
	fixture_sleep(1);
	CHECK_EQ(weir_wake(pair.subscriptions[0]), 0);
	fixture_sleep(1);
	CHECK_EQ(weir_subscription_stop(pair.subscriptions[1]), 0);
	fixture_sleep(1);
	CHECK_EQ(weir_broker_close(bed.broker, NULL), 0);
	bed.broker = NULL;
	fixture_log("closed");
}

static void drain(void *argument)
{
	(void)argument;
	fixture_sleep(2.5);
	fixture_log("drain-%s", name_of(weir_broker_drain(bed.broker, WEIR_FOREVER)));
}

WEIR_TEST(sim_broker, waking_stopping_and_closing_from_a_process_ends_the_waits_of_others)
{
	pair_open();
	(void)fixture_publish(bed.publisher, 1);
	fixture_spawn("woken", receive_all, &pair.subscriptions[0]);
	fixture_spawn("stopped", receive_all, &pair.subscriptions[1]);
	fixture_spawn("drain", drain, NULL);
	fixture_spawn("closer", wake_stop_and_close, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "1:woken 2:closed 3:closed 3:drain-shutdown");
	pair_close();
}

/* Its memory must last as long as the drain, which close cannot wait for. */
static void drain_alone(void *argument)
{
	weir_broker **broker = argument;
	weir_publisher *publisher = fixture_publisher(*broker, "x");
	weir_subscription *subscription = fixture_subscribe(*broker, "x", 0);
	int error;

	(void)fixture_publish(publisher, 1);
	weir_publisher_close(publisher);
	pair.subscriptions[0] = subscription;
	error = weir_broker_drain(*broker, WEIR_FOREVER);
	fixture_log("drain-%s", name_of(error));
}

static void close_all(void *argument)
{
	fixture_sleep(1);
	CHECK_EQ(weir_broker_close(*(weir_broker **)argument, NULL), 0);
	CHECK_EQ(weir_unsubscribe(pair.subscriptions[0], NULL), 0);
}

WEIR_TEST(sim_broker, a_drain_survives_the_close_of_its_broker_and_the_last_handle)
{
	weir_broker *broker;

	bed_open(NULL);
	broker = broker_open();
	fixture_spawn("drain", drain_alone, &broker);
	fixture_spawn("closer", close_all, &broker);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "1:drain-shutdown");
	bed_close();
}

static char report[1024];

static void add_to_report(void *argument, const weir_sim_wait *wait)
{
	size_t length = strlen(report);

	(void)argument;
	length += (size_t)weir_sim_wait_text(report + length, sizeof(report) - length, wait);
	(void)snprintf(report + length, sizeof(report) - length, "\n");
}

static void drain_later(void *argument)
{
	weir_broker *other = broker_open();
	weir_subscription *subscription = fixture_subscribe(other, "x", 0);
	weir_publisher *publisher = fixture_publisher(other, "x");

	(void)argument;
	(void)fixture_publish(publisher, 1);
	fixture_sleep(0.5);
	CHECK_EQ(weir_broker_drain(other, WEIR_FOREVER), WEIR_ESHUTDOWN);
	fixture_log("drain-shutdown");
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(other, NULL), 0);
}

/* And the simulation is stopped with all of them inside. */
WEIR_TEST(sim_broker, a_deadlock_names_what_each_waits_for_and_a_stop_ends_it)
{
	pair_open();
	fixture_spawn("Reader", receive_all, &pair.subscriptions[1]);
	fixture_spawn("Writer", publish_full, NULL);
	fixture_spawn("Drainer", drain_later, NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 0.25), WEIR_SIM_MORE);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_WAITING);
	report[0] = '\0';
	weir_sim_waits(fixture.sim, add_to_report, NULL);
	CHECK_STR_EQ(report, "process 1 Reader waits in receive at b since 0\n"
			     "process 2 Writer waits in publish at t since 0\n"
			     "process 3 Drainer waits in drain at broker since 0.5\n");
	fixture.length = 0;
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	CHECK_STR_EQ(fixture.log, "0.5:shutdown 0.5:publish-shutdown 0.5:drain-shutdown");
	pair_close();
}

WEIR_TEST(sim_broker, a_stop_loses_no_message_that_was_handed_over)
{
	pair_open();
	fixture_spawn("receiver", receive_all, &bed.subscription);
	fixture_spawn("selector", select_all, NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 1), WEIR_SIM_MORE);
	(void)fixture_publish(bed.publisher, 1);
	(void)fixture_publish(pair.publishers[1], 2);
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	CHECK_STR_EQ(fixture.log, "1:1 1:shutdown 1:b2 1:shutdown");
	CHECK_EQ(fixture_statistics(bed.subscription).delivered, 1);
	pair_close();
}

/* ---- Polling ---- */

static bool polling_is_over;

static void poll_for_two(void *argument)
{
	weir_delivery delivery;

	(void)argument;
	for (int got = 0; got < 2 && !polling_is_over;) {
		if (weir_receive(bed.subscription, &delivery, 0) != 0)
			continue;
		got++;
		fixture_log("%d", (int)fixture_number(&delivery));
	}
}

WEIR_TEST(sim_broker, a_process_that_polls_its_queue_does_not_hold_time_still)
{
	bed_open(NULL);
	fixture_spawn("poller", poll_for_two, NULL);
	fixture_spawn("sender", send_at, &(const struct sender){ 5, 9, 1 });
	fixture_spawn("sender", send_at, &(const struct sender){ 7, 9, 2 });
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "5:1 5:1 7:2 7:2");
	/* With nobody left to send, it says so instead of hanging. */
	fixture_spawn("poller", poll_for_two, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_SPINNING);
	polling_is_over = true;
	bed_close();
}
