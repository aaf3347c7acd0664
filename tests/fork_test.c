/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork_test.c - in a child of fork every call says WEIR_EFORK, at once, and touches
 * nothing, whatever the parent's other threads were doing (promise P9).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fork.h"
#include "fail_allocator.h"
#include "fixture.h"

struct handles {
	struct fail_allocator memory;
	weir_broker *broker;
	weir_publisher *publisher;
	weir_subscription *subscription;
	weir_confirm *confirm;
	weir_message *loan;
	weir_message *wrapped;
	weir_message *kept;
	char buffer[8];
	_Atomic uint64_t freed; /* calls of the free function */
};

static void free_count(void *context, void *data)
{
	struct handles *handles = context;

	(void)data;
	(void)atomic_fetch_add(&handles->freed, 1);
}

/* ---- Every public function ---- */

static int call_broker_close(struct handles *handles)
{
	return weir_broker_close(handles->broker, NULL);
}

static int call_broker_drain(struct handles *handles)
{
	return weir_broker_drain(handles->broker, WEIR_FOREVER);
}

static int call_broker_statistics_get(struct handles *handles)
{
	weir_broker_statistics statistics;

	return weir_broker_statistics_get(handles->broker, &statistics);
}

static int call_group_statistics_get(struct handles *handles)
{
	weir_group_statistics statistics;

	return weir_group_statistics_get(handles->subscription, &statistics, NULL, 0);
}

/* Void: it must not touch what the parent has locked. */
static int call_confirm_close(struct handles *handles)
{
	weir_confirm_close(handles->confirm);
	return WEIR_EFORK;
}

static int call_confirm_counts_get(struct handles *handles)
{
	weir_confirm_counts counts;

	return weir_confirm_counts_get(handles->confirm, &counts);
}

static int call_confirm_open(struct handles *handles)
{
	weir_confirm *confirm;

	return weir_confirm_open(&confirm, handles->broker, NULL);
}

static int call_confirm_wait(struct handles *handles)
{
	return weir_confirm_wait(handles->confirm, WEIR_FOREVER, NULL);
}

static int call_loan(struct handles *handles)
{
	weir_message *message;

	return weir_loan(handles->publisher, 1, &message);
}

static int call_message_keep(struct handles *handles)
{
	return weir_message_keep(handles->kept);
}

/* Void: it must not come to the free function. */
static int call_message_release(struct handles *handles)
{
	weir_message_release(handles->wrapped);
	weir_message_release(handles->loan);
	weir_message_release(handles->kept);
	return atomic_load(&handles->freed) == 0 ? WEIR_EFORK : 0;
}

static int call_message_wrap(struct handles *handles)
{
	weir_message *message;

	return weir_message_wrap(
		handles->publisher, handles->buffer, 1, free_count, handles, &message);
}

static int call_publish(struct handles *handles)
{
	return weir_publish(handles->publisher, "x", 1, NULL, NULL);
}

static int call_publish_batch(struct handles *handles)
{
	const weir_payload payload = { "x", 1 };

	return weir_publish_batch(handles->publisher, &payload, 1, NULL, NULL);
}

static int call_publish_message(struct handles *handles)
{
	return weir_publish_message(handles->publisher, handles->loan, NULL, NULL);
}

static int call_publish_paced(struct handles *handles)
{
	weir_pacer pacer = { 0 };

	return weir_publish_paced(handles->publisher, &pacer, "x", 1, NULL, NULL);
}

static int call_publish_to(struct handles *handles)
{
	return weir_publish_to(handles->broker, "t", "x", 1, NULL, NULL);
}

/* Void: that nothing was given back is seen by the allocator. */
static int call_publisher_close(struct handles *handles)
{
	weir_publisher_close(handles->publisher);
	return WEIR_EFORK;
}

static int call_publisher_open(struct handles *handles)
{
	weir_publisher *publisher;

	return weir_publisher_open(&publisher, handles->broker, "t", NULL);
}

static int call_receive(struct handles *handles)
{
	weir_delivery delivery;

	return weir_receive(handles->subscription, &delivery, WEIR_FOREVER);
}

static int call_receive_batch(struct handles *handles)
{
	weir_delivery delivery;
	size_t count;

	return weir_receive_batch(handles->subscription, &delivery, 1, WEIR_FOREVER, &count);
}

/* A child has no delivery of its own, but a copy of the parent's. */
static weir_delivery some_delivery(struct handles *handles)
{
	return (weir_delivery){ .broker = handles->broker, .token_ledger = 1 };
}

