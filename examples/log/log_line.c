/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of a log, parsed byte by byte: they may hold anything. */
#include "log_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STAMP      "dddd-dd-dd dd:dd:dd"
#define STAMP_SIZE (sizeof(STAMP) - 1)

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool is_control(char byte)
{
	return ((unsigned char)byte < 0x20 && !is_blank(byte)) || byte == 0x7f;
}

static bool is_word(char byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       byte == '_' || byte == '-';
}

static int number(const char *digits, size_t count)
{
	int value = 0;

	for (size_t i = 0; i < count; i++)
		value = value * 10 + (digits[i] - '0');
	return value;
}

static bool has_stamp(const char *text, size_t size)
{
	if (size < STAMP_SIZE || (size > STAMP_SIZE && !is_blank(text[STAMP_SIZE])))
		return false;
	for (size_t i = 0; i < STAMP_SIZE; i++)
		if (STAMP[i] == 'd' ? !is_digit(text[i]) : text[i] != STAMP[i])
			return false;
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

/* Days from 1970-01-01. Counted in years that begin in March, so that the day
 * that is not in every year is the last one of its year. */
static int64_t day_number(int year, int month, int day)
{
	int64_t march_year = month > 2 ? year : year - 1;
	int64_t march_month = month > 2 ? month - 3 : month + 9;
	int64_t leap_days;

	/* The year before the year 0 is a leap year's beginning as well; 400
	 * years more keep the divisions above zero. */
	march_year += 400;
	leap_days = march_year / 4 - march_year / 100 + march_year / 400;
	return march_year * 365 + leap_days + (153 * march_month + 2) / 5 + day - 1 -
	       (719468 + 146097);
}

bool log_line_time(const char *text, size_t size, int64_t *time)
{
	int year, month, day, hour, minute, second;

	if (!has_stamp(text, size))
		return false;
	year = number(text, 4);
	month = number(text + 5, 2);
	day = number(text + 8, 2);
	hour = number(text + 11, 2);
	minute = number(text + 14, 2);
	second = number(text + 17, 2);
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return false;
	/* Second 60 is a leap second. */
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	*time = day_number(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}

/* The word after the time as a topic's token; returns its size. */
static size_t action_copy(const char *text, size_t size, char *action)
{
	size_t begin = STAMP_SIZE;
	size_t end;
	size_t copied = 0;

	while (begin < size && is_blank(text[begin]))
		begin++;
	for (end = begin; end < size && !is_blank(text[end]);)
		end++;
	while (begin < end && !is_word(text[begin]))
		begin++;
	while (end > begin && !is_word(text[end - 1]))
		end--;
	for (; begin < end && copied < LOG_ACTION_SIZE_MAX; begin++)
		action[copied++] = is_word(text[begin]) ? text[begin] : '-';
	return copied;
}

static const char *other_topic(const char *text, size_t size)
{
	const char *topic = "other.blank";

	for (size_t i = 0; i < size; i++) {
		if (is_control(text[i]))
			return "other.binary";
		if (!is_blank(text[i]))
			topic = "other.text";
	}
	return topic;
}

void log_line_topic(const char *text, size_t size, char topic[LOG_TOPIC_SIZE])
{
	char *action = topic + LOG_MONTH_SIZE + 1;
	size_t copied;
	int64_t time;

	if (!log_line_time(text, size, &time)) {
		(void)strcpy(topic, other_topic(text, size));
		return;
	}
	memcpy(topic, text, LOG_MONTH_SIZE);
	topic[LOG_MONTH_SIZE] = '.';
	copied = action_copy(text, size, action);
	if (copied == 0)
		(void)strcpy(action, "none");
	else
		action[copied] = '\0';
}

void log_time_format(int64_t time, char text[LOG_TIME_SIZE])
{
	time_t seconds = (time_t)time;
	struct tm parts;

	if (gmtime_r(&seconds, &parts) == NULL ||
		strftime(text, LOG_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &parts) == 0)
		(void)strcpy(text, "?");
}
