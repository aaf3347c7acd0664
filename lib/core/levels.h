/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Levels: what became of the messages of one subscription, by their priority.
 * Only for those who ask: counting costs a shared word for each message.
 *
 * Threads: any, at once.
 */
#ifndef WEIRI_LEVELS_H
#define WEIRI_LEVELS_H

#include "base/atomics.h"
#include "core/message.h"
#include <weir/statistics.h>

struct weiri_levels {
	_Atomic uint64_t matched[WEIR_PRIORITY_LEVELS];
	_Atomic uint64_t dropped[WEIR_PRIORITY_LEVELS];
};

/* `levels` may be NULL: nobody has asked. */
void weiri_levels_match(struct weiri_levels *levels, int32_t priority, uint64_t count);
void weiri_levels_drop(struct weiri_levels *levels, int32_t priority, uint64_t count);

/* Messages that are being thrown out. */
void weiri_levels_drop_all(struct weiri_levels *levels, void *const *messages, size_t count);

void weiri_levels_read(struct weiri_levels *levels, weir_priority_statistics *statistics);

#endif
