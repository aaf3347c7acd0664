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
extern const struct bench_peer bench_peer_weir_acks;
extern const struct bench_peer bench_peer_mutex_ring;
extern const struct bench_peer bench_peer_ck_spsc;
extern const struct bench_peer bench_peer_ck_mpsc;
extern const struct bench_peer bench_peer_boost_queue;
extern const struct bench_peer bench_peer_boost_spsc;
extern const struct bench_peer bench_peer_glib;
extern const struct bench_peer bench_peer_moodycamel;
extern const struct bench_peer bench_peer_nanomsg;
extern const struct bench_peer bench_peer_nats;
extern const struct bench_peer bench_peer_nng;
extern const struct bench_peer bench_peer_tbb;
extern const struct bench_peer bench_peer_urcu;
extern const struct bench_peer bench_peer_zmq_pubsub;
extern const struct bench_peer bench_peer_zmq_pushpull;

/* Ends with NULL. */
extern const struct bench_peer *const bench_peers[];

#ifdef __cplusplus
}
#endif

#endif
