/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topics: names, numbered from 0 in the order in which they came; so that what
 * belongs to a topic (a publisher, a count) stands in an array.
 */
#ifndef LOG_TOPICS_H
#define LOG_TOPICS_H

#include <stddef.h>
#include <stdint.h>

#include "log_line.h"

/* A file of anything could make a topic of each line. Lines of more different
 * topics than these share one more, TOPICS_CROWD. */
#define TOPICS_MAX   1000
#define TOPICS_CROWD "other.crowd"

#define TOPICS_NONE SIZE_MAX

struct topics {
	char (*names)[LOG_TOPIC_SIZE];
	size_t count;
	size_t size;     /* of names */
	uint32_t *slots; /* an open hash table: 0, or an index into names plus 1 */
	size_t slot_count;
};

/* The number of that topic, or TOPICS_NONE. */
size_t topics_find(const struct topics *topics, const char *name);

/* The number of that topic, which is added if it is new. */
size_t topics_add(struct topics *topics, const char *name);

/* The same, for names from outside: of a new one too many, that of TOPICS_CROWD. */
size_t topics_admit(struct topics *topics, const char *name);

void topics_free(struct topics *topics);

#endif
