/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acknowledgements: what one costs when few or many are in flight, what the timer
 * thread takes while none of them is due, and how late timeouts come.
 */
#include "figures.h"
#include "flow.h"

#define PART       4096    /* acknowledgements that are timed together */
#define MANY       1000000 /* messages */
#define TIMEOUT    5e-3    /* seconds */
#define INTERVAL   1e-3    /* seconds between messages that will time out */
#define LATE_LEAST 500     /* timeouts that are looked at */
#define AHEAD      1024    /* more than are in flight at once then */

struct bed {
	weir_broker *broker;
	weir_subscription *subscription;
	weir_publisher *publisher;
	weir_delivery *deliveries; /* in flight, the earliest at `first` */
	size_t count;
	size_t first;
	uint64_t state;
};

static double cpu_time(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void one_more(struct bed *bed, weir_delivery *delivery)
{
	flow_must(weir_publish(bed->publisher, "8 bytes", 8, NULL, NULL), "weir_publish");
	flow_must(weir_receive(bed->subscription, delivery, 0), "weir_receive");
}

static struct bed *bed_open(const struct flow_case *which)
{
	struct bed *bed = bench_memory(sizeof(*bed));

	bed->state = 1;
	bed->count = which->options.max_in_flight;
	bed->deliveries = bench_memory((bed->count + 1) * sizeof(*bed->deliveries));
	flow_must(weir_broker_open(&bed->broker, NULL), "weir_broker_open");
	flow_must(weir_subscribe(&bed->subscription, bed->broker, "t", &which->options),
		"weir_subscribe");
	flow_must(weir_publisher_open(&bed->publisher, bed->broker, "t", NULL),
		"weir_publisher_open");
	for (size_t i = 0; i < bed->count; i++)
		one_more(bed, &bed->deliveries[i]);
	return bed;
}

static void bed_close(struct bed *bed)
{
	weir_publisher_close(bed->publisher);
	flow_must(weir_unsubscribe(bed->subscription, NULL), "weir_unsubscribe");
	flow_must(weir_broker_close(bed->broker, NULL), "weir_broker_close");
	bench_memory_free(bed->deliveries);
	bench_memory_free(bed);
}

/* ---- What an acknowledgement costs ---- */

static uint64_t draw(struct bed *bed)
{
	bed->state = bed->state * 6364136223846793005u + 1442695040888963407u;
	return bed->state >> 33;
}

/* The earliest ones, or any; others take their places. */
static size_t part_take(struct bed *bed, weir_delivery *part, bool is_random)
{
	const size_t size = bed->count / 4 < PART ? bed->count / 4 : PART;

	for (size_t i = 0; i < size; i++) {
		const size_t from = is_random ? draw(bed) % bed->count : bed->first;

		bed->first = bed->first + 1 < bed->count ? bed->first + 1 : 0;
		part[i] = bed->deliveries[from];
		bed->deliveries[from] = (weir_delivery){ 0 };
	}
	return size;
}

/* Drawn twice: it stands for another one that is still in flight. */
static bool is_there(const weir_delivery *delivery)
{
	return delivery->token_ledger != 0;
}

/* From the place where the part began, so that the order stays. */
static void refill(struct bed *bed, size_t from)
{
	for (size_t i = 0; i < bed->count; i++) {
		weir_delivery *delivery = &bed->deliveries[(from + i) % bed->count];

		if (!is_there(delivery))
			one_more(bed, delivery);
	}
}

static void part_acknowledge(
	weir_delivery *part, size_t size, bool is_up_to, double *time, size_t *count)
{
	double begun = cpu_time(CLOCK_THREAD_CPUTIME_ID);

	if (is_up_to)
		flow_must(weir_ack_up_to(&part[size - 1], NULL), "weir_ack_up_to");
	else
		for (size_t i = 0; i < size; i++)
			if (is_there(&part[i]))
				flow_must(weir_ack(&part[i]), "weir_ack");
	*time += cpu_time(CLOCK_THREAD_CPUTIME_ID) - begun;
	for (size_t i = 0; i < size; i++)
		*count += is_there(&part[i]);
}

static void acks_measure(const struct flow_case *which, double seconds, double *figures)
{
	static weir_delivery part[PART];
	struct bed *bed = bed_open(which);

	/* The random ones last: they leave no order behind them. */
	for (int figure = 0; figure < 3; figure++) {
		double begun = cpu_time(CLOCK_MONOTONIC), time = 0;
		size_t count = 0;

		do {
			size_t from = bed->first;
			size_t size = part_take(bed, part, figure == 2);

			part_acknowledge(part, size, figure == 1, &time, &count);
			refill(bed, from);
		} while (cpu_time(CLOCK_MONOTONIC) - begun < seconds * 1e9);
		figures[figure] = time / (double)count;
	}
	bed_close(bed);
}

#define IN_FLIGHT(title, at, many)                   \
	{                                            \
		.name = title, .base = (at),         \
		.options = { .ack = WEIR_ACK_MANUAL, \
			.ack_timeout = 1000,         \
			.capacity = FLOW_CAPACITY,   \
			.max_in_flight = (many) },   \
	}

static const struct flow_case acks_cases[] = {
	IN_FLIGHT("1,000 in flight", 0, 1000),
	IN_FLIGHT("10,000 in flight", 0, 10000),
	IN_FLIGHT("100,000 in flight", 0, 100000),
	IN_FLIGHT("1,000,000 in flight", 0, MANY),
	{ 0 },
};

const struct flow_table flow_acks = {
	.name = "A1",
	.title = "an acknowledgement: the earliest, up to the 4096th (each), any",
	.figures = { "earliest", "up to", "any" },
	.cases = acks_cases,
	.measure = acks_measure,
};

/* ---- The timer thread ---- */

static void timer_measure(const struct flow_case *which, double seconds, double *figures)
{
	struct bed *bed = bed_open(which);
	double begun = cpu_time(CLOCK_MONOTONIC);
	double used = cpu_time(CLOCK_PROCESS_CPUTIME_ID);

	(void)weir_sleep(weir_clock_real(), seconds > 1 ? seconds : 1);
	used = cpu_time(CLOCK_PROCESS_CPUTIME_ID) - used;
	figures[0] = used / (cpu_time(CLOCK_MONOTONIC) - begun) * 1e9;
	bed_close(bed);
}

static const struct flow_case timer_cases[] = {
	IN_FLIGHT("1,000 in flight", 0, 1000),
	IN_FLIGHT("1,000,000 in flight", 0, MANY),
	{ 0 },
};

const struct flow_table flow_timer = {
	.name = "A2",
	.title = "CPU time of the whole process in a second in which nothing is due",
	.figures = { "CPU/s" },
	.cases = timer_cases,
	.measure = timer_measure,
};

/* ---- Lateness ---- */

/* Receives until `until`; what comes again is late by now minus its first deadline. */
static size_t late_receive(
	struct bed *bed, double until, double *deadlines, uint32_t *late, size_t size)
{
	weir_delivery delivery;
	size_t count = 0;

	for (;;) {
		double left = until - weir_now(weir_clock_real());
		uint64_t sequence;

		if (left <= 0 || count == size)
			return count;
		if (weir_receive(bed->subscription, &delivery, left) != 0)
			continue;
		sequence = weir_message_sequence(delivery.message) % AHEAD;
		if (delivery.attempt == 1) {
			deadlines[sequence] = delivery.deadline;
			continue;
		}
		late[count++] =
			(uint32_t)((weir_now(weir_clock_real()) - deadlines[sequence]) * 1e9);
		flow_must(weir_ack(&delivery), "weir_ack");
	}
}

static void late_measure(const struct flow_case *which, double seconds, double *figures)
{
	const size_t size = LATE_LEAST + (size_t)(seconds / INTERVAL);
	double deadlines[AHEAD];
	uint32_t *late = bench_memory(size * sizeof(*late));
	struct flow_case empty = *which;
	weir_subscription_options pending = which->options;
	weir_subscription *other;
	struct bed *bed;
	size_t count = 0;

	/* The pending ones are another subscription's. */
	empty.options.max_in_flight = 0;
	empty.options.ack_timeout = TIMEOUT;
	bed = bed_open(&empty);
	pending.capacity = pending.max_in_flight;
	flow_must(weir_subscribe(&other, bed->broker, "other", &pending), "weir_subscribe");
	for (size_t i = 0; i < pending.max_in_flight; i++) {
		weir_delivery delivery;

		flow_must(weir_publish_to(bed->broker, "other", "", 0, NULL, NULL), "publish");
		flow_must(weir_receive(other, &delivery, 0), "weir_receive");
	}
	while (count < size) {
		flow_must(weir_publish(bed->publisher, "", 0, NULL, NULL), "weir_publish");
		count += late_receive(bed, weir_now(weir_clock_real()) + INTERVAL, deadlines,
			late + count, size - count);
	}
	flow_must(weir_unsubscribe(other, NULL), "weir_unsubscribe");
	bed_close(bed);
	bench_times_sort(late, count);
	figures[0] = late[count / 2];
	figures[1] = late[count * 99 / 100];
	figures[2] = late[count * 999 / 1000];
	bench_memory_free(late);
}

static const struct flow_case late_cases[] = {
	IN_FLIGHT("1 in flight besides", 0, 1),
	IN_FLIGHT("1,000,000 in flight besides", 0, MANY),
	{ 0 },
};

const struct flow_table flow_late = {
	.name = "A3",
	.title = "from a deadline to the redelivery in its receiver's hands; real time",
	.figures = { "p50", "p99", "p99.9" },
	.cases = late_cases,
	.measure = late_measure,
};
