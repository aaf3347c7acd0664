/* SPDX-License-Identifier: BSD-2-Clause */
/* weir, with every message acknowledged. */
#define WEIR_ACKS 1

#include "weir_peer.h"

const struct bench_peer bench_peer_weir_acks = {
	.name = "weir_acks",
	.title = "weir, acknowledged",
	.modes = WEIR_MODES,
	.abilities = WEIR_ABILITIES,
	.publishers_max = BENCH_PUBLISHERS_MAX,
	.subscribers_max = BENCH_SUBSCRIBERS_MAX,
	.is_variant = true,
	.open = WEIR_CHANNEL,
};
