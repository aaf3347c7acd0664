/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filter: the rules for topic names and filters, and whether one matches the other.
 *
 * A name is 1..WEIR_TOPIC_SIZE_MAX bytes of tokens separated by '.'; no token is
 * empty; no byte is '*', '>' or a control byte.  A filter is the same, but a
 * whole token may be '*' (exactly one token), and the last one '>' (one or more).
 *
 * Nothing here recurses or backtracks: a '>' can only be last and a '*' takes
 * exactly one token, so one pass over both decides.
 */
#ifndef WEIRI_FILTER_H
#define WEIRI_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/* The length of a correct topic name, or 0 if it is none (NULL is none). */
size_t weiri_topic_name_length(const char *name);

/* The length of a correct filter, or 0; *has_wildcard tells whether it has any. */
size_t weiri_filter_length(const char *filter, bool *has_wildcard);

/* Whether a correct filter matches a correct name. */
bool weiri_filter_matches(const char *filter, const char *name);

#endif
