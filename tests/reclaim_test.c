/* SPDX-License-Identifier: BSD-2-Clause */
/* reclaim_test.c - a grace period waits for every section that was open, and only them. */
#include "core/reclaim.h"

#include <stdatomic.h>
#include <string.h>

#include "fail_allocator.h"
#include "fixture.h"

struct bench {
	struct fail_allocator memory;
	weir_allocator allocator;
	struct weiri_reclaim reclaim;
};

static void bench_open(struct bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	bench->allocator = fail_allocator_hook(&bench->memory);
	weiri_reclaim_open(&bench->reclaim, weiri_fence_probe());
}

static void bench_close(struct bench *bench)
{
	weiri_reclaim_close(&bench->reclaim, &bench->allocator);
	fail_allocator_check_empty(&bench->memory);
}

static struct weiri_reclaim_member *join(struct bench *bench)
{
	struct weiri_reclaim_member *member =
		weiri_reclaim_join(&bench->reclaim, &bench->allocator);

	CHECK(member != NULL);
	return member;
}

WEIR_TEST(reclaim, waits_for_nobody_when_no_section_is_open)
{
	struct bench bench;
	struct weiri_reclaim_member *member;

	bench_open(&bench);
	weiri_reclaim_wait(&bench.reclaim);
	member = join(&bench);
	weiri_reclaim_wait(&bench.reclaim);
	for (int i = 0; i < 100; i++) {
		weiri_reclaim_begin(member);
		weiri_reclaim_end(&bench.reclaim, member);
		weiri_reclaim_wait(&bench.reclaim);
	}
	weiri_reclaim_leave(&bench.reclaim, member);
	weiri_reclaim_wait(&bench.reclaim);
	bench_close(&bench);
}

WEIR_TEST(reclaim, members_are_used_again)
{
	struct bench bench;
	struct weiri_reclaim_member *one, *two;
	uint64_t blocks;

	bench_open(&bench);
	one = join(&bench);
	two = join(&bench);
	CHECK(one != two);
	blocks = atomic_load(&bench.memory.blocks);
	weiri_reclaim_leave(&bench.reclaim, one);
	CHECK(join(&bench) == one);
	CHECK_EQ(atomic_load(&bench.memory.blocks), blocks);
	fail_allocator_arm(&bench.memory, 1, true);
	CHECK(weiri_reclaim_join(&bench.reclaim, &bench.allocator) == NULL);
	fail_allocator_arm(&bench.memory, 0, false);
	weiri_reclaim_leave(&bench.reclaim, two);
	weiri_reclaim_leave(&bench.reclaim, one);
	bench_close(&bench);
}

struct section {
	struct bench *bench;
	struct weiri_reclaim_member *member;
	_Atomic bool is_open;
	_Atomic bool may_end;
	_Atomic bool has_ended;
};

static void *section_run(void *argument)
{
	struct section *section = argument;

	weiri_reclaim_begin(section->member);
	atomic_store(&section->is_open, true);
	FIXTURE_UNTIL(atomic_load(&section->may_end));
	atomic_store(&section->has_ended, true);
	weiri_reclaim_end(&section->bench->reclaim, section->member);
	return NULL;
}

static void *allow_run(void *argument)
{
	struct section *section = argument;

	for (int i = 0; i < 1000; i++)
		(void)sched_yield();
	atomic_store(&section->may_end, true);
	return NULL;
}

WEIR_TEST(reclaim, waits_for_a_section_that_is_open)
{
	struct bench bench;

	bench_open(&bench);
	for (int i = 0; i < 20; i++) {
		struct section section = { .bench = &bench, .member = join(&bench) };
		pthread_t reader = fixture_thread(section_run, &section), other;

		FIXTURE_UNTIL(atomic_load(&section.is_open));
		other = fixture_thread(allow_run, &section);
		weiri_reclaim_wait(&bench.reclaim);
		CHECK(atomic_load(&section.has_ended));
		fixture_join(reader);
		fixture_join(other);
		weiri_reclaim_leave(&bench.reclaim, section.member);
	}
	bench_close(&bench);
}

/* ---- What it is for ---- */

#define READERS 3
#define ALIVE   UINT64_C(0x616c697665)

struct cell {
	uint64_t mark;
};

struct shared {
	struct bench bench;
	struct cell *_Atomic cell;
	_Atomic bool stop;
	_Atomic uint64_t reads;
};

static void *reader_run(void *argument)
{
	struct shared *shared = argument;
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	struct weiri_reclaim_member *member;

	CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	member = join(&shared->bench);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	while (!atomic_load(&shared->stop)) {
		weiri_reclaim_begin(member);
		for (int i = 0; i < 10; i++)
			CHECK_EQ(weiri_load_acquire(&shared->cell)->mark, ALIVE);
		weiri_reclaim_end(&shared->bench.reclaim, member);
		(void)atomic_fetch_add(&shared->reads, 1);
		/* Rather here than in the section, where others would wait for it. */
		(void)sched_yield();
	}
	CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	weiri_reclaim_leave(&shared->bench.reclaim, member);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	return NULL;
}

static struct cell *cell_make(struct shared *shared)
{
	struct cell *cell = weiri_allocate(&shared->bench.allocator, sizeof(*cell), 8);

	cell->mark = ALIVE;
	return cell;
}

WEIR_TEST(reclaim, nobody_reads_what_is_freed_after_a_grace_period)
{
	static struct shared shared;
	const uint64_t changes = harness_scaled(300), reads = harness_scaled(5000);
	pthread_t threads[READERS];

	bench_open(&shared.bench);
	weiri_store_release(&shared.cell, cell_make(&shared));
	for (int i = 0; i < READERS; i++)
		threads[i] = fixture_thread(reader_run, &shared);
	for (uint64_t i = 0; i < changes || atomic_load(&shared.reads) < reads; i++) {
		struct cell *old = weiri_load_relaxed(&shared.cell);

		weiri_store_release(&shared.cell, cell_make(&shared));
		weiri_reclaim_wait(&shared.bench.reclaim);
		weiri_deallocate(&shared.bench.allocator, old, sizeof(*old));
	}
	atomic_store(&shared.stop, true);
	for (int i = 0; i < READERS; i++)
		fixture_join(threads[i]);
	weiri_deallocate(
		&shared.bench.allocator, weiri_load_relaxed(&shared.cell), sizeof(struct cell));
	bench_close(&shared.bench);
}
