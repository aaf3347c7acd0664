/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ledger: random operations, each compared with a plain table that does the same by
 * looking at everything.  The time is the case's own, so there is no waiting.
 */
#include "delivery/ledger.h"

#include <string.h>

#include <weir/error.h>
#include <weir/sim.h>

#include "harness.h"

#define MESSAGES 4096
#define WINDOW   13
#define STEPS    20000

enum place {
	NOWHERE,
	HELD,
	DELAYED,
	READY
};

/* One message, as the table has it. */
struct row {
	enum place place;
	bool is_fenced;
	uint32_t attempt;
	double due;
	uint64_t since; /* when it became ready, by steps */
	struct weiri_token token;
	struct weiri_token old; /* of the hand-over before */
	bool has_old;
};

struct bed {
	struct weiri_ledger ledger;
	struct weiri_timers timers;
	weir_allocator allocator;
	weir_sim *sim; /* NULL: real time */
	struct row rows[MESSAGES];
	size_t count;
	uint64_t turn;
	uint64_t state;
	double now;
	uint64_t seen[7]; /* rare paths */
};

static struct bed bed;

static void due(struct weiri_ledger *ledger)
{
	(void)ledger;
}

static const struct weiri_ledger_options options = {
	.window = WINDOW,
	.attempts_max = 3,
	.backoff = { .first = 2, .factor = 2, .maximum = 60 },
};

static void bed_open(bool is_virtual)
{
	memset(&bed, 0, sizeof(bed));
	bed.state = harness_seed();
	/* Far ahead, so that no timer of the real clock comes in between. */
	bed.now = 1e9;
	weiri_allocator_complete(&bed.allocator);
	if (is_virtual)
		CHECK_EQ(weir_sim_open(&bed.sim, NULL), 0);
	CHECK_EQ(weiri_timers_open(&bed.timers,
			 is_virtual ? weir_sim_clock(bed.sim) : weir_clock_real(), &bed.allocator),
		0);
	CHECK_EQ(weiri_ledger_open(&bed.ledger, &bed.timers, &bed.allocator, due), 0);
	CHECK_EQ(weiri_ledger_own(&bed.ledger, &bed, &options), 0);
}

static void bed_close(void)
{
	size_t cursor = 0, left = 0;

	weiri_ledger_disown(&bed.ledger);
	while (weiri_ledger_take_any(&bed.ledger, &cursor) != NULL)
		left++;
	for (size_t i = 0; i < bed.count; i++)
		left -= bed.rows[i].place != NOWHERE;
	CHECK_EQ(left, 0);
	CHECK_EQ(bed.ledger.used, 0);
	CHECK_EQ(bed.ledger.in_flight, 0);
	weiri_ledger_clean(&bed.ledger);
	weiri_ledger_close(&bed.ledger);
	weiri_timers_close(&bed.timers);
	if (bed.sim != NULL)
		CHECK_EQ(weir_sim_close(bed.sim), 0);
}

static size_t rows_in(enum place place)
{
	size_t count = 0;

	for (size_t i = 0; i < bed.count; i++)
		count += bed.rows[i].place == place;
	return count;
}

static size_t used(void)
{
	return rows_in(HELD) + rows_in(DELAYED) + rows_in(READY);
}

/* The row that became ready first. */
static struct row *ready_first(void)
{
	struct row *first = NULL;

	for (size_t i = 0; i < bed.count; i++)
		if (bed.rows[i].place == READY &&
			(first == NULL || bed.rows[i].since < first->since))
			first = &bed.rows[i];
	return first;
}

static void row_wait(struct row *row, double delay)
{
	row->place = delay > 0 ? DELAYED : READY;
	row->due = delay > 0 ? bed.now + delay : WEIR_FOREVER;
	row->since = bed.turn;
}

static void row_hold(struct row *row, const struct weiri_handed *handed, double deadline)
{
	CHECK(handed->value == row);
	row->has_old = row->attempt > 0;
	row->old = row->token;
	row->token = handed->token;
	row->attempt++;
	row->place = HELD;
	row->is_fenced = false;
	row->due = deadline;
	CHECK_EQ(handed->attempt, row->attempt);
	CHECK(!(handed->deadline < deadline || handed->deadline > deadline));
}

