/* SPDX-License-Identifier: BSD-2-Clause */
/* Who of a group gets what, as numbers: shares, turns, and which keys move. */
#include "delivery/group_policy.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

#include "harness.h"

#define MEMBERS  9
#define MESSAGES 100000

struct bed {
	struct weiri_group_dealer dealer;
	struct weiri_group_candidate candidates[MEMBERS + 1];
	uint64_t got[MEMBERS];
};

static void bed_open(struct bed *bed, size_t count)
{
	memset(bed, 0, sizeof(*bed));
	bed->dealer.candidates = bed->candidates;
	bed->dealer.count = count;
	bed->dealer.secret = harness_seed();
	for (size_t i = 0; i < count; i++)
		bed->candidates[i] =
			(struct weiri_group_candidate){ .id = 100 + 7 * i, .weight = 1 };
}

WEIR_TEST(group_policy, round_robin_takes_each_in_turn_and_skips_whom_it_should)
{
	static const size_t turns[] = { 0, 1, 2, 0, 1, 2, 0 };
	struct bed bed;

	bed_open(&bed, 3);
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++)
		CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_ROUND_ROBIN), turns[i]);
	bed.candidates[1].standing = WEIRI_GROUP_SUSPECT;
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_ROUND_ROBIN), 2);
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_ROUND_ROBIN), 0);
	bed.candidates[0].standing = bed.candidates[2].standing = WEIRI_GROUP_AWAY;
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_ROUND_ROBIN), 1);
	bed.candidates[1].standing = WEIRI_GROUP_AWAY;
	for (int policy = 0; policy <= WEIR_GROUP_SINGLE_ACTIVE; policy++)
		CHECK_EQ(weiri_group_deal(&bed.dealer, (weir_group_policy)policy),
			WEIRI_GROUP_NOBODY);
	CHECK_EQ(weiri_group_deal_key(&bed.dealer, 1), WEIRI_GROUP_NOBODY);
}

WEIR_TEST(group_policy, who_leaves_does_not_disturb_the_turn_of_the_others)
{
	struct bed bed;

	bed_open(&bed, 4);
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_ROUND_ROBIN), 0);
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_ROUND_ROBIN), 1);
	weiri_group_dealer_remove(&bed.dealer, 0);
	/* The third, who is the second now. */
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_ROUND_ROBIN), 1);
	weiri_group_dealer_remove(&bed.dealer, 2);
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_ROUND_ROBIN), 0);
	weiri_group_dealer_remove(&bed.dealer, 1);
	weiri_group_dealer_remove(&bed.dealer, 0);
	CHECK_EQ(bed.dealer.count, 0);
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_WEIGHTED), WEIRI_GROUP_NOBODY);
}

WEIR_TEST(group_policy, weights_are_kept_within_one_percent_and_smoothly)
{
	static const uint32_t weights[] = { 5, 1, 1, 13, 40 };
	struct bed bed;
	size_t run = 0, longest = 0, last = MEMBERS;

	bed_open(&bed, 5);
	for (size_t i = 0; i < 5; i++)
		bed.candidates[i].weight = weights[i];
	for (int i = 0; i < MESSAGES; i++) {
		size_t index = weiri_group_deal(&bed.dealer, WEIR_GROUP_WEIGHTED);

		bed.got[index]++;
		run = index == last ? run + 1 : 1;
		longest = run > longest ? run : longest;
		last = index;
	}
	for (size_t i = 0; i < 5; i++) {
		double due = MESSAGES * (double)weights[i] / 60;

		CHECK(fabs((double)bed.got[i] - due) <= due / 100);
	}
	/* The heaviest has two thirds: never more than three or so in a row. */
	CHECK(longest <= 4);
}

WEIR_TEST(group_policy, two_to_one_is_a_b_a)
{
	static const size_t turns[] = { 0, 1, 0, 0, 1, 0 };
	struct bed bed;

	bed_open(&bed, 2);
	bed.candidates[0].weight = 2;
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++)
		CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_WEIGHTED), turns[i]);
}

