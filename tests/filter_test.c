/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter_test.c - which names and filters are correct, byte by byte and token by
 * token, and which filter matches which name, against an oracle that recurses.
 */
#include "core/filter.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include <weir/subscription.h>

static bool name_is_good(const char *name)
{
	const size_t length = weiri_topic_name_length(name);

	CHECK(length == 0 || length == strlen(name));
	CHECK_EQ(weir_topic_is_valid(name), length > 0);
	return length > 0;
}

static bool filter_is_good(const char *filter, bool *has_wildcard)
{
	const size_t length = weiri_filter_length(filter, has_wildcard);

	CHECK(length == 0 || length == strlen(filter));
	CHECK_EQ(weir_filter_is_valid(filter), length > 0);
	return length > 0;
}

/* ---- The rules ---- */

static const struct {
	const char *text;
	bool is_name;
	bool is_filter;
	bool has_wildcard;
} rules[] = {
	{ "a", true, true, false },
	{ "orders.eu.created", true, true, false },
	{ "a.b", true, true, false },
	{ " ", true, true, false },
	{ "a b", true, true, false },
	{ "\xc3\xa9t\xc3\xa9.\xff\x80", true, true, false },
	{ "$SYS", true, true, false },
	{ "-", true, true, false },
	{ "*", false, true, true },
	{ ">", false, true, true },
	{ "*.*", false, true, true },
	{ "a.*.b", false, true, true },
	{ "*.b", false, true, true },
	{ "a.*", false, true, true },
	{ "a.>", false, true, true },
	{ "*.>", false, true, true },
	{ "", false, false, false },
	{ ".", false, false, false },
	{ "..", false, false, false },
	{ "a.", false, false, false },
	{ ".a", false, false, false },
	{ "a..b", false, false, false },
	{ "*.", false, false, false },
	{ ".*", false, false, false },
	{ ">.", false, false, false },
	{ ".>", false, false, false },
	{ "a*", false, false, false },
	{ "*a", false, false, false },
	{ "a*b", false, false, false },
	{ "**", false, false, false },
	{ ">>", false, false, false },
	{ "a>", false, false, false },
	{ ">a", false, false, false },
	{ "*>", false, false, false },
	{ ">.a", false, false, false },
	{ ">.>", false, false, false },
	{ ">.*", false, false, false },
	{ "a.>.b", false, false, false },
	{ "a.b*.c", false, false, false },
	{ "a\n", false, false, false },
	{ "\ta", false, false, false },
	{ "a\x7f", false, false, false },
	{ "*.\x01", false, false, false },
};

WEIR_TEST(filter, names_and_filters_follow_exact_rules)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		bool has_wildcard = !rules[i].has_wildcard;

		CHECK_EQ(name_is_good(rules[i].text), rules[i].is_name);
		CHECK_EQ(filter_is_good(rules[i].text, &has_wildcard), rules[i].is_filter);
		/* Untouched where there is none. */
		if (rules[i].is_filter)
			CHECK_EQ(has_wildcard, rules[i].has_wildcard);
		else
			CHECK_EQ(has_wildcard, !rules[i].has_wildcard);
	}
	CHECK_EQ(weiri_topic_name_length(NULL), 0);
	CHECK_EQ(weiri_filter_length(NULL, &(bool){ false }), 0);
	CHECK(!weir_topic_is_valid(NULL));
	CHECK(!weir_filter_is_valid(NULL));
}

WEIR_TEST(filter, every_byte_is_allowed_but_controls_and_wildcards)
{
	static const char *const places[] = { "%c", "a%c", "%ca", "a.%c", "%c.a", "a.%c.b",
		"a%cb" };

	for (int byte = 1; byte <= UCHAR_MAX; byte++) {
		const bool is_control = byte < 0x20 || byte == 0x7f;
		const bool is_wildcard = byte == '*' || byte == '>';

		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			char text[8] = "";
			size_t length = 0;

			for (const char *from = places[i]; *from != '\0'; from++)
				if (*from != '%')
					text[length++] = *from;
				else
					text[length++] = (char)byte, from++;
			text[length] = '\0';
			/* A dot makes the places empty tokens, but "a.b". */
			if (byte == '.')
				CHECK_EQ(name_is_good(text), strcmp(text, "a.b") == 0);
			else
				CHECK_EQ(name_is_good(text), !is_control && !is_wildcard);
		}
	}
}

