/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Window: what holds a publisher back whose peer would drop or grow.
 *
 * Each subscriber notes, on a line of its own for each publisher, how many
 * messages it has taken.  The publisher looks at all of them, but only when what
 * it saw last leaves no room.
 */
#include "gate.h"

static uint64_t passed_least(const struct bench_end *end)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < end->shape->subscribers; i++) {
		const struct bench_passed *passed =
			&end->passed[i * BENCH_PUBLISHERS_MAX + end->index];
		uint64_t count = __atomic_load_n(&passed->count, __ATOMIC_ACQUIRE);

		if (count < least)
			least = count;
	}
	return least;
}

static bool has_room(struct bench_end *end, uint64_t sequence)
{
	end->window_seen = passed_least(end);
	return sequence - end->window_seen < end->window;
}

void bench_window_wait(struct bench_end *end, uint64_t sequence)
{
	struct bench_gate *gate = &end->gates[end->index];
	unsigned int looks = 0;

	while (!has_room(end, sequence)) {
		if (end->shape->mode != BENCH_DEFAULT) {
			bench_idle(end->shape->mode, &looks);
			continue;
		}
		bench_gate_arm(gate);
		if (has_room(end, sequence)) {
			bench_gate_disarm(gate);
			return;
		}
		bench_gate_sleep(gate);
	}
}
