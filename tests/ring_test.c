/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_test.c - the ring against a model of it, an array; and its exact edges: the
 * capacity, the reserved place, the high water, the wrap of the counters.
 */
#include "queue/ring.h"

#include <string.h>

#include "fail_allocator.h"
#include "harness.h"
#include <weir/error.h>

#define FIRST_LAP 0
/* So many positions before the counters begin again at 0. */
#define NEAR_WRAP (UINT64_MAX - 40)

static struct weiri_ring *ring_opened(size_t capacity, struct fail_allocator *memory)
{
	static struct weiri_ring ring;
	weir_allocator allocator = fail_allocator_hook(memory);

	memset(&ring, 0, sizeof(ring));
	CHECK_EQ(weiri_ring_open(&ring, capacity, &allocator), 0);
	return &ring;
}

static void ring_closed(struct weiri_ring *ring, struct fail_allocator *memory)
{
	weir_allocator allocator = fail_allocator_hook(memory);

	weiri_ring_close(ring, &allocator);
	fail_allocator_check_empty(memory);
}

/* Adds slots, none of which looks filled, however near the counters' wrap is: blank ones
 * would for the last position before it, which no program lives to see. */
static void slots_add(struct weiri_ring *ring, struct fail_allocator *memory)
{
	weir_allocator allocator = fail_allocator_hook(memory);
	const uint64_t head = weiri_load_relaxed(&ring->head);

	CHECK(weiri_ring_slots(ring) == NULL);
	CHECK_EQ(weiri_ring_slots_open(ring, &allocator), 0);
	for (uint64_t i = 0; i <= ring->mask; i++) {
		struct weiri_ring_slot *slot = &weiri_ring_slots(ring)[(head - 1 - i) & ring->mask];

		CHECK_EQ((uintptr_t)slot % WEIRI_CACHE_LINE, 0);
		CHECK_EQ(weiri_load_relaxed(&slot->sequence), 0);
		if (head >= NEAR_WRAP)
			weiri_store_relaxed(&slot->sequence, head - i);
	}
}

/* As if `start` values had been pushed and popped. */
static void ring_start_at(struct weiri_ring *ring, uint64_t start)
{
	for (uint64_t i = 0; i <= ring->mask; i++) {
		const uint64_t last = start - 1 - i;

		weiri_store_relaxed(&ring->places[last & ring->mask].sequence,
			start == FIRST_LAP ? 0 : last + 1);
	}
	weiri_store_relaxed(&ring->tail, start);
	weiri_store_relaxed(&ring->head_seen, start);
	weiri_store_relaxed(&ring->head, start);
}

static void *value_of(uint64_t number)
{
	return (void *)(uintptr_t)(number * 8 + 8);
}

/* ---- The model ---- */

#define MODEL_MAX 256

enum place {
	RESERVED,
	FILLED,
	SLOT, /* filled, but beside */
	VOID
};

struct model {
	uint64_t numbers[MODEL_MAX]; /* what is, or will be, in the places */
	enum place places[MODEL_MAX];
	size_t count;
	size_t capacity;
	size_t high_water;
	uint64_t head;    /* the ring's position of the first place */
	uint64_t next;    /* the number pushed next */
	uint64_t full;    /* pushes that found no room at all */
	uint64_t partial; /* that found room for some */
	uint64_t empty;   /* pops that found nothing */
	uint64_t stopped; /* pops that a reserved place has stopped */
	uint64_t voids;   /* places that were cancelled with others behind them */
	uint64_t slots;   /* that were taken */
	uint64_t parts;   /* runs of them that were not taken at once */
	uint64_t turns;   /* pops that a slot has stopped, and slots that a value followed */
};

/* All of a run have the size that its first number says. */
static uint32_t run_size(uint64_t first, bool is_long)
{
	const size_t most = is_long ? WEIRI_RING_SLOT_RUN_BYTES : WEIRI_RING_SLOT_BYTES;

	return (uint32_t)(sizeof(first) + first % (most - sizeof(first) + 1));
}

