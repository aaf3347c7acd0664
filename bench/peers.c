/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of peers. */
#include "peers.h"

const struct bench_peer *const bench_peers[] = {
	&bench_peer_weir,
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
	NULL,
};