static int call_ack(struct handles *handles)
{
	weir_delivery delivery = some_delivery(handles);

	return weir_ack(&delivery);
}

static int call_ack_batch(struct handles *handles)
{
	weir_delivery delivery = some_delivery(handles);

	return weir_ack_batch(&delivery, 1, NULL);
}

static int call_ack_up_to(struct handles *handles)
{
	weir_delivery delivery = some_delivery(handles);

	return weir_ack_up_to(&delivery, NULL);
}

static int call_nack(struct handles *handles)
{
	weir_delivery delivery = some_delivery(handles);

	return weir_nack(&delivery, 0, NULL);
}

static int call_release(struct handles *handles)
{
	weir_delivery delivery = some_delivery(handles);

	return weir_release(&delivery, 0);
}

static int call_extend(struct handles *handles)
{
	weir_delivery delivery = some_delivery(handles);

	return weir_extend(&delivery, 1);
}

static int call_redrive(struct handles *handles)
{
	weir_delivery delivery = { .message = handles->kept };

	return weir_redrive(&delivery);
}

static int call_redrive_parked(struct handles *handles)
{
	return weir_redrive_parked(handles->subscription, 1, NULL);
}

static int call_reject(struct handles *handles)
{
	weir_delivery delivery = some_delivery(handles);

	return weir_reject(&delivery, NULL);
}

static int call_select(struct handles *handles)
{
	weir_delivery delivery;
	size_t index;

	return weir_select(
		&handles->subscription, 1, WEIR_SELECT_FAIR, WEIR_FOREVER, &delivery, &index);
}

static int call_subscribe(struct handles *handles)
{
	weir_subscription *subscription;

	return weir_subscribe(&subscription, handles->broker, "t", NULL);
}

static int call_subscription_priorities_get(struct handles *handles)
{
	weir_priority_statistics statistics;

	return weir_subscription_priorities_get(handles->subscription, &statistics);
}

static int call_subscription_statistics_get(struct handles *handles)
{
	weir_subscription_statistics statistics;

	return weir_subscription_statistics_get(handles->subscription, &statistics);
}

static int call_subscription_stop(struct handles *handles)
{
	return weir_subscription_stop(handles->subscription);
}

static int call_topic_remove(struct handles *handles)
{
	return weir_topic_remove(handles->broker, "nobody");
}

static int call_topic_statistics_get(struct handles *handles)
{
	weir_topic_statistics statistics;

	return weir_topic_statistics_get(handles->broker, "t", &statistics);
}

static int call_topic_dedupe(struct handles *handles)
{
	return weir_topic_dedupe(handles->broker, "t", 1, 0);
}

static int call_unsubscribe(struct handles *handles)
{
	return weir_unsubscribe(handles->subscription, NULL);
}

static int call_wake(struct handles *handles)
{
	return weir_wake(handles->subscription);
}

#define CALL(name)                         \
	{                                  \
		"weir_" #name, call_##name \
	}
/* It has nothing to refuse: it reads what never changes, or has no broker. */
#define HARMLESS(name)              \
	{                           \
		"weir_" #name, NULL \
	}

static const struct call {
	const char *name;
	int (*function)(struct handles *handles);
} calls[] = {
	CALL(ack),
	CALL(ack_batch),
	CALL(ack_up_to),
	HARMLESS(broker_clock),
	CALL(broker_close),
	CALL(broker_drain),
	HARMLESS(broker_open),
	CALL(broker_statistics_get),
	HARMLESS(clock_real),
	CALL(confirm_close),
	CALL(confirm_counts_get),
	CALL(confirm_open),
	CALL(confirm_wait),
	HARMLESS(errname),
	CALL(group_statistics_get),
	HARMLESS(key),
	CALL(extend),
	HARMLESS(filter_is_valid),
	HARMLESS(filter_matches),
	CALL(loan),
	HARMLESS(message_buffer),
	HARMLESS(message_data),
	HARMLESS(message_dead_letter),
	HARMLESS(message_expires_at),
	CALL(message_keep),
	HARMLESS(message_key),
	HARMLESS(message_priority),
	CALL(message_release),
	HARMLESS(message_sequence),
	HARMLESS(message_size),
	HARMLESS(message_timestamp),
	HARMLESS(message_topic),
	CALL(message_wrap),
	CALL(nack),
	HARMLESS(now),
	HARMLESS(pacer_feed),
	HARMLESS(pacer_interval),
	CALL(publish),
	CALL(publish_batch),
	CALL(publish_message),
	CALL(publish_paced),
	CALL(publish_to),
	CALL(publisher_close),
	CALL(publisher_open),
	CALL(receive),
	CALL(receive_batch),
	CALL(redrive),
	CALL(redrive_parked),
	CALL(reject),
	CALL(release),
	CALL(select),
	HARMLESS(sleep),
	HARMLESS(strerror),
	CALL(subscribe),
	HARMLESS(subscription_filter),
	HARMLESS(subscription_id),
	CALL(subscription_priorities_get),
	CALL(subscription_statistics_get),
	CALL(subscription_stop),
	CALL(topic_dedupe),
	HARMLESS(topic_is_valid),
	CALL(topic_remove),
	CALL(topic_statistics_get),
	CALL(unsubscribe),
	HARMLESS(version),
	HARMLESS(version_number),
	CALL(wake),
};