/* A run of slots with numbers from this one on. */
static void run_fill(struct weiri_ring *ring, uint64_t position, uint64_t first, size_t length)
{
	struct weiri_ring_slot *slots = weiri_ring_slots(ring);
	const uint32_t size = run_size(first, length > 1);

	for (size_t i = 0; i < length; i++) {
		unsigned char *bytes = weiri_ring_slot_bytes(ring, slots, position + i, length > 1);
		const uint64_t number = first + i;

		memset(bytes, (int)(number % 251), size);
		memcpy(bytes, &number, sizeof(number));
	}
	weiri_ring_slots_show(
		ring, slots, position, (uint32_t)length, size, first, first * 2 + (length > 1));
}

static void slot_check(const struct weiri_ring_slot_view *slot, uint64_t number)
{
	CHECK_EQ(slot->number, number);
	CHECK(slot->word / 2 <= number);
	CHECK_EQ(slot->size, run_size(slot->word / 2, slot->word % 2 == 1));
	CHECK_EQ(memcmp(slot->bytes, &number, sizeof(number)), 0);
	for (size_t i = sizeof(number); i < slot->size; i++)
		CHECK_EQ(slot->bytes[i], number % 251);
}

static void model_append(struct model *model, enum place place)
{
	model->numbers[model->count] = model->next++;
	model->places[model->count++] = place;
	if (model->count > model->high_water)
		model->high_water = model->count;
}

static void model_push(struct model *model, struct weiri_ring *ring, size_t wanted)
{
	const size_t room = model->capacity - model->count;
	const size_t fits = wanted < room ? wanted : room;
	void *values[MODEL_MAX];

	for (size_t i = 0; i < wanted; i++)
		values[i] = value_of(model->next + i);
	if (wanted > 1 || model->next % 3 == 0)
		CHECK_EQ(weiri_ring_push(ring, values, wanted), fits);
	else
		CHECK_EQ(model->next % 3 == 1 ? weiri_ring_push_one(ring, values[0])
					      : weiri_ring_push_one_sole(ring, values[0]),
			fits == 1);
	for (size_t i = 0; i < fits; i++)
		model_append(model, FILLED);
	model->full += fits == 0;
	model->partial += fits > 0 && fits < wanted;
}

/* By one of the short ways, which need not work. */
static bool reserve_shortly(const struct model *model, struct weiri_ring *ring, uint64_t *position)
{
	return model->next % 2 == 0 ? weiri_ring_reserve_easily(ring, position)
				    : weiri_ring_reserve_sole(ring, position);
}

/* The same into slots. */
static void model_push_slots(struct model *model, struct weiri_ring *ring, size_t wanted)
{
	const size_t room = model->capacity - model->count;
	const size_t fits = wanted < room ? wanted : room;
	uint64_t first = 77;

	if (wanted == 1 && reserve_shortly(model, ring, &first)) {
		CHECK_EQ(fits, 1);
	} else {
		first = 77;
		CHECK_EQ(weiri_ring_reserve_many(ring, wanted, &first), fits);
	}
	CHECK_EQ(first, fits > 0 ? model->head + model->count : 77);
	for (size_t i = 0, length; i < fits; i += length) {
		length = 1 + (size_t)(model->next % 5);
		if (length > fits - i)
			length = fits - i;
		run_fill(ring, first + i, model->next, length);
		for (size_t k = 0; k < length; k++)
			model_append(model, SLOT);
	}
	model->full += fits == 0;
	model->partial += fits > 0 && fits < wanted;
}

static void model_reserve(struct model *model, struct weiri_ring *ring)
{
	uint64_t position = 77;

	if (model->count == model->capacity) {
		CHECK(!weiri_ring_reserve(ring, &position));
		CHECK_EQ(position, 77);
		return;
	}
	CHECK(weiri_ring_reserve(ring, &position));
	CHECK_EQ(position, model->head + model->count);
	model_append(model, RESERVED);
}

