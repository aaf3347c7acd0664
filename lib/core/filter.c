/* SPDX-License-Identifier: BSD-2-Clause */
/* One pass over names and filters, without recursion. */
#include "core/filter.h"

#include <string.h>

#include <weir/subscription.h>

static bool byte_is_control(char byte)
{
	return (unsigned char)byte < 0x20 || byte == 0x7f;
}

static size_t token_length(const char *text)
{
	return strcspn(text, ".");
}

/* A token of a name: not empty, no wildcard, no control byte. */
static bool token_is_plain(const char *token, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (byte_is_control(token[i]) || token[i] == '*' || token[i] == '>')
			return false;
	return length > 0;
}

static bool token_is(const char *token, size_t length, char wildcard)
{
	return length == 1 && token[0] == wildcard;
}

size_t weiri_filter_length(const char *filter, bool *has_wildcard)
{
	const char *token = filter;
	bool found = false;
	size_t length;

	if (filter == NULL || strnlen(filter, WEIR_TOPIC_SIZE_MAX + 1) > WEIR_TOPIC_SIZE_MAX)
		return 0;
	for (;;) {
		bool is_tail;

		length = token_length(token);
		is_tail = token_is(token, length, '>');
		if (is_tail || token_is(token, length, '*'))
			found = true;
		else if (!token_is_plain(token, length))
			return 0;
		token += length;
		if (*token == '\0')
			break;
		if (is_tail)
			return 0;
		token++;
	}
	*has_wildcard = found;
	return (size_t)(token - filter);
}

size_t weiri_topic_name_length(const char *name)
{
	bool has_wildcard;
	size_t length = weiri_filter_length(name, &has_wildcard);

	return length > 0 && !has_wildcard ? length : 0;
}

bool weiri_filter_matches(const char *filter, const char *name)
{
	for (;;) {
		size_t filter_length = token_length(filter);
		size_t name_length = token_length(name);

		if (token_is(filter, filter_length, '>'))
			return true;
		if (!token_is(filter, filter_length, '*') &&
			(filter_length != name_length || memcmp(filter, name, name_length) != 0))
			return false;
		filter += filter_length;
		name += name_length;
		if (*filter == '\0' || *name == '\0')
			return *filter == *name;
		filter++;
		name++;
	}
}

bool weir_topic_is_valid(const char *name)
{
	return weiri_topic_name_length(name) > 0;
}

bool weir_filter_is_valid(const char *filter)
{
	bool has_wildcard;

	return weiri_filter_length(filter, &has_wildcard) > 0;
}

bool weir_filter_matches(const char *filter, const char *name)
{
	return weir_filter_is_valid(filter) && weir_topic_is_valid(name) &&
	       weiri_filter_matches(filter, name);
}
