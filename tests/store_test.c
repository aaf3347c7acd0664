/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store against its model (store_model.h): random operations for every order,
 * policy, limit and protection; then what a model cannot see.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "harness.h"
#include "store_model.h"
#include "weir/error.h"

/* Values are numbers, so that a wrong one can be named. */
static void *value_of(uint64_t number)
{
	return (void *)(uintptr_t)number;
}

struct seen {
	uint64_t pushes;
	uint64_t refusals;
	uint64_t evictions;
	uint64_t conflations;
	uint64_t long_evictions; /* of more than fit into one answer */
	uint64_t grown_values;   /* replaced by a heavier one, for which others went */
	uint64_t expired;
};

struct bed {
	struct weiri_store store;
	struct model model;
	weir_allocator allocator;
	uint64_t random;
	uint64_t number;
	double now;
	bool has_protection;
	uint64_t weight_max;
	uint64_t keys;
};

static uint64_t below(struct bed *bed, uint64_t bound)
{
	return harness_random_below(&bed->random, bound);
}

static int32_t rank_draw(struct bed *bed)
{
	switch (below(bed, 12)) {
	case 0:
		return INT32_MIN;
	case 1:
		return INT32_MAX;
	default:
		return (int32_t)below(bed, 9) - 4;
	}
}

static struct weiri_store_item item_draw(struct bed *bed)
{
	bed->now += (double)below(bed, 3) * 0.5;
	return (struct weiri_store_item){
		.value = value_of(++bed->number),
		.rank = rank_draw(bed),
		.is_protected = bed->has_protection && below(bed, 8) == 0,
		.weight = 1 + below(bed, below(bed, 24) == 0 ? bed->weight_max : 3),
		.key = below(bed, bed->keys),
		.key_kind = (uint8_t)below(bed, 2),
		.time = bed->now,
		.expires = below(bed, 3) == 0 ? (double)INFINITY
					      : bed->now + (double)below(bed, 40) * 0.5,
	};
}

static void compare(struct bed *bed)
{
	CHECK_EQ(weiri_store_count(&bed->store), bed->model.count);
	CHECK_EQ(weiri_store_weight(&bed->store), model_weight(&bed->model));
}

/* The values in all parts of the answer. */
static size_t evicted_read(
	struct bed *bed, struct weiri_store_evicted *evicted, void **values, size_t *conflated)
{
	size_t count = 0;

	*conflated = 0;
	for (;;) {
		CHECK(count + evicted->count <= MODEL_MAX);
		for (size_t i = 0; i < evicted->count; i++)
			values[count++] = evicted->values[i];
		*conflated += evicted->conflated;
		if (evicted->rest == NULL)
			return count;
		weiri_store_evicted_more(&bed->store, evicted);
	}
}

static void step_push(struct bed *bed, struct seen *seen)
{
	struct weiri_store_item item = item_draw(bed);
	struct weiri_store_evicted evicted;
	void *values[MODEL_MAX];
	size_t conflated, count;
	enum weiri_store_result result;
	bool accepts, is_taken;

	weiri_store_lock(&bed->store);
	accepts = weiri_store_accepts(&bed->store, &item);
	result = weiri_store_push(&bed->store, &item, &evicted);
	count = evicted_read(bed, &evicted, values, &conflated);
	weiri_store_unlock(&bed->store);
	is_taken = model_push(&bed->model, &item);
	CHECK_EQ(result, is_taken ? WEIRI_STORE_TAKEN : WEIRI_STORE_FULL);
	CHECK_EQ(accepts, is_taken);
	CHECK_EQ(count, bed->model.evicted_count);
	CHECK_EQ(conflated, bed->model.conflated_count);
	for (size_t i = 0; i < count; i++)
		CHECK_EQ((uintptr_t)values[i], (uintptr_t)bed->model.evicted[i]);
	compare(bed);
	seen->pushes += is_taken;
	seen->refusals += !is_taken;
	seen->conflations += conflated;
	seen->evictions += count - conflated;
	seen->long_evictions += count > WEIRI_STORE_EVICTED_MAX;
	seen->grown_values += conflated > 0 && count > conflated;
}

static void step_pop(struct bed *bed)
{
	size_t count = 1 + below(bed, 3);
	void *values[3];
	size_t taken;

	weiri_store_lock(&bed->store);
	taken = weiri_store_pop(&bed->store, values, count);
	weiri_store_unlock(&bed->store);
	CHECK_EQ(taken, count < bed->model.count ? count : bed->model.count);
	for (size_t i = 0; i < taken; i++)
		CHECK_EQ((uintptr_t)values[i], (uintptr_t)model_pop(&bed->model));
	compare(bed);
}

