/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of peers. */
#include "peers.h"

const struct bench_peer *const bench_peers[] = {
	&bench_peer_weir,
	&bench_peer_mutex_ring,
	&bench_peer_ck_spsc,
	&bench_peer_ck_mpsc,
	NULL,
};
