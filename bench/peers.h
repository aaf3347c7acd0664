/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peers: all that this build has, ours first.
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "bench.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct bench_peer bench_peer_weir;
extern const struct bench_peer bench_peer_mutex_ring;
extern const struct bench_peer bench_peer_ck_spsc;
extern const struct bench_peer bench_peer_ck_mpsc;

/* Ends with NULL. */
extern const struct bench_peer *const bench_peers[];

#ifdef __cplusplus
}
#endif

#endif
