/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline_random_test.c - inline messages and others come in their order: random programs
 * against a model.
 */
#include "inline_fixture.h"

#include "fail_allocator.h"

#define QUEUE_MAX 64
#define HELD_MAX  64

/* Sizes around what fits, and one that is not of a pool's smallest. */
static const size_t sizes[] = { 0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 95, 96, 97, 128, 129, 300 };

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct expected {
	uint64_t number; /* what its bytes are made of */
	size_t size;
	bool is_void;
};

struct program {
	weir_subscription *subscription;
	weir_publisher *publisher;
	uint64_t state;
	size_t capacity;
	struct expected queue[QUEUE_MAX];
	size_t count;
	uint64_t next;
	struct {
		weir_message *message;
		struct expected expected;
	} held[HELD_MAX];
	size_t held_count;
	/* What it met. */
	uint64_t inlined;
	uint64_t pointers;
	uint64_t turns; /* one of either kind after one of the other */
	uint64_t full;
	uint64_t voids;
	uint64_t parts; /* receives that ended within a run */
	bool last_inline;
};

static size_t size_draw(struct program *program)
{
	return sizes[harness_random_below(&program->state, SIZES)];
}

static void program_append(struct program *program, uint64_t number, size_t size)
{
	if (program->count == program->capacity) {
		program->full++;
		return;
	}
	program->queue[program->count++] = (struct expected){ .number = number, .size = size };
}

static void program_publish(struct program *program, const weir_publish_options *options)
{
	unsigned char bytes[300];
	size_t size = size_draw(program);
	weir_receipt receipt;
	bool fits = program->count < program->capacity;
	int error;

	bytes_fill(bytes, size, program->next);
	error = weir_publish(program->publisher, bytes, size, options, &receipt);
	if (options != NULL && options->all_or_nothing && !fits) {
		CHECK_EQ(error, WEIR_EFULL);
		return;
	}
	CHECK_EQ(error, 0);
	CHECK_EQ(receipt.enqueued, fits);
	CHECK_EQ(receipt.dropped, !fits);
	program_append(program, program->next++, size);
}

static void program_publish_batch(struct program *program)
{
	unsigned char bytes[BATCH][300];
	weir_payload payloads[BATCH];
	const size_t count = 1 + harness_random_below(&program->state, BATCH);
	const size_t room = program->capacity - program->count;
	/* One size each, a size for many in a row, or any. */
	const uint64_t kind = harness_random_below(&program->state, 3);
	size_t size = size_draw(program);
	weir_receipt receipt;

	for (size_t i = 0; i < count; i++) {
		if (kind == 0)
			size = i;
		else if (kind == 2 || harness_random_below(&program->state, 8) == 0)
			size = size_draw(program);
		bytes_fill(bytes[i], size, program->next + i);
		payloads[i] = (weir_payload){ bytes[i], size };
	}
	CHECK_EQ(weir_publish_batch(program->publisher, payloads, count, NULL, &receipt), 0);
	CHECK_EQ(receipt.published, count);
	CHECK_EQ(receipt.matched, count);
	CHECK_EQ(receipt.enqueued, room < count ? room : count);
	CHECK_EQ(receipt.dropped, room < count ? count - room : 0);
	for (size_t i = 0; i < count; i++)
		program_append(program, program->next++, payloads[i].size);
}

static void program_loan(struct program *program)
{
	size_t size = size_draw(program);
	weir_message *loan;

	CHECK_EQ(weir_loan(program->publisher, size, &loan), 0);
	bytes_fill(weir_message_buffer(loan), size, program->next);
	CHECK_EQ(weir_publish_message(program->publisher, loan, NULL, NULL), 0);
	program_append(program, program->next++, size);
}

/* A cancelled place with something behind it, if there is room for both. */
static void program_void(struct program *program)
{
	struct hole hole;

	if (program->count + 2 > program->capacity)
		return;
	hole = hole_begin(program->subscription);
	program->queue[program->count++] = (struct expected){ .is_void = true };
	program_publish(program, NULL);
	hole_end(&hole);
	program->voids++;
}

static void expected_check(const struct expected *expected, const weir_message *message)
{
	CHECK_EQ(weir_message_size(message), expected->size);
	bytes_check(weir_message_data(message), expected->size, expected->number);
}

static void program_taken(
	struct program *program, const struct expected *expected, weir_message *message)
{
	const bool is_now = is_inline(program->subscription, message);

