/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim-bench - how fast virtual time goes, and how much memory a process takes.
 *
 *	sim-bench [--simpy SCRIPT] [--repeats N] [--sleeps N] [--messages N]
 *
 * N processes, of which number i sleeps for 1 + i/N seconds again and again, so
 * that no two wake at the same instant: one heap operation and one switch for
 * each sleep; then, "alike", for a second each. With --simpy
 * bench/sim_bench_simpy.py, SimPy does the same between our repeats, and the ratio
 * is printed. Medians; the fastest and the slowest repeat stand beside them.
 *
 * Then messages: through each of 500 topics of one broker, one process publishes
 * and one receives, and each sleeps once for every message. The receiver is the
 * faster one, so it sleeps, waits, and is woken for each: three events and three
 * switches for a message. Each topic has its own intervals; then all have the same.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/weir.h>

#define REPEATS_MAX 99
#define TOPICS      500

struct sleeper {
	weir_clock *clock;
	double duration;
	uint64_t sleeps;
};

static struct {
	const char *simpy; /* NULL: without it */
	unsigned int repeats;
	uint64_t sleeps;
	uint64_t messages;
} options = { .repeats = 5, .sleeps = 2000000, .messages = 1000000 };

static void fail(const char *what)
{
	fprintf(stderr, "sim-bench: %s\n", what);
	exit(1);
}

static double seconds_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What the processor has spent on this program: on a machine with other work the
 * fairer measure of a program of one thread. */
static double processor_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void sleep_again_and_again(void *argument)
{
	const struct sleeper *self = argument;

	for (uint64_t i = 0; i < self->sleeps; i++) {
		if (weir_sleep(self->clock, self->duration) != 0)
			return;
	}
}

static weir_sim *open_with(struct sleeper *sleepers, unsigned int count, uint64_t sleeps,
	enum weir_schedule schedule, double spread)
{
	weir_sim *sim;

	if (weir_sim_open(&sim, &(weir_sim_options){ .schedule = schedule }) != 0)
		fail("cannot open a simulation");
	for (unsigned int i = 0; i < count; i++) {
		sleepers[i].clock = weir_sim_clock(sim);
		sleepers[i].duration = 1 + spread * (double)i / count;
		sleepers[i].sleeps = sleeps / count;
		if (weir_sim_spawn(sim, "sleeper", sleep_again_and_again, &sleepers[i]) != 0)
			fail("cannot spawn a process");
	}
	return sim;
}

/* Sleeps a second. */
static double weir_rate(unsigned int count, enum weir_schedule schedule, double spread)
{
	struct sleeper *sleepers = calloc(count, sizeof(*sleepers));
	weir_sim *sim;
	double begin, seconds;

	if (sleepers == NULL)
		fail("no memory");
	sim = open_with(sleepers, count, options.sleeps, schedule, spread);
	/* Let every process begin: its stack's first touch is not a sleep. */
	(void)weir_sim_run_until(sim, 0);
	begin = seconds_now();
	if (weir_sim_run(sim) != WEIR_SIM_DONE)
		fail("the simulation did not come to its end");
	seconds = seconds_now() - begin;
	(void)weir_sim_close(sim);
	free(sleepers);
	return (double)(options.sleeps / count * count) / seconds;
}

/* The same of SimPy, in a tenth of the sleeps or less. */
static double simpy_rate(unsigned int count)
{
	char command[1024];
	uint64_t sleeps = options.sleeps / 10 > count ? options.sleeps / 10 : count;
	double rate = 0;
	FILE *pipe;

	(void)snprintf(command, sizeof(command), "/usr/bin/python3 '%s' %u %llu", options.simpy,
		count, (unsigned long long)sleeps);
	(void)fflush(stdout);
	pipe = popen(command, "r");
	if (pipe == NULL || fscanf(pipe, "%lf", &rate) != 1 || pclose(pipe) != 0)
		fail("the SimPy script did not tell its rate");
	return rate;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *rates)
{
	qsort(rates, options.repeats, sizeof(*rates), compare);
	return rates[options.repeats / 2];
}