#define CALL_COUNT (sizeof(calls) / sizeof(calls[0]))

static bool is_called(const char *name)
{
	for (size_t i = 0; i < CALL_COUNT; i++)
		if (strcmp(calls[i].name, name) == 0)
			return true;
	return false;
}

WEIR_TEST(fork, tests_know_every_public_function)
{
	const char *source = getenv("srcdir");
	char path[4096], line[256], name[128];
	size_t functions = 0;
	FILE *map;

	if (source == NULL)
		SKIP("`make check` says where the symbol map is");
	(void)snprintf(path, sizeof(path), "%s/lib/weir.map", source);
	map = fopen(path, "r");
	CHECK(map != NULL);
	while (fgets(line, sizeof(line), map) != NULL) {
		if (sscanf(line, " %127[a-z_];", name) != 1 || strncmp(name, "weir_", 5) != 0)
			continue;
		/* A simulation is one thread's, and a fork copies all of it. */
		if (strncmp(name, "weir_sim_", 9) == 0)
			continue;
		functions++;
		if (!is_called(name))
			harness_fail(__FILE__, __LINE__, "a case for %s in this file", name);
	}
	CHECK_EQ(fclose(map), 0);
	CHECK_EQ(functions, CALL_COUNT);
}

/* ---- What a child does ---- */

enum {
	CHILD_GOOD = 0,
	CHILD_ALLOCATED = 100,
	CHILD_NEW_BROKER = 101,
};

/* The number of the first call that went wrong, from 1. */
static int every_call_refused(struct handles *handles)
{
	for (size_t i = 0; i < CALL_COUNT; i++)
		if (calls[i].function != NULL && calls[i].function(handles) != WEIR_EFORK)
			return (int)i + 1;
	return CHILD_GOOD;
}

/* A child may have a broker of its own. */
static bool new_broker_works(void)
{
	weir_broker *broker;
	weir_subscription *subscription;
	weir_delivery delivery;

	return weir_broker_open(&broker, NULL) == 0 &&
	       weir_subscribe(&subscription, broker, ">", NULL) == 0 &&
	       weir_publish_to(broker, "t", "x", 1, NULL, NULL) == 0 &&
	       weir_receive(subscription, &delivery, 0) == 0 &&
	       weir_unsubscribe(subscription, NULL) == 0 && weir_broker_close(broker, NULL) == 0;
}

static int child_run(struct handles *handles)
{
	const uint64_t blocks = atomic_load(&handles->memory.blocks);
	const uint64_t allocations = atomic_load(&handles->memory.calls);
	int wrong = every_call_refused(handles);

	if (wrong != CHILD_GOOD)
		return wrong;
	if (atomic_load(&handles->memory.blocks) != blocks ||
		atomic_load(&handles->memory.calls) != allocations)
		return CHILD_ALLOCATED;
	return new_broker_works() ? CHILD_GOOD : CHILD_NEW_BROKER;
}

static void check_in_child(struct handles *handles)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		/* A call that hangs is ended by SIGALRM. */
		(void)alarm(5);
		_exit(child_run(handles));
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) > 0 && WEXITSTATUS(status) <= (int)CALL_COUNT)
		harness_fail(
			__FILE__, __LINE__, "%s in a child", calls[WEXITSTATUS(status) - 1].name);
	CHECK_EQ(status, 0);
}

static void handles_open(struct handles *handles)
{
	const weir_broker_options options = { .allocator = fail_allocator_hook(&handles->memory) };
	weir_delivery delivery;

	handles->broker = fixture_broker(&options);
	handles->publisher = fixture_publisher(handles->broker, "t");
	handles->subscription = fixture_subscribe(handles->broker, "t", 4);
	CHECK_EQ(weir_loan(handles->publisher, 8, &handles->loan), 0);
	CHECK_EQ(weir_confirm_open(&handles->confirm, handles->broker, NULL), 0);
	CHECK_EQ(weir_message_wrap(handles->publisher, handles->buffer, sizeof(handles->buffer),
			 free_count, handles, &handles->wrapped),
		0);
	fixture_publish_text(handles->publisher, "kept");
	CHECK_EQ(weir_receive(handles->subscription, &delivery, 0), 0);
	CHECK_EQ(weir_message_keep(delivery.message), 0);
	handles->kept = delivery.message;
}

