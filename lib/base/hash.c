/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-2-4. */
#include "base/hash.h"

#include <string.h>
#include <sys/random.h>

void weiri_hash_key_draw(struct weiri_hash_key *key)
{
	memset(key, 0, sizeof(*key));
	if (getrandom(key, sizeof(*key), GRND_NONBLOCK) != (ssize_t)sizeof(*key))
		memset(key, 0, sizeof(*key));
}

static inline uint64_t rotate(uint64_t word, unsigned int bits)
{
	return (word << bits) | (word >> (64 - bits));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline void sip_absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

/* Up to 8 bytes, the first one least significant. */
static inline uint64_t word_read(const unsigned char *bytes, size_t size)
{
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

uint64_t weiri_hash(const struct weiri_hash_key *key, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	size_t whole = size & ~(size_t)7;
	uint64_t v[4] = {
		key->word[0] ^ UINT64_C(0x736f6d6570736575),
		key->word[1] ^ UINT64_C(0x646f72616e646f6d),
		key->word[0] ^ UINT64_C(0x6c7967656e657261),
		key->word[1] ^ UINT64_C(0x7465646279746573),
	};

	for (size_t i = 0; i < whole; i += 8)
		sip_absorb(v, word_read(bytes + i, 8));
	sip_absorb(v, word_read(bytes + whole, size - whole) | (uint64_t)size << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
