/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log line: what one line of a log says of itself, its time and its topic.
 *
 * A line that begins as dpkg's do, "2026-11-22 14:04:31 install ...", has a time
 * and the topic "2026-11.install": the month, and the word after the time. That
 * word may hold anything, a topic's token may not (a dot, a wildcard, a control
 * byte); so all but letters, digits, '_' and '-' becomes '-', such dashes at its
 * ends go, and what is longer than LOG_ACTION_SIZE_MAX is cut.
 *
 *   a time, and no word after it       2026-11.none
 *   no time, only blanks               other.blank
 *   no time, and control bytes         other.binary
 *   no time, any other text            other.text
 */
#ifndef LOG_LINE_H
#define LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_MONTH_SIZE      7 /* "2026-11" */
#define LOG_ACTION_SIZE_MAX 32

/* Any topic that comes from here, with its final zero. */
#define LOG_TOPIC_SIZE (LOG_MONTH_SIZE + 1 + LOG_ACTION_SIZE_MAX + 1)

/* The time at the beginning of a line, in seconds since 1970-01-01 00:00:00 of
 * the log's own time zone. False: it does not begin with one. */
bool log_line_time(const char *text, size_t size, int64_t *time);

/* The topic of a line, which may end in a newline. */
void log_line_topic(const char *text, size_t size, char topic[LOG_TOPIC_SIZE]);

/* The time as it stands in a log, "2026-11-22 14:04:31". */
#define LOG_TIME_SIZE 20
void log_time_format(int64_t time, char text[LOG_TIME_SIZE]);

#endif
