/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keyed hash: SipHash-2-4 (Aumasson and Bernstein, 2012), so that names chosen
 * by a stranger cannot be made to collide.
 */
#ifndef WEIRI_HASH_H
#define WEIRI_HASH_H

#include <stddef.h>
#include <stdint.h>

struct weiri_hash_key {
	uint64_t word[2];
};

/* A random key from the system; a fixed one where the system has none to give. */
void weiri_hash_key_draw(struct weiri_hash_key *key);

uint64_t weiri_hash(const struct weiri_hash_key *key, const void *data, size_t size);

#endif
