/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topic table: topics by name, read without a lock inside an epoch section and
 * changed under the registry's lock.
 *
 * Open addressing with linear probing; in a place there is NULL (never used), a topic
 * beside its hash, so that no other topic's line is waited for, or the mark of a removed
 * one.  Places are filled and marked in place; growing
 * makes a new array, and the old one is freed after a grace period.  A reader
 * that still has the old array misses only what was added after its section
 * began.
 */
#ifndef WEIRI_TOPIC_TABLE_H
#define WEIRI_TOPIC_TABLE_H

#include "core/reclaim.h"
#include "core/topic.h"

struct weiri_topic_place {
	struct weiri_topic *_Atomic topic;
	uint64_t hash; /* of the topic that came here, from then on */
};

struct weiri_topic_array {
	size_t size; /* a power of two */
	struct weiri_topic_place places[];
};

struct weiri_topic_table {
	struct weiri_topic_array *_Atomic array;
	size_t topics;
	size_t used; /* places that are not NULL */
};

/* Returns 0 or WEIR_ENOMEM. */
int weiri_topic_table_open(struct weiri_topic_table *table, const weir_allocator *allocator);

/* The topics in it are the caller's business. */
void weiri_topic_table_close(struct weiri_topic_table *table, const weir_allocator *allocator);

/* NULL: not there.  Inside a section, or with the lock. */
struct weiri_topic *weiri_topic_table_find(
	struct weiri_topic_table *table, const char *name, size_t length, uint64_t hash);

/* With the lock; the name is not there yet.  Returns 0 or WEIR_ENOMEM. */
int weiri_topic_table_add(struct weiri_topic_table *table, struct weiri_topic *topic,
	const weir_allocator *allocator, struct weiri_reclaim *reclaim);

/* With the lock; the topic is there. */
void weiri_topic_table_remove(struct weiri_topic_table *table, const struct weiri_topic *topic);

/* With the lock: the topics one after the other, starting with *cursor = 0;
 * NULL at the end. */
struct weiri_topic *weiri_topic_table_next(struct weiri_topic_table *table, size_t *cursor);

#endif
