/* SPDX-License-Identifier: BSD-2-Clause */
/* inline_fixture.h - what the tests of inline messages begin with. */
#ifndef WEIR_TESTS_INLINE_FIXTURE_H
#define WEIR_TESTS_INLINE_FIXTURE_H

#include "core/inline.h"

#include "fixture.h"

/* Messages after which a subscription has what it needs, or never will. */
#define ENOUGH 70

#define SIZE_MAX_HERE 100

/* A batch that may hold some of each, and more than one part of the library's. */
#define BATCH 40

static inline bool has_slots(weir_subscription *subscription)
{
	return weiri_ring_slots(&subscription->queue.ring) != NULL;
}

/* It came in the queue itself, or by pointer. */
static inline bool is_inline(weir_subscription *subscription, const weir_message *message)
{
	return message->pool == subscription->pool;
}

/* Have so many messages pass; each finds the queue as empty as the first. */
static inline void pass_some(weir_publisher *publisher, weir_subscription *subscription, int count)
{
	for (int i = 0; i < count; i++) {
		weir_delivery delivery;

		CHECK_EQ(weir_publish(publisher, "", 0, NULL, NULL), 0);
		CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
		CHECK_EQ(delivery.size, 0);
	}
}

static inline void slots_provide(weir_publisher *publisher, weir_subscription *subscription)
{
	pass_some(publisher, subscription, ENOUGH);
	CHECK(has_slots(subscription));
}

static inline void next_check(weir_subscription *subscription, uint64_t number, bool expects_inline)
{
	weir_delivery delivery;

	CHECK_EQ(weir_receive(subscription, &delivery, 0), 0);
	CHECK_EQ(fixture_number(&delivery), number);
	CHECK_EQ(is_inline(subscription, delivery.message), expects_inline);
}

static inline void publish_default(weir_publisher *publisher, uint64_t number)
{
	static const weir_publish_options defaults;

	CHECK_EQ(weir_publish(publisher, &number, sizeof(number), &defaults, NULL), 0);
}

/* A cancelled place, as two all-or-nothing publishes leave it that were refused
 * elsewhere: what follows it goes in before it is cancelled. */
struct hole {
	struct weiri_ring *ring;
	uint64_t position;
};

static inline struct hole hole_begin(weir_subscription *subscription)
{
	struct hole hole = { .ring = &subscription->queue.ring };

	CHECK(weiri_ring_reserve(hole.ring, &hole.position));
	return hole;
}

static inline void hole_end(const struct hole *hole)
{
	weiri_ring_cancel(hole->ring, hole->position);
}

static inline void bytes_fill(unsigned char *bytes, size_t size, uint64_t number)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(number * 31 + i * 7 + size);
}

static inline void bytes_check(const void *data, size_t size, uint64_t number)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		CHECK_EQ(bytes[i], (unsigned char)(number * 31 + i * 7 + size));
}

#endif
