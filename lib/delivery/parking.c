/* SPDX-License-Identifier: BSD-2-Clause */
/* A ring of messages that failed for good. */
#include "delivery/parking.h"

#include <weir/error.h>

int weiri_parking_open(struct weiri_parking *parking, size_t size, const weir_allocator *allocator)
{
	*parking = (struct weiri_parking){ .size = size };
	if (size == 0)
		return 0;
	parking->places =
		weiri_allocate(allocator, size * sizeof(*parking->places), sizeof(void *));
	if (parking->places == NULL) {
		parking->size = 0;
		return WEIR_ENOMEM;
	}
	return 0;
}

void weiri_parking_close(struct weiri_parking *parking, const weir_allocator *allocator)
{
	weiri_deallocate(allocator, parking->places, parking->size * sizeof(*parking->places));
	*parking = (struct weiri_parking){ 0 };
}

bool weiri_parking_put(struct weiri_parking *parking, const struct weiri_exhausted *exhausted)
{
	size_t last = parking->first + parking->count;

	if (parking->count == parking->size)
		return false;
	parking->places[last < parking->size ? last : last - parking->size] = *exhausted;
	parking->count++;
	return true;
}

size_t weiri_parking_return(struct weiri_parking *parking, size_t count_max, uint64_t behind)
{
	size_t rest = parking->count - parking->returning;
	size_t count = count_max < rest ? count_max : rest;

	parking->returning += count;
	if (count > 0)
		parking->behind = behind;
	return count;
}

bool weiri_parking_take(struct weiri_parking *parking, struct weiri_exhausted *exhausted)
{
	if (parking->count == 0)
		return false;
	*exhausted = parking->places[parking->first];
	parking->first = parking->first + 1 < parking->size ? parking->first + 1 : 0;
	parking->count--;
	if (parking->returning > 0)
		parking->returning--;
	return true;
}
