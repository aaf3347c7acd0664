/* SPDX-License-Identifier: BSD-2-Clause */
/* Topics by name: open addressing. */
#include "core/topic_table.h"

#include <string.h>

#include "base/large_pages.h"
#include "base/prefetch.h"
#include <weir/error.h>

#define SIZE_FIRST 16

/* What stands in the place of a removed topic; only its address means anything. */
static const struct weiri_topic removed_mark;

static bool is_topic(const struct weiri_topic *topic)
{
	return topic != NULL && topic != &removed_mark;
}

static struct weiri_topic_place *place_at(struct weiri_topic_array *array, size_t i)
{
	return &array->places[i & (array->size - 1)];
}

static size_t array_bytes(size_t size)
{
	return sizeof(struct weiri_topic_array) + size * sizeof(struct weiri_topic_place);
}

static struct weiri_topic_array *array_open(size_t size, const weir_allocator *allocator)
{
	size_t bytes = array_bytes(size);
	struct weiri_topic_array *array = weiri_allocate_raw(allocator, bytes, WEIRI_CACHE_LINE);

	if (array == NULL)
		return NULL;
	/* Before it is touched. */
	weiri_large_pages_hint(array, bytes);
	memset(array, 0, bytes);
	array->size = size;
	return array;
}

int weiri_topic_table_open(struct weiri_topic_table *table, const weir_allocator *allocator)
{
	struct weiri_topic_array *array = array_open(SIZE_FIRST, allocator);

	if (array == NULL)
		return WEIR_ENOMEM;
	weiri_store_relaxed(&table->array, array);
	return 0;
}

void weiri_topic_table_close(struct weiri_topic_table *table, const weir_allocator *allocator)
{
	struct weiri_topic_array *array = weiri_load_relaxed(&table->array);

	weiri_deallocate(allocator, array, array_bytes(array->size));
}

struct weiri_topic *weiri_topic_table_find(
	struct weiri_topic_table *table, const char *name, size_t length, uint64_t hash)
{
	/* A1, A2 (pair with A3, A4): array and topic are complete when found. */
	struct weiri_topic_array *array = weiri_load_acquire(&table->array); /* A1 */

	for (size_t i = (size_t)hash;; i++) {
		struct weiri_topic_place *place = place_at(array, i);
		struct weiri_topic *topic = weiri_load_acquire(&place->topic); /* A2 */

		if (topic == NULL)
			return NULL;
		if (place->hash != hash || !is_topic(topic))
			continue;
		/* Where the name is, while the line before it is on its way. */
		weiri_prefetch_read(&topic->sequence);
		if (topic->name_length == length && memcmp(topic->name, name, length) == 0)
			return topic;
	}
}

/* The first place from the hash's own on with this in it. */
static struct weiri_topic_place *place_find(
	struct weiri_topic_array *array, uint64_t hash, const struct weiri_topic *content)
{
	size_t i = (size_t)hash;

	while (weiri_load_relaxed(&place_at(array, i)->topic) != content)
		i++;
	return place_at(array, i);
}

static void array_put(struct weiri_topic_array *array, struct weiri_topic *topic)
{
	struct weiri_topic_place *place = place_find(array, topic->hash, NULL);

	place->hash = topic->hash;
	weiri_store_release(&place->topic, topic); /* A4 */
}

/* A new array with places for at least twice the topics there are, without the marks. */
static int array_renew(struct weiri_topic_table *table, const weir_allocator *allocator,
	struct weiri_reclaim *reclaim)
{
	struct weiri_topic_array *old = weiri_load_relaxed(&table->array);
	struct weiri_topic_array *array;
	struct weiri_topic *topic;
	size_t size = SIZE_FIRST;
	size_t cursor = 0;

	while (size < 2 * (table->topics + 1))
		size *= 2;
	array = array_open(size, allocator);
	if (array == NULL)
		return WEIR_ENOMEM;
	while ((topic = weiri_topic_table_next(table, &cursor)) != NULL)
		array_put(array, topic);
	table->used = table->topics;
	weiri_store_release(&table->array, array); /* A3 */
	weiri_reclaim_wait(reclaim);
	weiri_deallocate(allocator, old, array_bytes(old->size));
	return 0;
}

int weiri_topic_table_add(struct weiri_topic_table *table, struct weiri_topic *topic,
	const weir_allocator *allocator, struct weiri_reclaim *reclaim)
{
	/* At most three quarters full, so that every search ends soon. */
	if ((table->used + 1) * 4 > weiri_load_relaxed(&table->array)->size * 3) {
		int error = array_renew(table, allocator, reclaim);

		if (error != 0)
			return error;
	}
	array_put(weiri_load_relaxed(&table->array), topic);
	table->topics++;
	table->used++;
	return 0;
}

void weiri_topic_table_remove(struct weiri_topic_table *table, const struct weiri_topic *topic)
{
	struct weiri_topic_array *array = weiri_load_relaxed(&table->array);

	weiri_store_release(&place_find(array, topic->hash, topic)->topic,
		(struct weiri_topic *)(uintptr_t)&removed_mark);
	table->topics--;
}

struct weiri_topic *weiri_topic_table_next(struct weiri_topic_table *table, size_t *cursor)
{
	struct weiri_topic_array *array = weiri_load_relaxed(&table->array);

	while (*cursor < array->size) {
		struct weiri_topic *topic = weiri_load_relaxed(&array->places[(*cursor)++].topic);

		if (is_topic(topic))
			return topic;
	}
	return NULL;
}
