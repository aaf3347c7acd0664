/* SPDX-License-Identifier: BSD-2-Clause */
/* One measurement: threads, barriers, and what comes out of them. */
#include "run.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "external.h"
#include "figures.h"

/* A run takes a few seconds; one that takes this long will never end. */
#define HUNG_SECONDS 120

/* On lines of its own: what one end counts is not to cost the next one's. */
struct part {
	_Alignas(128) struct run *run;
	pthread_t thread;
	struct bench_end end;
};

struct run {
	const struct bench_peer *peer;
	const struct bench_job *job;
	void *channels[2]; /* the second one is the way back of round trips */
	pthread_barrier_t barrier;
	struct bench_passed passed[BENCH_SUBSCRIBERS_MAX * BENCH_PUBLISHERS_MAX];
	struct bench_gate gates[BENCH_PUBLISHERS_MAX];
	struct part publishers[BENCH_PUBLISHERS_MAX];
	struct part subscribers[BENCH_SUBSCRIBERS_MAX];
};

static char context[256] = "weir-bench";

void bench_context(const char *workload, const char *name, const char *peer)
{
	(void)snprintf(context, sizeof(context), "weir-bench: %s %s, %s", workload, name, peer);
}

void bench_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)fflush(stdout);
	(void)fprintf(stderr, "%s: ", context);
	(void)vfprintf(stderr, format, arguments);
	(void)fputc('\n', stderr);
	va_end(arguments);
	_exit(2);
}

static void hung(int signal_number)
{
	static const char text[] = ": hung\n";

	(void)signal_number;
	(void)!write(STDERR_FILENO, context, strlen(context));
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(3);
}

void *bench_memory(size_t bytes)
{
	void *memory;

	if (posix_memalign(&memory, 2 * (size_t)BENCH_LINE, bytes) != 0)
		bench_fail("no memory for %zu bytes", bytes);
	memset(memory, 0, bytes);
	return memory;
}

void bench_memory_free(void *memory)
{
	free(memory);
}

/* All threads three times: open, go, and everything received.  The last one keeps
 * the exits of those who are done out of the measurement. */
static void meet(struct run *run)
{
	(void)pthread_barrier_wait(&run->barrier);
}

static void *publisher_main(void *argument)
{
	struct part *part = argument;
	struct run *run = part->run;
	struct bench_end *end = &part->end;
	void *publisher;

	bench_pin(end->shape->is_pinned ? 0 : -1);
	publisher = run->peer->publisher_open(run->channels[0], end->index);
	meet(run);
	meet(run);
	end->begun = bench_now();
	end->deadline = end->begun + run->job->limit;
	if (run->job->kind == BENCH_PACED)
		run->peer->pace(end, publisher);
	else
		run->peer->publish(end, publisher);
	meet(run);
	return NULL;
}

static void *subscriber_main(void *argument)
{
	struct part *part = argument;
	struct run *run = part->run;
	struct bench_end *end = &part->end;
	void *subscriber;

	bench_pin(end->shape->is_pinned ? 1 : -1);
	subscriber = run->peer->subscriber_open(run->channels[0], end->index);
	meet(run);
	meet(run);
	if (run->job->kind == BENCH_PACED)
		run->peer->receive_paced(end, subscriber);
	else
		run->peer->receive(end, subscriber);
	end->ended = bench_now();
	meet(run);
	return NULL;
}

/* One side of round trips: it publishes on one channel and receives on the other. */
static void *ping_main(void *argument)
{
	struct part *part = argument;
	struct run *run = part->run;
	struct bench_end *end = &part->end;
	bool is_echo = end->index == 1;
	void *publisher, *subscriber;

	bench_pin(is_echo ? 1 : 0);
	publisher = run->peer->publisher_open(run->channels[is_echo ? 1 : 0], 0);
	subscriber = run->peer->subscriber_open(run->channels[is_echo ? 0 : 1], 0);
	meet(run);
	meet(run);
	(is_echo ? run->peer->echo : run->peer->ping)(end, publisher, subscriber);
	meet(run);
	return NULL;
}

static void part_start(
	struct run *run, struct part *part, unsigned int index, void *(*entry)(void *))
{
	const struct bench_job *job = run->job;
	struct bench_end *end = &part->end;

	part->run = run;
	end->shape = &job->shape;
	end->index = index;
	end->messages = job->messages;
	end->interval = job->interval;
	end->stride = (job->shape.size + 2 * (size_t)BENCH_LINE - 1) & ~((size_t)BENCH_LINE - 1);
	end->buffer = bench_memory(BENCH_BATCH * end->stride);
	end->window = job->shape.capacity / job->shape.publishers;
	end->passed =
		entry == subscriber_main ? &run->passed[index * BENCH_PUBLISHERS_MAX] : run->passed;
	end->gates = run->gates;
	if (job->kind != BENCH_THROUGHPUT)
		end->times = bench_memory(job->messages * sizeof(*end->times));
	if (pthread_create(&part->thread, NULL, entry, part) != 0)
		bench_fail("no thread");
}

