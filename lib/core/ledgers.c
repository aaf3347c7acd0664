/* SPDX-License-Identifier: BSD-2-Clause */
/* Ledgers by number. */
#include "core/ledgers.h"

#include <weir/error.h>

static int ledger_make(struct weiri_ledgers *ledgers, struct weiri_timers *timers,
	const weir_allocator *allocator, void (*on_due)(struct weiri_ledger *ledger),
	struct weiri_ledger **made)
{
	uint32_t index = ledgers->count;
	struct weiri_ledgers_chunk *chunk;
	struct weiri_ledger *ledger;
	int error;

	if (index / WEIRI_LEDGERS_CHUNK >= WEIRI_LEDGERS_CHUNKS)
		return WEIR_ELIMIT;
	chunk = weiri_load_relaxed(&ledgers->chunks[index / WEIRI_LEDGERS_CHUNK]);
	if (chunk == NULL) {
		chunk = weiri_allocate(allocator, sizeof(*chunk), WEIRI_CACHE_LINE);
		if (chunk == NULL)
			return WEIR_ENOMEM;
		/* J1, J3 (pair with J2, J4 in find): complete before found. */
		weiri_store_release(&ledgers->chunks[index / WEIRI_LEDGERS_CHUNK], chunk);
	}
	ledger = weiri_allocate(allocator, sizeof(*ledger), WEIRI_CACHE_LINE);
	if (ledger == NULL)
		return WEIR_ENOMEM;
	error = weiri_ledger_open(ledger, timers, allocator, on_due);
	if (error != 0) {
		weiri_deallocate(allocator, ledger, sizeof(*ledger));
		return error;
	}
	ledger->number = ++ledgers->count;
	weiri_store_release(&chunk->ledgers[index % WEIRI_LEDGERS_CHUNK], ledger); /* J3 */
	*made = ledger;
	return 0;
}

int weiri_ledgers_lend(struct weiri_ledgers *ledgers, struct weiri_timers *timers,
	const weir_allocator *allocator, void (*on_due)(struct weiri_ledger *ledger),
	struct weiri_ledger **ledger)
{
	if (ledgers->idle == NULL)
		return ledger_make(ledgers, timers, allocator, on_due, ledger);
	*ledger = ledgers->idle;
	ledgers->idle = ledgers->idle->next;
	return 0;
}

void weiri_ledgers_give_back(struct weiri_ledgers *ledgers, struct weiri_ledger *ledger)
{
	ledger->next = ledgers->idle;
	ledgers->idle = ledger;
}

struct weiri_ledger *weiri_ledgers_find(struct weiri_ledgers *ledgers, uint32_t number)
{
	struct weiri_ledgers_chunk *chunk;
	uint32_t index = number - 1;

	if (index / WEIRI_LEDGERS_CHUNK >= WEIRI_LEDGERS_CHUNKS)
		return NULL;
	chunk = weiri_load_acquire(&ledgers->chunks[index / WEIRI_LEDGERS_CHUNK]); /* J2 */
	if (chunk == NULL)
		return NULL;
	return weiri_load_acquire(&chunk->ledgers[index % WEIRI_LEDGERS_CHUNK]); /* J4 */
}

void weiri_ledgers_close(struct weiri_ledgers *ledgers, const weir_allocator *allocator)
{
	for (uint32_t number = 1; number <= ledgers->count; number++) {
		struct weiri_ledger *ledger = weiri_ledgers_find(ledgers, number);

		weiri_ledger_close(ledger);
		weiri_deallocate(allocator, ledger, sizeof(*ledger));
	}
	for (size_t i = 0; i < WEIRI_LEDGERS_CHUNKS; i++)
		weiri_deallocate(allocator, weiri_load_relaxed(&ledgers->chunks[i]),
			sizeof(struct weiri_ledgers_chunk));
}
