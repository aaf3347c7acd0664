/* SPDX-License-Identifier: BSD-2-Clause */
/* log_test.c - what is told to the log hook, and what is made harmless before. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "fixture.h"

struct diary {
	unsigned int lines;
	weir_log_level level;
	char text[1024]; /* the last one */
};

static void note(void *context, weir_log_level level, const char *text)
{
	struct diary *diary = context;

	diary->lines++;
	diary->level = level;
	CHECK(strlen(text) < sizeof(diary->text));
	(void)snprintf(diary->text, sizeof(diary->text), "%s", text);
}

WEIR_TEST(log, without_a_hook_nothing_is_told)
{
	const struct weiri_log log = { NULL, NULL };

	weiri_log(&log, WEIR_LOG_ERROR, "%s", "nobody hears this");
}

WEIR_TEST(log, is_one_line_without_control_bytes_and_511_bytes_long_at_most)
{
	struct diary diary = { 0 };
	const struct weiri_log log = { note, &diary };
	char long_text[2000];

	weiri_log(&log, WEIR_LOG_INFO, "%d %s", 42, "words");
	CHECK_STR_EQ(diary.text, "42 words");
	CHECK_EQ(diary.level, WEIR_LOG_INFO);
	weiri_log(&log, WEIR_LOG_WARNING, "a\nb\tc\x1b[31md\x7f\xc3\xbc");
	CHECK_STR_EQ(diary.text, "a?b?c?[31md?\xc3\xbc");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	weiri_log(&log, WEIR_LOG_ERROR, "%s", long_text);
	CHECK_EQ(strlen(diary.text), 511);
	CHECK_EQ(diary.level, WEIR_LOG_ERROR);
	CHECK_EQ(diary.lines, 3);
}

WEIR_TEST(log, names_with_formats_in_them_are_told_as_they_are)
{
	struct diary diary = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .log = note, .log_context = &diary });
	weir_subscription *subscription = fixture_subscribe_dropping(broker, "%s.%n.%5000d", 1);
	weir_publisher *publisher = fixture_publisher(broker, "%s.%n.%5000d");

	fixture_publish(publisher, 1);
	fixture_publish(publisher, 2);
	CHECK_EQ(diary.lines, 1);
	CHECK(strstr(diary.text, "%s.%n.%5000d") != NULL);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(log, tells_of_the_first_loss_of_each_subscription_once)
{
	struct diary diary = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .log = note, .log_context = &diary });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *one = fixture_subscribe_dropping(broker, "t", 1), *two;

	fixture_publish(publisher, 1);
	CHECK_EQ(diary.lines, 0);
	fixture_publish(publisher, 2);
	CHECK_EQ(diary.lines, 1);
	CHECK_EQ(diary.level, WEIR_LOG_WARNING);
	for (uint64_t i = 0; i < 10; i++)
		fixture_publish(publisher, i);
	CHECK_EQ(diary.lines, 1);
	/* Another one has a first time of its own. */
	two = fixture_subscribe_dropping(broker, "*", 1);
	fixture_publish(publisher, 3);
	fixture_publish(publisher, 4);
	CHECK_EQ(diary.lines, 2);
	CHECK(strstr(diary.text, "*") != NULL);
	weir_publisher_close(publisher);
	CHECK_EQ(weir_unsubscribe(one, NULL), 0);
	CHECK_EQ(weir_unsubscribe(two, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(log, tells_of_every_first_loss_also_when_several_come_in_one_publish)
{
	struct diary diary = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .log = note, .log_context = &diary });
	weir_publisher *publisher = fixture_publisher(broker, "t");
	weir_subscription *subscriptions[5];

	for (int i = 0; i < 5; i++)
		subscriptions[i] = fixture_subscribe_dropping(broker, i == 0 ? "t" : ">", 1);
	fixture_publish(publisher, 1);
	fixture_publish(publisher, 2);
	fixture_publish(publisher, 3);
	CHECK_EQ(diary.lines, 5);
	weir_publisher_close(publisher);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(weir_unsubscribe(subscriptions[i], NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
}

WEIR_TEST(log, tells_how_many_messages_close_has_discarded)
{
	struct diary diary = { 0 };
	weir_broker *broker =
		fixture_broker(&(weir_broker_options){ .log = note, .log_context = &diary });
	weir_subscription *subscription = fixture_subscribe(broker, "t", 4);

	CHECK_EQ(weir_publish_to(broker, "t", NULL, 0, NULL, NULL), 0);
	CHECK_EQ(weir_publish_to(broker, "t", NULL, 0, NULL, NULL), 0);
	CHECK_EQ(weir_broker_close(broker, NULL), 0);
	CHECK_EQ(diary.lines, 1);
	CHECK_EQ(diary.level, WEIR_LOG_INFO);
	CHECK(strstr(diary.text, "2") != NULL);
	CHECK_EQ(weir_unsubscribe(subscription, NULL), 0);
}
