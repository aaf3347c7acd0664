/* SPDX-License-Identifier: BSD-2-Clause */
/* From a line to a message: its topic, that topic's publisher, its memory. */
#include "outlet.h"

#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

/* A long line's own buffer. */
struct parcel {
	struct outlet *outlet;
	size_t size;
	char text[];
};

void outlet_open(struct outlet *outlet, weir_broker *broker)
{
	*outlet = (struct outlet){ .broker = broker };
	(void)pthread_mutex_init(&outlet->mutex, NULL);
	(void)pthread_cond_init(&outlet->freed, NULL);
}

void outlet_close(struct outlet *outlet)
{
	for (size_t i = 0; i < outlet->publisher_size; i++)
		weir_publisher_close(outlet->publishers[i]);
	free(outlet->publishers);
	outlet->publishers = NULL;
	outlet->publisher_size = 0;
}

void outlet_free(struct outlet *outlet)
{
	topics_free(&outlet->topics);
	(void)pthread_cond_destroy(&outlet->freed);
	(void)pthread_mutex_destroy(&outlet->mutex);
}

static int publisher_of(struct outlet *outlet, const struct line *line, weir_publisher **publisher)
{
	char name[LOG_TOPIC_SIZE];
	size_t topic;

	log_line_topic(line->text, line->size, name);
	topic = topics_admit(&outlet->topics, name);
	if (topic >= outlet->publisher_size) {
		size_t size = outlet->topics.size;

		outlet->publishers =
			memory_resize(outlet->publishers, size, sizeof(*outlet->publishers));
		for (size_t i = outlet->publisher_size; i < size; i++)
			outlet->publishers[i] = NULL;
		outlet->publisher_size = size;
	}
	if (outlet->publishers[topic] == NULL) {
		int error = weir_publisher_open(&outlet->publishers[topic], outlet->broker,
			outlet->topics.names[topic], NULL);

		if (error != 0)
			return error;
	}
	*publisher = outlet->publishers[topic];
	return 0;
}

static void bytes_take(struct outlet *outlet, size_t size)
{
	(void)pthread_mutex_lock(&outlet->mutex);
	while (outlet->bytes > 0 && outlet->bytes + size > OUTLET_BYTES_MAX)
		(void)pthread_cond_wait(&outlet->freed, &outlet->mutex);
	outlet->bytes += size;
	(void)pthread_mutex_unlock(&outlet->mutex);
}

static void bytes_give_back(struct outlet *outlet, size_t size)
{
	(void)pthread_mutex_lock(&outlet->mutex);
	outlet->bytes -= size;
	(void)pthread_cond_signal(&outlet->freed);
	(void)pthread_mutex_unlock(&outlet->mutex);
}

/* A weir_free_function: called by the thread that is the last to be done with
 * the message. */
static void parcel_free(void *context, void *data)
{
	struct parcel *parcel = context;

	(void)data; /* the text within the parcel */
	bytes_give_back(parcel->outlet, parcel->size);
	free(parcel);
}

static int parcel_publish(struct outlet *outlet, weir_publisher *publisher, const struct line *line)
{
	weir_receipt receipt = { .published = 0 };
	weir_message *message;
	struct parcel *parcel;
	int error;

	bytes_take(outlet, line->size);
	parcel = memory_resize(NULL, 1, sizeof(*parcel) + line->size);
	parcel->outlet = outlet;
	parcel->size = line->size;
	memcpy(parcel->text, line->text, line->size);
	error = weir_message_wrap(
		publisher, parcel->text, line->size, parcel_free, parcel, &message);
	if (error != 0) {
		parcel_free(parcel, parcel->text);
		return error;
	}
	error = weir_publish_message(publisher, message, NULL, &receipt);
	if (receipt.published == 0)
		weir_message_release(message);
	return error;
}

int outlet_publish(struct outlet *outlet, const struct line *line)
{
	weir_publisher *publisher;
	int error = publisher_of(outlet, line, &publisher);

	if (error != 0)
		return error;
	if (line->size > OUTLET_LONG_LINE)
		return parcel_publish(outlet, publisher, line);
	return weir_publish(publisher, line->text, line->size, NULL, NULL);
}
