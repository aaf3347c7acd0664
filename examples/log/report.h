/* SPDX-License-Identifier: BSD-2-Clause */
/* Report: the tables at the end, on standard output. */
#ifndef LOG_REPORT_H
#define LOG_REPORT_H

#include <weir/weir.h>

#include "subscriber.h"

/* What was read, in how many seconds. */
void report_total(uint64_t lines, uint64_t bytes, size_t topics, double seconds);

/* A row for each subscriber; they have been joined. */
void report_subscribers(const struct subscriber *subscribers, size_t count);

/* A row for each of the `rows` topics with the most lines, by name: how many were
 * published, and how many came to each subscriber. */
void report_topics(weir_broker *broker, const struct topics *topics, size_t rows,
	const struct subscriber *subscribers, size_t count);

/* A duration for people, "1.25 ms". */
#define REPORT_DURATION_SIZE 16
void report_duration_format(double seconds, char text[REPORT_DURATION_SIZE]);

#endif