static void handles_close(struct handles *handles)
{
	weir_confirm_close(handles->confirm);
	weir_message_release(handles->loan);
	weir_message_release(handles->wrapped);
	weir_message_release(handles->kept);
	CHECK_EQ(atomic_load(&handles->freed), 1);
	weir_publisher_close(handles->publisher);
	CHECK_EQ(weir_unsubscribe(handles->subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(handles->broker, NULL), 0);
	fail_allocator_check_empty(&handles->memory);
}

WEIR_TEST(fork, makes_every_call_in_the_child_say_so_and_touch_nothing)
{
	struct handles handles = { 0 };

	handles_open(&handles);
	fixture_publish_text(handles.publisher, "queued");
	check_in_child(&handles);
	/* The parent does not notice. */
	fixture_receive_text(handles.subscription, "queued");
	handles_close(&handles);
}

WEIR_TEST(fork, is_noticed_by_shells_of_a_closed_broker_too)
{
	struct handles handles = { 0 };
	pid_t child;
	int status;

	handles_open(&handles);
	CHECK_EQ(weir_broker_close(handles.broker, NULL), 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(call_publish(&handles) == WEIR_EFORK &&
					call_receive(&handles) == WEIR_EFORK &&
					call_unsubscribe(&handles) == WEIR_EFORK &&
					call_message_keep(&handles) == WEIR_EFORK &&
					call_message_release(&handles) == WEIR_EFORK
				? 0
				: 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	weir_confirm_close(handles.confirm);
	weir_message_release(handles.loan);
	weir_message_release(handles.wrapped);
	weir_message_release(handles.kept);
	weir_publisher_close(handles.publisher);
	CHECK_EQ(weir_unsubscribe(handles.subscription, NULL), 0);
	fail_allocator_check_empty(&handles.memory);
}

/* ---- At any moment of the parent's other threads ---- */

struct worker {
	weir_broker *broker;
	_Atomic bool stop;
	_Atomic uint64_t rounds;
};

/* It takes every lock that a broker has, again and again. */
static void *worker_run(void *argument)
{
	struct worker *worker = argument;

	while (!atomic_load(&worker->stop)) {
		weir_subscription *subscription = fixture_subscribe(worker->broker, "w.*", 1);
		weir_publisher *publisher = fixture_publisher(worker->broker, "w.x");
		weir_broker_statistics statistics;

		fixture_publish_text(publisher, "x");
		CHECK_EQ(weir_publish_to(worker->broker, "w.y", "y", 1,
				 &(weir_publish_options){ .no_wait = true }, NULL),
			WEIR_ETIMEDOUT);
		CHECK_EQ(weir_broker_statistics_get(worker->broker, &statistics), 0);
		weir_publisher_close(publisher);
		CHECK_EQ(weir_topic_remove(worker->broker, "w.y"), 0);
		CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
		(void)atomic_fetch_add(&worker->rounds, 1);
	}
	return NULL;
}

WEIR_TEST(fork, two_hundred_times_under_load_never_hangs_a_child)
{
	enum {
		FORKS = 200
	};
	struct handles handles = { 0 };
	struct worker worker = { 0 };
	pthread_t thread;

	handles_open(&handles);
	worker.broker = handles.broker;
	thread = fixture_thread(worker_run, &worker);
	for (int i = 0; i < FORKS; i++) {
		const uint64_t rounds = atomic_load(&worker.rounds);

		check_in_child(&handles);
		FIXTURE_UNTIL(atomic_load(&worker.rounds) > rounds);
	}
	atomic_store(&worker.stop, true);
	fixture_join(thread);
	handles_close(&handles);
}

/* ---- The guard itself ---- */

WEIR_TEST(fork, guard_compares_process_ids_where_pages_are_not_wiped)
{
	struct weiri_fork_guard guard;
	pid_t child;
	int status;

	CHECK_EQ(weiri_fork_guard_open(&guard), 0);
	CHECK(!weiri_forked(&guard));
	guard.process = getpid();
	CHECK(!weiri_forked(&guard));
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(weiri_forked(&guard) ? 0 : 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	weiri_fork_guard_close(&guard);
}
