/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_stress.c - the library in hosts that treat it roughly (promise P9): signals
 * a thousand times a second without SA_RESTART, and threads that end without having
 * closed anything.
 */
#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/publisher.h"
#include "fail_allocator.h"
#include "fixture.h"

/* ---- Signals ---- */

static _Atomic uint64_t signals;

static void on_signal(int number)
{
	(void)number;
	(void)atomic_fetch_add(&signals, 1);
}

static timer_t signals_begin(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	const struct itimerspec rate = { { 0, 1000000 }, { 0, 1000000 } };
	timer_t timer;

	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	CHECK_EQ(timer_settime(timer, 0, &rate, NULL), 0);
	return timer;
}

struct host {
	weir_subscription *subscription;
	weir_publisher *publisher;
	uint64_t messages;
};

static void *host_publish(void *argument)
{
	struct host *host = argument;

	for (uint64_t i = 0; i < host->messages; i++)
		fixture_publish(host->publisher, i);
	return NULL;
}

static void receive_all(struct host *host)
{
	for (uint64_t i = 0; i < host->messages; i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_receive(host->subscription, &delivery, WEIR_FOREVER), 0);
		CHECK_EQ(fixture_number(&delivery), i);
	}
}

/* Both sides sleep all the time, and every sleep is disturbed. */
WEIR_TEST(guest_stress, signals_interrupt_nothing_and_lose_nothing)
{
	weir_broker *broker = fixture_broker(NULL);
	const weir_subscription_options queue = { .capacity = 1, .wait = WEIR_WAIT_PARK };
	const weir_publisher_options publisher = { .wait = WEIR_WAIT_PARK };
	struct host host = { .messages = harness_scaled(2000) };
	timer_t timer = signals_begin();
	pthread_t thread;

	CHECK_EQ(weir_subscribe(&host.subscription, broker, "t", &queue), 0);
	CHECK_EQ(weir_publisher_open(&host.publisher, broker, "t", &publisher), 0);
	do {
		thread = fixture_thread(host_publish, &host);
		receive_all(&host);
		fixture_join(thread);
	} while (atomic_load(&signals) < 200);
	CHECK_EQ(timer_delete(timer), 0);
	weir_publisher_close(host.publisher);
	CHECK_EQ(weir_unsubscribe(host.subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

static double seconds_of(int (*wait)(struct host *, double), struct host *host, double duration)
{
	const double before = weir_now(weir_clock_real());

	CHECK_EQ(wait(host, duration), 0);
	return weir_now(weir_clock_real()) - before;
}

static int wait_asleep(struct host *host, double duration)
{
	(void)host;
	return weir_sleep(weir_clock_real(), duration);
}

static int wait_to_receive(struct host *host, double duration)
{
	weir_delivery delivery;
	const int error = weir_receive(host->subscription, &delivery, duration);

	return error == WEIR_ETIMEDOUT ? 0 : error;
}

static int wait_to_publish(struct host *host, double duration)
{
	const weir_publish_options options = { .timeout = duration };
	const int error = weir_publish(host->publisher, "x", 1, &options, NULL);

	return error == WEIR_ETIMEDOUT ? 0 : error;
}

static int wait_to_drain(struct host *host, double duration)
{
	(void)host;
	return weir_broker_drain(host->publisher->broker, duration) == WEIR_ETIMEDOUT ? 0 : -1;
}

WEIR_TEST(guest_stress, signals_end_no_wait_early)
{
	static int (*const waits[])(struct host *, double) = { wait_asleep, wait_to_receive,
		wait_to_publish, wait_to_drain };
	weir_broker *broker = fixture_broker(NULL);
	struct host host = {
		.subscription = fixture_subscribe(broker, "empty", 1),
		.publisher = fixture_publisher(broker, "full"),
	};
	weir_subscription *full = fixture_subscribe(broker, "full", 1);
	timer_t timer = signals_begin();

	fixture_publish(host.publisher, 1);
	for (int i = 0; i < 4; i++) {
		const uint64_t before = atomic_load(&signals);

		CHECK(seconds_of(waits[i], &host, 0.05) >= 0.05);
		CHECK(atomic_load(&signals) > before);
	}
	CHECK_EQ(timer_delete(timer), 0);
	weir_publisher_close(host.publisher);
	CHECK_EQ(weir_unsubscribe(host.subscription, NULL), 0);
	CHECK_EQ(weir_unsubscribe(full, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

/* ---- The library's own threads ---- */

/* The signals that a task blocks, by the kernel's word for it.  Whether it is still there:
 * one that was joined leaves a little later. */
static bool blocked_read(const char *task, uint64_t *blocked)
{
	char path[64], line[256];
	bool is_there = false;
	FILE *status;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
	status = fopen(path, "r");
	if (status == NULL)
		return false;
	while (fgets(line, sizeof(line), status) != NULL) {
		if (strncmp(line, "SigBlk:", 7) != 0)
			continue;
		*blocked = strtoull(line + 7, NULL, 16);
		is_there = true;
	}
	CHECK_EQ(fclose(status), 0);
	return is_there;
}

/* All threads but the one that calls take no signal that a host may handle. */
static unsigned int others_check(void)
{
	static const int numbers[] = { SIGALRM, SIGTERM, SIGINT, SIGUSR1, SIGCHLD, SIGPIPE };
	unsigned int others = 0;
	const struct dirent *entry;
	DIR *tasks = opendir("/proc/self/task");

	CHECK(tasks != NULL);
	while ((entry = readdir(tasks)) != NULL) {
		uint64_t blocked;

		if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == getpid() ||
			!blocked_read(entry->d_name, &blocked))
			continue;
		others++;
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			CHECK((blocked >> (numbers[i] - 1) & 1) == 1);
	}
	CHECK_EQ(closedir(tasks), 0);
	return others;
}

static void *number_note(void *argument)
{
	*(long *)argument = syscall(SYS_gettid);
	return NULL;
}

static bool task_is_there(long number)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/task/%ld", number);
	return access(path, F_OK) == 0;
}

WEIR_TEST(guest_stress, threads_of_the_library_take_no_signals)
{
	/* ThreadSanitizer brings a thread of its own, some time after the first of the
	 * host's. */
#ifdef WEIRI_SANITIZE_THREAD
	const unsigned int brought = 1;
#else
	const unsigned int brought = 0;
#endif
	long number;
	pthread_t first = fixture_thread(number_note, &number);
	weir_broker *broker = fixture_broker(NULL);
	const weir_subscription_options options = { .ack = WEIR_ACK_MANUAL, .ack_timeout = 1000 };
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscription;
	weir_delivery delivery;
	unsigned int before, during;

	fixture_join(first);
	FIXTURE_UNTIL(!task_is_there(number));
	before = others_check();
	CHECK_EQ(weir_subscribe(&subscription, broker, "t", &options), 0);
	fixture_publish(publisher, 1);
	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	/* At most one thread, and only where something can time out. */
	during = others_check();
	CHECK(during >= before + 1 && during <= before + 1 + brought);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	FIXTURE_UNTIL(others_check() <= before + brought);
}

/* ---- Threads that end without a word ---- */

struct leaver {
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_message *kept;
	weir_message *loan;
	unsigned int index;
};

/* It ends in the middle of everything, with the delivery in its hand. */
static void *leaver_run(void *argument)
{
	struct leaver *leaver = argument;
	weir_delivery delivery;

	leaver->subscription = fixture_subscribe(leaver->broker, "*", 64);
	leaver->publisher = fixture_publisher(leaver->broker, "t");
	fixture_publish(leaver->publisher, leaver->index);
	CHECK_EQ(weir_publish_to(
			 leaver->broker, "u", &leaver->index, sizeof(leaver->index), NULL, NULL),
		0);
	CHECK_EQ(weir_receive(leaver->subscription, &delivery, 0), 0);
	CHECK_EQ(weir_message_keep(delivery.message), 0);
	leaver->kept = delivery.message;
	CHECK_EQ(weir_loan(leaver->publisher, 10, &leaver->loan), 0);
	pthread_exit(NULL);
}

WEIR_TEST(guest_stress, threads_may_end_with_everything_open)
{
	enum {
		ROUNDS = 50,
		AT_ONCE = 4
	};
	struct fail_allocator memory = { 0 };
	const weir_broker_options options = { .allocator = fail_allocator_hook(&memory) };
	weir_broker *broker = fixture_broker(&options);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct leaver leavers[AT_ONCE];
		pthread_t threads[AT_ONCE];

		for (unsigned int k = 0; k < AT_ONCE; k++) {
			leavers[k] = (struct leaver){ .broker = broker, .index = i };
			threads[k] = fixture_thread(leaver_run, &leavers[k]);
		}
		for (unsigned int k = 0; k < AT_ONCE; k++)
			fixture_join(threads[k]);
		/* Others go on, with what the dead have left, and may clean up after them. */
		for (unsigned int k = 0; k < AT_ONCE; k++) {
			weir_delivery delivery;

			CHECK_EQ(weir_receive(leavers[k].subscription, &delivery, 0), 0);
			CHECK_EQ(weir_publish_message(leavers[k].publisher, leavers[k].loan,
					 &(weir_publish_options){ .no_wait = true }, NULL),
				0);
			CHECK_EQ(weir_receive(leavers[k].subscription, &delivery, 0), 0);
			CHECK_EQ(weir_unsubscribe(leavers[k].subscription, NULL), 0);
			weir_publisher_close(leavers[k].publisher);
			weir_message_release(leavers[k].kept);
		}
	}
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	fail_allocator_check_empty(&memory);
}
