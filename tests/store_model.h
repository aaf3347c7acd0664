/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_model.h - what a store is to do, said as plainly as can be: one array in
 * order of arrival, and every question answered by looking at all of it.
 */
#ifndef WEIR_TESTS_STORE_MODEL_H
#define WEIR_TESTS_STORE_MODEL_H

#include <string.h>

#include "queue/store.h"

#define MODEL_MAX 512

struct model {
	struct weiri_store_options options;
	struct weiri_store_item items[MODEL_MAX]; /* in order of arrival */
	size_t count;
	void *evicted[MODEL_MAX]; /* by the last push: the replaced one first */
	size_t evicted_count;
	size_t conflated_count;
};

static uint64_t model_weight(const struct model *model)
{
	uint64_t weight = 0;

	for (size_t i = 0; i < model->count; i++)
		weight += model->items[i].weight;
	return weight;
}

static void model_remove(struct model *model, size_t index)
{
	model->count--;
	memmove(&model->items[index], &model->items[index + 1],
		(model->count - index) * sizeof(model->items[0]));
}

/* The item of the same key that the new one replaces; SIZE_MAX: none. */
static size_t model_same(const struct model *model, const struct weiri_store_item *item)
{
	if (model->options.full == WEIRI_STORE_CONFLATE)
		for (size_t i = 0; i < model->count; i++)
			if (model->items[i].key == item->key &&
				model->items[i].key_kind == item->key_kind &&
				!model->items[i].is_protected)
				return i;
	return SIZE_MAX;
}

static bool model_may_go(const struct model *model, const struct weiri_store_item *item, size_t i)
{
	const struct weiri_store_item *other = &model->items[i];

	if (other->is_protected)
		return false;
	switch (model->options.full) {
	case WEIRI_STORE_EVICT_OLDEST:
	case WEIRI_STORE_CONFLATE:
		return true;
	case WEIRI_STORE_EVICT_LOWEST:
		return item->is_protected || other->rank > item->rank;
	case WEIRI_STORE_REFUSE:
	case WEIRI_STORE_GROW:
		break;
	}
	return false;
}

/* The next to go for the item, other than `same`; SIZE_MAX: none. */
static size_t model_victim(
	const struct model *model, const struct weiri_store_item *item, size_t same)
{
	bool is_lowest = model->options.full == WEIRI_STORE_EVICT_LOWEST;
	size_t victim = SIZE_MAX;

	for (size_t i = 0; i < model->count; i++) {
		if (i == same || !model_may_go(model, item, i))
			continue;
		if (victim == SIZE_MAX ||
			(is_lowest && model->items[i].rank >= model->items[victim].rank))
			victim = i;
	}
	return victim;
}

static bool model_has_room(const struct model *model, const struct weiri_store_item *item)
{
	return (model->options.full == WEIRI_STORE_GROW ||
		       model->count < model->options.capacity) &&
	       (model->options.bytes == 0 ||
		       model_weight(model) + item->weight <= model->options.bytes);
}

static bool model_push(struct model *model, const struct weiri_store_item *item)
{
	struct model before = *model;
	size_t same = model_same(model, item);
	bool is_replacing = same != SIZE_MAX;
	double time = is_replacing ? model->items[same].time : item->time;

	model->evicted_count = 0;
	model->conflated_count = 0;
	if (is_replacing) {
		model->evicted[model->evicted_count++] = model->items[same].value;
		model->conflated_count++;
		/* Out of the way while room is made. */
		model->items[same].weight = 0;
		model->options.capacity++;
	}
	while (!model_has_room(model, item)) {
		size_t victim = model_victim(model, item, same);

		if (victim == SIZE_MAX) {
			*model = before;
			model->evicted_count = 0;
			model->conflated_count = 0;
			return false;
		}
		model->evicted[model->evicted_count++] = model->items[victim].value;
		model_remove(model, victim);
		if (is_replacing && victim < same)
			same--;
	}
	model->options.capacity = before.options.capacity;
	if (!is_replacing)
		same = model->count++;
	model->items[same] = *item;
	model->items[same].time = time;
	return true;
}

/* The number of seconds, or of ranks, that decides; the lower comes first. */
static double model_key(const struct model *model, size_t i)
{
	const struct weiri_store_item *item = &model->items[i];

	if (model->options.ageing > 0)
		return item->time + (double)item->rank * model->options.ageing;
	return (double)item->rank;
}

static void *model_pop(struct model *model)
{
	size_t first = 0;
	void *value;

	if (model->count == 0)
		return NULL;
	if (model->options.order == WEIRI_STORE_RANKED)
		for (size_t i = 1; i < model->count; i++)
			if (model_key(model, i) < model_key(model, first))
				first = i;
	value = model->items[first].value;
	model_remove(model, first);
	return value;
}

/* Values are numbers in the order of the pushes. */
static void *model_expire(struct model *model, double now)
{
	size_t first = SIZE_MAX;
	void *value;

	for (size_t i = 0; i < model->count; i++) {
		const struct weiri_store_item *item = &model->items[i];

		if (item->expires <= now &&
			(first == SIZE_MAX || item->expires < model->items[first].expires ||
				(item->expires == model->items[first].expires &&
					(uintptr_t)item->value <
						(uintptr_t)model->items[first].value)))
			first = i;
	}
	if (first == SIZE_MAX)
		return NULL;
	value = model->items[first].value;
	model_remove(model, first);
	return value;
}

#endif