WEIR_TEST(filter, names_have_1_to_255_bytes)
{
	char text[WEIR_TOPIC_SIZE_MAX + 45];
	bool has_wildcard;

	for (size_t length = 1; length < sizeof(text) - 1; length++) {
		memset(text, 'n', length);
		text[length] = '\0';
		CHECK_EQ(name_is_good(text), length <= WEIR_TOPIC_SIZE_MAX);
		CHECK_EQ(filter_is_good(text, &has_wildcard), length <= WEIR_TOPIC_SIZE_MAX);
		text[length - 1] = length == 1 || text[length - 2] == '.' ? '>' : 'n';
	}
	/* The longest there are, of tokens of one byte each: 128 of them. */
	for (size_t i = 0; i < WEIR_TOPIC_SIZE_MAX; i++)
		text[i] = i % 2 == 0 ? '*' : '.';
	text[WEIR_TOPIC_SIZE_MAX] = '\0';
	CHECK(filter_is_good(text, &has_wildcard) && has_wildcard);
	text[WEIR_TOPIC_SIZE_MAX - 1] = '>';
	CHECK(filter_is_good(text, &has_wildcard) && has_wildcard);
}

WEIR_TEST(filter, looks_no_further_than_it_must)
{
	/* No 0 within the limit: what is beyond it is not read. */
	char text[WEIR_TOPIC_SIZE_MAX + 1];
	bool has_wildcard;

	memset(text, 'n', sizeof(text));
	CHECK_EQ(weiri_topic_name_length(text), 0);
	CHECK_EQ(weiri_filter_length(text, &has_wildcard), 0);
}

/* ---- Matching ---- */

static const struct {
	const char *filter;
	const char *name;
	bool matches;
} pairs[] = {
	{ "a", "a", true },
	{ "a", "b", false },
	{ "a", "ab", false },
	{ "ab", "a", false },
	{ "a", "a.a", false },
	{ "a.b", "a.b", true },
	{ "a.b", "a.b.c", false },
	{ "a.b.c", "a.b", false },
	{ "A", "a", false },
	{ "*", "a", true },
	{ "*", "a.b", false },
	{ "a.*", "a.b", true },
	{ "a.*", "a", false },
	{ "a.*", "a.b.c", false },
	{ "*.b", "a.b", true },
	{ "*.b", "b", false },
	{ "a.*.c", "a.b.c", true },
	{ "a.*.c", "a.c", false },
	{ "a.*.c", "a.b.b.c", false },
	{ ">", "a", true },
	{ ">", "a.b.c", true },
	{ "a.>", "a", false },
	{ "a.>", "a.b", true },
	{ "a.>", "a.b.c.d", true },
	{ "a.>", "b.c", false },
	{ "*.>", "a", false },
	{ "*.>", "a.b", true },
	{ "a.*.>", "a.b", false },
	{ "a.*.>", "a.b.c", true },
};

WEIR_TEST(filter, star_is_one_token_and_tail_is_one_or_more)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		CHECK_EQ(weir_filter_matches(pairs[i].filter, pairs[i].name), pairs[i].matches);
}

WEIR_TEST(filter, what_is_no_filter_or_no_name_matches_nothing)
{
	CHECK(!weir_filter_matches("a..b", "a..b"));
	CHECK(!weir_filter_matches(">", ""));
	CHECK(!weir_filter_matches("", ""));
	CHECK(!weir_filter_matches(">", "a.*"));
	CHECK(!weir_filter_matches("*", ">"));
	CHECK(!weir_filter_matches(NULL, "a"));
	CHECK(!weir_filter_matches(">", NULL));
}

/* The same in as few words as possible. */
static bool oracle(const char *filter, const char *name)
{
	if (*filter == '>')
		return *name != '\0';
	if (*filter == '*') {
		while (*name != '\0' && *name != '.')
			name++;
		return oracle(filter + 1, name);
	}
	if (*filter != *name)
		return false;
	return *filter == '\0' || oracle(filter + 1, name + 1);
}

/* Few letters, so that they match often. */
static void draw(uint64_t *state, char *text, size_t tokens, bool is_filter)
{
	size_t length = 0;

	for (size_t i = 0; i < tokens; i++) {
		const uint64_t kind = is_filter ? harness_random_below(state, 4) : 3;

		if (i > 0)
			text[length++] = '.';
		if (kind == 0) {
			text[length++] = '*';
		} else if (kind == 1 && i == tokens - 1) {
			text[length++] = '>';
		} else {
			for (uint64_t k = harness_random_below(state, 3) + 1; k > 0; k--)
				text[length++] = (char)('a' + harness_random_below(state, 2));
		}
	}
	text[length] = '\0';
}

