/* SPDX-License-Identifier: BSD-2-Clause */
/* A ring for each class, and one count for all. */
#include "queue/lanes.h"

#include "base/debug.h"

#include <weir/error.h>

int weiri_lanes_open(
	struct weiri_lanes **lanes, size_t count, size_t capacity, const weir_allocator *allocator)
{
	size_t bytes = sizeof(struct weiri_lanes) + count * sizeof(struct weiri_ring);
	struct weiri_lanes *made = weiri_allocate(allocator, bytes, WEIRI_CACHE_LINE);

	if (made == NULL)
		return WEIR_ENOMEM;
	made->bytes = bytes;
	made->capacity = capacity;
	for (; made->count < count; made->count++) {
		if (weiri_ring_open(&made->rings[made->count], capacity, allocator) != 0) {
			weiri_lanes_close(made, allocator);
			return WEIR_ENOMEM;
		}
	}
	*lanes = made;
	return 0;
}

void weiri_lanes_close(struct weiri_lanes *lanes, const weir_allocator *allocator)
{
	for (size_t i = 0; i < lanes->count; i++)
		weiri_ring_close(&lanes->rings[i], allocator);
	weiri_deallocate(allocator, lanes, lanes->bytes);
}

bool weiri_lanes_reserve(struct weiri_lanes *lanes)
{
	uint64_t used = weiri_load_relaxed(&lanes->used);
	uint64_t high = weiri_load_relaxed(&lanes->high_water);

	do {
		if (used >= lanes->capacity)
			return false;
		/* U2 (pairs with U1 in pop): the ring's place is free before
		 * the count says so. */
	} while (!weiri_cas_weak_acquire(&lanes->used, &used, used + 1));
	while (used + 1 > high && !weiri_cas_weak_relaxed(&lanes->high_water, &high, used + 1))
		;
	return true;
}

void weiri_lanes_fill(struct weiri_lanes *lanes, void *value, int32_t class)
{
	size_t lane = class < 0 ? 0 : (size_t) class;
	bool is_in;

	if (lane >= lanes->count)
		lane = lanes->count - 1;
	/* There is room: the count never lets more in than one ring holds. */
	is_in = weiri_ring_push(&lanes->rings[lane], &value, 1) == 1;
	weiri_assert(is_in);
	(void)is_in;
}

void weiri_lanes_cancel(struct weiri_lanes *lanes)
{
	(void)weiri_sub_release(&lanes->used, 1);
}

bool weiri_lanes_push(struct weiri_lanes *lanes, void *value, int32_t class)
{
	if (!weiri_lanes_reserve(lanes))
		return false;
	weiri_lanes_fill(lanes, value, class);
	return true;
}

size_t weiri_lanes_pop(struct weiri_lanes *lanes, void **values, size_t count)
{
	size_t taken = 0;

	for (size_t i = 0; i < lanes->count && taken < count; i++)
		taken += weiri_ring_pop(&lanes->rings[i], values + taken, count - taken);
	if (taken > 0)
		(void)weiri_sub_release(&lanes->used, taken); /* U1 */
	return taken;
}

bool weiri_lanes_is_empty(struct weiri_lanes *lanes)
{
	for (size_t i = 0; i < lanes->count; i++)
		if (!weiri_ring_is_empty(&lanes->rings[i]))
			return false;
	return true;
}
