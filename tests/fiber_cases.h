/* SPDX-License-Identifier: BSD-2-Clause */
/* fiber_cases.h - the cases of fiber_test.c and, for the portable switch, of
 * fiber_portable_test.c; FIBER_SUITE is the name of the suite. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/stack_arena.h"

/* In two steps, so that FIBER_SUITE is replaced by what it stands for. */
#define FIBER_CASE_IN(suite, name) WEIR_TEST(suite, name)
#define FIBER_CASE(name)           FIBER_CASE_IN(FIBER_SUITE, name)

#define STACK_SIZE ((size_t)64 * 1024 + WEIRI_FIBER_STACK_EXTRA)
#define RING       100

/* What the fibers of a case share. */
static struct {
	struct weiri_stack_arena stacks;
	struct weiri_fiber thread;
	struct weiri_fiber fibers[RING];
	uint64_t switches_left;
	uint64_t wrong;
	char text[64];
} shared;

static void open_fibers(int count, void (*function)(void *argument))
{
	weiri_stack_arena_init(&shared.stacks, STACK_SIZE);
	weiri_fiber_adopt(&shared.thread);
	for (int i = 0; i < count; i++) {
		void *stack;

		CHECK_EQ(weiri_stack_arena_add(&shared.stacks, &stack), 0);
		weiri_fiber_create(&shared.fibers[i], stack, shared.stacks.stack_size, function,
			&shared.fibers[i]);
	}
}

static void close_fibers(int count)
{
	for (int i = 0; i < count; i++)
		weiri_fiber_destroy(&shared.fibers[i]);
	weiri_stack_arena_destroy(&shared.stacks);
	CHECK_EQ(shared.wrong, 0);
}

static void count_up(void *argument)
{
	for (uint64_t i = 0;; i++) {
		(void)snprintf(shared.text, sizeof(shared.text), "%d", (int)i);
		weiri_fiber_switch(argument, &shared.thread);
	}
}

FIBER_CASE(goes_on_where_it_was_left)
{
	char expected[64];

	open_fibers(1, count_up);
	for (int i = 0; i < 1000; i++) {
		weiri_fiber_switch(&shared.thread, &shared.fibers[0]);
		(void)snprintf(expected, sizeof(expected), "%d", i);
		CHECK_STR_EQ(shared.text, expected);
	}
	close_fibers(1);
}

/* Keeps more values alive over a switch than there are registers. */
static void check_values(void *argument)
{
	uint64_t self = (uint64_t)((struct weiri_fiber *)argument - shared.fibers);
	struct weiri_fiber *next = &shared.fibers[(self + 1) % RING];
	uint64_t a = self, b = self * 3, c = self * 5, d = self * 7, e = self * 11, f = self * 13,
		 g = self * 17, h = self * 19, i = self * 23, j = self * 29;
	double x = (double)self, y = (double)self * 0.5;

	for (uint64_t turn = 1;; turn++) {
		weiri_fiber_switch(argument, --shared.switches_left > 0 ? next : &shared.thread);
		a += 1, b += 3, c += 5, d += 7, e += 11, f += 13, g += 17, h += 19, i += 23,
			j += 29;
		x += 1, y += 0.5;
		if (a != self + turn || b != a * 3 || c != a * 5 || d != a * 7 || e != a * 11 ||
			f != a * 13 || g != a * 17 || h != a * 19 || i != a * 23 || j != a * 29 ||
			x != (double)a || y != x * 0.5)
			shared.wrong++;
	}
}

FIBER_CASE(keeps_its_values_while_a_hundred_others_run)
{
	open_fibers(RING, check_values);
	shared.switches_left = harness_scaled(100000);
	weiri_fiber_switch(&shared.thread, &shared.fibers[0]);
	CHECK_EQ(shared.switches_left, 0);
	close_fibers(RING);
}

/* Returns a sum over an array that every level of the recursion has. */
static uint64_t recurse(unsigned int depth)
{
	volatile uint64_t array[32];
	uint64_t sum = 0;

	for (unsigned int i = 0; i < 32; i++)
		array[i] = i;
	if (depth > 0)
		sum = recurse(depth - 1);
	for (unsigned int i = 0; i < 32; i++)
		sum += array[i];
	return sum;
}

static void use_stack(void *argument)
{
	_Alignas(16) volatile char aligned[16] = { 0 };

	for (;;) {
		if ((uintptr_t)&aligned % 16 != 0)
			shared.wrong++;
		if (recurse(100) != 101 * 496)
			shared.wrong++;
		/* Vector instructions and a lot of stack in the C library. */
		(void)snprintf(shared.text, sizeof(shared.text), "%.3Lf %.3f", 1.5L, 2.5);
		weiri_fiber_switch(argument, &shared.thread);
	}
}

FIBER_CASE(has_an_aligned_stack_of_the_size_asked_for)
{
	open_fibers(2, use_stack);
	for (int i = 0; i < 4; i++) {
		weiri_fiber_switch(&shared.thread, &shared.fibers[i % 2]);
		CHECK_STR_EQ(shared.text, "1.500 2.500");
	}
	close_fibers(2);
}
