/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Manifest: a line for each file that was done, in the order of their paths:
 *
 *     CHECKSUM SIZE COMPRESSED PATH
 *
 * with the checksum in eight hexadecimal digits, and in the path each control byte
 * and backslash as \ and three octal digits, so that it is one line.
 */
#ifndef JOBS_MANIFEST_H
#define JOBS_MANIFEST_H

#include "jobs.h"

/* A path as it is told to people and in the manifest; to be freed. */
char *manifest_escape(const char *path);

/* Write that of the jobs, which are sorted. False, with a complaint: it could not. */
bool manifest_write(const struct jobs *jobs, const char *path);

#endif
