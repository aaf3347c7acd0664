/* SPDX-License-Identifier: BSD-2-Clause */
/* Round robin, smooth weights, least loaded, rendezvous. */
#include "delivery/group_policy.h"

#include "base/random.h"

static size_t next_of(const struct weiri_group_dealer *dealer, size_t index)
{
	return index + 1 < dealer->count ? index + 1 : 0;
}

/* Each of these: among those of the standing; WEIRI_GROUP_NOBODY: there are none. */

static size_t turn_deal(struct weiri_group_dealer *dealer, uint8_t standing)
{
	size_t index = dealer->turn;

	for (size_t i = 0; i < dealer->count; i++) {
		size_t next = next_of(dealer, index);

		if (dealer->candidates[index].standing == standing) {
			dealer->turn = next;
			return index;
		}
		index = next;
	}
	return WEIRI_GROUP_NOBODY;
}

static size_t load_deal(struct weiri_group_dealer *dealer, uint8_t standing)
{
	size_t best = WEIRI_GROUP_NOBODY;
	size_t index = dealer->turn;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < dealer->count; i++) {
		const struct weiri_group_candidate *one = &dealer->candidates[index];

		if (one->load < least && one->standing == standing) {
			best = index;
			least = one->load;
		}
		index = next_of(dealer, index);
	}
	if (best != WEIRI_GROUP_NOBODY)
		dealer->turn = next_of(dealer, best);
	return best;
}

/* Each is owed its weight at every turn; who is owed most gets it, and owes the sum. */
static size_t weight_deal(struct weiri_group_dealer *dealer, uint8_t standing)
{
	size_t best = WEIRI_GROUP_NOBODY;
	int64_t sum = 0, most = 0;

	for (size_t i = 0; i < dealer->count; i++) {
		struct weiri_group_candidate *one = &dealer->candidates[i];

		if (one->standing != standing)
			continue;
		one->current += one->weight;
		sum += one->weight;
		if (best == WEIRI_GROUP_NOBODY || one->current > most) {
			best = i;
			most = one->current;
		}
	}
	if (best != WEIRI_GROUP_NOBODY)
		dealer->candidates[best].current -= sum;
	return best;
}

static size_t standing_deal(
	struct weiri_group_dealer *dealer, weir_group_policy policy, uint8_t standing)
{
	switch (policy) {
	case WEIR_GROUP_ROUND_ROBIN:
		return turn_deal(dealer, standing);
	case WEIR_GROUP_WEIGHTED:
		return weight_deal(dealer, standing);
	case WEIR_GROUP_SHARED:
	case WEIR_GROUP_LEAST_LOADED:
	case WEIR_GROUP_KEY:
	case WEIR_GROUP_SINGLE_ACTIVE:
		break;
	}
	return load_deal(dealer, standing);
}

size_t weiri_group_deal(struct weiri_group_dealer *dealer, weir_group_policy policy)
{
	size_t index = standing_deal(dealer, policy, WEIRI_GROUP_GOOD);

	return index != WEIRI_GROUP_NOBODY ? index
					   : standing_deal(dealer, policy, WEIRI_GROUP_SUSPECT);
}

static uint64_t draw(const struct weiri_group_candidate *candidate, uint64_t mixed)
{
	return weiri_random_mix(mixed + candidate->id * UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t key_mix(const struct weiri_group_dealer *dealer, uint64_t key)
{
	return weiri_random_mix(key ^ dealer->secret);
}

/* Every member draws a number for the key, and the highest one wins: who comes or goes
 * changes only what it wins itself. */
static size_t all_draw(const struct weiri_group_dealer *dealer, uint64_t mixed)
{
	size_t best = WEIRI_GROUP_NOBODY;
	uint64_t most = 0;

	for (size_t i = 0; i < dealer->count; i++) {
		const struct weiri_group_candidate *one = &dealer->candidates[i];
		uint64_t drawn;

		if (one->standing == WEIRI_GROUP_AWAY)
			continue;
		drawn = draw(one, mixed);
		if (best == WEIRI_GROUP_NOBODY || drawn > most) {
			best = i;
			most = drawn;
		}
	}
	return best;
}

/* Drawing takes as long as there are members; the same keys come again and again. */
size_t weiri_group_deal_key(const struct weiri_group_dealer *dealer, uint64_t key)
{
	uint64_t mixed = key_mix(dealer, key);
	struct weiri_group_drawn *drawn;

	if (dealer->drawn == NULL)
		return all_draw(dealer, mixed);
	drawn = &dealer->drawn[mixed % WEIRI_GROUP_DRAWN];
	if (drawn->key != key || drawn->round != dealer->round)
		*drawn = (struct weiri_group_drawn){
			.key = key,
			.round = dealer->round,
			.index = all_draw(dealer, mixed),
		};
	return drawn->index;
}

bool weiri_group_draw_wins(
	const struct weiri_group_dealer *dealer, uint64_t key, size_t index, size_t other)
{
	uint64_t mixed = key_mix(dealer, key);

	return draw(&dealer->candidates[index], mixed) > draw(&dealer->candidates[other], mixed);
}

void weiri_group_dealer_remove(struct weiri_group_dealer *dealer, size_t index)
{
	dealer->count--;
	for (size_t i = index; i < dealer->count; i++)
		dealer->candidates[i] = dealer->candidates[i + 1];
	if (dealer->turn > index)
		dealer->turn--;
	if (dealer->turn >= dealer->count)
		dealer->turn = 0;
}
