/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loops: what the two ends of a run do, compiled once for each peer.
 *
 * A peer's file defines, as static inline functions or macros, and then includes
 * this:
 *   PEER_WINDOW   1 if the peer drops or grows instead of waiting, else 0
 *   typedef ... peer_publisher, peer_subscriber;
 *   void peer_publish(peer_publisher *, const void *data, size_t size);  waits when full
 *   const void *peer_receive(peer_subscriber *);      waits; valid until the next call
 * and, if it can,
 *   PEER_BATCHES  with
 *   void peer_publish_batch(peer_publisher *, unsigned char *first, size_t stride,
 *           size_t size, unsigned int count);
 *   unsigned int peer_receive_batch(peer_subscriber *, const void **data, unsigned int count);
 *   PEER_LOANS    with
 *   void *peer_loan(peer_publisher *, size_t size);
 *   void peer_publish_loan(peer_publisher *, void *loan, size_t size);
 * What comes out is loop_publish and its like, for the peer's table, and the list
 * of them, PEER_LOOPS.
 *
 * Fairness: the payload is not written anew for each message, only its first and
 * last 8 bytes are, and only these are read; so what is measured is how the
 * message gets across.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "bench.h"
#include "gate.h"

/* For peers that would drop or grow: hold the publisher until fewer than the
 * capacity of its messages are on their way to any subscriber. */
static inline void window_wait(struct bench_end *end, uint64_t sequence)
{
	if (sequence - end->window_seen >= end->window)
		bench_window_wait(end, sequence);
}

static inline void window_pass(struct bench_end *end, unsigned int publisher, uint64_t count)
{
	__atomic_store_n(&end->passed[publisher].count, count, __ATOMIC_RELEASE);
	if (end->shape->mode == BENCH_DEFAULT && (count & (end->window / 4 - 1)) == 0)
		bench_gate_open(&end->gates[publisher]);
}

static inline void message_stamp(
	void *message, size_t size, unsigned int publisher, uint64_t sequence, bool is_last)
{
	uint64_t head = (uint64_t)publisher << 56 | (is_last ? BENCH_END : sequence);

	memcpy(message, &head, 8);
	if (size >= 16)
		memcpy((unsigned char *)message + size - 8, &sequence, 8);
}

static inline bool is_last(struct bench_end *end, uint64_t sequence)
{
	return sequence + 1 >= end->messages ||
	       (sequence % 64 == 63 && bench_now() > end->deadline);
}

/* What one subscriber expects next of each publisher. */
struct expected {
	uint64_t next[BENCH_PUBLISHERS_MAX];
	unsigned int ended;
};

static inline void message_check(struct bench_end *end, struct expected *expected, const void *data)
{
	size_t size = end->shape->size;
	uint64_t head, tail, sequence;
	unsigned int publisher;

	memcpy(&head, data, 8);
	sequence = head & BENCH_END;
	publisher = (unsigned int)(head >> 56);
	if (publisher >= end->shape->publishers)
		bench_fail("damaged: a message of publisher %u", publisher);
	if (sequence == BENCH_END) {
		expected->ended++;
		sequence = expected->next[publisher];
		if (size >= 16)
			memcpy(&sequence, (const unsigned char *)data + size - 8, 8);
	}
	tail = sequence;
	if (size >= 16)
		memcpy(&tail, (const unsigned char *)data + size - 8, 8);
	if (sequence != expected->next[publisher] || tail != sequence)
		bench_fail(
			"lost, doubled, damaged or out of order: publisher %u, expected %llu, got "
			"%llu, tail %llu",
			publisher, (unsigned long long)expected->next[publisher],
			(unsigned long long)sequence, (unsigned long long)tail);
	expected->next[publisher] = sequence + 1;
	end->count++;
	if (PEER_WINDOW)
		window_pass(end, publisher, sequence + 1);
}

static void publish_single(struct bench_end *end, peer_publisher *publisher)
{
	size_t size = end->shape->size;
	bool last = false;

	for (uint64_t sequence = 0; !last; sequence++) {
		last = is_last(end, sequence);
		message_stamp(end->buffer, size, end->index, sequence, last);
		if (PEER_WINDOW)
			window_wait(end, sequence);
		peer_publish(publisher, end->buffer, size);
		end->count++;
	}
}

static void receive_single(struct bench_end *end, peer_subscriber *subscriber)
{
	struct expected expected = { { 0 }, 0 };

	while (expected.ended < end->shape->publishers)
		message_check(end, &expected, peer_receive(subscriber));
}