/* One of the reserved places is filled or cancelled, if there is any. */
static void model_settle(struct model *model, struct weiri_ring *ring, uint64_t *state)
{
	const size_t from =
		model->count > 0 ? (size_t)harness_random_below(state, model->count) : 0;
	const bool is_filled = harness_random_below(state, 2) == 0;
	const bool has_slot = weiri_ring_slots(ring) != NULL && harness_random_below(state, 2) == 0;

	for (size_t i = from; i < model->count; i++) {
		if (model->places[i] != RESERVED)
			continue;
		if (is_filled && has_slot) {
			run_fill(ring, model->head + i, model->numbers[i], 1);
			model->places[i] = SLOT;
		} else if (is_filled) {
			weiri_ring_fill(ring, model->head + i, value_of(model->numbers[i]));
			model->places[i] = FILLED;
		} else {
			weiri_ring_cancel(ring, model->head + i);
			model->places[i] = VOID;
			/* The last one is given back. */
			if (i + 1 == model->count)
				model->count--;
			else
				model->voids++;
		}
		return;
	}
}

/* So many places are behind the head. */
static void model_pass(struct model *model, size_t passed)
{
	model->count -= passed;
	model->head += passed;
	memmove(model->numbers, model->numbers + passed, model->count * sizeof(model->numbers[0]));
	memmove(model->places, model->places + passed, model->count * sizeof(model->places[0]));
}

static size_t pop(struct weiri_ring *ring, void **values, size_t wanted, bool is_single)
{
	if (!is_single)
		return weiri_ring_pop(ring, values, wanted);
	values[0] = weiri_ring_pop_one(ring);
	return values[0] != NULL;
}

static void model_pop(struct model *model, struct weiri_ring *ring, size_t wanted, bool is_single)
{
	void *values[MODEL_MAX];
	size_t taken = 0, passed = 0, found;

	if (is_single)
		wanted = 1;
	found = pop(ring, values, wanted, is_single);
	while (passed < model->count && taken < wanted &&
		(model->places[passed] == FILLED || model->places[passed] == VOID)) {
		if (model->places[passed] == FILLED)
			CHECK(taken < found && values[taken] == value_of(model->numbers[passed]));
		taken += model->places[passed++] == FILLED;
	}
	CHECK_EQ(found, taken);
	if (passed < model->count && taken < wanted) {
		model->stopped += model->places[passed] == RESERVED;
		model->turns += model->places[passed] == SLOT && passed > 0;
	}
	model_pass(model, passed);
	model->empty += taken == 0;
}

static void model_take_slots(struct model *model, struct weiri_ring *ring, size_t wanted)
{
	struct weiri_ring_slot_view slot;
	size_t taken = 0;

	for (; taken < wanted; taken++) {
		slot = weiri_ring_slot_next(ring, taken);
		if (slot.bytes == NULL)
			break;
		CHECK(taken < model->count);
		CHECK_EQ(model->places[taken], SLOT);
		slot_check(&slot, model->numbers[taken]);
		model->parts += taken == 0 && slot.word / 2 < slot.number;
	}
	CHECK(taken == wanted || taken == model->count || model->places[taken] != SLOT);
	model->turns += taken > 0 && taken < model->count && model->places[taken] == FILLED;
	if (taken > 0)
		weiri_ring_slots_pass(ring, taken);
	model_pass(model, taken);
	model->slots += taken;
	model->empty += taken == 0;
}

static void model_check(const struct model *model, struct weiri_ring *ring)
{
	CHECK_EQ(weiri_ring_count(ring), model->count);
	CHECK_EQ(weiri_ring_is_empty(ring), model->count == 0 || model->places[0] == RESERVED);
	CHECK_EQ(weiri_load_relaxed(&ring->high_water), model->high_water);
}

static void model_append_some(
	struct model *model, struct weiri_ring *ring, uint64_t *state, size_t count)
{
	if (weiri_ring_slots(ring) != NULL && harness_random_below(state, 2) == 0)
		model_push_slots(model, ring, count);
	else
		model_push(model, ring, count);
}

static void model_take_some(
	struct model *model, struct weiri_ring *ring, uint64_t *state, size_t count)
{
	if (weiri_ring_slots(ring) != NULL && harness_random_below(state, 2) == 0)
		model_take_slots(model, ring, count);
	else
		model_pop(model, ring, count, harness_random_below(state, 3) == 0);
}