static void step_expire(struct bed *bed, struct seen *seen)
{
	size_t count = 1 + below(bed, 5);
	void *values[5];
	size_t taken;

	weiri_store_lock(&bed->store);
	taken = weiri_store_expire(&bed->store, bed->now, values, count);
	CHECK(taken == count || weiri_store_expires_next(&bed->store) > bed->now);
	weiri_store_unlock(&bed->store);
	for (size_t i = 0; i < taken; i++)
		CHECK_EQ((uintptr_t)values[i], (uintptr_t)model_expire(&bed->model, bed->now));
	CHECK(taken == count || model_expire(&bed->model, bed->now) == NULL);
	compare(bed);
	seen->expired += taken;
}

static void run_model(struct bed *bed, const struct weiri_store_options *options, struct seen *seen)
{
	uint64_t high_water = 0;
	/* Filling, draining, and in between. */
	uint64_t pop_share = below(bed, 5);

	bed->model.options = *options;
	bed->model.count = 0;
	CHECK_EQ(weiri_store_open(&bed->store, options, &bed->allocator), 0);
	for (int step = 0; step < 400; step++) {
		if (below(bed, 6) < pop_share || bed->model.count == MODEL_MAX - 1)
			step_pop(bed);
		else if (options->expires && below(bed, 6) == 0)
			step_expire(bed, seen);
		else
			step_push(bed, seen);
		if (bed->model.count > high_water)
			high_water = bed->model.count;
		if (step % 100 == 0)
			pop_share = below(bed, 5);
	}
	CHECK_EQ(bed->store.high_water, high_water);
	while (bed->model.count > 0)
		step_pop(bed);
	weiri_store_close(&bed->store);
	memset(&bed->store, 0, sizeof(bed->store));
}

static const enum weiri_store_full policies[] = { WEIRI_STORE_REFUSE, WEIRI_STORE_EVICT_OLDEST,
	WEIRI_STORE_EVICT_LOWEST, WEIRI_STORE_CONFLATE, WEIRI_STORE_GROW };

static bool evicts(enum weiri_store_full full)
{
	return full != WEIRI_STORE_REFUSE && full != WEIRI_STORE_GROW;
}

/* What this policy must have shown, so that the runs are not idle. */
static void check_seen(
	const struct weiri_store_options *options, bool has_protection, const struct seen *seen)
{
	CHECK(seen->pushes > 0 && seen->expired > 0);
	if (options->full != WEIRI_STORE_GROW && (!evicts(options->full) || has_protection))
		CHECK(seen->refusals > 0);
	if (evicts(options->full))
		CHECK(seen->evictions > 0);
	if (options->full == WEIRI_STORE_CONFLATE)
		CHECK(seen->conflations > 0);
}

static void run_policy(struct bed *bed, enum weiri_store_order order, enum weiri_store_full full,
	bool has_bytes, bool has_ageing, struct seen *sum)
{
	struct weiri_store_options options = {
		.order = order,
		.full = full,
		.bytes = has_bytes ? 200 : 0,
		.ageing = has_ageing ? 0.75 : 0,
		.secret = harness_seed(),
	};
	struct seen seen = { 0 };

	bed->weight_max = has_bytes ? 210 : 5;
	for (uint64_t run = 0; run < harness_scaled(40); run++) {
		bool is_small = run % 2 == 0;

		options.capacity = 1 + below(bed, is_small ? 6 : 150);
		options.expires = run / 2 % 2 == 0;
		bed->keys = is_small ? 12 : 100;
		run_model(bed, &options, &seen);
	}
	check_seen(&options, bed->has_protection, &seen);
	sum->long_evictions += seen.long_evictions;
	sum->grown_values += seen.grown_values;
}

static void run_policies(enum weiri_store_order order, bool has_ageing)
{
	struct bed bed = { .random = harness_seed() };
	struct seen sum = { 0 };

	weiri_allocator_complete(&bed.allocator);
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		for (int variant = 0; variant < 4; variant++) {
			bed.has_protection = variant / 2 == 1;
			run_policy(&bed, order, policies[i], variant % 2 == 1, has_ageing, &sum);
		}
	CHECK(sum.long_evictions > 0 && sum.grown_values > 0);
}

WEIR_TEST(store, agrees_with_its_model_in_order_of_arrival)
{
	run_policies(WEIRI_STORE_FIFO, false);
}

