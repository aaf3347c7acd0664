/* SPDX-License-Identifier: BSD-2-Clause */
/* weir, as a program uses it that does not say otherwise. */
#define WEIR_ACKS 0

#include "weir_peer.h"

const struct bench_peer bench_peer_weir = {
	.name = "weir",
	.title = "weir",
	.modes = WEIR_MODES,
	.abilities = WEIR_ABILITIES,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.open = WEIR_CHANNEL,
};
