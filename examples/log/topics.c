/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbered names: an array, and a hash table of indexes into it. */
#include "topics.h"

#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

#define NAMES_FIRST 32

static uint32_t hash(const char *name)
{
	/* FNV-1a. */
	uint32_t value = 2166136261U;

	for (; *name != '\0'; name++)
		value = (value ^ (unsigned char)*name) * 16777619U;
	return value;
}

/* Where the name is, or would be. There is always a free slot. */
static uint32_t *slot_of(const struct topics *topics, const char *name)
{
	size_t i = hash(name);

	for (;; i++) {
		uint32_t *slot = &topics->slots[i & (topics->slot_count - 1)];

		if (*slot == 0 || strcmp(topics->names[*slot - 1], name) == 0)
			return slot;
	}
}

/* Twice the names, and four slots for each, so that searches are short. */
static void grow(struct topics *topics)
{
	topics->size = topics->size > 0 ? topics->size * 2 : NAMES_FIRST;
	topics->names = memory_resize(topics->names, topics->size, sizeof(*topics->names));
	topics->slot_count = topics->size * 4;
	topics->slots = memory_resize(topics->slots, topics->slot_count, sizeof(*topics->slots));
	memset(topics->slots, 0, topics->slot_count * sizeof(*topics->slots));
	for (size_t i = 0; i < topics->count; i++)
		*slot_of(topics, topics->names[i]) = (uint32_t)i + 1;
}

size_t topics_find(const struct topics *topics, const char *name)
{
	uint32_t *slot;

	if (topics->count == 0)
		return TOPICS_NONE;
	slot = slot_of(topics, name);
	return *slot == 0 ? TOPICS_NONE : *slot - 1;
}

size_t topics_add(struct topics *topics, const char *name)
{
	size_t index = topics_find(topics, name);

	if (index != TOPICS_NONE)
		return index;
	if (topics->count == topics->size)
		grow(topics);
	index = topics->count++;
	(void)strcpy(topics->names[index], name);
	*slot_of(topics, name) = (uint32_t)index + 1;
	return index;
}

size_t topics_admit(struct topics *topics, const char *name)
{
	size_t index = topics_find(topics, name);

	if (index != TOPICS_NONE)
		return index;
	return topics_add(topics, topics->count < TOPICS_MAX ? name : TOPICS_CROWD);
}

void topics_free(struct topics *topics)
{
	free(topics->names);
	free(topics->slots);
}
