/* SPDX-License-Identifier: BSD-2-Clause */
/* One line of text to the log hook. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_SIZE 512

void weiri_log(const struct weiri_log *log, weir_log_level level, const char *format, ...)
{
	char line[LOG_LINE_SIZE];
	va_list arguments;

	if (log->function == NULL)
		return;
	va_start(arguments, format);
	if (vsnprintf(line, sizeof(line), format, arguments) < 0)
		line[0] = '\0';
	va_end(arguments);
	for (char *byte = line; *byte != '\0'; byte++)
		if ((unsigned char)*byte < 0x20 || *byte == 0x7f)
			*byte = '?';
	log->function(log->context, level, line);
}
