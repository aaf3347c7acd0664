/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_test.c - simulations: the rules of time, running in pieces, processes, and options. */
#include "sim_fixture.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock/fiber.h"
#include "clock/simulation.h"

#include <weir/error.h>

/* ThreadSanitizer has room for 8,000 threads and fibers. */
#define MANY (WEIRI_THREAD_SANITIZER ? 1000 : 10000)

/* ---- Time ---- */

static void sleep_and_tell(void *argument)
{
	fixture_log("starts");
	fixture_sleep(*(double *)argument);
	fixture_log("ends");
}

WEIR_TEST(sim, time_starts_at_zero_and_goes_from_event_to_event)
{
	double duration = 2.5;

	fixture_open(NULL);
	CHECK(weir_sim_now(fixture.sim) == 0);
	fixture_spawn("sleeper", sleep_and_tell, &duration);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:starts 2.5:ends");
	CHECK(weir_now(fixture.clock) == 2.5);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void sleep_forty_times(void *argument)
{
	(void)argument;
	for (int i = 0; i < 40; i++)
		fixture_sleep(0.3);
}

WEIR_TEST(sim, a_sleep_ends_at_now_plus_duration_in_floating_point)
{
	double sum = 0;

	fixture_open(NULL);
	fixture_spawn("sleeper", sleep_forty_times, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	for (int i = 0; i < 40; i++)
		sum += 0.3;
	CHECK(weir_sim_now(fixture.sim) == sum);
	CHECK(sum != 12);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void sleep_one_twice(void *argument)
{
	fixture_sleep(1);
	fixture_log("%s", (const char *)argument);
	fixture_sleep(1);
	fixture_log("%s", (const char *)argument);
}

static void sleep_two(void *argument)
{
	fixture_sleep(2);
	fixture_log("%s", (const char *)argument);
}

/* c's wake-up at 2 was scheduled at 0, before those of a and b. */
WEIR_TEST(sim, events_at_one_instant_run_in_the_order_of_their_scheduling)
{
	fixture_open(NULL);
	fixture_spawn("a", sleep_one_twice, "a");
	fixture_spawn("b", sleep_one_twice, "b");
	fixture_spawn("c", sleep_two, "c");
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "1:a 1:b 2:c 2:a 2:b");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void sleep_zero(void *argument)
{
	fixture_log("%s1", (const char *)argument);
	fixture_sleep(0);
	fixture_log("%s2", (const char *)argument);
}

WEIR_TEST(sim, a_sleep_of_zero_lets_the_others_of_the_same_instant_go_first)
{
	fixture_open(NULL);
	fixture_spawn("a", sleep_zero, "a");
	fixture_spawn("b", sleep_zero, "b");
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:a1 0:b1 0:a2 0:b2");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void sleep_for_ever(void *argument)
{
	(void)argument;
	CHECK_EQ(weir_sleep(fixture.clock, WEIR_FOREVER), WEIR_ESHUTDOWN);
	fixture_log("woken");
}

WEIR_TEST(sim, a_sleep_for_ever_has_no_event)
{
	fixture_open(NULL);
	fixture_spawn("sleeper", sleep_for_ever, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_WAITING);
	CHECK(weir_sim_now(fixture.sim) == 0);
	CHECK_EQ(weir_sim_stop(fixture.sim), 0);
	CHECK_STR_EQ(fixture.log, "0:woken");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim, a_sleep_outside_of_a_process_is_a_deadlock)
{
	fixture_open(NULL);
	CHECK_EQ(weir_sleep(fixture.clock, 1), WEIR_EDEADLK);
	CHECK_EQ(weir_sleep(fixture.clock, -1), WEIR_EINVAL);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

/* ---- Running ---- */

static void tick(void *argument)
{
	(void)argument;
	for (;;) {
		fixture_log("tick");
		if (weir_sleep(fixture.clock, 1) != 0)
			return;
	}
}

WEIR_TEST(sim, run_until_executes_the_events_at_that_time_and_none_later)
{
	fixture_open(NULL);
	fixture_spawn("clock", tick, NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 2), WEIR_SIM_MORE);
	CHECK_STR_EQ(fixture.log, "0:tick 1:tick 2:tick");
	CHECK_EQ(weir_sim_run_until(fixture.sim, 2), WEIR_SIM_MORE);
	CHECK_EQ(weir_sim_run_until(fixture.sim, nextafter(3, 0)), WEIR_SIM_MORE);
	CHECK_STR_EQ(fixture.log, "0:tick 1:tick 2:tick");
	CHECK_EQ(weir_sim_run_until(fixture.sim, 3), WEIR_SIM_MORE);
	CHECK_STR_EQ(fixture.log, "0:tick 1:tick 2:tick 3:tick");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim, run_until_leaves_the_clock_at_that_time)
{
	double duration = 1;

	fixture_open(NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 1.5), WEIR_SIM_DONE);
	CHECK(weir_sim_now(fixture.sim) == 1.5);
	fixture_spawn("sleeper", sleep_and_tell, &duration);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 2), WEIR_SIM_MORE);
	CHECK(weir_sim_now(fixture.sim) == 2);
	CHECK_EQ(weir_sim_run_until(fixture.sim, WEIR_FOREVER), WEIR_SIM_DONE);
	CHECK(weir_sim_now(fixture.sim) == 2.5);
	CHECK_STR_EQ(fixture.log, "1.5:starts 2.5:ends");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim, run_until_refuses_the_past_and_what_is_no_number)
{
	fixture_open(NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 1), WEIR_SIM_DONE);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 0.5), WEIR_EINVAL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, (double)NAN), WEIR_EINVAL);
	CHECK_EQ(weir_sim_run_until(NULL, 1), WEIR_EINVAL);
	CHECK(weir_sim_now(fixture.sim) == 1);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim, a_step_runs_one_event)
{
	fixture_open(NULL);
	fixture_spawn("a", sleep_one_twice, "a");
	fixture_spawn("b", sleep_one_twice, "b");
	for (int i = 0; i < 5; i++)
		CHECK_EQ(weir_sim_step(fixture.sim), WEIR_SIM_MORE);
	CHECK_STR_EQ(fixture.log, "1:a 1:b 2:a");
	CHECK_EQ(weir_sim_event_count(fixture.sim), 5);
	CHECK_EQ(weir_sim_step(fixture.sim), WEIR_SIM_DONE);
	CHECK_EQ(weir_sim_step(fixture.sim), WEIR_SIM_DONE);
	CHECK_EQ(weir_sim_event_count(fixture.sim), 6);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void run_the_simulation_it_is_in(void *argument)
{
	(void)argument;
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_EDEADLK);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 10), WEIR_EDEADLK);
	CHECK_EQ(weir_sim_step(fixture.sim), WEIR_EDEADLK);
	CHECK_EQ(weir_sim_stop(fixture.sim), WEIR_EDEADLK);
	CHECK_EQ(weir_sim_close(fixture.sim), WEIR_EDEADLK);
	fixture_log("refused");
}

