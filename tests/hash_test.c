/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash_test.c - SipHash-2-4 as its authors published it: the first vectors for the
 * key 00 01 .. 0f and the inputs (nothing), 00, 00 01, 00 01 02, ...
 */
#include "base/hash.h"

#include "harness.h"
#include <weir/publisher.h>

/* Written as there, byte by byte, the first one least significant. */
static const unsigned char vectors[][8] = {
	{ 0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72 },
	{ 0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74 },
	{ 0x5a, 0x4f, 0xa9, 0xd9, 0x09, 0x80, 0x6c, 0x0d },
	{ 0x2d, 0x7e, 0xfb, 0xd7, 0x96, 0x66, 0x67, 0x85 },
	{ 0xb7, 0x87, 0x71, 0x27, 0xe0, 0x94, 0x27, 0xcf },
	{ 0x8d, 0xa6, 0x99, 0xcd, 0x64, 0x55, 0x76, 0x18 },
	{ 0xce, 0xe3, 0xfe, 0x58, 0x6e, 0x46, 0xc9, 0xcb },
	{ 0x37, 0xd1, 0x01, 0x8b, 0xf5, 0x00, 0x02, 0xab },
	{ 0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93 },
	{ 0xb0, 0xe4, 0xa9, 0x0b, 0xdf, 0x82, 0x00, 0x9e },
	{ 0xf3, 0xb9, 0xdd, 0x94, 0xc5, 0xbb, 0x5d, 0x7a },
	{ 0xa7, 0xad, 0x6b, 0x22, 0x46, 0x2f, 0xb3, 0xf4 },
	{ 0xfb, 0xe5, 0x0e, 0x86, 0xbc, 0x8f, 0x1e, 0x75 },
	{ 0x90, 0x3d, 0x84, 0xc0, 0x27, 0x56, 0xea, 0x14 },
	{ 0xee, 0xf2, 0x7a, 0x8e, 0x90, 0xca, 0x23, 0xf7 },
	{ 0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1 },
};

#define VECTOR_COUNT (sizeof(vectors) / sizeof(vectors[0]))

static uint64_t little_endian(const unsigned char *bytes)
{
	uint64_t word = 0;

	for (int i = 8; i-- > 0;)
		word = word << 8 | bytes[i];
	return word;
}

static const struct weiri_hash_key published_key = { { UINT64_C(0x0706050403020100),
	UINT64_C(0x0f0e0d0c0b0a0908) } };

WEIR_TEST(hash, agrees_with_the_published_vectors)
{
	unsigned char input[64];

	for (unsigned char i = 0; i < sizeof(input); i++)
		input[i] = i;
	for (size_t size = 0; size < VECTOR_COUNT; size++)
		CHECK_EQ(weiri_hash(&published_key, input, size), little_endian(vectors[size]));
}

WEIR_TEST(hash, does_not_depend_on_where_the_bytes_stand)
{
	unsigned char memory[64 + 8];
	uint64_t state = harness_seed();

	for (size_t size = 0; size <= 64; size++) {
		uint64_t expected = 0;

		for (size_t offset = 0; offset < 8; offset++) {
			uint64_t sequence = state;

			for (size_t i = 0; i < size; i++)
				memory[offset + i] = (unsigned char)harness_random(&sequence);
			if (offset == 0)
				expected = weiri_hash(&published_key, memory, size);
			CHECK_EQ(weiri_hash(&published_key, memory + offset, size), expected);
		}
		state++;
	}
}

WEIR_TEST(hash, changes_with_every_bit_of_key_and_input)
{
	const char input[] = "the same words";
	const uint64_t plain = weiri_hash(&published_key, input, sizeof(input));

	for (int bit = 0; bit < 128; bit++) {
		struct weiri_hash_key key = published_key;

		key.word[bit / 64] ^= UINT64_C(1) << bit % 64;
		CHECK(weiri_hash(&key, input, sizeof(input)) != plain);
	}
	for (size_t bit = 0; bit < 8 * sizeof(input); bit++) {
		char changed[sizeof(input)];

		for (size_t i = 0; i < sizeof(input); i++)
			changed[i] = input[i];
		changed[bit / 8] = (char)(changed[bit / 8] ^ 1 << bit % 8);
		CHECK(weiri_hash(&published_key, changed, sizeof(input)) != plain);
	}
}

WEIR_TEST(hash, draws_another_key_each_time)
{
	struct weiri_hash_key one, two;

	weiri_hash_key_draw(&one);
	weiri_hash_key_draw(&two);
	CHECK(one.word[0] != two.word[0] || one.word[1] != two.word[1]);
}

WEIR_TEST(hash, makes_the_same_key_of_the_same_bytes_in_every_process)
{
	/* Written down once: a key may be stored. */
	CHECK_EQ(weir_key("weir", 4), UINT64_C(0x4c32beb37c1704d1));
	CHECK_EQ(weir_key("", 0), UINT64_C(0x1e924b9d737700d7));
	CHECK_EQ(weir_key(NULL, 0), weir_key("", 0));
}
