/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Group keys: which keys members of a group have in hand, or gave back; only those, so
 * there are no more of them than there are messages in flight.
 *
 * A key is blocked for a member if another one holds it, or if a message of it waits
 * for its next attempt.  What is queued of a blocked key is parked with the key as soon
 * as its member comes across it, so that the member's lane has only what it may take.
 *
 * Threads: one at a time.
 */
#ifndef WEIRI_GROUP_KEYS_H
#define WEIRI_GROUP_KEYS_H

#include "delivery/ledger.h"
#include "queue/store_lanes.h"

struct weiri_group_key {
	struct weiri_group_key *next; /* of the bucket, or idle */
	uint64_t key;
	void *holder;                     /* who has messages of it in hand; NULL: nobody */
	uint64_t held;                    /* how many */
	uint64_t returned;                /* messages that wait for their next attempt */
	struct weiri_ledger_entry *first; /* of those, the one that came first, ... */
	struct weiri_store_lane parked;
};

struct weiri_group_keys {
	const weir_allocator *allocator;
	uint64_t secret;
	struct weiri_group_key **buckets;
	size_t bucket_count; /* a power of two, or 0 */
	struct weiri_group_key *idle;
	struct weiri_group_keys_slab *slabs;
	size_t size; /* keys that there is memory for */
	size_t used;
};

/* Memory for `count` keys in all.  Returns 0 or WEIR_ENOMEM. */
int weiri_group_keys_reserve(struct weiri_group_keys *keys, size_t count);

/* All that is parked has gone. */
void weiri_group_keys_close(struct weiri_group_keys *keys);

/* Where the key is among those of its bucket, or would be. */
struct weiri_group_key **weiri_group_keys_place(const struct weiri_group_keys *keys, uint64_t key);

/* NULL: nobody has it. */
static inline struct weiri_group_key *weiri_group_keys_find(
	const struct weiri_group_keys *keys, uint64_t key)
{
	return keys->used > 0 ? *weiri_group_keys_place(keys, key) : NULL;
}

/* The same; made, within what is reserved, if it is not there. */
struct weiri_group_key *weiri_group_keys_make(struct weiri_group_keys *keys, uint64_t key);

/* Nobody has the one at this place any more. */
void weiri_group_keys_remove(struct weiri_group_keys *keys, struct weiri_group_key **place);

/* All keys, one after the other, in no order that means anything but always the same:
 * *cursor is 0 at first.  A key may be removed once the next one is known.  NULL: no
 * more. */
struct weiri_group_key *weiri_group_keys_next(
	const struct weiri_group_keys *keys, const struct weiri_group_key *last, size_t *cursor);

/* A member takes a message of the key in hand, or lets go of one. */
void weiri_group_key_hold(struct weiri_group_key *key, void *holder);
void weiri_group_key_let_go(struct weiri_group_key *key);

/* A message of it waits for its next attempt, or no more. */
void weiri_group_key_return(struct weiri_group_key *key, struct weiri_ledger_entry *entry);
void weiri_group_key_resume(struct weiri_group_key *key, struct weiri_ledger_entry *entry);

static inline bool weiri_group_key_is_blocked(const struct weiri_group_key *key, const void *member)
{
	return key->returned > 0 || (key->held > 0 && key->holder != member);
}

#endif
