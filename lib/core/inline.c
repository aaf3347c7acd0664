/* SPDX-License-Identifier: BSD-2-Clause */
/* Small messages in the ring itself. */
#include "core/inline.h"

#include <string.h>

#include "base/always_inline.h"
#include "base/debug.h"
#include "base/unset.h"
#include "core/publish_plain.h"

/* Messages taken before a subscription gets slots. */
#define MESSAGES_BEFORE 64

/* Places of the longest queue that gets them, and what all of a broker's take. */
#define CAPACITY_MAX 4096
#define BYTES_MAX    ((uint64_t)64 << 20)

/* Neighbours of a batch that are as large as each other and no larger than a line cost one line
 * each, as a run.  All of it is shown at the end, so longer runs would make the first ones
 * wait, for little. */
#define RUN_MAX 8

static WEIRI_ALWAYS_INLINE void word_copy(unsigned char *to, const unsigned char *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	memcpy(to, &word, sizeof(word));
}

/* By words: the user may just have written the bytes as such, and a wider load would
 * wait until these stores are through. */
static WEIRI_ALWAYS_INLINE void words_copy(
	unsigned char *to, const unsigned char *from, size_t size)
{
	size_t i = 0;

	for (; i + 32 <= size; i += 32) {
		word_copy(to + i, from + i);
		word_copy(to + i + 8, from + i + 8);
		word_copy(to + i + 16, from + i + 16);
		word_copy(to + i + 24, from + i + 24);
	}
	for (; i + 8 <= size; i += 8)
		word_copy(to + i, from + i);
	if (i < size)
		memcpy(to + i, from + i, size - i);
}

void weiri_inline_prepare(struct weir_subscription *subscription, size_t capacity)
{
	if (subscription->is_simple && capacity <= CAPACITY_MAX)
		subscription->inline_after = MESSAGES_BEFORE;
}

static bool bytes_take(struct weir_broker *broker, uint64_t bytes)
{
	if (weiri_add_relaxed(&broker->inline_bytes, bytes) + bytes <= BYTES_MAX)
		return true;
	(void)weiri_sub_relaxed(&broker->inline_bytes, bytes);
	return false;
}

void weiri_inline_open(struct weir_subscription *subscription)
{
	struct weir_broker *broker = subscription->broker;
	struct weiri_ring *ring = &subscription->queue.ring;

	if (subscription->literal == NULL || subscription->core != subscription)
		return;
	if (!weiri_load_relaxed(&subscription->literal->is_few)) {
		subscription->inline_after = MESSAGES_BEFORE;
		return;
	}
	if (!bytes_take(broker, weiri_ring_slots_bytes(ring)))
		return;
	subscription->pool = weiri_pool_open(broker, subscription->literal);
	if (subscription->pool == NULL)
		goto fail_pool;
	if (weiri_ring_slots_open(ring, &broker->allocator) != 0)
		goto fail_slots;
	return;

fail_slots:
	weiri_pool_abandon(subscription->pool);
	subscription->pool = NULL;
fail_pool:
	(void)weiri_sub_relaxed(&broker->inline_bytes, weiri_ring_slots_bytes(ring));
}

void weiri_inline_close(struct weir_subscription *subscription)
{
	if (subscription->pool == NULL)
		return;
	weiri_pool_abandon(subscription->pool);
	(void)weiri_sub_relaxed(&subscription->broker->inline_bytes,
		weiri_ring_slots_bytes(&subscription->queue.ring));
}

/* A place that is reserved for the message. */
struct target {
	struct weiri_ring *ring;
	uint64_t position;
};

static WEIRI_ALWAYS_INLINE bool place_reserve(struct target *target, bool is_sole)
{
	return (is_sole ? weiri_ring_reserve_sole(target->ring, &target->position)
			: weiri_ring_reserve_easily(target->ring, &target->position)) ||
	       weiri_ring_reserve(target->ring, &target->position);
}