static void model_step(
	struct model *model, struct weiri_ring *ring, uint64_t *state, uint64_t tide, bool reserves)
{
	const size_t count = 1 + (size_t)harness_random_below(state, model->capacity + 3);

	switch (harness_random_below(state, reserves ? 6 : 3)) {
	case 0:
		model_append_some(model, ring, state, count);
		break;
	case 1:
		model_take_some(model, ring, state, count);
		break;
	case 2:
		/* Now more pushes, now more pops, so that it is full and empty often. */
		if (tide == 0)
			model_append_some(model, ring, state, count);
		else
			model_take_some(model, ring, state, count);
		break;
	case 3:
		model_reserve(model, ring);
		break;
	default:
		model_settle(model, ring, state);
	}
}

/* Never, or what is in the ring when it gets slots. */
enum slots {
	NO_SLOTS,
	SLOTS_AT_ONCE,
	SLOTS_LATER
};

static void run_model(
	size_t capacity, uint64_t start, uint64_t operations, bool reserves, enum slots slots)
{
	struct fail_allocator memory = { 0 };
	struct weiri_ring *ring = ring_opened(capacity, &memory);
	struct model model = { .capacity = capacity, .head = start };
	uint64_t state = harness_seed() + capacity;
	const uint64_t slots_at = slots == SLOTS_LATER ? harness_random_below(&state, 200) : 0;

	ring_start_at(ring, start);
	for (uint64_t i = 0; i < operations; i++) {
		if (slots != NO_SLOTS && i == slots_at)
			slots_add(ring, &memory);
		model_step(&model, ring, &state, (i >> 6) & 1, reserves);
		model_check(&model, ring);
	}
	CHECK(model.full > 0);
	CHECK(model.partial > 0 || capacity == 1);
	CHECK(model.empty > 0);
	CHECK_EQ(model.high_water, capacity);
	CHECK(!reserves || model.stopped > 0);
	CHECK(!reserves || model.voids > 0 || capacity == 1);
	CHECK((model.slots > 100) == (slots != NO_SLOTS));
	CHECK((model.parts > 10) == (slots != NO_SLOTS && capacity > 1));
	CHECK((model.turns > 10) == (slots != NO_SLOTS && capacity > 1));
	/* It has wrapped: the index many times, the counters if they began near. */
	CHECK(model.next > 4 * (ring->mask + 1));
	if (start == NEAR_WRAP)
		CHECK(weiri_load_relaxed(&ring->tail) < start);
	ring_closed(ring, &memory);
}

static const size_t capacities[] = { 1, 2, 3, 4, 5, 7, 64, 100 };

#define CAPACITY_COUNT (sizeof(capacities) / sizeof(capacities[0]))

WEIR_TEST(ring, does_what_an_array_does)
{
	for (size_t i = 0; i < CAPACITY_COUNT; i++)
		run_model(capacities[i], FIRST_LAP, harness_scaled(500000), false, NO_SLOTS);
}

WEIR_TEST(ring, does_what_an_array_does_across_the_wrap_of_its_counters)
{
	/* Starting anew each time: the wrap is seen often, from many fillings. */
	for (size_t i = 0; i < CAPACITY_COUNT; i++)
		for (uint64_t k = 0; k < harness_scaled(20); k++)
			run_model(capacities[i], NEAR_WRAP, 5000, false, NO_SLOTS);
}

WEIR_TEST(ring, does_what_an_array_does_with_places_reserved_filled_and_cancelled)
{
	for (size_t i = 0; i < CAPACITY_COUNT; i++) {
		run_model(capacities[i], FIRST_LAP, harness_scaled(300000), true, NO_SLOTS);
		for (uint64_t k = 0; k < harness_scaled(10); k++)
			run_model(capacities[i], NEAR_WRAP, 10000, true, NO_SLOTS);
	}
}