static void hand_out(void)
{
	/* Real deadlines, none in order, and some that never come. */
	const double deadline =
		harness_random_below(&bed.state, 16) == 0
			? WEIR_FOREVER
			: bed.now + 1 + (double)harness_random_below(&bed.state, 20);
	struct row *ready = ready_first();
	struct weiri_handed handed;

	CHECK_EQ(weiri_ledger_has_ready(&bed.ledger, 0, 0), ready != NULL);
	CHECK_EQ(weiri_ledger_has_room(&bed.ledger), used() < WINDOW);
	if (ready != NULL) {
		weiri_ledger_hand_out_again(&bed.ledger, deadline, &handed);
		row_hold(ready, &handed, deadline);
	} else if (used() < WINDOW && bed.count < MESSAGES) {
		weiri_ledger_hand_out(&bed.ledger, &bed.rows[bed.count], deadline, &handed);
		row_hold(&bed.rows[bed.count++], &handed, deadline);
	} else {
		bed.seen[0]++;
	}
}

/* The row of the earliest hand-over that can be settled, if it came before this. */
static struct row *open_first(uint64_t generation)
{
	struct row *first = NULL;

	for (size_t i = 0; i < bed.count; i++) {
		struct row *row = &bed.rows[i];

		if (row->place == NOWHERE || row->is_fenced || row->token.generation >= generation)
			continue;
		if (first == NULL || row->token.generation < first->token.generation)
			first = row;
	}
	return first;
}

static void acknowledge_earlier(uint64_t generation)
{
	struct row *first;

	while ((first = open_first(generation)) != NULL) {
		CHECK(weiri_ledger_acknowledge_earlier(&bed.ledger, NULL, generation) == first);
		first->place = NOWHERE;
		bed.seen[6]++;
	}
	CHECK(weiri_ledger_acknowledge_earlier(&bed.ledger, NULL, generation) == NULL);
}

/* A verb on any of the last messages, by its last token or the one before. */
static void settle(void)
{
	const size_t back = (size_t)harness_random_below(&bed.state, 3 * WINDOW) + 1;
	struct row *row = bed.count < back ? NULL : &bed.rows[bed.count - back];
	struct weiri_exhausted gone;
	const bool is_last = row != NULL && row->attempt >= options.attempts_max;
	bool is_old, is_held;
	struct weiri_token token;

	if (row == NULL)
		return;
	is_old = row->has_old && harness_random_below(&bed.state, 4) == 0;
	is_held = !is_old && row->place == HELD;
	token = is_old ? row->old : row->token;
	bed.seen[1] += is_old;
	switch (harness_random_below(&bed.state, 6)) {
	case 0:
	case 1:
		if (is_old || row->place == NOWHERE || row->is_fenced) {
			CHECK(weiri_ledger_acknowledge(&bed.ledger, token) == NULL);
			break;
		}
		bed.seen[2] += row->place != HELD;
		CHECK(weiri_ledger_acknowledge(&bed.ledger, token) == row);
		row->place = NOWHERE;
		if (harness_random_below(&bed.state, 8) == 0)
			acknowledge_earlier(token.generation);
		break;
	case 2:
		CHECK_EQ(weiri_ledger_give_back(&bed.ledger, token,
				 &(struct weiri_returned){
					 .now = bed.now, .delay = 1, .is_counted = true },
				 &gone),
			!is_held ? WEIR_ESTALE : is_last);
		if (!is_held)
			break;
		row->is_fenced = true;
		row_wait(row, row->attempt == 1 ? 3 : 5);
		if (!is_last)
			break;
		CHECK(gone.value == row && gone.reason == WEIRI_LEDGER_NACKED);
		CHECK_EQ(gone.attempt, row->attempt);
		row->place = NOWHERE;
		bed.seen[3]++;
		break;
	case 3:
		CHECK_EQ(weiri_ledger_give_back(&bed.ledger, token,
				 &(struct weiri_returned){ .now = bed.now }, &gone),
			is_held ? 0 : WEIR_ESTALE);
		if (!is_held)
			break;
		row->is_fenced = true;
		row->attempt--;
		row_wait(row, 0);
		break;
	case 4:
		CHECK_EQ(weiri_ledger_extend(&bed.ledger, token, bed.now + 7),
			is_held ? 0 : WEIR_ESTALE);
		if (is_held)
			row->due = bed.now + 7;
		break;
	default:
		if (harness_random_below(&bed.state, 4) != 0)
			break;
		CHECK_EQ(weiri_ledger_reject(&bed.ledger, token, NULL, &gone),
			is_held ? 0 : WEIR_ESTALE);
		if (is_held)
			row->place = NOWHERE;
		break;
	}
}

