/* SPDX-License-Identifier: BSD-2-Clause */
/* Concurrency Kit's ring for many producers and one consumer. */
#define CK_ENQUEUE ck_ring_enqueue_mpsc
#define CK_DEQUEUE ck_ring_dequeue_mpsc

#include "ck_ring_peer.h"

const struct bench_peer bench_peer_ck_mpsc = {
	.name = "ck_mpsc",
	.title = "ck_ring MPSC",
	.modes = BENCH_SPIN | BENCH_YIELD | BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.open = QUEUE_CHANNEL,
	PEER_LOOPS,
};
