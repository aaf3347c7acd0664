/* SPDX-License-Identifier: BSD-2-Clause */
/* Concurrency Kit's ring for one producer and one consumer. */
#define CK_ENQUEUE ck_ring_enqueue_spsc
#define CK_DEQUEUE ck_ring_dequeue_spsc

#include "ck_ring_peer.h"

const struct bench_peer bench_peer_ck_spsc = {
	.name = "ck_spsc",
	.title = "ck_ring SPSC",
	.modes = BENCH_SPIN | BENCH_YIELD | BENCH_DEFAULT,
	.abilities = BENCH_CAN_LOAN,
	.publishers_max = 1,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.open = QUEUE_CHANNEL,
	PEER_LOOPS,
};