static void part_end(struct part *part)
{
	(void)pthread_join(part->thread, NULL);
	bench_memory_free(part->end.buffer);
	bench_memory_free(part->end.times);
}

/* Lets all parts open, go, and finish. */
static void parts_lead(struct run *run)
{
	meet(run);
	if (run->peer->settle_ms > 0)
		(void)usleep(run->peer->settle_ms * 1000);
	meet(run);
	meet(run);
}

static void channel_close(struct run *run, unsigned int index, uint64_t received)
{
	const char *wrong = run->peer->close(run->channels[index], received);

	if (wrong != NULL)
		bench_fail("what was received contradicts %s", wrong);
}

/* Every subscriber must have received all that was published. */
static uint64_t conservation_check(struct run *run)
{
	const struct bench_shape *shape = &run->job->shape;
	uint64_t published = 0;

	for (unsigned int i = 0; i < shape->publishers; i++)
		published += run->publishers[i].end.count;
	for (unsigned int i = 0; i < shape->subscribers; i++)
		if (run->subscribers[i].end.count != published)
			bench_fail("%llu messages were published, subscriber %u received %llu",
				(unsigned long long)published, i,
				(unsigned long long)run->subscribers[i].end.count);
	return published;
}

static void throughput_conclude(struct run *run, uint64_t published, struct bench_result *result)
{
	const struct bench_shape *shape = &run->job->shape;
	uint64_t begun = UINT64_MAX, ended = 0;

	for (unsigned int i = 0; i < shape->publishers; i++)
		if (run->publishers[i].end.begun < begun)
			begun = run->publishers[i].end.begun;
	for (unsigned int i = 0; i < shape->subscribers; i++)
		if (run->subscribers[i].end.ended > ended)
			ended = run->subscribers[i].end.ended;
	result->count = 1;
	result->figures[0] =
		(double)(published * shape->subscribers) / (double)(ended - begun) * 1e9;
}

static void percentiles(uint32_t *times, uint64_t count, double *figures)
{
	bench_times_sort(times, count);
	figures[0] = times[count / 2];
	figures[1] = times[count * 99 / 100];
	figures[2] = times[count * 999 / 1000];
}

static void through_run(struct run *run, struct bench_result *result)
{
	const struct bench_job *job = run->job;
	const struct bench_shape *shape = &job->shape;
	uint64_t published;

	run->channels[0] = run->peer->open(shape);
	for (unsigned int i = 0; i < shape->subscribers; i++)
		part_start(run, &run->subscribers[i], i, subscriber_main);
	for (unsigned int i = 0; i < shape->publishers; i++)
		part_start(run, &run->publishers[i], i, publisher_main);
	parts_lead(run);
	published = conservation_check(run);
	if (job->kind == BENCH_PACED) {
		result->count = 6;
		percentiles(run->publishers[0].end.times, published, result->figures);
		percentiles(run->subscribers[0].end.times, published, result->figures + 3);
	} else {
		throughput_conclude(run, published, result);
	}
	for (unsigned int i = 0; i < shape->publishers; i++)
		part_end(&run->publishers[i]);
	for (unsigned int i = 0; i < shape->subscribers; i++)
		part_end(&run->subscribers[i]);
	channel_close(run, 0, published);
}

static void trips_run(struct run *run, struct bench_result *result)
{
	uint64_t trips = run->job->messages;

	run->channels[0] = run->peer->open(&run->job->shape);
	run->channels[1] = run->peer->open(&run->job->shape);
	part_start(run, &run->subscribers[0], 1, ping_main);
	part_start(run, &run->publishers[0], 0, ping_main);
	parts_lead(run);
	/* The first ones warm the caches. */
	result->count = 3;
	percentiles(run->publishers[0].end.times + trips / 20, trips - trips / 20, result->figures);
	part_end(&run->publishers[0]);
	part_end(&run->subscribers[0]);
	channel_close(run, 0, trips);
	channel_close(run, 1, trips);
}

static void threads_run(
	const struct bench_peer *peer, const struct bench_job *job, struct bench_result *result)
{
	struct run *run = bench_memory(sizeof(*run));
	unsigned int parts =
		job->kind == BENCH_ROUND_TRIP ? 2 : job->shape.publishers + job->shape.subscribers;

	run->peer = peer;
	run->job = job;
	(void)pthread_barrier_init(&run->barrier, NULL, parts + 1);
	if (job->kind == BENCH_ROUND_TRIP)
		trips_run(run, result);
	else
		through_run(run, result);
	(void)pthread_barrier_destroy(&run->barrier);
	bench_memory_free(run);
}

void bench_run(
	const struct bench_peer *peer, const struct bench_job *job, struct bench_result *result)
{
	(void)signal(SIGALRM, hung);
	(void)alarm(HUNG_SECONDS);
	if (peer->program != NULL)
		bench_external_run(peer, job, result);
	else
		threads_run(peer, job, result);
	(void)alarm(0);
}
