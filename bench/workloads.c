/* SPDX-License-Identifier: BSD-2-Clause */
/* What is measured: 64-byte payloads and a capacity of 1024, unless a case says otherwise. */
#include "workloads.h"

#define CAPACITY 1024
/* Payloads above LARGE: fewer of them, so that 4 MiB are on their way and not 64. */
#define LARGE          4096
#define CAPACITY_LARGE 64

static const struct bench_case one_to_one[] = {
	{ "1:1", 1, 1, 64, 1, false },
	{ 0 },
};

static const struct bench_case batches[] = {
	{ "1:1 by 32", 1, 1, 64, BENCH_BATCH, false },
	{ 0 },
};

static const struct bench_case acknowledged[] = {
	{ "1:1", 1, 1, 64, 1, false },
	{ "1:1 by 32", 1, 1, 64, BENCH_BATCH, false },
	{ 0 },
};

static const struct bench_case trips[] = {
	{ "round trip", 1, 1, 64, 1, false },
	{ 0 },
};

static const struct bench_case fan_out[] = {
	{ "N=1", 1, 1, 64, 1, false },
	{ "N=2", 1, 2, 64, 1, false },
	{ "N=4", 1, 4, 64, 1, false },
	{ "N=8", 1, 8, 64, 1, false },
	{ "N=16", 1, 16, 64, 1, false },
	{ "N=64", 1, 64, 64, 1, false },
	{ 0 },
};

static const struct bench_case fan_in[] = {
	{ "M=1", 1, 1, 64, 1, false },
	{ "M=2", 2, 1, 64, 1, false },
	{ "M=4", 4, 1, 64, 1, false },
	{ "M=8", 8, 1, 64, 1, false },
	{ 0 },
};

static const struct bench_case sizes[] = {
	{ "8B copied", 1, 1, 8, 1, false },
	{ "8B loaned", 1, 1, 8, 1, true },
	{ "1KiB copied", 1, 1, 1024, 1, false },
	{ "1KiB loaned", 1, 1, 1024, 1, true },
	{ "64KiB copied", 1, 1, 65536, 1, false },
	{ "64KiB loaned", 1, 1, 65536, 1, true },
	{ 0 },
};

const struct bench_workload bench_workloads[] = {
	{ "W1", "1 publisher, 1 subscriber, spinning, one message for each call", BENCH_THROUGHPUT,
		true, BENCH_SPIN, BENCH_DEFAULT, NULL, one_to_one },
	{ "W1b", "1 publisher, 1 subscriber, spinning, batches of 32 on both sides",
		BENCH_THROUGHPUT, true, BENCH_SPIN, BENCH_DEFAULT, NULL, batches },
	{ "W1p", "1 publisher, 1 subscriber, waiting as by default, and asleep at once",
		BENCH_THROUGHPUT, true, BENCH_DEFAULT | BENCH_PARK, 0, NULL, one_to_one },
	{ "W2", "1 publisher, N subscribers, every one gets all, waiting as by default",
		BENCH_THROUGHPUT, false, BENCH_DEFAULT, 0, NULL, fan_out },
	{ "W2y", "1 publisher, N subscribers, every one gets all, yielding", BENCH_THROUGHPUT,
		false, BENCH_YIELD, 0, NULL, fan_out },
	{ "W3", "M publishers, 1 subscriber, waiting as by default", BENCH_THROUGHPUT, false,
		BENCH_DEFAULT, BENCH_YIELD, NULL, fan_in },
	{ "W4", "round trip over two topics", BENCH_ROUND_TRIP, true,
		BENCH_SPIN | BENCH_DEFAULT | BENCH_PARK, 0, NULL, one_to_one },
	{ "W5", "1 publisher, 1 subscriber, by size of the payload, spinning", BENCH_THROUGHPUT,
		true, BENCH_SPIN, BENCH_DEFAULT, NULL, sizes },
	{ "W6", "100,000 messages a second, open loop: time since each was due", BENCH_PACED, true,
		BENCH_SPIN | BENCH_DEFAULT, 0, NULL, one_to_one },
	{ "W7", "1 publisher, 1 subscriber, with acknowledgements and without", BENCH_THROUGHPUT,
		true, BENCH_SPIN | BENCH_DEFAULT, 0, "weir,weir_acks", acknowledged },
	{ "W7", "round trip over two topics, with acknowledgements, and by a server",
		BENCH_ROUND_TRIP, true, BENCH_SPIN | BENCH_DEFAULT | BENCH_PARK, 0,
		"weir_acks,nats", trips },
	{ 0 },
};

void bench_shape_of(const struct bench_workload *workload, const struct bench_case *which,
	unsigned int mode, struct bench_shape *shape)
{
	*shape = (struct bench_shape){
		.publishers = which->publishers,
		.subscribers = which->subscribers,
		.size = which->size,
		.capacity = which->size > LARGE ? CAPACITY_LARGE : CAPACITY,
		.mode = mode,
		.batch = which->batch,
		.is_loaned = which->is_loaned,
		.is_pinned = workload->is_pinned,
		.is_latency = workload->kind != BENCH_THROUGHPUT,
	};
}

const char *bench_figure_name(enum bench_kind kind, unsigned int figure)
{
	static const char *const trip[] = { "p50", "p99", "p99.9" };
	static const char *const paced[] = { "publish p50", "publish p99", "publish p99.9",
		"delivery p50", "delivery p99", "delivery p99.9" };

	switch (kind) {
	case BENCH_ROUND_TRIP:
		return trip[figure];
	case BENCH_PACED:
		return paced[figure];
	case BENCH_THROUGHPUT:
		break;
	}
	return "";
}

const char *bench_figure_unit(const struct bench_workload *workload, const struct bench_case *which)
{
	if (workload->kind != BENCH_THROUGHPUT)
		return "ns";
	return which->subscribers > 1 ? "deliveries/s" : "messages/s";
}
