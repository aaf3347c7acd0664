/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of peers. */
#include "peers.h"

/* In other languages: see external.h.  They are here whether they are built or
 * not; the harness looks for their programs. */
static const struct bench_peer disruptor = {
	.name = "disruptor",
	.title = "LMAX Disruptor (Java)",
	.program = "peers/disruptor",
	.modes = BENCH_SPIN | BENCH_YIELD | BENCH_DEFAULT,
	.abilities = BENCH_CAN_BATCH | BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
};

static const struct bench_peer go_channel = {
	.name = "go",
	.title = "Go channel",
	.program = "peers/channel",
	.modes = BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
};

/* Each goroutine on a thread of its own, as all others here are. */
static const struct bench_peer go_threads = {
	.name = "go_threads",
	.title = "Go channel, locked threads",
	.program = "peers/channel",
	.modes = BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
};

static const struct bench_peer crossbeam = {
	.name = "crossbeam",
	.title = "crossbeam-channel (Rust)",
	.program = "peers/rust_peers",
	.modes = BENCH_SPIN | BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
};

static const struct bench_peer tokio = {
	.name = "tokio",
	.title = "tokio broadcast (Rust) *",
	.program = "peers/rust_peers",
	.modes = BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
};

const struct bench_peer *const bench_peers[] = {
	&bench_peer_weir,
	&bench_peer_weir_acks,
	&bench_peer_mutex_ring,
	&bench_peer_ck_spsc,
	&bench_peer_ck_mpsc,
#ifdef BENCH_HAS_BOOST
	&bench_peer_boost_spsc,
	&bench_peer_boost_queue,
#endif
#ifdef BENCH_HAS_MOODYCAMEL
	&bench_peer_moodycamel,
#endif
#ifdef BENCH_HAS_URCU
	&bench_peer_urcu,
#endif
#ifdef BENCH_HAS_TBB
	&bench_peer_tbb,
#endif
#ifdef BENCH_HAS_GLIB
	&bench_peer_glib,
#endif
#ifdef BENCH_HAS_ZMQ
	&bench_peer_zmq_pubsub,
	&bench_peer_zmq_pushpull,
#endif
#ifdef BENCH_HAS_NNG
	&bench_peer_nng,
#endif
#ifdef BENCH_HAS_NANOMSG
	&bench_peer_nanomsg,
#endif
#ifdef BENCH_HAS_NATS
	&bench_peer_nats,
#endif
	&disruptor,
	&go_channel,
	&go_threads,
	&crossbeam,
	&tokio,
	NULL,
};
