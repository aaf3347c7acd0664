/* SPDX-License-Identifier: BSD-2-Clause */
/* libzmq's PUB and SUB sockets. */
#define ZMQ_OUT       ZMQ_PUB
#define ZMQ_IN        ZMQ_SUB
#define ZMQ_IS_PUBSUB true

#include "zmq_peer.h"

const struct bench_peer bench_peer_zmq_pubsub = {
	.name = "zmq_pubsub",
	.title = "libzmq PUB/SUB inproc",
	.modes = BENCH_SPIN | BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.settle_ms = 50,
	.open = ZMQ_CHANNEL,
};
