/* SPDX-License-Identifier: BSD-2-Clause */
/* Small messages in the ring itself. */
#include "core/inline.h"

#include <string.h>

#include "base/always_inline.h"
#include "core/publish_plain.h"

/* Messages taken before a subscription gets slots. */
#define MESSAGES_BEFORE 64

/* Places of the longest queue that gets them, and what all of a broker's take. */
#define CAPACITY_MAX 4096
#define BYTES_MAX    ((uint64_t)64 << 20)

/* By words: the user may just have written the bytes as such, and a wider load would
 * wait until these stores are through. */
static inline void words_copy(unsigned char *to, const unsigned char *from, size_t size)
{
	uint64_t word;
	size_t i;

	for (i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, from + i, sizeof(word));
		memcpy(to + i, &word, sizeof(word));
	}
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
	if (!weiri_load_relaxed(&subscription->literal->is_single)) {
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

static WEIRI_ALWAYS_INLINE void slot_fill(struct weiri_ring_slot *slot, const weir_payload *payload,
	uint64_t sequence, double timestamp)
{
	struct weiri_inline *message = (void *)slot->bytes;

	message->sequence = sequence;
	message->timestamp = timestamp;
	message->size = (uint32_t)payload->size;
	words_copy(message->payload, payload->data, payload->size);
}

static inline size_t places_reserve(
	struct weiri_ring *ring, size_t count, uint64_t *first, bool is_sole)
{
	if (count == 1 && (is_sole ? weiri_ring_reserve_sole(ring, first)
				   : weiri_ring_reserve_easily(ring, first)))
		return 1;
	return weiri_ring_reserve_many(ring, count, first);
}

/* Returns how many there was room for; *sequence is that of the last one. */
static WEIRI_ALWAYS_INLINE size_t slots_push(struct weir_publisher *publisher,
	struct weiri_ring *ring, const weir_payload *payloads, size_t count, uint64_t *sequence)
{
	struct weir_broker *broker = publisher->broker;
	struct weiri_ring_slot *slots = weiri_ring_slots(ring);
	const bool is_sole = weiri_topic_is_sole(publisher->topic);
	uint64_t position, before;
	double now;

	count = places_reserve(ring, count, &position, is_sole);
	if (count == 0)
		return 0;
	before = weiri_topic_number(publisher->topic, count, is_sole);
	now = broker->timestamps ? weiri_clock_now(broker->clock) : 0;
	for (size_t i = 0; i < count; i++) {
		struct weiri_ring_slot *slot = weiri_ring_slot_at(ring, slots, position + i);

		slot_fill(slot, &payloads[i], before + i + 1, now);
		weiri_ring_slot_show(slot, position + i);
	}
	*sequence = before + count;
	return count;
}

static WEIRI_ALWAYS_INLINE size_t publish(struct weir_publisher *publisher,
	struct weiri_snapshot *snapshot, struct weiri_ring *ring, const weir_payload *payloads,
	size_t count, weir_receipt *receipt)
{
	struct weiri_publish_counters *counters = &publisher->counters;
	uint64_t sequence;

	count = slots_push(publisher, ring, payloads, count, &sequence);
	if (count == 0)
		return 0;
	weiri_publish_wake_plain(snapshot);
	weiri_publish_counter_add(&counters->published, count);
	weiri_publish_counter_add(&counters->matched, count);
	weiri_publish_counter_add(&counters->enqueued, count);
	weiri_reclaim_end(&publisher->broker->registry.reclaim, publisher->member);
	if (receipt != NULL)
		*receipt = (weir_receipt){
			.sequence = sequence,
			.published = count,
			.matched = count,
			.enqueued = count,
		};
	return count;
}

bool weiri_inline_publish(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weiri_ring *ring, const void *data, size_t size, weir_receipt *receipt)
{
	const weir_payload payload = { data, size };

	return publish(publisher, snapshot, ring, &payload, 1, receipt) == 1;
}

size_t weiri_inline_publish_batch(struct weir_publisher *publisher, struct weiri_snapshot *snapshot,
	struct weiri_ring *ring, const weir_payload *payloads, size_t count, weir_receipt *receipt)
{
	size_t small = 0;

	while (small < count && payloads[small].size <= WEIRI_INLINE_MAX)
		small++;
	return small == 0 ? 0 : publish(publisher, snapshot, ring, payloads, small, receipt);
}

/* Copied out; or NULL: no memory. */
static WEIRI_ALWAYS_INLINE struct weir_message *message_make(
	struct weir_subscription *subscription, const struct weiri_inline *from)
{
	struct weir_message *message = weiri_pool_take_own(subscription->pool, from->size);
	unsigned char *payload;

	if (message == NULL)
		return NULL;
	payload = weiri_message_payload(message);
	message->topic = subscription->literal;
	message->sequence = from->sequence;
	message->timestamp = from->timestamp;
	message->data = payload;
	message->size = from->size;
	message->flags = WEIRI_MESSAGE_PUBLISHED;
	/* In constant steps, beyond the size: the compiler makes a few moves of that. */
	memcpy(payload, from->payload, 32);
	if (from->size > 32)
		memcpy(payload + 32, from->payload + 32, 32);
	if (from->size > 64)
		memcpy(payload + 64, from->payload + 64, 32);
	return message;
}

size_t weiri_inline_take(struct weir_subscription *subscription, void **messages, size_t count)
{
	struct weiri_ring *ring = &subscription->queue.ring;
	size_t taken = 0;

	subscription->no_memory = false;
	while (taken < count) {
		struct weiri_ring_slot *slot = weiri_ring_slot_next(ring, taken);

		if (slot == NULL)
			break;
		messages[taken] = message_make(subscription, (const void *)slot->bytes);
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
	struct weiri_ring_slot *slot = weiri_ring_slot_next(ring, 0);
	struct weir_message *message;

	if (slot == NULL)
		return false;
	message = message_make(subscription, (const void *)slot->bytes);
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

	while (weiri_ring_slot_next(ring, count) != NULL)
		count++;
	if (count > 0)
		weiri_ring_slots_pass(ring, count);
	return count;
}