	expected_check(expected, message);
	program->inlined += is_now;
	program->pointers += !is_now;
	program->turns += is_now != program->last_inline;
	program->last_inline = is_now;
	if (program->held_count == HELD_MAX || harness_random_below(&program->state, 4) != 0)
		return;
	CHECK_EQ(weir_message_keep(message), 0);
	program->held[program->held_count].expected = *expected;
	program->held[program->held_count++].message = message;
}

static bool ring_is_in_run(struct weiri_ring *ring)
{
	return ring->run.end > weiri_load_relaxed(&ring->head);
}

static void program_receive(struct program *program)
{
	const size_t most = harness_random_below(&program->state, 2) == 0
				    ? 1
				    : 1 + harness_random_below(&program->state, QUEUE_MAX);
	weir_delivery deliveries[QUEUE_MAX];
	size_t got = 1, passed = 0;
	int error = most == 1
			    ? weir_receive(program->subscription, deliveries, 0)
			    : weir_receive_batch(program->subscription, deliveries, most, 0, &got);

	if (error != 0) {
		CHECK_EQ(error, WEIR_EAGAIN);
		CHECK_EQ(program->count, 0);
		return;
	}
	for (size_t i = 0; i < got; i++) {
		while (passed < program->count && program->queue[passed].is_void)
			passed++;
		CHECK(passed < program->count);
		program_taken(program, &program->queue[passed++], deliveries[i].message);
	}
	CHECK(got == most || passed == program->count);
	program->parts += ring_is_in_run(&program->subscription->queue.ring);
	/* What was passed has left room, void places at the end too or not. */
	program->count -= passed;
	memmove(program->queue, program->queue + passed,
		program->count * sizeof(program->queue[0]));
}

static void program_release(struct program *program)
{
	size_t i;

	if (program->held_count == 0)
		return;
	i = harness_random_below(&program->state, program->held_count);
	expected_check(&program->held[i].expected, program->held[i].message);
	weir_message_release(program->held[i].message);
	program->held[i] = program->held[--program->held_count];
}

static void program_step(struct program *program)
{
	switch (harness_random_below(&program->state, 12)) {
	case 0:
		program_publish(program, &(weir_publish_options){ .priority = 3 });
		break;
	case 1:
		program_publish(program, &(weir_publish_options){ .all_or_nothing = true });
		break;
	case 2:
		program_loan(program);
		break;
	case 3:
		program_void(program);
		break;
	case 4:
		program_publish_batch(program);
		break;
	case 5:
	case 6:
		program_release(program);
		break;
	case 7:
	case 8:
		program_publish(program, NULL);
		break;
	default:
		program_receive(program);
	}
	CHECK_EQ(weiri_ring_count(&program->subscription->queue.ring), program->count);
}

static void program_run(struct program *program, weir_ack_mode ack, uint64_t steps)
{
	const weir_subscription_options options = {
		.capacity = program->capacity, .overflow = WEIR_OVERFLOW_DROP_NEWEST, .ack = ack
	};
	struct fail_allocator memory = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .allocator = fail_allocator_hook(&memory) });
	weir_subscription_statistics last;
	uint64_t left = 0;

	program->publisher = fixture_publisher(broker, "t");
	CHECK_EQ(weir_subscribe(&program->subscription, broker, "t", &options), 0);
	slots_provide(program->publisher, program->subscription);
	for (uint64_t i = 0; i < steps; i++)
		program_step(program);
	/* What was handed out last and not acknowledged counts too. */
	if (ack == WEIR_ACK_AUTO)
		left = program->subscription->held_count;
	CHECK_EQ(weir_unsubscribe(program->subscription, &last), 0);
	fixture_check_sums(&last);
	for (size_t i = 0; i < program->count; i++)
		left += !program->queue[i].is_void;
	CHECK_EQ(last.dropped[WEIR_DROP_CLOSED], left);
	weir_publisher_close(program->publisher);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	while (program->held_count > 0)
		program_release(program);
	fail_allocator_check_empty(&memory);
}

WEIR_TEST(inline_random, messages_and_others_come_in_their_order)
{
	static const size_t capacities[] = { 1, 2, 3, 7, 16, 33, 64 };

	for (size_t i = 0; i < 2 * sizeof(capacities) / sizeof(capacities[0]); i++) {
		struct program program = { .capacity = capacities[i / 2],
			.state = harness_seed() + i };

		program_run(&program, i % 2 == 0 ? WEIR_ACK_NONE : WEIR_ACK_AUTO,
			harness_scaled(20000));
		CHECK(program.inlined > 10);
		CHECK(program.pointers > 10);
		CHECK(program.turns > 10);
		CHECK(program.full > 10);
		CHECK(program.parts > 10 || program.capacity == 1);
		CHECK(program.voids > 10 || program.capacity == 1);
	}
}