WEIR_TEST(ring, does_what_an_array_does_with_values_in_slots_beside_its_places)
{
	for (size_t i = 0; i < CAPACITY_COUNT; i++) {
		run_model(capacities[i], FIRST_LAP, harness_scaled(100000), false, SLOTS_AT_ONCE);
		run_model(capacities[i], FIRST_LAP, harness_scaled(100000), true, SLOTS_LATER);
		for (uint64_t k = 0; k < harness_scaled(10); k++) {
			run_model(capacities[i], NEAR_WRAP, 5000, false, SLOTS_AT_ONCE);
			run_model(capacities[i], NEAR_WRAP, 10000, true, SLOTS_LATER);
		}
	}
}

/* ---- Its edges ---- */

WEIR_TEST(ring, capacity_is_exact_from_one_to_the_largest)
{
	static const size_t sizes[] = { 1, 2, 3, 1000, 1023, 1024, 1025,
		WEIRI_RING_CAPACITY_MAX - 1, WEIRI_RING_CAPACITY_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct fail_allocator memory = { 0 };
		struct weiri_ring *ring = ring_opened(sizes[i], &memory);
		void *value = value_of(1);

		for (size_t k = 0; k < sizes[i]; k++)
			CHECK_EQ(weiri_ring_push(ring, &value, 1), 1);
		CHECK_EQ(weiri_ring_push(ring, &value, 1), 0);
		CHECK_EQ(weiri_ring_count(ring), sizes[i]);
		CHECK_EQ(weiri_load_relaxed(&ring->high_water), sizes[i]);
		CHECK_EQ(weiri_ring_pop(ring, &value, 1), 1);
		CHECK_EQ(weiri_ring_push(ring, &value, 1), 1);
		CHECK_EQ(weiri_ring_push(ring, &value, 1), 0);
		ring_closed(ring, &memory);
	}
}

WEIR_TEST(ring, refused_push_leaves_its_positions_unmoved)
{
	struct fail_allocator memory = { 0 };
	struct weiri_ring *ring = ring_opened(2, &memory);
	void *values[3] = { value_of(1), value_of(2), value_of(3) };

	CHECK_EQ(weiri_ring_push(ring, values, 3), 2);
	CHECK_EQ(weiri_ring_push(ring, values, 3), 0);
	CHECK_EQ(weiri_load_relaxed(&ring->tail), 2);
	CHECK_EQ(weiri_load_relaxed(&ring->head), 0);
	CHECK_EQ(weiri_ring_pop(ring, values, 3), 2);
	CHECK_EQ(weiri_ring_pop(ring, values, 3), 0);
	CHECK_EQ(weiri_load_relaxed(&ring->tail), 2);
	CHECK_EQ(weiri_load_relaxed(&ring->head), 2);
	ring_closed(ring, &memory);
}

WEIR_TEST(ring, opening_without_memory_says_so)
{
	struct fail_allocator memory = { .fail_at = 1 };
	weir_allocator allocator = fail_allocator_hook(&memory);
	struct weiri_ring ring;

	memset(&ring, 0, sizeof(ring));
	CHECK_EQ(weiri_ring_open(&ring, 16, &allocator), WEIR_ENOMEM);
	fail_allocator_check_empty(&memory);
}

WEIR_TEST(ring, goes_on_without_slots_where_there_is_no_memory_for_them)
{
	struct fail_allocator memory = { 0 };
	struct weiri_ring *ring = ring_opened(4, &memory);
	weir_allocator allocator = fail_allocator_hook(&memory);
	void *value = value_of(1);

	fail_allocator_arm(&memory, 1, false);
	CHECK_EQ(weiri_ring_slots_open(ring, &allocator), WEIR_ENOMEM);
	CHECK(weiri_ring_slots(ring) == NULL);
	CHECK(weiri_ring_slot_next(ring, 0).bytes == NULL);
	CHECK_EQ(weiri_ring_push(ring, &value, 1), 1);
	CHECK(weiri_ring_pop_one(ring) == value_of(1));
	CHECK(weiri_ring_is_empty(ring));
	ring_closed(ring, &memory);
}