/* Whether both are sure to have a place.  That knows only the only publisher: a place that
 * is given back, because another has taken the second one, may stay taken for a while. */
static inline bool pair_has_room(const struct target *targets, bool is_sole)
{
	return is_sole && weiri_ring_has_room(targets[0].ring) &&
	       weiri_ring_has_room(targets[1].ring);
}

static WEIRI_ALWAYS_INLINE bool places_reserve(struct target *targets, bool is_pair, bool is_sole)
{
	bool is_taken;

	if (is_pair && !pair_has_room(targets, is_sole))
		return false;
	is_taken = place_reserve(&targets[0], is_sole);
	if (is_pair) {
		is_taken = place_reserve(&targets[1], true) && is_taken;
		weiri_assert(is_taken);
	}
	return is_taken;
}

/* How many of `count` messages, from the first one on, can be one run. */
static inline size_t run_length(const weir_payload *payloads, size_t count)
{
	size_t length = 1;

	if (count > RUN_MAX)
		count = RUN_MAX;
	if (payloads[0].size <= WEIRI_RING_SLOT_RUN_BYTES)
		while (length < count && payloads[length].size == payloads[0].size)
			length++;
	return length;
}

/* Fill and show the slots of the target's place and those behind it; `sequence` is the first
 * message's. */
static WEIRI_ALWAYS_INLINE void run_put(const struct target *target, const weir_payload *payloads,
	size_t length, uint64_t sequence, double timestamp)
{
	const struct weiri_ring *ring = target->ring;
	struct weiri_ring_slot *slots = weiri_ring_slots(target->ring);
	uint64_t time;

	for (size_t i = 0; i < length; i++)
		words_copy(weiri_ring_slot_bytes(ring, slots, target->position + i, length > 1),
			payloads[i].data, payloads[i].size);
	memcpy(&time, &timestamp, sizeof(time));
	weiri_ring_slots_show(ring, slots, target->position, (uint32_t)length,
		(uint32_t)payloads[0].size, sequence, time);
}

static inline double timestamp_now(const struct weir_broker *broker)
{
	return broker->timestamps ? weiri_clock_now(broker->clock) : 0;
}

/* After the pushes: the end of a publish of `count` messages. */
static WEIRI_ALWAYS_INLINE void finish(struct weir_publisher *publisher,
	struct weiri_snapshot *snapshot, uint64_t sequence, size_t count, weir_receipt *receipt)
{
	struct weiri_publish_counters *counters = &publisher->counters;
	const uint64_t copies = count * snapshot->count;

	weiri_publish_wake_plain(snapshot);
	weiri_publish_counter_add(&counters->published, count);
	weiri_publish_counter_add(&counters->matched, copies);
	weiri_publish_counter_add(&counters->enqueued, copies);
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
	if (receipt != NULL)
		*receipt = (weir_receipt){
			.sequence = sequence,
			.published = count,
			.matched = copies,
			.enqueued = copies,
		};
}

/* NULL: the place has become empty since weiri_inline_is_open looked. */
static inline struct weiri_ring *ring_of(struct weiri_snapshot *snapshot, size_t place)
{
	struct weir_subscription *subscription =
		weiri_load_relaxed(&snapshot->subscriptions[place]);

	return subscription != NULL ? &subscription->queue.ring : NULL;
}

bool weiri_inline_publish(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	const void *data, size_t size, weir_receipt *receipt)
{
	const weir_payload payload = { data, size };
	const bool is_sole = weiri_topic_is_sole(publisher->topic);
	const bool is_pair = snapshot->count == 2;
	WEIRI_UNSET struct target targets[WEIRI_INLINE_TAKERS_MAX];
	uint64_t sequence;
	double now;

	targets[0].ring = ring_of(snapshot, 0);
	targets[1].ring = is_pair ? ring_of(snapshot, 1) : targets[0].ring;
	if (targets[0].ring == NULL || targets[1].ring == NULL ||
		!places_reserve(targets, is_pair, is_sole))
		return false;
	sequence = weiri_topic_number(publisher->topic, 1, is_sole) + 1;
	now = timestamp_now(publisher->broker);
	run_put(&targets[0], &payload, 1, sequence, now);
	if (is_pair)
		run_put(&targets[1], &payload, 1, sequence, now);
	finish(publisher, snapshot, sequence, 1, receipt);
	return true;
}

