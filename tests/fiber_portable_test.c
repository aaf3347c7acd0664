/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fiber_portable_test.c - the portable switch between fibers, also on machines
 * that have one of their own: compiled here once more, under other names.
 */
#define WEIRI_FIBER_PORTABLE 1
#define weiri_fiber_adopt    portable_fiber_adopt
#define weiri_fiber_create   portable_fiber_create
#define weiri_fiber_destroy  portable_fiber_destroy
#define weiri_fiber_switch   portable_fiber_switch
#include "clock/fiber.c"

#include "harness.h"

#define FIBER_SUITE fiber_portable
#include "fiber_cases.h"
