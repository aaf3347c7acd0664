/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reclaim: when memory that a publisher may be reading can be freed.
 *
 * ck_epoch.  A publisher reads snapshots, subscriptions and topic tables inside
 * a section; whoever has taken such a thing out of sight waits for a grace
 * period, after which no section that could have seen it is open, and frees it.
 * A section never waits for anything: what has to wait leaves it first.
 *
 * A section says that it is open, then reads; who waits has taken the thing out of
 * sight, then looks for open sections: of two full fences, that of ck_epoch_begin is
 * spared where there are asymmetric ones, by a heavy fence before the look.
 *
 * Each publisher has a member of its own, used by one thread at a time.  Members
 * are recycled and freed with the broker, since ck_epoch cannot unlink a record.
 * In virtual time there is none (NULL): with one thread, and no wait inside a
 * section, nobody who frees something can meet an open section.
 */
#ifndef WEIRI_RECLAIM_H
#define WEIRI_RECLAIM_H

#include <ck_epoch.h>
#include <ck_pr.h>

#include "base/allocator.h"
#include "base/fence.h"

struct weiri_reclaim_member {
	ck_epoch_record_t record;
	bool is_asymmetric;                /* as its reclaim */
	struct weiri_reclaim_member *next; /* of all */
	struct weiri_reclaim_member *next_idle;
};

struct weiri_reclaim {
	ck_epoch_t epoch;
	bool is_asymmetric; /* its fences (base/fence.h) */
	struct weiri_reclaim_member *all;
	struct weiri_reclaim_member *idle;
};

void weiri_reclaim_open(struct weiri_reclaim *reclaim, bool is_asymmetric);
void weiri_reclaim_close(struct weiri_reclaim *reclaim, const weir_allocator *allocator);

/* A member of one's own, or NULL: no memory.  join and leave are serialized by
 * the caller. */
struct weiri_reclaim_member *weiri_reclaim_join(
	struct weiri_reclaim *reclaim, const weir_allocator *allocator);
void weiri_reclaim_leave(struct weiri_reclaim *reclaim, struct weiri_reclaim_member *member);

/* Wait until every section that was open at the call has ended.  Yields the
 * processor while it waits.  Threads: any; not inside a section. */
void weiri_reclaim_wait(struct weiri_reclaim *reclaim);

static inline void weiri_reclaim_begin(struct weiri_reclaim_member *member)
{
	if (member == NULL)
		return;
	if (member->is_asymmetric) {
		/* What ck_epoch_begin does, with the light fence. */
		ck_pr_store_uint(&member->record.active, 1);
		weiri_fence_light(true); /* E3 */
		ck_pr_store_uint(
			&member->record.epoch, ck_pr_load_uint(&member->record.global->epoch));
	} else {
		ck_epoch_begin(&member->record, NULL);
	}
	/* ck 0.7.1 lacks this order off x86: the section must not read anything
	 * before it has said which epoch it is in.  Costs nothing on x86. */
	ck_pr_fence_load();
}

static inline void weiri_reclaim_end(
	struct weiri_reclaim *reclaim, struct weiri_reclaim_member *member)
{
	if (member == NULL)
		return;
	/* E1 (pairs with E2 in wait): what the section read comes before what
	 * is done after the grace period. */
	weiri_annotate_release(reclaim);
	ck_epoch_end(&member->record, NULL);
}

#endif
