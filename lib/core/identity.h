/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identity: publishes that carry an id, and the windows in which a topic looks for
 * it (delivery/dedupe.h).
 *
 * The id is entered, and the message numbered, in the section in which it is put
 * into the queues, when nothing can keep it from being published any more.  So an id
 * never stands for a publish that failed, and whoever finds it knows its number.
 * The window of a topic is replaced as its snapshot is, with a grace period.
 */
#ifndef WEIRI_IDENTITY_H
#define WEIRI_IDENTITY_H

#include "core/publish.h"

/* Inside a section, for a publish with an id that is about to be stamped: draw its
 * number into the receipt.  Returns 0; WEIR_EDUPLICATE: the receipt has the number of
 * the first one; WEIR_EINVAL: the topic has no window. */
int weiri_identity_enter(struct weiri_publish *publish);

/* For a publish that comes later.  Outside of sections, by the publisher's thread: enter
 * the id without a number; returns as above, *sequence is the first one's.  Then either
 * number it or forget it; nothing if the topic has another window now. */
int weiri_identity_keep(struct weir_publisher *publisher, struct weiri_topic *topic, uint64_t id,
	uint64_t *sequence);
void weiri_identity_number(struct weir_publisher *publisher, struct weiri_topic *topic, uint64_t id,
	uint64_t sequence);
void weiri_identity_forget(
	struct weir_publisher *publisher, struct weiri_topic *topic, uint64_t id);

#endif