#ifdef PEER_BATCHES
static void publish_batches(struct bench_end *end, peer_publisher *publisher)
{
	size_t size = end->shape->size;
	bool last = false;
	uint64_t sequence = 0;

	while (!last) {
		unsigned int count = 0;

		for (; count < BENCH_BATCH && !last; count++, sequence++) {
			last = is_last(end, sequence);
			message_stamp(end->buffer + count * end->stride, size, end->index, sequence,
				last);
		}
		if (PEER_WINDOW)
			window_wait(end, sequence - 1);
		peer_publish_batch(publisher, end->buffer, end->stride, size, count);
		end->count += count;
	}
}

static void receive_batches(struct bench_end *end, peer_subscriber *subscriber)
{
	struct expected expected = { { 0 }, 0 };
	const void *data[BENCH_BATCH];

	while (expected.ended < end->shape->publishers) {
		unsigned int count = peer_receive_batch(subscriber, data, BENCH_BATCH);

		for (unsigned int i = 0; i < count; i++)
			message_check(end, &expected, data[i]);
	}
}
#endif

#ifdef PEER_LOANS
static void publish_loans(struct bench_end *end, peer_publisher *publisher)
{
	size_t size = end->shape->size;
	bool last = false;

	for (uint64_t sequence = 0; !last; sequence++) {
		void *loan;

		last = is_last(end, sequence);
		if (PEER_WINDOW)
			window_wait(end, sequence);
		loan = peer_loan(publisher, size);
		message_stamp(loan, size, end->index, sequence, last);
		peer_publish_loan(publisher, loan, size);
		end->count++;
	}
}
#endif

static void loop_publish(struct bench_end *end, void *publisher)
{
#ifdef PEER_BATCHES
	if (end->shape->batch > 1) {
		publish_batches(end, (peer_publisher *)publisher);
		return;
	}
#endif
#ifdef PEER_LOANS
	if (end->shape->is_loaned) {
		publish_loans(end, (peer_publisher *)publisher);
		return;
	}
#endif
	publish_single(end, (peer_publisher *)publisher);
}

static void loop_receive(struct bench_end *end, void *subscriber)
{
#ifdef PEER_BATCHES
	if (end->shape->batch > 1) {
		receive_batches(end, (peer_subscriber *)subscriber);
		return;
	}
#endif
	receive_single(end, (peer_subscriber *)subscriber);
}

static inline uint32_t time_since(uint64_t begun)
{
	uint64_t time = bench_now() - begun;

	return time > UINT32_MAX ? UINT32_MAX : (uint32_t)time;
}

/* Round trips: out over one channel, back over another. */
static void loop_ping(struct bench_end *end, void *publisher, void *subscriber)
{
	size_t size = end->shape->size;

	for (uint64_t i = 0; i < end->messages; i++) {
		uint64_t begun = bench_now();
		uint64_t back;

		memcpy(end->buffer, &i, 8);
		peer_publish((peer_publisher *)publisher, end->buffer, size);
		memcpy(&back, peer_receive((peer_subscriber *)subscriber), 8);
		end->times[i] = time_since(begun);
		if (back != i)
			bench_fail("round trip %llu brought back %llu", (unsigned long long)i,
				(unsigned long long)back);
		end->count++;
	}
}

static void loop_echo(struct bench_end *end, void *publisher, void *subscriber)
{
	size_t size = end->shape->size;

	for (uint64_t i = 0; i < end->messages; i++) {
		memcpy(end->buffer, peer_receive((peer_subscriber *)subscriber), size);
		peer_publish((peer_publisher *)publisher, end->buffer, size);
		end->count++;
	}
}

/*
 * Open loop: message i is due at begun + i * interval, whatever became of those
 * before it, and its time counts from then: a publisher that was held up pays
 * for all messages that came due meanwhile (no coordinated omission).
 */
static void loop_pace(struct bench_end *end, void *publisher)
{
	size_t size = end->shape->size;

	for (uint64_t i = 0; i < end->messages; i++) {
		uint64_t due = end->begun + i * end->interval;

		while (bench_now() < due)
			bench_relax();
		message_stamp(end->buffer, size, end->index, i, i + 1 == end->messages);
		memcpy(end->buffer + 8, &due, 8);
		if (PEER_WINDOW)
			window_wait(end, i);
		peer_publish((peer_publisher *)publisher, end->buffer, size);
		end->times[i] = time_since(due);
		end->count++;
	}
}

static void loop_receive_paced(struct bench_end *end, void *subscriber)
{
	struct expected expected = { { 0 }, 0 };

	while (expected.ended < end->shape->publishers) {
		const void *data = peer_receive((peer_subscriber *)subscriber);
		uint64_t due;

		memcpy(&due, (const unsigned char *)data + 8, 8);
		end->times[end->count] = time_since(due);
		message_check(end, &expected, data);
	}
}

#define PEER_LOOPS loop_publish, loop_receive, loop_ping, loop_echo, loop_pace, loop_receive_paced

#endif