WEIR_TEST(store, agrees_with_its_model_in_order_of_rank)
{
	run_policies(WEIRI_STORE_RANKED, false);
}

WEIR_TEST(store, agrees_with_its_model_in_order_of_rank_and_age)
{
	run_policies(WEIRI_STORE_RANKED, true);
}

/* ---- Starvation ---- */

struct aged {
	int32_t rank;
	double published;
};

/*
 * The bound as weir/subscription.h says it: a message of priority p is handed out
 * before any message of priority q that was published more than (p - q) * ageing
 * seconds after it.
 */
static void check_overtaking(
	const struct aged *later_handed, const struct aged *handed, double ageing)
{
	double bound = ((double)later_handed->rank - (double)handed->rank) * ageing;

	CHECK(handed->published - later_handed->published <= bound);
}

WEIR_TEST(store, nothing_is_overtaken_by_what_came_later_than_its_age_allows)
{
	enum {
		COUNT = 300
	};
	static struct aged messages[COUNT];
	struct weiri_store_options options = {
		.order = WEIRI_STORE_RANKED, .capacity = COUNT, .ageing = 0.5
	};
	uint64_t random = harness_seed(), overtakings = 0, waits = 0;
	weir_allocator allocator = { 0 };

	weiri_allocator_complete(&allocator);
	for (uint64_t run = 0; run < harness_scaled(100); run++) {
		struct weiri_store store = { 0 };
		bool is_out[COUNT] = { false };
		double now = 0;
		size_t in = 0, out = 0;

		CHECK_EQ(weiri_store_open(&store, &options, &allocator), 0);
		while (out < COUNT) {
			struct weiri_store_evicted evicted;
			void *value;
			size_t index;

			now += (double)harness_random_below(&random, 4) * 0.25;
			if (in < COUNT && (in == out || harness_random_below(&random, 2) == 0)) {
				messages[in] =
					(struct aged){ (int32_t)harness_random_below(&random, 6),
						now };
				CHECK_EQ(weiri_store_push(&store,
						 &(struct weiri_store_item){ .value = &messages[in],
							 .rank = messages[in].rank,
							 .time = now },
						 &evicted),
					WEIRI_STORE_TAKEN);
				in++;
				continue;
			}
			CHECK_EQ(weiri_store_pop(&store, &value, 1), 1);
			index = (size_t)((struct aged *)value - messages);
			is_out[index] = true;
			out++;
			for (size_t i = 0; i < in; i++) {
				if (is_out[i])
					continue;
				check_overtaking(&messages[i], &messages[index], options.ageing);
				overtakings += i < index;
				waits += i > index && messages[i].rank < messages[index].rank;
			}
		}
		weiri_store_close(&store);
	}
	CHECK(overtakings > 0 && waits > 0);
}

/* ---- Memory ---- */

struct limited {
	weir_allocator inner;
	uint64_t allocations; /* that may still succeed */
	int64_t outstanding;
};

static void *limited_allocate(void *context, size_t size, size_t alignment)
{
	struct limited *limited = context;
	void *memory = NULL;

	if (limited->allocations == 0)
		return NULL;
	limited->allocations--;
	memory = limited->inner.allocate(limited->inner.context, size, alignment);
	if (memory != NULL)
		limited->outstanding += (int64_t)size;
	return memory;
}

static void limited_deallocate(void *context, void *memory, size_t size)
{
	struct limited *limited = context;

	limited->outstanding -= (int64_t)size;
	limited->inner.deallocate(limited->inner.context, memory, size);
}

/* Push with what memory there is, then with more. */
static void push_short_of_memory(struct bed *bed, struct limited *limited, uint64_t *failures)
{
	struct weiri_store_item item = item_draw(bed);
	struct weiri_store_evicted evicted;
	enum weiri_store_result result = weiri_store_push(&bed->store, &item, &evicted);

	if (result == WEIRI_STORE_ENOMEM) {
		(*failures)++;
		CHECK_EQ(evicted.count, 0);
		compare(bed);
		limited->allocations = harness_random_below(&bed->random, 3);
		return;
	}
	CHECK_EQ(result, model_push(&bed->model, &item) ? WEIRI_STORE_TAKEN : WEIRI_STORE_FULL);
	while (evicted.rest != NULL)
		weiri_store_evicted_more(&bed->store, &evicted);
	compare(bed);
}