size_t weiri_inline_publish_batch(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	const weir_payload *payloads, size_t count, weir_receipt *receipt)
{
	struct target target = { .ring = ring_of(snapshot, 0) };
	uint64_t sequence;
	size_t small = 0, length;
	double now;

	while (small < count && payloads[small].size <= WEIRI_INLINE_MAX)
		small++;
	if (target.ring == NULL)
		return 0;
	count = weiri_ring_reserve_many(target.ring, small, &target.position);
	if (count == 0)
		return 0;
	sequence =
		weiri_topic_number(publisher->topic, count, weiri_topic_is_sole(publisher->topic));
	now = timestamp_now(publisher->broker);
	for (size_t i = 0; i < count; i += length) {
		length = run_length(payloads + i, count - i);
		run_put(&target, payloads + i, length, sequence + i + 1, now);
		target.position += length;
	}
	finish(publisher, snapshot, sequence + count, count, receipt);
	return count;
}

/* Copied out; or NULL: no memory. */
static WEIRI_ALWAYS_INLINE struct weir_message *message_make(
	struct weir_subscription *subscription, const struct weiri_ring_slot_view *from)
{
	struct weir_message *message = weiri_pool_take_own(subscription->pool, from->size);
	unsigned char *payload;

	if (message == NULL)
		return NULL;
	payload = weiri_message_payload(message);
	message->topic = subscription->literal;
	message->sequence = from->number;
	memcpy(&message->timestamp, &from->word, sizeof(message->timestamp));
	message->data = payload;
	message->size = from->size;
	message->flags = WEIRI_MESSAGE_PUBLISHED;
	/* In constant steps, beyond the size: the compiler makes a few moves of that. */
	memcpy(payload, from->bytes, 32);
	if (from->size > 32)
		memcpy(payload + 32, from->bytes + 32, 32);
	if (from->size > 64)
		memcpy(payload + 64, from->bytes + 64, 32);
	return message;
}

size_t weiri_inline_take(struct weir_subscription *subscription, void **messages, size_t count)
{
	struct weiri_ring *ring = &subscription->queue.ring;
	size_t taken = 0;

	subscription->no_memory = false;
	while (taken < count) {
		const struct weiri_ring_slot_view slot = weiri_ring_slot_next(ring, taken);

		if (slot.bytes == NULL)
			break;
		messages[taken] = message_make(subscription, &slot);
		if (messages[taken] == NULL) {
			subscription->no_memory = true;
			break;
		}
		taken++;
	}
	if (taken > 0)
		weiri_ring_slots_pass(ring, taken);
	return taken;
}

bool weiri_inline_take_one(struct weir_subscription *subscription)
{
	struct weiri_ring *ring = &subscription->queue.ring;
	const struct weiri_ring_slot_view slot = weiri_ring_slot_next(ring, 0);
	struct weir_message *message;

	if (slot.bytes == NULL)
		return false;
	message = message_make(subscription, &slot);
	if (message == NULL)
		return false;
	weiri_ring_slots_pass(ring, 1);
	subscription->held[0] = message;
	return true;
}

uint64_t weiri_inline_discard(struct weir_subscription *subscription)
{
	struct weiri_ring *ring = &subscription->queue.ring;
	uint64_t count = 0;

	while (weiri_ring_slot_next(ring, count).bytes != NULL)
		count++;
	if (count > 0)
		weiri_ring_slots_pass(ring, count);
	return count;
}
