/* SPDX-License-Identifier: BSD-2-Clause */
/* The random numbers of examples/lesson are those of the generator's authors and of
 * Python. The expected ones were printed by their programs. */
#include "harness.h"

#include "../examples/runs/python_random.c"

static struct python_random generator;

WEIR_TEST(python_random, the_outputs_are_those_of_the_generators_authors)
{
	static const uint32_t key[] = { 0x123, 0x234, 0x345, 0x456 };
	static const uint32_t expected[] = { 1067595299, 955945823, 477289528, 4107218783,
		4228976476, 3344332714, 3355579695, 227628506, 810200273, 2591290167 };

	python_random_seed(&generator, key, 4);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(python_random_next(&generator), expected[i]);
}

WEIR_TEST(python_random, the_ten_thousandth_output_of_the_default_seed_is_the_known_one)
{
	python_random_seed_word(&generator, 5489);
	for (int i = 1; i < 10000; i++)
		(void)python_random_next(&generator);
	CHECK_EQ(python_random_next(&generator), 4123659995);
}

struct python_case {
	uint32_t key[11];
	size_t size;
	double random;
	uint32_t outputs[2];
	int fifths[6]; /* randint(0, 4) */
	int others[3]; /* randint(-3, 1000), after six randint(5, 9) */
};

static const struct python_case cases[] = {
	{ .key = { 0 },
		.size = 1,
		.random = 0.8444218515250481,
		.outputs = { 3255389356, 3823568514 },
		.fifths = { 3, 0, 2, 4, 3, 3 },
		.others = { 139, 285, 140 } },
	{ .key = { 192837 },
		.size = 1,
		.random = 0.4168959817746001,
		.outputs = { 2178164816, 2086939111 },
		.fifths = { 2, 4, 0, 0, 3, 3 },
		.others = { 91, 131, 222 } },
	/* 2^32 */
	{ .key = { 0, 1 },
		.size = 2,
		.random = 0.11299430095636409,
		.outputs = { 1794561286, 4014597330 },
		.fifths = { 0, 0, 4, 2, 4, 3 },
		.others = { 347, 751, 387 } },
	/* 10^100 */
	{ .key = { 0, 0, 0, 0xa82e8f10, 0xaab24308, 0x8e211a7c, 0xf38ace40, 0x84c4ce0b, 0x7ceb0b27,
		  0xad2594c3, 0x1249 },
		.size = 11,
		.random = 0.7319141759120473,
		.outputs = { 2318994878, 1420669132 },
		.fifths = { 0, 1, 4, 3, 3, 4 },
		.others = { 701, 528, 46 } },
};

WEIR_TEST(python_random, seeds_of_any_length_give_what_they_give_in_python)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct python_case *python = &cases[i];

		python_random_seed(&generator, python->key, python->size);
		CHECK(python_random_random(&generator) == python->random);
		for (int k = 0; k < 2; k++)
			CHECK_EQ(python_random_next(&generator), python->outputs[k]);
		for (int k = 0; k < 6; k++)
			CHECK_EQ(python_random_randint(&generator, 0, 4), python->fifths[k]);
		for (int k = 0; k < 6; k++) {
			int number = python_random_randint(&generator, 5, 9);

			CHECK(number >= 5 && number <= 9);
		}
		for (int k = 0; k < 3; k++)
			CHECK_EQ(python_random_randint(&generator, -3, 1000), python->others[k]);
	}
}

WEIR_TEST(python_random, a_key_longer_than_the_state_counts_in_full)
{
	static uint32_t key[700];

	for (uint32_t i = 0; i < 700; i++)
		key[i] = i + 1;
	python_random_seed(&generator, key, 700);
	CHECK(python_random_random(&generator) == 0.33391811713206);
	CHECK_EQ(python_random_next(&generator), 1980819017);
}

WEIR_TEST(python_random, a_range_of_one_number_gives_it)
{
	python_random_seed_word(&generator, 1);
	CHECK_EQ(python_random_randint(&generator, 7, 7), 7);
}
