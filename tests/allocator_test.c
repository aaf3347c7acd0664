/* SPDX-License-Identifier: BSD-2-Clause */
/* allocator_test.c - the user's hook and what stands in for it. */
#include "base/allocator.h"

#include <string.h>

#include "fail_allocator.h"
#include "harness.h"

WEIR_TEST(allocator, has_both_functions_or_none)
{
	const weir_allocator whole = fail_allocator_hook(&(struct fail_allocator){ 0 });
	const weir_allocator none = { 0 };
	weir_allocator half = whole;

	CHECK(weiri_allocator_is_valid(&whole));
	CHECK(weiri_allocator_is_valid(&none));
	half.allocate = NULL;
	CHECK(!weiri_allocator_is_valid(&half));
	half = whole;
	half.deallocate = NULL;
	CHECK(!weiri_allocator_is_valid(&half));
}

WEIR_TEST(allocator, by_default_aligns_as_asked_and_gives_zeros)
{
	weir_allocator allocator = { 0 };

	weiri_allocator_complete(&allocator);
	for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
		for (size_t size = 1; size <= 5000; size = size * 2 + 1) {
			unsigned char *memory = weiri_allocate(&allocator, size,
				alignment < sizeof(void *) ? sizeof(void *) : alignment);

			CHECK(memory != NULL);
			CHECK_EQ((uintptr_t)memory % alignment, 0);
			for (size_t i = 0; i < size; i++)
				CHECK_EQ(memory[i], 0);
			memset(memory, 0xff, size);
			weiri_deallocate(&allocator, memory, size);
		}
	}
	weiri_deallocate(&allocator, NULL, 10);
}

WEIR_TEST(allocator, by_default_says_no_to_what_no_machine_has)
{
	weir_allocator allocator = { 0 };

	weiri_allocator_complete(&allocator);
	CHECK(weiri_allocate_raw(&allocator, SIZE_MAX, 64) == NULL);
	CHECK(weiri_allocate_raw(&allocator, SIZE_MAX - 62, 64) == NULL);
}

WEIR_TEST(allocator, hook_is_asked_for_exactly_what_is_needed)
{
	struct fail_allocator memory = { 0 };
	weir_allocator allocator = fail_allocator_hook(&memory);
	unsigned char *zeros, *raw;

	weiri_allocator_complete(&allocator);
	CHECK(allocator.context == &memory);
	/* The hook gives rubbish: zeros are the library's doing. */
	zeros = weiri_allocate(&allocator, 100, 64);
	raw = weiri_allocate_raw(&allocator, 100, 64);
	CHECK_EQ(atomic_load(&memory.calls), 2);
	CHECK_EQ(atomic_load(&memory.bytes), 200);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(zeros[i], 0);
	weiri_deallocate(&allocator, zeros, 100);
	weiri_deallocate(&allocator, raw, 100);
	fail_allocator_check_empty(&memory);
	fail_allocator_arm(&memory, 1, false);
	CHECK(weiri_allocate(&allocator, 1, 8) == NULL);
}
