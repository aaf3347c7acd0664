/* SPDX-License-Identifier: BSD-2-Clause */
/* Counting lines, and looking for the longest gap. */
#include "tally.h"

#include <stdlib.h>

#include "../common/complain.h"

static void time_add(struct tally *tally, int64_t time)
{
	int64_t gap = time - tally->last_time;

	if (tally->has_time && gap >= 0 && (!tally->has_gap || gap > tally->gap)) {
		tally->has_gap = true;
		tally->gap = gap;
		tally->gap_begin = tally->last_time;
	}
	tally->has_time = true;
	tally->last_time = time;
}

size_t tally_add(struct tally *tally, const char *topic, const char *text, size_t size)
{
	size_t index = topics_add(&tally->topics, topic);
	int64_t time;

	if (index == tally->count_size) {
		tally->count_size = tally->topics.size;
		tally->counts =
			memory_resize(tally->counts, tally->count_size, sizeof(*tally->counts));
		for (size_t i = index; i < tally->count_size; i++)
			tally->counts[i] = 0;
	}
	tally->counts[index]++;
	tally->lines++;
	tally->bytes += size;
	if (log_line_time(text, size, &time))
		time_add(tally, time);
	return index;
}

uint64_t tally_count(const struct tally *tally, const char *topic)
{
	size_t index = topics_find(&tally->topics, topic);

	return index == TOPICS_NONE ? 0 : tally->counts[index];
}

void tally_free(struct tally *tally)
{
	topics_free(&tally->topics);
	free(tally->counts);
}
