/* SPDX-License-Identifier: BSD-2-Clause */
/* A hash table of keys in hand. */
#include "delivery/group_keys.h"

#include <weir/error.h>

#define SLAB_KEYS 64

struct weiri_group_keys_slab {
	struct weiri_group_keys_slab *next;
	struct weiri_group_key keys[SLAB_KEYS];
};

static struct weiri_group_key **bucket_of(const struct weiri_group_keys *keys, uint64_t key)
{
	return &keys->buckets[weiri_random_mix(key ^ keys->secret) & (keys->bucket_count - 1)];
}

static void idle_add(struct weiri_group_keys *keys, struct weiri_group_key *key)
{
	key->next = keys->idle;
	keys->idle = key;
}

/* So many buckets, a power of two. */
static int buckets_grow(struct weiri_group_keys *keys, size_t count)
{
	struct weiri_group_key **old = keys->buckets;
	size_t old_count = keys->bucket_count;
	struct weiri_group_key **buckets = weiri_allocate(
		keys->allocator, count * sizeof(struct weiri_group_key *), sizeof(void *));

	if (buckets == NULL)
		return WEIR_ENOMEM;
	keys->buckets = buckets;
	keys->bucket_count = count;
	for (size_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			struct weiri_group_key *key = old[i];
			struct weiri_group_key **bucket = bucket_of(keys, key->key);

			old[i] = key->next;
			key->next = *bucket;
			*bucket = key;
		}
	}
	weiri_deallocate(keys->allocator, old, old_count * sizeof(struct weiri_group_key *));
	return 0;
}

int weiri_group_keys_reserve(struct weiri_group_keys *keys, size_t count)
{
	size_t buckets = keys->bucket_count != 0 ? keys->bucket_count : SLAB_KEYS;

	while (buckets < count)
		buckets *= 2;
	if (buckets > keys->bucket_count && buckets_grow(keys, buckets) != 0)
		return WEIR_ENOMEM;
	while (keys->size < count) {
		struct weiri_group_keys_slab *slab =
			weiri_allocate(keys->allocator, sizeof(*slab), WEIRI_CACHE_LINE);

		if (slab == NULL)
			return WEIR_ENOMEM;
		slab->next = keys->slabs;
		keys->slabs = slab;
		keys->size += SLAB_KEYS;
		for (size_t i = SLAB_KEYS; i-- > 0;)
			idle_add(keys, &slab->keys[i]);
	}
	return 0;
}

void weiri_group_keys_close(struct weiri_group_keys *keys)
{
	while (keys->slabs != NULL) {
		struct weiri_group_keys_slab *slab = keys->slabs;

		keys->slabs = slab->next;
		weiri_deallocate(keys->allocator, slab, sizeof(*slab));
	}
	weiri_deallocate(keys->allocator, keys->buckets,
		keys->bucket_count * sizeof(struct weiri_group_key *));
}

struct weiri_group_key **weiri_group_keys_place(const struct weiri_group_keys *keys, uint64_t key)
{
	struct weiri_group_key **place = bucket_of(keys, key);

	while (*place != NULL && (*place)->key != key)
		place = &(*place)->next;
	return place;
}

struct weiri_group_key *weiri_group_keys_make(struct weiri_group_keys *keys, uint64_t key)
{
	struct weiri_group_key **place = weiri_group_keys_place(keys, key);
	struct weiri_group_key *made = *place;

	if (made != NULL)
		return made;
	/* All else of an idle one is zero. */
	made = keys->idle;
	keys->idle = made->next;
	made->key = key;
	made->next = NULL;
	*place = made;
	keys->used++;
	return made;
}

void weiri_group_keys_remove(struct weiri_group_keys *keys, struct weiri_group_key **place)
{
	struct weiri_group_key *key = *place;

	*place = key->next;
	idle_add(keys, key);
	keys->used--;
}

struct weiri_group_key *weiri_group_keys_next(
	const struct weiri_group_keys *keys, const struct weiri_group_key *last, size_t *cursor)
{
	if (last != NULL && last->next != NULL)
		return last->next;
	while (*cursor < keys->bucket_count) {
		struct weiri_group_key *first = keys->buckets[(*cursor)++];

		if (first != NULL)
			return first;
	}
	return NULL;
}

void weiri_group_key_hold(struct weiri_group_key *key, void *holder)
{
	key->holder = holder;
	key->held++;
}

void weiri_group_key_let_go(struct weiri_group_key *key)
{
	key->held--;
	if (key->held == 0)
		key->holder = NULL;
}

void weiri_group_key_return(struct weiri_group_key *key, struct weiri_ledger_entry *entry)
{
	struct weiri_ledger_entry **link = &key->first;

	while (*link != NULL && (*link)->serial < entry->serial)
		link = &(*link)->next_of_kind;
	entry->next_of_kind = *link;
	*link = entry;
	key->returned++;
}

void weiri_group_key_resume(struct weiri_group_key *key, struct weiri_ledger_entry *entry)
{
	struct weiri_ledger_entry **link = &key->first;

	while (*link != entry)
		link = &(*link)->next_of_kind;
	*link = entry->next_of_kind;
	key->returned--;
}
