/* SPDX-License-Identifier: BSD-2-Clause */
/* A window of ids: a ring of entries, chained by id. */
#include "delivery/dedupe.h"

#include "base/random.h"
#include <weir/error.h>

static struct weiri_dedupe_entry *entry_at(struct weiri_dedupe *dedupe, uint64_t position)
{
	return &dedupe->entries[(position - 1) % dedupe->count_max];
}

static uint64_t *chain_of(struct weiri_dedupe *dedupe, uint64_t id)
{
	return &dedupe->chains[weiri_random_mix(id ^ dedupe->secret) & (dedupe->chain_count - 1)];
}

static void arrays_free(struct weiri_dedupe *dedupe, const weir_allocator *allocator)
{
	weiri_deallocate(allocator, dedupe->entries, dedupe->count_max * sizeof(*dedupe->entries));
	weiri_deallocate(allocator, dedupe->chains, dedupe->chain_count * sizeof(*dedupe->chains));
	weiri_deallocate(allocator, dedupe, sizeof(*dedupe));
}

int weiri_dedupe_open(struct weiri_dedupe **dedupe, struct weir_clock *clock, size_t count,
	double seconds, uint64_t secret, const weir_allocator *allocator)
{
	struct weiri_dedupe *made = weiri_allocate(allocator, sizeof(*made), WEIRI_CACHE_LINE);

	if (made == NULL)
		return WEIR_ENOMEM;
	made->clock = clock;
	made->seconds = seconds;
	made->secret = secret;
	made->count_max = count;
	made->chain_count = 1;
	while (made->chain_count < count)
		made->chain_count *= 2;
	made->first = 1;
	made->end = 1;
	made->entries = weiri_allocate(allocator, count * sizeof(*made->entries), sizeof(void *));
	made->chains = weiri_allocate(
		allocator, made->chain_count * sizeof(*made->chains), sizeof(void *));
	if (made->entries == NULL || made->chains == NULL) {
		arrays_free(made, allocator);
		return WEIR_ENOMEM;
	}
	if (pthread_mutex_init(&made->mutex, NULL) != 0) {
		arrays_free(made, allocator);
		return WEIR_ESYSTEM;
	}
	*dedupe = made;
	return 0;
}

void weiri_dedupe_close(struct weiri_dedupe *dedupe, const weir_allocator *allocator)
{
	if (dedupe == NULL)
		return;
	(void)pthread_mutex_destroy(&dedupe->mutex);
	arrays_free(dedupe, allocator);
}

/* The link to the entry of this id: in its chain's head or in an entry of it. */
static uint64_t *link_find(struct weiri_dedupe *dedupe, uint64_t id)
{
	uint64_t *link = chain_of(dedupe, id);

	while (*link != 0 && entry_at(dedupe, *link)->id != id)
		link = &entry_at(dedupe, *link)->next;
	return link;
}

static void known_remove(struct weiri_dedupe *dedupe, struct weiri_dedupe_entry *entry)
{
	if (!entry->is_known)
		return;
	*link_find(dedupe, entry->id) = entry->next;
	entry->is_known = false;
}

/* Those that are too old, and one more if there is no room. */
static void room_make(struct weiri_dedupe *dedupe, double now)
{
	while (dedupe->first < dedupe->end) {
		struct weiri_dedupe_entry *entry = entry_at(dedupe, dedupe->first);

		if (entry->is_known && entry->until > now &&
			dedupe->end - dedupe->first < dedupe->count_max)
			return;
		known_remove(dedupe, entry);
		dedupe->first++;
	}
}

/* Mutex held: the one of this id that is known at this instant; NULL: none. */
static struct weiri_dedupe_entry *known_find(struct weiri_dedupe *dedupe, uint64_t id, double now)
{
	uint64_t position = *link_find(dedupe, id);

	if (position == 0 || entry_at(dedupe, position)->until <= now)
		return NULL;
	return entry_at(dedupe, position);
}

static void enter(struct weiri_dedupe *dedupe, uint64_t id, uint64_t number, double now)
{
	struct weiri_dedupe_entry *entry;
	uint64_t *chain;

	room_make(dedupe, now);
	chain = chain_of(dedupe, id);
	entry = entry_at(dedupe, dedupe->end);
	*entry = (struct weiri_dedupe_entry){
		.id = id,
		.number = number,
		.until = now + dedupe->seconds,
		.next = *chain,
		.is_known = true,
	};
	*chain = dedupe->end++;
}

bool weiri_dedupe_enter(
	struct weiri_dedupe *dedupe, uint64_t id, _Atomic uint64_t *numbers, uint64_t *number)
{
	const struct weiri_dedupe_entry *known;
	double now;

	(void)pthread_mutex_lock(&dedupe->mutex);
	/* In here, so that later entries are never older. */
	now = weiri_clock_now(dedupe->clock);
	known = known_find(dedupe, id, now);
	if (known != NULL) {
		*number = known->number;
		dedupe->duplicates++;
	} else {
		*number = numbers != NULL ? weiri_add_relaxed(numbers, 1) + 1 : 0;
		enter(dedupe, id, *number, now);
	}
	(void)pthread_mutex_unlock(&dedupe->mutex);
	return known == NULL;
}

/* Mutex held: the one of this id without a number; NULL: none. */
static struct weiri_dedupe_entry *unnumbered_find(struct weiri_dedupe *dedupe, uint64_t id)
{
	uint64_t position = *link_find(dedupe, id);

	return position != 0 && entry_at(dedupe, position)->number == 0 ? entry_at(dedupe, position)
									: NULL;
}

void weiri_dedupe_number(struct weiri_dedupe *dedupe, uint64_t id, uint64_t number)
{
	struct weiri_dedupe_entry *entry;

	(void)pthread_mutex_lock(&dedupe->mutex);
	entry = unnumbered_find(dedupe, id);
	if (entry != NULL)
		entry->number = number;
	(void)pthread_mutex_unlock(&dedupe->mutex);
}

void weiri_dedupe_forget(struct weiri_dedupe *dedupe, uint64_t id)
{
	struct weiri_dedupe_entry *entry;

	(void)pthread_mutex_lock(&dedupe->mutex);
	entry = unnumbered_find(dedupe, id);
	if (entry != NULL)
		known_remove(dedupe, entry);
	(void)pthread_mutex_unlock(&dedupe->mutex);
}

uint64_t weiri_dedupe_duplicates(struct weiri_dedupe *dedupe)
{
	uint64_t duplicates;

	(void)pthread_mutex_lock(&dedupe->mutex);
	duplicates = dedupe->duplicates;
	(void)pthread_mutex_unlock(&dedupe->mutex);
	return duplicates;
}
