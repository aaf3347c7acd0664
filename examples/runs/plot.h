/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plot: flows drawn by gnuplot, the publisher's interval and the queue's depth over
 * time: a column for each base interval, a line for each capacity.
 */
#ifndef RUNS_PLOT_H
#define RUNS_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "flow.h"

/* Can a picture of that name be made? It is its end that says of which kind. */
bool plot_path_is_valid(const char *path);

/* Flows of the same base interval stand together. Returns an exit status; what went
 * wrong has been told. */
int plot_draw(const char *path, const struct flow *flows, size_t count, double until);

#endif
