/* SPDX-License-Identifier: BSD-2-Clause */
/* fiber_test.c - the switch between fibers that this machine has. */
#include "harness.h"

#include "clock/fiber.h"

#define FIBER_SUITE fiber
#include "fiber_cases.h"
