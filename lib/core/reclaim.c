/* SPDX-License-Identifier: BSD-2-Clause */
/* Grace periods by ck_epoch. */
#include "core/reclaim.h"

#include "base/pause.h"

void weiri_reclaim_open(struct weiri_reclaim *reclaim, bool is_asymmetric)
{
	ck_epoch_init(&reclaim->epoch);
	reclaim->is_asymmetric = is_asymmetric;
}

void weiri_reclaim_close(struct weiri_reclaim *reclaim, const weir_allocator *allocator)
{
	while (reclaim->all != NULL) {
		struct weiri_reclaim_member *member = reclaim->all;

		reclaim->all = member->next;
		weiri_deallocate(allocator, member, sizeof(*member));
	}
}

struct weiri_reclaim_member *weiri_reclaim_join(
	struct weiri_reclaim *reclaim, const weir_allocator *allocator)
{
	struct weiri_reclaim_member *member = reclaim->idle;

	if (member != NULL) {
		reclaim->idle = member->next_idle;
		return member;
	}
	member = weiri_allocate(allocator, sizeof(*member), _Alignof(struct weiri_reclaim_member));
	if (member == NULL)
		return NULL;
	ck_epoch_register(&reclaim->epoch, &member->record, NULL);
	member->is_asymmetric = reclaim->is_asymmetric;
	member->next = reclaim->all;
	reclaim->all = member;
	return member;
}

void weiri_reclaim_leave(struct weiri_reclaim *reclaim, struct weiri_reclaim_member *member)
{
	if (member == NULL)
		return;
	member->next_idle = reclaim->idle;
	reclaim->idle = member;
}

static void section_wait(ck_epoch_t *epoch, ck_epoch_record_t *record, void *context)
{
	unsigned int *looks = context;

	(void)epoch;
	(void)record;
	weiri_pause((*looks)++);
}

void weiri_reclaim_wait(struct weiri_reclaim *reclaim)
{
	unsigned int looks = 0;

	/* E4 (pairs with E3): a section that is not seen to be open now reads only
	 * what is there now.  Without it one could read a thing that is being freed. */
	weiri_fence_heavy(reclaim->is_asymmetric);
	ck_epoch_synchronize_wait(&reclaim->epoch, section_wait, &looks);
	weiri_annotate_acquire(reclaim); /* E2 */
}