static void print_rate(
	unsigned int count, enum weir_schedule schedule, const char *name, double spread)
{
	double ours[REPEATS_MAX], theirs[REPEATS_MAX];
	double rate;

	for (unsigned int i = 0; i < options.repeats; i++) {
		ours[i] = weir_rate(count, schedule, spread);
		if (options.simpy != NULL)
			theirs[i] = simpy_rate(count);
	}
	rate = median(ours);
	printf("%6u  %-6s  %7.2f M/s  %6.1f ns  (%.2f..%.2f)", count, name, rate / 1e6, 1e9 / rate,
		ours[0] / 1e6, ours[options.repeats - 1] / 1e6);
	if (options.simpy != NULL)
		printf("  SimPy %.3f M/s, %.1f times", median(theirs) / 1e6,
			rate / theirs[options.repeats / 2]);
	printf("\n");
}

/* ---- Messages ---- */

struct channel {
	weir_publisher *publisher;
	weir_subscription *subscription;
	weir_clock *clock;
	double interval;
	double service;
	uint64_t count;
	uint64_t received;
};

static void publish_and_sleep(void *argument)
{
	const struct channel *self = argument;

	for (uint64_t i = 0; i < self->count; i++) {
		if (weir_sleep(self->clock, self->interval) != 0 ||
			weir_publish(self->publisher, &i, sizeof(i), NULL, NULL) != 0)
			return;
	}
}

static void receive_and_sleep(void *argument)
{
	struct channel *self = argument;
	weir_delivery delivery;

	while (self->received < self->count &&
		weir_receive(self->subscription, &delivery, WEIR_FOREVER) == 0) {
		self->received++;
		if (weir_sleep(self->clock, self->service) != 0)
			return;
	}
}

static void channel_open(struct channel *self, weir_broker *broker, weir_sim *sim,
	unsigned int number, double spread)
{
	char topic[32];

	(void)snprintf(topic, sizeof(topic), "topic.%u", number);
	self->clock = weir_sim_clock(sim);
	self->interval = 1 + spread * (double)number / TOPICS;
	self->service = 0.75 + spread * (double)number / (4 * TOPICS);
	self->count = options.messages / TOPICS;
	if (weir_subscribe(&self->subscription, broker, topic, NULL) != 0 ||
		weir_publisher_open(&self->publisher, broker, topic, NULL) != 0 ||
		weir_sim_spawn(sim, "publisher", publish_and_sleep, self) != 0 ||
		weir_sim_spawn(sim, "subscriber", receive_and_sleep, self) != 0)
		fail("cannot open a topic");
}

static void channel_close(struct channel *self)
{
	if (self->received != self->count)
		fail("messages are missing");
	weir_publisher_close(self->publisher);
	(void)weir_unsubscribe(self->subscription, NULL);
}

/* Messages a second, each published and received; `processor` gets the rate by the
 * processor's time. */
static double message_rate(double *processor, double spread)
{
	struct channel *channels = calloc(TOPICS, sizeof(*channels));
	double count = (double)(options.messages / TOPICS * TOPICS);
	weir_broker *broker;
	weir_sim *sim;
	double begin, seconds;

	if (channels == NULL || weir_sim_open(&sim, NULL) != 0 ||
		weir_broker_open(&broker, &(weir_broker_options){ .clock = weir_sim_clock(sim) }) !=
			0)
		fail("cannot open a broker");
	for (unsigned int i = 0; i < TOPICS; i++)
		channel_open(&channels[i], broker, sim, i, spread);
	(void)weir_sim_run_until(sim, 0);
	begin = seconds_now();
	*processor = processor_seconds();
	if (weir_sim_run(sim) != WEIR_SIM_DONE)
		fail("the simulation did not come to its end");
	*processor = count / (processor_seconds() - *processor);
	seconds = seconds_now() - begin;
	for (unsigned int i = 0; i < TOPICS; i++)
		channel_close(&channels[i]);
	(void)weir_broker_close(broker, NULL);
	(void)weir_sim_close(sim);
	free(channels);
	return count / seconds;
}

