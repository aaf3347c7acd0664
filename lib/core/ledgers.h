/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ledgers: the broker's, found by the number that a delivery carries.
 *
 * A ledger is lent to a subscription and used again after it, but never freed
 * before the broker, so a token can be checked at any time.  The table grows by
 * chunks that never move; looking up takes no lock.
 */
#ifndef WEIRI_LEDGERS_H
#define WEIRI_LEDGERS_H

#include "delivery/ledger.h"

#define WEIRI_LEDGERS_CHUNK  1024
#define WEIRI_LEDGERS_CHUNKS 1024

struct weiri_ledgers_chunk {
	struct weiri_ledger *_Atomic ledgers[WEIRI_LEDGERS_CHUNK];
};

struct weiri_ledgers {
	struct weiri_ledgers_chunk *_Atomic chunks[WEIRI_LEDGERS_CHUNKS];
	uint32_t count; /* numbers given out: 1..count */
	struct weiri_ledger *idle;
};

/* An idle ledger, its number in ledger->number.  Returns 0, WEIR_ENOMEM,
 * WEIR_ELIMIT or WEIR_ESYSTEM.  lend and give_back are serialized by the caller. */
int weiri_ledgers_lend(struct weiri_ledgers *ledgers, struct weiri_timers *timers,
	const weir_allocator *allocator, void (*on_due)(struct weiri_ledger *ledger),
	struct weiri_ledger **ledger);
void weiri_ledgers_give_back(struct weiri_ledgers *ledgers, struct weiri_ledger *ledger);

/* NULL: there is no such number.  Threads: any. */
struct weiri_ledger *weiri_ledgers_find(struct weiri_ledgers *ledgers, uint32_t number);

void weiri_ledgers_close(struct weiri_ledgers *ledgers, const weir_allocator *allocator);

#endif