WEIR_TEST(store, refused_for_want_of_memory_stays_as_it_was_and_goes_on_later)
{
	struct bed bed = { .random = harness_seed(), .weight_max = 5, .keys = 12 };
	struct limited limited = { 0 };
	uint64_t failures = 0;

	weiri_allocator_complete(&limited.inner);
	bed.allocator = (weir_allocator){ limited_allocate, limited_deallocate, &limited };
	for (uint64_t run = 0; run < harness_scaled(100); run++) {
		struct weiri_store_options options = {
			.order = run % 2 == 0 ? WEIRI_STORE_FIFO : WEIRI_STORE_RANKED,
			.full = policies[run % 5],
			.capacity = 300,
		};

		bed.model.options = options;
		limited.allocations = 0;
		if (options.full == WEIRI_STORE_CONFLATE) {
			CHECK_EQ(weiri_store_open(&bed.store, &options, &bed.allocator),
				WEIR_ENOMEM);
			CHECK_EQ(limited.outstanding, 0);
			memset(&bed.store, 0, sizeof(bed.store));
			limited.allocations = 1;
		}
		CHECK_EQ(weiri_store_open(&bed.store, &options, &bed.allocator), 0);
		for (int i = 0; i < 300; i++)
			push_short_of_memory(&bed, &limited, &failures);
		while (bed.model.count > 0)
			step_pop(&bed);
		weiri_store_close(&bed.store);
		CHECK_EQ(limited.outstanding, 0);
		memset(&bed.store, 0, sizeof(bed.store));
	}
	CHECK(failures > 0);
}

WEIR_TEST(store, in_steady_state_allocates_nothing)
{
	struct bed bed = {
		.random = harness_seed(), .weight_max = 5, .keys = 12, .has_protection = true
	};
	struct limited limited = { .allocations = UINT64_MAX };
	struct seen seen = { 0 };

	weiri_allocator_complete(&limited.inner);
	bed.allocator = (weir_allocator){ limited_allocate, limited_deallocate, &limited };
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]) - 1; i++) {
		struct weiri_store_options options = {
			.order = WEIRI_STORE_RANKED, .full = policies[i], .capacity = 8
		};
		uint64_t allocations;

		bed.model.options = options;
		CHECK_EQ(weiri_store_open(&bed.store, &options, &bed.allocator), 0);
		step_push(&bed, &seen);
		allocations = limited.allocations;
		for (int step = 0; step < 1000; step++) {
			step_push(&bed, &seen);
			if (step % 7 == 0)
				step_pop(&bed);
		}
		CHECK_EQ(limited.allocations, allocations);
		while (bed.model.count > 0)
			step_pop(&bed);
		weiri_store_close(&bed.store);
		memset(&bed.store, 0, sizeof(bed.store));
	}
}

/* ---- Cost ---- */

/* A queue full of what may not go is refused at once, however long it is: the
 * publisher of the others would pay for it. */
WEIR_TEST(store, finds_what_to_evict_without_looking_at_what_may_stay)
{
	enum {
		COUNT = 200000
	};
	struct weiri_store store = { 0 };
	struct weiri_store_evicted evicted;
	weir_allocator allocator = { 0 };

	weiri_allocator_complete(&allocator);
	for (size_t i = 1; i < 4; i++) {
		struct weiri_store_options options = {
			.full = policies[i], .capacity = COUNT + 1, .bytes = 2 * COUNT
		};
		struct weiri_store_item item = { .rank = 1, .weight = 1, .is_protected = true };

		CHECK_EQ(weiri_store_open(&store, &options, &allocator), 0);
		for (int k = 0; k < COUNT; k++)
			CHECK_EQ(weiri_store_push(&store, &item, &evicted), WEIRI_STORE_TAKEN);
		item = (struct weiri_store_item){ .rank = 9, .weight = 1 };
		CHECK_EQ(weiri_store_push(&store, &item, &evicted), WEIRI_STORE_TAKEN);
		/* 200,000 times 200,000 looks would take minutes. */
		for (int k = 0; k < COUNT; k++) {
			item.key = (uint64_t)k;
			item.rank = 2;
			item.weight = k % 2 == 0 ? 1 : COUNT + 1;
			CHECK_EQ(weiri_store_push(&store, &item, &evicted),
				k == 0 || (k % 2 == 0 && options.full != WEIRI_STORE_EVICT_LOWEST)
					? WEIRI_STORE_TAKEN
					: WEIRI_STORE_FULL);
		}
		for (void *value; weiri_store_pop(&store, &value, 1) > 0;)
			;
		weiri_store_close(&store);
		memset(&store, 0, sizeof(store));
	}
}
