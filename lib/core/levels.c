/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters by priority. */
#include "core/levels.h"

static size_t level_of(int32_t priority)
{
	if (priority < 0)
		return 0;
	return priority < WEIR_PRIORITY_LEVELS ? (size_t)priority : WEIR_PRIORITY_LEVELS - 1;
}

void weiri_levels_match(struct weiri_levels *levels, int32_t priority, uint64_t count)
{
	if (levels != NULL)
		(void)weiri_add_relaxed(&levels->matched[level_of(priority)], count);
}

void weiri_levels_drop(struct weiri_levels *levels, int32_t priority, uint64_t count)
{
	if (levels != NULL)
		(void)weiri_add_relaxed(&levels->dropped[level_of(priority)], count);
}

void weiri_levels_drop_all(struct weiri_levels *levels, void *const *messages, size_t count)
{
	for (size_t i = 0; levels != NULL && i < count; i++)
		weiri_levels_drop(levels, ((const struct weir_message *)messages[i])->priority, 1);
}

void weiri_levels_read(struct weiri_levels *levels, weir_priority_statistics *statistics)
{
	for (int i = 0; i < WEIR_PRIORITY_LEVELS; i++) {
		statistics->matched[i] = weiri_load_relaxed(&levels->matched[i]);
		statistics->dropped[i] = weiri_load_relaxed(&levels->dropped[i]);
	}
}
