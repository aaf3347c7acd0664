/* SPDX-License-Identifier: BSD-2-Clause */
/* libzmq's PUSH and PULL sockets; they deal out, so there is one subscriber. */
#define ZMQ_OUT       ZMQ_PUSH
#define ZMQ_IN        ZMQ_PULL
#define ZMQ_IS_PUBSUB false

#include "zmq_peer.h"

const struct bench_peer bench_peer_zmq_pushpull = {
	.name = "zmq_pushpull",
	.title = "libzmq PUSH/PULL inproc",
	.modes = BENCH_SPIN | BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = 1,
	.settle_ms = 50,
	.open = ZMQ_CHANNEL,
};