/* What the ledger did with the one that it found, if that was due. */
static void row_expire(struct row *row, int result, const struct weiri_exhausted *gone)
{
	CHECK(row->place == HELD || row->place == DELAYED);
	CHECK(row->due <= bed.now);
	if (row->place == DELAYED) {
		CHECK_EQ(result, 1);
		row_wait(row, 0);
	} else if (row->attempt >= options.attempts_max) {
		CHECK_EQ(result, 2);
		CHECK(gone->value == row && gone->reason == WEIRI_LEDGER_TIMED_OUT);
		row->place = NOWHERE;
		bed.seen[4]++;
	} else {
		CHECK_EQ(result, 1);
		row_wait(row, row->attempt == 1 ? 2 : 4);
		bed.seen[5]++;
	}
}

/* In real time the order among those that are due at once is the ledger's. */
static struct row *row_expired(int result, const struct weiri_exhausted *gone)
{
	if (result == 2)
		return gone->value;
	for (size_t i = 0; i < bed.count; i++) {
		struct row *row = &bed.rows[i];
		const struct weiri_ledger_entry *entry = &bed.ledger.entries[row->token.index];

		if ((row->place != HELD && row->place != DELAYED) || entry->value != row)
			continue;
		if (entry->state == WEIRI_LEDGER_READY ||
			(entry->state == WEIRI_LEDGER_DELAYED && row->place == HELD))
			return row;
	}
	return NULL;
}

static void expire_real(void)
{
	struct weiri_exhausted gone;
	bool is_ready;
	int result;

	while ((result = weiri_ledger_expire_next(&bed.ledger, bed.now, 0, &is_ready, &gone)) !=
		0) {
		bed.turn++;
		CHECK(row_expired(result, &gone) != NULL || result == 2);
		row_expire(result == 2 ? gone.value : row_expired(result, &gone), result, &gone);
	}
}

/* In virtual time each has an event, which the simulation would call. */
static void expire_virtual(void)
{
	for (size_t i = 0; i < bed.count; i++) {
		struct row *row = &bed.rows[i];
		struct weiri_exhausted gone;
		bool is_ready;

		if ((row->place != HELD && row->place != DELAYED) || row->due > bed.now)
			continue;
		bed.turn++;
		bed.ledger.fired = &bed.ledger.entries[row->token.index];
		row_expire(row, weiri_ledger_expire_next(&bed.ledger, bed.now, 0, &is_ready, &gone),
			&gone);
		CHECK_EQ(weiri_ledger_expire_next(&bed.ledger, bed.now, 0, &is_ready, &gone), 0);
	}
}

static void random_operations(bool is_virtual)
{
	bed_open(is_virtual);
	for (int step = 0; step < STEPS; step++) {
		const uint64_t what = harness_random_below(&bed.state, 10);

		bed.turn++;
		if (what < 3)
			hand_out();
		else if (what < 8)
			settle();
		else if (what == 8)
			bed.now += (double)harness_random_below(&bed.state, 4);
		else if (is_virtual)
			expire_virtual();
		else
			expire_real();
		CHECK_EQ(bed.ledger.used, used());
		CHECK_EQ(bed.ledger.in_flight, rows_in(HELD));
	}
	/* A full window, old tokens, late wins, last nacks and timeouts, other
	 * timeouts, earlier ones acknowledged. */
	for (int i = 0; i < 7; i++)
		CHECK(bed.seen[i] > 0);
	bed_close();
}

WEIR_TEST(ledger, does_in_real_time_what_a_plain_table_does)
{
	random_operations(false);
}

WEIR_TEST(ledger, does_in_virtual_time_what_a_plain_table_does)
{
	random_operations(true);
}

WEIR_TEST(ledger, tokens_of_an_owner_are_stale_for_the_next)
{
	struct weiri_handed handed;
	size_t cursor = 0;
	int value;

	bed_open(false);
	weiri_ledger_hand_out(&bed.ledger, &value, WEIR_FOREVER, &handed);
	weiri_ledger_disown(&bed.ledger);
	CHECK(weiri_ledger_acknowledge(&bed.ledger, handed.token) == NULL);
	CHECK(weiri_ledger_take_any(&bed.ledger, &cursor) == &value);
	weiri_ledger_clean(&bed.ledger);
	CHECK_EQ(weiri_ledger_own(&bed.ledger, &bed, &options), 0);
	CHECK(weiri_ledger_acknowledge(&bed.ledger, handed.token) == NULL);
	bed.rows[0].token = handed.token;
	weiri_ledger_hand_out(&bed.ledger, &value, WEIR_FOREVER, &handed);
	CHECK_EQ(handed.token.index, bed.rows[0].token.index);
	CHECK(weiri_ledger_acknowledge(&bed.ledger, bed.rows[0].token) == NULL);
	CHECK(weiri_ledger_acknowledge(&bed.ledger, handed.token) == &value);
	bed_close();
}

