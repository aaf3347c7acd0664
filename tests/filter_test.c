/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and filters: the exact rules, and matching against a dumb oracle. */
#include "core/filter.h"

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "weir/weir.h"

static const char *const names[] = { "a", "orders", "orders.eu", "a.b.c.d", "with space",
	"\xc3\xbc.\xff", "2026-11.install", "a$b", "-", "_.~" };

static const char *const not_names[] = { "", ".", "a.", ".a", "a..b", "*", ">", "a.*", "a.>", "a*",
	"a>b", "*a", "tab\there", "line\n", "\x7f", "\x01" };

static const char *const filters[] = { "*", ">", "a.*", "*.a", "a.>", "*.*.>", "a.*.b.>",
	"orders.eu" };

static const char *const not_filters[] = { "", ".", "a.", ".>", ">.a", "a.>.b", "a*", "*a", "**",
	"a.b*", ">>", "a.>b", "*.>.*", "a..*", "\n", "a.\x1f" };

#define EACH(index, array) for (size_t index = 0; index < sizeof(array) / sizeof(array[0]); index++)

WEIR_TEST(filter, names_follow_the_rules)
{
	EACH(i, names) CHECK(weir_topic_is_valid(names[i]));
	EACH(i, not_names) CHECK(!weir_topic_is_valid(not_names[i]));
	CHECK(!weir_topic_is_valid(NULL));
	EACH(i, names) CHECK_EQ(weiri_topic_name_length(names[i]), strlen(names[i]));
}

WEIR_TEST(filter, filters_follow_the_rules)
{
	EACH(i, names) CHECK(weir_filter_is_valid(names[i]));
	EACH(i, filters) CHECK(weir_filter_is_valid(filters[i]));
	EACH(i, not_filters) CHECK(!weir_filter_is_valid(not_filters[i]));
	CHECK(!weir_filter_is_valid(NULL));
}

WEIR_TEST(filter, has_at_most_255_bytes)
{
	char text[WEIR_TOPIC_SIZE_MAX + 2];

	memset(text, 'x', sizeof(text));
	text[WEIR_TOPIC_SIZE_MAX + 1] = '\0';
	CHECK(!weir_topic_is_valid(text));
	CHECK(!weir_filter_is_valid(text));
	text[WEIR_TOPIC_SIZE_MAX] = '\0';
	CHECK(weir_topic_is_valid(text));
	CHECK(weir_filter_is_valid(text));
	CHECK(weir_filter_matches(">", text));
}

struct match {
	const char *filter;
	const char *name;
	bool matches;
};

WEIR_TEST(filter, matches_as_documented)
{
	static const struct match table[] = {
		{ "a", "a", true },
		{ "a", "b", false },
		{ "a", "a.b", false },
		{ "a.b", "a", false },
		{ "*", "a", true },
		{ "*", "a.b", false },
		{ ">", "a", true },
		{ ">", "a.b.c", true },
		{ "a.>", "a", false },
		{ "a.>", "a.b", true },
		{ "a.>", "a.b.c", true },
		{ "a.*", "a.b", true },
		{ "a.*", "a", false },
		{ "a.*", "a.b.c", false },
		{ "*.b", "a.b", true },
		{ "*.b", "ab.b", true },
		{ "*.b", "a.bb", false },
		{ "*.*.>", "a.b", false },
		{ "*.*.>", "a.b.c", true },
		{ "a.*.c", "a.b.c", true },
		{ "a.*.c", "a.b.d", false },
		{ "ab", "a", false },
		{ "a", "ab", false },
		/* What is no filter or no name matches nothing. */
		{ "a..b", "a.b", false },
		{ ">", "a.*", false },
		{ NULL, "a", false },
		{ "a", NULL, false },
	};

	EACH(i, table)
	CHECK_EQ(weir_filter_matches(table[i].filter, table[i].name), table[i].matches);
}

/* The definition, token by token, without a thought for speed. */
static bool oracle(const char *filter, const char *name)
{
	size_t filter_length = strcspn(filter, ".");
	size_t name_length = strcspn(name, ".");
	bool is_any = filter_length == 1 && filter[0] == '*';

	if (filter_length == 1 && filter[0] == '>')
		return true;
	if (!is_any && (filter_length != name_length || strncmp(filter, name, name_length) != 0))
		return false;
	if (filter[filter_length] == '\0' || name[name_length] == '\0')
		return filter[filter_length] == name[name_length];
	return oracle(filter + filter_length + 1, name + name_length + 1);
}

static void tokens_draw(uint64_t *state, char *text, bool is_filter)
{
	static const char *const words[] = { "a", "b", "ab", "*", ">" };
	uint64_t count = 1 + harness_random_below(state, 5);

	text[0] = '\0';
	for (uint64_t i = 0; i < count; i++) {
		uint64_t word = harness_random_below(state, is_filter ? 4 : 3);

		if (is_filter && i + 1 == count && harness_random_below(state, 3) == 0)
			word = 4;
		if (i > 0)
			strcat(text, ".");
		strcat(text, words[word]);
	}
}

WEIR_TEST(filter, matches_what_the_definition_matches)
{
	uint64_t state = harness_seed();
	uint64_t matched = 0;
	char filter[64], name[64];

	for (int i = 0; i < 200000; i++) {
		tokens_draw(&state, filter, true);
		tokens_draw(&state, name, false);
		CHECK_EQ(weir_filter_matches(filter, name), oracle(filter, name));
		matched += oracle(filter, name);
	}
	/* Neither always nor never, or nothing was shown. */
	CHECK(matched > 10000);
	CHECK(matched < 190000);
}

WEIR_TEST(filter, takes_or_refuses_any_bytes_without_harm)
{
	uint64_t state = harness_seed();
	uint64_t valid = 0;

	for (int i = 0; i < 200000; i++) {
		char text[8];
		uint64_t length = harness_random_below(&state, sizeof(text));

		for (uint64_t k = 0; k < length; k++)
			text[k] = "a.*>\x7f\n\xff"[harness_random_below(&state, 7)];
		text[length] = '\0';
		if (weir_topic_is_valid(text)) {
			CHECK(weir_filter_is_valid(text));
			CHECK(weir_filter_matches(text, text));
			CHECK(weir_filter_matches(">", text));
			valid++;
		}
	}
	CHECK(valid > 0);
}