WEIR_TEST(sim, cannot_be_run_from_inside)
{
	fixture_open(NULL);
	fixture_spawn("runner", run_the_simulation_it_is_in, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "0:refused");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void sleep_on(void *argument)
{
	CHECK_EQ(weir_sleep(argument, 3), 0);
}

static void run_another_simulation(void *argument)
{
	weir_sim *inner;

	(void)argument;
	CHECK_EQ(weir_sim_open(&inner, NULL), 0);
	CHECK_EQ(weir_sim_spawn(inner, "inner", sleep_on, weir_sim_clock(inner)), 0);
	CHECK_EQ(weir_sim_run(inner), WEIR_SIM_DONE);
	CHECK(weir_sim_now(inner) == 3);
	CHECK_EQ(weir_sim_close(inner), 0);
	fixture_sleep(1);
	fixture_log("goes on");
}

WEIR_TEST(sim, a_process_may_run_a_simulation_of_its_own)
{
	fixture_open(NULL);
	fixture_spawn("outer", run_another_simulation, NULL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "1:goes on");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

/* ---- Processes ---- */

static void spawn_another(void *argument)
{
	fixture_log("parent");
	fixture_spawn("child", sleep_zero, argument);
	fixture_sleep(0);
	fixture_log("parent");
}

WEIR_TEST(sim, a_process_starts_through_an_event_at_the_time_of_its_spawning)
{
	fixture_open(NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 4), WEIR_SIM_DONE);
	fixture_spawn("parent", spawn_another, "child");
	CHECK_STR_EQ(fixture.log, "");
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_STR_EQ(fixture.log, "4:parent 4:child1 4:parent 4:child2");
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void spawn_next(void *argument)
{
	uint64_t *left = argument;

	if (--*left > 0)
		fixture_spawn("next", spawn_next, left);
}

WEIR_TEST(sim, an_ended_process_leaves_its_stack_to_the_next)
{
	uint64_t left = harness_scaled(100000);

	fixture_open(&(weir_sim_options){ .processes_max = 2 });
	fixture_spawn("first", spawn_next, &left);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_EQ(left, 0);
	CHECK_EQ(fixture.sim->record_count, 2);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim, has_no_more_processes_than_its_maximum)
{
	double duration = 1;

	fixture_open(&(weir_sim_options){ .processes_max = 2 });
	fixture_spawn("a", sleep_and_tell, &duration);
	fixture_spawn("b", sleep_and_tell, &duration);
	CHECK_EQ(weir_sim_spawn(fixture.sim, "c", sleep_and_tell, &duration), WEIR_ELIMIT);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	fixture_spawn("c", sleep_and_tell, &duration);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void sleep_by_turns(void *argument)
{
	uint64_t *finished = argument;

	for (int i = 0; i < 5; i++)
		fixture_sleep(1);
	++*finished;
}

/* Kilobytes of memory that this program really takes, at the highest so far. */
static long memory_taken(void)
{
	struct rusage usage;

	CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

WEIR_TEST(sim, runs_ten_thousand_processes_in_two_pages_each)
{
	uint64_t finished = 0;
	long before = memory_taken();

	fixture_open(NULL);
	for (int i = 0; i < MANY; i++)
		fixture_spawn("one of many", sleep_by_turns, &finished);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_EQ(finished, MANY);
	if (!WEIRI_ADDRESS_SANITIZER && !WEIRI_THREAD_SANITIZER)
		CHECK((memory_taken() - before) * 1024 < MANY * 2 * sysconf(_SC_PAGESIZE));
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

/* Leave this program so many more bytes of address space, or all again for 0. */
static void limit_memory(rlim_t more)
{
	struct rlimit limit;
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	CHECK(file != NULL && fscanf(file, "%ld", &pages) == 1);
	(void)fclose(file);
	CHECK_EQ(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	if (more > 0)
		limit.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + more;
	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

WEIR_TEST(sim, a_process_that_memory_does_not_suffice_for_is_refused)
{
	uint64_t finished = 0, spawned = 0;
	int error;

	if (WEIRI_ADDRESS_SANITIZER || WEIRI_THREAD_SANITIZER)
		SKIP("the sanitizer takes all address space");
	fixture_open(NULL);
	limit_memory((rlim_t)64 * 1024 * 1024);
	while ((error = weir_sim_spawn(fixture.sim, "p", sleep_by_turns, &finished)) == 0)
		spawned++;
	limit_memory(0);
	CHECK_EQ(error, WEIR_ENOMEM);
	CHECK(spawned > 0 && spawned < 1000);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_EQ(finished, spawned);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

/* The compiler cannot turn this into a loop: each level needs its array after. */
static unsigned int overflow(volatile unsigned int depth)
{
	volatile unsigned char array[512];

	memset((void *)(uintptr_t)array, (int)depth, sizeof(array));
	if (depth == UINT_MAX)
		return 0;
	return overflow(depth + 1) + array[depth % 512];
}

static void overflow_the_stack(void *argument)
{
	(void)argument;
	(void)overflow(0);
}

WEIR_TEST(sim, a_stack_that_overflows_meets_its_guard_page)
{
	pid_t child;
	int status;

	if (WEIRI_ADDRESS_SANITIZER || WEIRI_THREAD_SANITIZER)
		SKIP("the sanitizer handles the signal");
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		fixture_open(&(weir_sim_options){ .stack_size = WEIR_SIM_STACK_SIZE_MIN });
		fixture_spawn("neighbour", sleep_forty_times, NULL);
		fixture_spawn("victim", overflow_the_stack, NULL);
		(void)weir_sim_run(fixture.sim);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSEGV);
}

/* ---- Threads ---- */

static void *run_in_thread(void *argument)
{
	CHECK_EQ(weir_sim_run_until(argument, 20), WEIR_SIM_MORE);
	return NULL;
}

WEIR_TEST(sim, may_be_run_by_one_thread_after_the_other)
{
	pthread_t thread;

	fixture_open(NULL);
	fixture_spawn("clock", tick, NULL);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 10), WEIR_SIM_MORE);
	CHECK_EQ(pthread_create(&thread, NULL, run_in_thread, fixture.sim), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(weir_sim_run_until(fixture.sim, 30), WEIR_SIM_MORE);
	CHECK_EQ(weir_sim_event_count(fixture.sim), 31);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

static void *run_a_whole_one(void *argument)
{
	weir_sim *sim;

	CHECK_EQ(weir_sim_open(&sim, NULL), 0);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(weir_sim_spawn(sim, "sleeper", sleep_on, weir_sim_clock(sim)), 0);
	CHECK_EQ(weir_sim_run(sim), WEIR_SIM_DONE);
	*(uint64_t *)argument = weir_sim_trace_hash(sim);
	CHECK_EQ(weir_sim_close(sim), 0);
	return NULL;
}

WEIR_TEST(sim, several_run_side_by_side_in_threads)
{
	pthread_t threads[4];
	uint64_t hashes[4];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, run_a_whole_one, &hashes[i]), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	for (int i = 1; i < 4; i++)
		CHECK_EQ(hashes[i], hashes[0]);
}

/* ---- Arguments ---- */

WEIR_TEST(sim, options_outside_their_ranges_are_refused)
{
	static const weir_sim_options wrong[] = {
		{ .schedule = (enum weir_schedule)3 },
		{ .pct_change_points = WEIR_SIM_PCT_CHANGE_POINTS_MAX + 1 },
		{ .stack_size = WEIR_SIM_STACK_SIZE_MIN - 1 },
		{ .stack_size = WEIR_SIM_STACK_SIZE_MAX + 1 },
		{ .processes_max = WEIR_SIM_PROCESSES_MAX + 1 },
		{ .replay = "" },
	};
	weir_sim *untouched = NULL;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_EQ(weir_sim_open(&untouched, &wrong[i]), WEIR_EINVAL);
	CHECK(untouched == NULL);
	CHECK_EQ(weir_sim_open(NULL, NULL), WEIR_EINVAL);
}

WEIR_TEST(sim, names_that_are_too_long_or_not_printable_are_refused)
{
	char name[WEIR_SIM_NAME_SIZE + 1];
	double duration = 1;

	fixture_open(NULL);
	memset(name, 'n', sizeof(name));
	name[WEIR_SIM_NAME_SIZE] = '\0';
	CHECK_EQ(weir_sim_spawn(fixture.sim, name, sleep_and_tell, &duration), WEIR_EINVAL);
	name[WEIR_SIM_NAME_SIZE - 1] = '\0';
	fixture_spawn(name, sleep_and_tell, &duration);
	CHECK_EQ(weir_sim_spawn(fixture.sim, "a\nb", sleep_and_tell, &duration), WEIR_EINVAL);
	fixture_spawn(NULL, sleep_and_tell, &duration);
	fixture_spawn("", sleep_and_tell, &duration);
	CHECK_EQ(weir_sim_spawn(fixture.sim, "none", NULL, NULL), WEIR_EINVAL);
	CHECK_EQ(weir_sim_spawn(NULL, "none", sleep_and_tell, &duration), WEIR_EINVAL);
	CHECK_EQ(weir_sim_run(fixture.sim), WEIR_SIM_DONE);
	CHECK_EQ(weir_sim_close(fixture.sim), 0);
}

WEIR_TEST(sim, a_null_simulation_is_answered_not_followed)
{
	CHECK_EQ(weir_sim_run(NULL), WEIR_EINVAL);
	CHECK_EQ(weir_sim_step(NULL), WEIR_EINVAL);
	CHECK_EQ(weir_sim_stop(NULL), WEIR_EINVAL);
	CHECK_EQ(weir_sim_close(NULL), 0);
	CHECK(weir_sim_clock(NULL) == NULL);
	CHECK(isnan(weir_sim_now(NULL)));
	CHECK_EQ(weir_sim_event_count(NULL), 0);
	CHECK_EQ(weir_sim_trace_hash(NULL), 0);
	CHECK_EQ(weir_sim_random(NULL), 0);
	CHECK(weir_sim_replay_string(NULL) == NULL);
	weir_sim_waits(NULL, NULL, NULL);
}