static void *holders[2] = { &holders[0], &holders[1] };
static unsigned int events[WEIRI_LEDGER_DISCARDED + 1];

static void watch(struct weiri_ledger *ledger, struct weiri_ledger_entry *entry,
	enum weiri_ledger_change change)
{
	(void)ledger;
	CHECK(entry->holder == holders[0] || entry->holder == holders[1]);
	events[change]++;
}

WEIR_TEST(ledger, a_holder_that_goes_gives_back_what_it_has_first_and_in_order)
{
	struct weiri_handed handed[4], again;
	struct weiri_exhausted exhausted;
	int values[4];

	bed_open(false);
	memset(events, 0, sizeof(events));
	bed.ledger.watch = watch;
	for (int i = 0; i < 4; i++) {
		bed.ledger.taker = holders[i % 2];
		weiri_ledger_hand_out(&bed.ledger, &values[i], WEIR_FOREVER, &handed[i]);
	}
	CHECK(weiri_ledger_holder(&bed.ledger, handed[1].token) == holders[1]);
	/* What the other one has is not touched by "all earlier ones". */
	CHECK(weiri_ledger_acknowledge_earlier(
		      &bed.ledger, holders[1], handed[3].token.generation) == &values[1]);
	CHECK(weiri_ledger_acknowledge_earlier(
		      &bed.ledger, holders[1], handed[3].token.generation) == NULL);
	CHECK_EQ(weiri_ledger_take_back(&bed.ledger, holders[0], &exhausted), 1);
	CHECK_EQ(weiri_ledger_take_back(&bed.ledger, holders[0], &exhausted), 1);
	CHECK_EQ(weiri_ledger_take_back(&bed.ledger, holders[0], &exhausted), 0);
	CHECK(weiri_ledger_acknowledge(&bed.ledger, handed[0].token) == NULL);
	CHECK(weiri_ledger_ready_value(&bed.ledger) == &values[0]);
	weiri_ledger_ready_prefer(&bed.ledger, bed.ledger.ready.last);
	CHECK(weiri_ledger_ready_value(&bed.ledger) == &values[2]);
	bed.ledger.taker = holders[1];
	/* Its third attempt is the last. */
	for (int i = 0; i < 2; i++) {
		weiri_ledger_ready_prefer(&bed.ledger, bed.ledger.ready.last);
		weiri_ledger_hand_out_again(&bed.ledger, WEIR_FOREVER, &again);
		CHECK(again.value == (i == 0 ? &values[0] : &values[2]));
	}
	CHECK_EQ(weiri_ledger_take_back(&bed.ledger, holders[1], &exhausted), 1);
	CHECK_EQ(weiri_ledger_take_back(&bed.ledger, holders[1], &exhausted), 1);
	CHECK_EQ(weiri_ledger_take_back(&bed.ledger, holders[1], &exhausted), 1);
	CHECK_EQ(weiri_ledger_take_back(&bed.ledger, holders[1], &exhausted), 0);
	weiri_ledger_ready_prefer(&bed.ledger, bed.ledger.ready.first->next);
	weiri_ledger_hand_out_again(&bed.ledger, WEIR_FOREVER, &again);
	CHECK(again.value == &values[0]);
	CHECK_EQ(again.attempt, 3);
	CHECK_EQ(weiri_ledger_take_back(&bed.ledger, holders[1], &exhausted), 2);
	CHECK(exhausted.value == &values[0]);
	CHECK_EQ(events[WEIRI_LEDGER_HANDED_OUT], 7);
	CHECK_EQ(events[WEIRI_LEDGER_RETURNED], 5);
	CHECK_EQ(events[WEIRI_LEDGER_SETTLED], 1);
	CHECK_EQ(events[WEIRI_LEDGER_FAILED], 1);
	while (bed.ledger.ready.first != NULL)
		weiri_ledger_ready_drop(&bed.ledger, &exhausted);
	bed.ledger.watch = NULL;
	bed_close();
}