static void print_message_rate(const char *name, const char *by, double *rates)
{
	double rate = median(rates);

	printf("%6s  by %-9s  %7.2f M/s  %6.1f ns  (%.2f..%.2f)\n", name, by, rate / 1e6,
		1e9 / rate, rates[0] / 1e6, rates[options.repeats - 1] / 1e6);
}

static void print_messages(const char *name, double spread)
{
	double rates[REPEATS_MAX], processor[REPEATS_MAX];

	for (unsigned int i = 0; i < options.repeats; i++)
		rates[i] = message_rate(&processor[i], spread);
	print_message_rate(name, "clock", rates);
	print_message_rate(name, "processor", processor);
}

/* ---- Memory ---- */

/* Kilobytes of a line of /proc/self/status. */
static double status_of(const char *name)
{
	char line[256];
	double kilobytes = 0;
	FILE *file = fopen("/proc/self/status", "r");

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			kilobytes = strtod(line + strlen(name), NULL);
	}
	(void)fclose(file);
	return kilobytes;
}

static void print_memory(unsigned int count)
{
	struct sleeper *sleepers = calloc(count, sizeof(*sleepers));
	double resident = status_of("VmRSS:"), tables = status_of("VmPTE:");
	double begin = seconds_now(), seconds;
	weir_sim *sim;

	if (sleepers == NULL)
		fail("no memory");
	sim = open_with(sleepers, count, count, WEIR_SCHEDULE_ORDER, 1);
	(void)weir_sim_run_until(sim, 0.5);
	seconds = seconds_now() - begin;
	printf("%6u waiting processes: %.0f bytes each, and %.0f of page tables; "
	       "%.2f us to spawn and start one\n",
		count, (status_of("VmRSS:") - resident) * 1024 / count,
		(status_of("VmPTE:") - tables) * 1024 / count, seconds * 1e6 / count);
	(void)weir_sim_close(sim);
	free(sleepers);
}

/* Returns whether the arguments are understood. */
static bool read_options(int count, char **arguments)
{
	for (int i = 1; i + 1 < count; i += 2) {
		if (strcmp(arguments[i], "--simpy") == 0)
			options.simpy = arguments[i + 1];
		else if (strcmp(arguments[i], "--repeats") == 0)
			options.repeats = (unsigned int)strtoul(arguments[i + 1], NULL, 10);
		else if (strcmp(arguments[i], "--sleeps") == 0)
			options.sleeps = strtoull(arguments[i + 1], NULL, 10);
		else if (strcmp(arguments[i], "--messages") == 0)
			options.messages = strtoull(arguments[i + 1], NULL, 10);
		else
			return false;
	}
	return count % 2 == 1 && options.repeats >= 1 && options.repeats <= REPEATS_MAX &&
	       options.sleeps >= 10000 && options.messages >= 10000;
}

int main(int count, char **arguments)
{
	if (!read_options(count, arguments)) {
		fprintf(stderr,
			"usage: sim-bench [--simpy SCRIPT] [--repeats 1..%d] [--sleeps 10000..] "
			"[--messages 10000..]\n",
			REPEATS_MAX);
		return 2;
	}
	print_memory(10000);
	printf("sleeps a second, medians of %u:\n", options.repeats);
	print_rate(10, WEIR_SCHEDULE_ORDER, "order", 1);
	print_rate(100, WEIR_SCHEDULE_ORDER, "order", 1);
	print_rate(1000, WEIR_SCHEDULE_ORDER, "order", 1);
	print_rate(10000, WEIR_SCHEDULE_ORDER, "order", 1);
	print_rate(1000, WEIR_SCHEDULE_ORDER, "alike", 0);
	options.simpy = NULL;
	print_rate(1000, WEIR_SCHEDULE_RANDOM, "random", 1);
	print_rate(1000, WEIR_SCHEDULE_PCT, "pct", 1);
	printf("messages a second, published and received through %d topics:\n", TOPICS);
	print_messages("each", 1);
	print_messages("alike", 0);
	return 0;
}