WEIR_TEST(filter, matches_what_the_oracle_says_on_random_pairs)
{
	const uint64_t rounds = harness_scaled(200000);
	uint64_t state = harness_seed(), matched = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		char filter[64], name[64];
		bool has_wildcard;

		draw(&state, filter, 1 + (size_t)harness_random_below(&state, 5), true);
		draw(&state, name, 1 + (size_t)harness_random_below(&state, 5), false);
		CHECK(name_is_good(name));
		CHECK(filter_is_good(filter, &has_wildcard));
		CHECK_EQ(has_wildcard, strpbrk(filter, "*>") != NULL);
		CHECK_EQ(weiri_filter_matches(filter, name), oracle(filter, name));
		matched += oracle(filter, name);
	}
	CHECK(matched > rounds / 50);
	CHECK(matched < rounds / 2);
}

/* Rubbish is an answer, never a crash; and the rules in other words. */
WEIR_TEST(filter, random_bytes_are_judged_by_the_rules)
{
	static const char bytes[] = "ab.*>\x01\xff";
	const uint64_t rounds = harness_scaled(200000);
	uint64_t state = harness_seed(), good = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		char text[16];
		const size_t length = (size_t)harness_random_below(&state, 9);
		bool is_good = length > 0, has_wildcard = false;

		for (size_t k = 0; k < length; k++)
			text[k] = bytes[harness_random_below(&state, sizeof(bytes) - 1)];
		text[length] = '\0';
		for (size_t k = 0; k < length; k++) {
			const char before = k > 0 ? text[k - 1] : '.', after = text[k + 1];

			if (text[k] == '.')
				is_good &= before != '.' && after != '\0' && k > 0;
			if (text[k] == '*')
				is_good &= before == '.' && (after == '.' || after == '\0');
			if (text[k] == '>')
				is_good &= before == '.' && after == '\0';
			is_good &= text[k] != '\x01';
		}
		CHECK_EQ(filter_is_good(text, &has_wildcard), is_good);
		CHECK_EQ(name_is_good(text), is_good && strpbrk(text, "*>") == NULL);
		good += is_good;
	}
	CHECK(good > rounds / 100);
}

/* ---- Cost ---- */

#define DEEP_FILTERS 1000

/* On a stack that no recursion over 128 tokens and their bytes would fit on. */
static void *match_deep(void *argument)
{
	static char name[WEIR_TOPIC_SIZE_MAX + 1], filters[DEEP_FILTERS][WEIR_TOPIC_SIZE_MAX + 1];
	uint64_t state = harness_seed(), *matched = argument;
	bool has_wildcard;

	for (size_t i = 0; i < WEIR_TOPIC_SIZE_MAX; i++)
		name[i] = i % 2 == 0 ? 'a' : '.';
	for (int i = 0; i < DEEP_FILTERS; i++) {
		memcpy(filters[i], name, sizeof(name));
		for (size_t k = 0; k < WEIR_TOPIC_SIZE_MAX; k += 2)
			if (harness_random_below(&state, 2) == 0)
				filters[i][k] = '*';
		/* They differ where they end, so that all of them is looked at. */
		if (i % 2 == 0)
			filters[i][WEIR_TOPIC_SIZE_MAX - 1] = 'b';
		CHECK(filter_is_good(filters[i], &has_wildcard));
	}
	for (int round = 0; round < 30; round++)
		for (int i = 0; i < DEEP_FILTERS; i++)
			*matched += weiri_filter_matches(filters[i], name);
	return NULL;
}

WEIR_TEST(filter, thirty_thousand_deep_matches_need_little_stack_and_time)
{
	pthread_attr_t attributes;
	pthread_t thread;
	uint64_t matched = 0;

	CHECK_EQ(pthread_attr_init(&attributes), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attributes, 64 << 10), 0);
	CHECK_EQ(pthread_create(&thread, &attributes, match_deep, &matched), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(matched, 30 * DEEP_FILTERS / 2);
	CHECK_EQ(pthread_attr_destroy(&attributes), 0);
}