/* What a pusher leaves that is preempted between reserving a place and filling it. */
static uint64_t pusher_stop(struct weiri_ring *ring)
{
	return weiri_add_relaxed(&ring->tail, 1);
}

static void pusher_go_on(struct weiri_ring *ring, uint64_t position, void *value)
{
	struct weiri_ring_place *place = &ring->places[position & ring->mask];

	place->value = value;
	weiri_store_release(&place->sequence, position + 1);
}

WEIR_TEST(ring, stopped_pusher_holds_up_the_popper_at_its_place_and_no_other_pusher)
{
	struct fail_allocator memory = { 0 };
	struct weiri_ring *ring = ring_opened(4, &memory);
	void *values[4] = { value_of(1) };
	uint64_t position;

	CHECK_EQ(weiri_ring_push(ring, values, 1), 1);
	position = pusher_stop(ring);
	for (uint64_t i = 3; i <= 4; i++) {
		values[0] = value_of(i);
		CHECK_EQ(weiri_ring_push(ring, values, 1), 1);
	}
	CHECK_EQ(weiri_ring_push(ring, values, 1), 0);
	CHECK_EQ(weiri_ring_count(ring), 4);
	CHECK_EQ(weiri_ring_pop(ring, values, 4), 1);
	CHECK(values[0] == value_of(1));
	CHECK_EQ(weiri_ring_pop(ring, values, 4), 0);
	CHECK(weiri_ring_is_empty(ring));
	CHECK_EQ(weiri_ring_count(ring), 3);
	pusher_go_on(ring, position, value_of(2));
	CHECK_EQ(weiri_ring_pop(ring, values, 4), 3);
	for (uint64_t i = 0; i < 3; i++)
		CHECK(values[i] == value_of(i + 2));
	ring_closed(ring, &memory);
}

WEIR_TEST(ring, found_full_has_its_high_water_at_the_capacity)
{
	struct fail_allocator memory = { 0 };
	struct weiri_ring *ring = ring_opened(1, &memory);
	void *value = value_of(1);
	uint64_t position = pusher_stop(ring);

	/* The one that filled it has not come to noting that yet. */
	CHECK_EQ(weiri_ring_push(ring, &value, 1), 0);
	CHECK_EQ(weiri_load_relaxed(&ring->high_water), 1);
	pusher_go_on(ring, position, value);
	ring_closed(ring, &memory);
}

WEIR_TEST(ring, high_water_does_not_trust_what_a_pusher_saw_long_ago)
{
	struct fail_allocator memory = { 0 };
	struct weiri_ring *ring = ring_opened(8, &memory);
	void *values[8] = { value_of(1) };

	/* Pushers look at the head only when they have to, so they saw 0 last. */
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(weiri_ring_push(ring, values, 1), 1);
		CHECK_EQ(weiri_ring_pop(ring, values, 8), 1);
	}
	CHECK_EQ(weiri_load_relaxed(&ring->high_water), 1);
	CHECK_EQ(weiri_ring_push(ring, values, 3), 3);
	CHECK_EQ(weiri_load_relaxed(&ring->high_water), 3);
	ring_closed(ring, &memory);
}

WEIR_TEST(ring, head_that_other_pushers_saw_may_be_newer_than_the_tail_that_this_one_read)
{
	struct fail_allocator memory = { 0 };
	struct weiri_ring *ring = ring_opened(4, &memory);
	void *values[4] = { value_of(1), value_of(2), value_of(3), value_of(4) };

	/* head_seen behind, and at, the true one: both leave exactly the capacity. */
	CHECK_EQ(weiri_ring_push(ring, values, 4), 4);
	CHECK_EQ(weiri_ring_pop(ring, values, 4), 4);
	CHECK_EQ(weiri_load_relaxed(&ring->head_seen), 0);
	CHECK_EQ(weiri_ring_push(ring, values, 4), 4);
	CHECK_EQ(weiri_load_relaxed(&ring->head_seen), 4);
	CHECK_EQ(weiri_ring_push(ring, values, 1), 0);
	ring_closed(ring, &memory);
}
