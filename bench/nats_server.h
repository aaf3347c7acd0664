/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nats-server, on a port of its own of the loopback: neither a configuration nor a
 * server that runs here already has a part in it.  One thread at a time.
 */
#ifndef BENCH_NATS_SERVER_H
#define BENCH_NATS_SERVER_H

#include "bench.h"

extern const struct bench_server bench_nats_server;

/* Where it takes connections; the first call starts it, and waits until it does.
 * That call's thread has to last as long as the server is to. */
const char *bench_nats_server_url(void);

#endif
