/* SPDX-License-Identifier: BSD-2-Clause */
/* Comparing, number by number. */
#include "verify.h"

#include <inttypes.h>

#include "../common/complain.h"
#include "plain.h"

/* Where differences are counted, and whose they are. */
struct verdict {
	const char *who;
	uint64_t differences;
};

static void equal(struct verdict *verdict, const char *what, uint64_t found, uint64_t expected)
{
	if (found == expected)
		return;
	complain("verify: %s: %s: %" PRIu64 ", expected %" PRIu64, verdict->who, what, found,
		expected);
	verdict->differences++;
}

static void tallies_compare(
	struct verdict *verdict, const struct tally *found, const struct tally *expected)
{
	equal(verdict, "lines", found->lines, expected->lines);
	equal(verdict, "bytes", found->bytes, expected->bytes);
	equal(verdict, "topics", found->topics.count, expected->topics.count);
	for (size_t i = 0; i < expected->topics.count; i++) {
		const char *topic = expected->topics.names[i];

		equal(verdict, topic, tally_count(found, topic), expected->counts[i]);
	}
	equal(verdict, "whether there is a gap", found->has_gap, expected->has_gap);
	equal(verdict, "slowest gap, in seconds", (uint64_t)found->gap, (uint64_t)expected->gap);
	equal(verdict, "slowest gap, its beginning", (uint64_t)found->gap_begin,
		(uint64_t)expected->gap_begin);
}

/* What was received and what was lost is all that matched, by this program's own
 * counts and by the library's. */
static void counters_compare(struct verdict *verdict, const struct subscriber *subscriber,
	const struct expected *expected, weir_overflow overflow)
{
	const weir_subscription_statistics *statistics = &subscriber->statistics;
	uint64_t dropped = subscriber_dropped(subscriber);
	uint64_t misordered = 0;

	for (size_t i = 0; i < subscriber->seen_size; i++)
		misordered += subscriber->seen[i].misordered;
	equal(verdict, "messages out of order or twice", misordered, 0);
	equal(verdict, "received and dropped", subscriber->tally.lines + dropped,
		expected->matched);
	equal(verdict, "dropped", dropped, expected->lost);
	if (overflow == WEIR_OVERFLOW_BLOCK)
		equal(verdict, "lost, though the reader waits", expected->lost, 0);
	if (subscriber->missed > dropped)
		equal(verdict, "told as missed", subscriber->missed, dropped);
	equal(verdict, "statistics: matched", statistics->matched, expected->matched);
	equal(verdict, "statistics: delivered", statistics->delivered, expected->tally.lines);
	equal(verdict, "statistics: queued", statistics->queued, 0);
	if (statistics->high_water > statistics->capacity)
		equal(verdict, "statistics: high water", statistics->high_water,
			statistics->capacity);
}

static void archive_compare(
	struct verdict *verdict, const struct subscriber *subscriber, struct expected *expected)
{
	if (subscriber->archive == NULL)
		return;
	if (expected->has_archive_fault) {
		complain("verify: %s: the archive differs from its line %" PRIu64 " on",
			verdict->who, expected->archive_fault);
		verdict->differences++;
	} else if (!archive_is_at_end(subscriber->archive)) {
		complain("verify: %s: the archive has more than the lines, or is damaged",
			verdict->who);
		verdict->differences++;
	}
}

static void broker_compare(struct verdict *verdict, const struct feed *feed,
	const struct plain *plain, const weir_broker_statistics *statistics, size_t subscribers)
{
	uint64_t matched = 0;
	uint64_t received = 0;

	for (size_t i = 0; i < subscribers; i++) {
		matched += plain->expected[i].matched;
		received += plain->expected[i].tally.lines;
	}
	verdict->who = "all";
	equal(verdict, "lines published", feed->lines, plain->lines);
	equal(verdict, "topics", feed->outlet->topics.count, plain->topics.count);
	equal(verdict, "statistics: published", statistics->published, plain->lines);
	equal(verdict, "statistics: matched", statistics->matched, matched);
	equal(verdict, "statistics: delivered", statistics->delivered, received);
}

bool verify(const struct feed *feed, const struct subscriber *subscribers, size_t count,
	const weir_broker_statistics *statistics)
{
	struct verdict verdict = { .differences = 0 };
	struct plain plain;

	for (size_t i = 0; i < count; i++)
		if (subscribers[i].archive != NULL && !archive_rewind(subscribers[i].archive))
			verdict.differences++;
	plain_pass(&plain, feed, subscribers, count);
	if (feed->tape != NULL && feed->tape->has_failed)
		verdict.differences++;
	for (size_t i = 0; i < count; i++) {
		verdict.who = weir_subscription_filter(subscribers[i].subscription);
		tallies_compare(&verdict, &subscribers[i].tally, &plain.expected[i].tally);
		counters_compare(
			&verdict, &subscribers[i], &plain.expected[i], feed->options->overflow);
		archive_compare(&verdict, &subscribers[i], &plain.expected[i]);
	}
	broker_compare(&verdict, feed, &plain, statistics, count);
	plain_free(&plain, count);
	return verdict.differences == 0;
}
