/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Group policy: which of a group's members gets a message.  Pure: numbers in, an index
 * out, nothing of time or memory in it, so the same calls give the same answers.
 *
 * A member that is away is never picked; one that is suspect only if all that are not
 * away are.  Keys mind only who is away: they stay with their member.
 */
#ifndef WEIRI_GROUP_POLICY_H
#define WEIRI_GROUP_POLICY_H

#include <weir/group.h>

enum weiri_group_standing {
	WEIRI_GROUP_GOOD,
	WEIRI_GROUP_SUSPECT,
	WEIRI_GROUP_AWAY,
};

struct weiri_group_candidate {
	uint64_t id;     /* no two have the same */
	uint64_t load;   /* LEAST_LOADED */
	int64_t current; /* WEIGHTED: what it is owed; 0 at first */
	uint32_t weight;
	uint8_t standing;
};

/* What was drawn for a key, good for one round. */
struct weiri_group_drawn {
	uint64_t key;
	uint64_t round;
	size_t index;
};

#define WEIRI_GROUP_DRAWN 512

struct weiri_group_dealer {
	struct weiri_group_candidate *candidates; /* in the order in which they came */
	size_t count;
	size_t turn;                     /* where to look first */
	uint64_t secret;                 /* so that a stranger's keys cannot be made to meet */
	uint64_t round;                  /* not 0; another one for each weiri_group_dealer_change */
	struct weiri_group_drawn *drawn; /* WEIRI_GROUP_DRAWN of them, zero at first; or NULL */
};

#define WEIRI_GROUP_NOBODY SIZE_MAX

/* The index of who gets the next message without a key; WEIRI_GROUP_NOBODY: all are
 * away.  Not for SHARED and SINGLE_ACTIVE; for KEY as LEAST_LOADED. */
size_t weiri_group_deal(struct weiri_group_dealer *dealer, weir_group_policy policy);

/* The index of the key's member, or WEIRI_GROUP_NOBODY.  Changes nothing but what is
 * remembered of it in `drawn`. */
size_t weiri_group_deal_key(const struct weiri_group_dealer *dealer, uint64_t key);

/* Whether of these two the key is the first one's. */
bool weiri_group_draw_wins(
	const struct weiri_group_dealer *dealer, uint64_t key, size_t index, size_t other);

/* A candidate came, went away or is back: what was drawn is forgotten. */
static inline void weiri_group_dealer_change(struct weiri_group_dealer *dealer)
{
	dealer->round++;
}

/* The candidate leaves; those behind it move up. */
void weiri_group_dealer_remove(struct weiri_group_dealer *dealer, size_t index);

#endif
