/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chart: who of a crew did what, and how long jobs waited, as bars, one group of them
 * for each policy; written as SVG without any help.
 */
#ifndef RUNS_CHART_H
#define RUNS_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "crew.h"

/* Does the name end as a chart's? */
bool chart_path_is_valid(const char *path);

/* Returns an exit status; what went wrong has been told. */
int chart_draw(const char *path, const struct crew *crews, size_t count);

#endif