WEIR_TEST(group_policy, least_loaded_takes_the_least_and_equals_in_turn)
{
	static const uint64_t loads[] = { 3, 1, 1, 2 };
	struct bed bed;

	bed_open(&bed, 4);
	for (size_t i = 0; i < 4; i++)
		bed.candidates[i].load = loads[i];
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_LEAST_LOADED), 1);
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_LEAST_LOADED), 2);
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_LEAST_LOADED), 1);
	bed.candidates[1].standing = WEIRI_GROUP_SUSPECT;
	bed.candidates[2].standing = WEIRI_GROUP_AWAY;
	CHECK_EQ(weiri_group_deal(&bed.dealer, WEIR_GROUP_LEAST_LOADED), 3);
}

WEIR_TEST(group_policy, keys_are_spread_evenly_and_stay_when_others_come_and_go)
{
	static uint64_t ids[MESSAGES];
	struct bed bed;

	for (size_t count = 2; count <= MEMBERS; count++) {
		size_t moved = 0;

		bed_open(&bed, count);
		for (uint64_t key = 0; key < MESSAGES; key++) {
			size_t index = weiri_group_deal_key(&bed.dealer, key);

			bed.got[index]++;
			ids[key] = bed.candidates[index].id;
		}
		for (size_t i = 0; i < count; i++) {
			double due = (double)MESSAGES / (double)count;

			CHECK(fabs((double)bed.got[i] - due) <= due / 20);
		}
		/* One leaves: its keys move, and no other one. */
		weiri_group_dealer_remove(&bed.dealer, count / 2);
		for (uint64_t key = 0; key < MESSAGES; key++) {
			size_t index = weiri_group_deal_key(&bed.dealer, key);

			if (bed.candidates[index].id == ids[key])
				continue;
			CHECK_EQ(ids[key], 100 + 7 * (count / 2));
			moved++;
		}
		CHECK((double)moved <= 1.2 * MESSAGES / (double)count);
		/* It is there again under another name: it takes as many. */
		bed.candidates[count - 1] =
			(struct weiri_group_candidate){ .id = 5000 + count, .weight = 1 };
		bed.dealer.count++;
		moved = 0;
		for (uint64_t key = 0; key < MESSAGES; key++)
			moved += weiri_group_deal_key(&bed.dealer, key) == count - 1;
		CHECK((double)moved <= 1.2 * MESSAGES / (double)count);
	}
}

WEIR_TEST(group_policy, what_was_drawn_is_remembered_until_somebody_comes_or_goes)
{
	static struct weiri_group_drawn drawn[WEIRI_GROUP_DRAWN];
	struct weiri_random random = weiri_random_stream(harness_seed(), 0);
	struct bed bed;

	bed_open(&bed, MEMBERS);
	memset(drawn, 0, sizeof(drawn));
	bed.dealer.round = 1;
	for (int i = 0; i < MESSAGES; i++) {
		/* More keys than are remembered. */
		uint64_t key = weiri_random_below(&random, 3 * WEIRI_GROUP_DRAWN);
		size_t index = weiri_group_deal_key(&bed.dealer, key);

		bed.dealer.drawn = drawn;
		CHECK_EQ(weiri_group_deal_key(&bed.dealer, key), index);
		CHECK_EQ(weiri_group_deal_key(&bed.dealer, key), index);
		bed.dealer.drawn = NULL;
		for (size_t other = 0; other < MEMBERS && index != WEIRI_GROUP_NOBODY; other++)
			CHECK(other == index ||
				bed.candidates[other].standing == WEIRI_GROUP_AWAY ||
				weiri_group_draw_wins(&bed.dealer, key, index, other));
		if (i % 100 != 0)
			continue;
		bed.candidates[weiri_random_below(&random, MEMBERS)].standing =
			i % 200 == 0 ? WEIRI_GROUP_AWAY : WEIRI_GROUP_GOOD;
		weiri_group_dealer_change(&bed.dealer);
	}
}
