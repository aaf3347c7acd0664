/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Special publishes: those whose options ask for more than most do: a time to live,
 * a delay, an id, a confirm.  All others pass by with one look.
 */
#ifndef WEIRI_SPECIAL_H
#define WEIRI_SPECIAL_H

#include "core/extra.h"
#include "core/publisher.h"

/* Whether these options are in range, and fit together. */
bool weiri_special_options_are_valid(const weir_publish_options *options);

/* Whether they ask for something of that. */
static inline bool weiri_special_is_asked_for(const weir_publish_options *options)
{
	return weiri_extra_is_asked_for(options) || options->has_id || options->delay != 0 ||
	       options->publish_at != 0;
}

/* weiri_publish for terms that have `special`; the messages have extras if they are to. */
int weiri_publish_special(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt);

/* weiri_publish for all others. */
int weiri_publish_ordinary(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt);

#endif
