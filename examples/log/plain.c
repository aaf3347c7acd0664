/* SPDX-License-Identifier: BSD-2-Clause */
/* The job as one would do it in a loop. */
#include "plain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/complain.h"

/* Does the topic match the filter? The broker's rule, told again in other words:
 * token by token, '*' is any one, and a last '>' is one or more. */
static bool filter_matches(const char *filter, const char *topic)
{
	for (;;) {
		size_t wanted = strcspn(filter, ".");
		size_t given = strcspn(topic, ".");

		if (strcmp(filter, ">") == 0)
			return true;
		if (!(wanted == 1 && filter[0] == '*') &&
			!(wanted == given && memcmp(filter, topic, given) == 0))
			return false;
		filter += wanted;
		topic += given;
		if (*filter == '\0' || *topic == '\0')
			return *filter == *topic;
		filter++;
		topic++;
	}
}

static uint64_t sequence_next(struct plain *plain, size_t topic)
{
	if (topic >= plain->sequence_size) {
		size_t size = plain->topics.size;

		plain->sequences = memory_resize(plain->sequences, size, sizeof(*plain->sequences));
		for (size_t i = plain->sequence_size; i < size; i++)
			plain->sequences[i] = 0;
		plain->sequence_size = size;
	}
	return ++plain->sequences[topic];
}

/* A line that came to a subscriber. */
static void expect(struct expected *expected, const struct subscriber *subscriber,
	const char *topic, const struct line *line)
{
	(void)tally_add(&expected->tally, topic, line->text, line->size);
	if (subscriber->archive != NULL && !expected->has_archive_fault &&
		!archive_has_next(subscriber->archive, line->text, line->size)) {
		expected->has_archive_fault = true;
		expected->archive_fault = expected->tally.lines;
	}
}

static void line_take(struct plain *plain, const struct subscriber *subscribers, size_t count,
	const struct line *line)
{
	char name[LOG_TOPIC_SIZE];
	const char *topic;
	uint64_t sequence;
	size_t index;

	log_line_topic(line->text, line->size, name);
	index = topics_admit(&plain->topics, name);
	sequence = sequence_next(plain, index);
	topic = plain->topics.names[index];
	plain->lines++;
	plain->bytes += line->size;
	for (size_t i = 0; i < count; i++) {
		struct expected *expected = &plain->expected[i];

		if (!filter_matches(weir_subscription_filter(subscribers[i].subscription), topic))
			continue;
		expected->matched++;
		if (subscriber_has_seen(&subscribers[i], topic, sequence))
			expect(expected, &subscribers[i], topic, line);
		else
			expected->lost++;
	}
}

/* The first `bytes` bytes of a file. */
static void file_take(struct plain *plain, const char *path, uint64_t bytes,
	const struct subscriber *subscribers, size_t count)
{
	int fd = feed_input_open(path);
	struct line_reader reader;
	struct line line;
	ssize_t got = 1;

	if (fd < 0) {
		complain("%s: %s, at the second reading", feed_input_name(path), strerror(errno));
		return;
	}
	line_reader_open(&reader, fd);
	while (got > 0 && bytes > 0) {
		got = line_reader_fill(&reader, bytes < SIZE_MAX ? bytes : SIZE_MAX);
		if (got > 0)
			bytes -= (uint64_t)got;
		while (line_reader_next(&reader, &line))
			line_take(plain, subscribers, count, &line);
	}
	if (line_reader_rest(&reader, &line))
		line_take(plain, subscribers, count, &line);
	line_reader_close(&reader);
	(void)close(fd);
}

static void tape_take(
	struct plain *plain, struct tape *tape, const struct subscriber *subscribers, size_t count)
{
	struct line line;

	tape_rewind(tape);
	while (tape_read(tape, &line))
		line_take(plain, subscribers, count, &line);
}

void plain_pass(struct plain *plain, const struct feed *feed, const struct subscriber *subscribers,
	size_t count)
{
	*plain = (struct plain){ .lines = 0 };
	plain->expected = memory_resize(NULL, count, sizeof(*plain->expected));
	for (size_t i = 0; i < count; i++)
		plain->expected[i] = (struct expected){ .matched = 0 };
	if (feed->tape != NULL)
		tape_take(plain, feed->tape, subscribers, count);
	else
		for (size_t i = 0; i < feed->options->input_count; i++)
			if (feed->consumed[i] > 0)
				file_take(plain, feed->options->inputs[i], feed->consumed[i],
					subscribers, count);
}

void plain_free(struct plain *plain, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tally_free(&plain->expected[i].tally);
	free(plain->expected);
	free(plain->sequences);
	topics_free(&plain->topics);
}
