/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages with a timer each, until they are published. */
#include "core/delay.h"

#include "core/confirm.h"
#include "core/identity.h"

#define DELAYED_DEFAULT ((uint64_t)1 << 20)
#define BYTES_DEFAULT   ((uint64_t)1 << 30)

struct weiri_delayed {
	struct weiri_timer timer; /* first: found from it */
	struct weir_broker *broker;
	struct weir_message *message;
	uint64_t weight;           /* of it */
	struct weiri_topic *topic; /* held */
	double ttl;                /* from the publish; 0: none */
	uint64_t id;
	bool has_id;
	struct weiri_delayed *previous;
	struct weiri_delayed *next;
};

int weiri_delays_open(struct weiri_delays *delays, const weir_broker_options *options)
{
	delays->count_max = options->delayed_max != 0 ? options->delayed_max : DELAYED_DEFAULT;
	delays->bytes_max = options->delayed_bytes != 0 ? options->delayed_bytes : BYTES_DEFAULT;
	return pthread_mutex_init(&delays->mutex, NULL) == 0 ? 0 : WEIR_ESYSTEM;
}

void weiri_delays_close(struct weiri_delays *delays)
{
	(void)pthread_mutex_destroy(&delays->mutex);
}

void weiri_delays_read(struct weiri_delays *delays, weir_broker_statistics *statistics)
{
	(void)pthread_mutex_lock(&delays->mutex);
	statistics->delayed = delays->count;
	statistics->delayed_discarded = delays->discarded;
	(void)pthread_mutex_unlock(&delays->mutex);
}

double weiri_delay_time(struct weir_broker *broker, const weir_publish_options *options)
{
	if (options->publish_at != 0)
		return options->publish_at;
	return options->delay != 0 ? weiri_clock_now(broker->clock) + options->delay
				   : -WEIR_FOREVER;
}

/* Mutex held. */
static void list_add(struct weiri_delays *delays, struct weiri_delayed *delayed)
{
	delayed->previous = NULL;
	delayed->next = delays->first;
	if (delayed->next != NULL)
		delayed->next->previous = delayed;
	delays->first = delayed;
	delays->count++;
	delays->bytes += delayed->weight;
}

/* Mutex held. */
static void list_remove(struct weiri_delays *delays, struct weiri_delayed *delayed)
{
	if (delayed->previous != NULL)
		delayed->previous->next = delayed->next;
	else
		delays->first = delayed->next;
	if (delayed->next != NULL)
		delayed->next->previous = delayed->previous;
	delays->count--;
	delays->bytes -= delayed->weight;
}

/* Without its message. */
static void delayed_free(struct weiri_delayed *delayed)
{
	struct weir_broker *broker = delayed->broker;

	weiri_timer_close(&broker->timers, &delayed->timer);
	if (delayed->topic != NULL)
		weiri_topic_unref(delayed->topic);
	weiri_deallocate(&broker->allocator, delayed, sizeof(*delayed));
}

/* It is not published in the end. */
static void message_discard(struct weiri_delayed *delayed)
{
	struct weiri_delays *delays = &delayed->broker->delays;

	(void)pthread_mutex_lock(&delays->mutex);
	delays->discarded++;
	(void)pthread_mutex_unlock(&delays->mutex);
	if (delayed->has_id)
		weiri_identity_forget(delays->publisher, delayed->topic, delayed->id);
	weiri_ticket_published(weiri_message_ticket(delayed->message), false);
	weiri_message_unref(delayed->message, 1, NULL);
}

static void message_publish(struct weiri_delayed *delayed)
{
	const struct weiri_publish_terms terms = { .deadline = -WEIR_FOREVER };
	struct weir_broker *broker = delayed->broker;
	struct weir_publisher *publisher = broker->delays.publisher;
	struct weiri_ticket *ticket = weiri_message_ticket(delayed->message);
	weir_receipt receipt = { 0 };

	if (delayed->ttl != 0)
		weiri_message_extra(delayed->message)->expires =
			weiri_clock_now(broker->clock) + delayed->ttl;
	(void)weiri_publish_named(
		publisher, delayed->topic->name, delayed->message, &terms, &receipt);
	if (receipt.published == 0) {
		message_discard(delayed);
		return;
	}
	weiri_ticket_published(ticket, true);
	if (delayed->has_id)
		weiri_identity_number(publisher, delayed->topic, delayed->id, receipt.sequence);
}

/* Its time has come: by the timer thread, or outside any process. */
static void delayed_due(struct weiri_timer *timer)
{
	struct weiri_delayed *delayed = (struct weiri_delayed *)(void *)timer;
	struct weir_broker *broker = delayed->broker;
	struct weiri_delays *delays = &broker->delays;

	/* In virtual time a hook may close the broker's last handle. */
	weiri_broker_ref(broker);
	message_publish(delayed);
	/* Then, so that who sees that none is kept finds it where it went. */
	(void)pthread_mutex_lock(&delays->mutex);
	list_remove(delays, delayed);
	(void)pthread_mutex_unlock(&delays->mutex);
	delayed_free(delayed);
	weiri_broker_unref(broker);
}

static struct weiri_delayed *delayed_make(struct weir_broker *broker, int *error)
{
	struct weiri_delayed *delayed =
		weiri_allocate(&broker->allocator, sizeof(*delayed), WEIRI_CACHE_LINE);

	*error = WEIR_ENOMEM;
	if (delayed == NULL)
		return NULL;
	delayed->broker = broker;
	*error = weiri_timer_open(&broker->timers, &delayed->timer, delayed_due);
	if (*error == 0)
		return delayed;
	weiri_deallocate(&broker->allocator, delayed, sizeof(*delayed));
	return NULL;
}

/* Mutex held: whether there is room for the messages, and everything to publish them
 * with. */
static int room_check(
	struct weir_broker *broker, struct weir_message *const *messages, size_t count)
{
	struct weiri_delays *delays = &broker->delays;
	uint64_t bytes = 0;

	if (delays->is_closed || weiri_load_relaxed(&broker->state) != WEIRI_BROKER_RUNNING)
		return WEIR_ESHUTDOWN;
	for (size_t i = 0; i < count; i++)
		bytes += weiri_message_weight(messages[i]);
	if (delays->count + count > delays->count_max || delays->bytes + bytes > delays->bytes_max)
		return WEIR_ELIMIT;
	return delays->publisher != NULL ? 0 : WEIR_ENOMEM;
}

/* One for each message, or none.  Returns 0 or an error. */
static int delayed_make_all(
	struct weir_broker *broker, struct weiri_delayed **delayed, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count; i++) {
		delayed[i] = delayed_make(broker, &error);
		if (error == 0)
			continue;
		while (i-- > 0)
			delayed_free(delayed[i]);
		break;
	}
	return error;
}

static void delayed_begin(struct weiri_delayed *delayed, struct weir_message *message,
	struct weiri_topic *topic, const struct weiri_delay *delay)
{
	const weir_publish_options *options = delay->options;

	delayed->message = message;
	delayed->weight = weiri_message_weight(message);
	weiri_topic_ref(topic);
	delayed->topic = topic;
	delayed->ttl = options->ttl;
	delayed->has_id = options->has_id;
	delayed->id = options->id;
	/* No loan any more. */
	message->flags |= WEIRI_MESSAGE_PUBLISHED;
	if (options->expires_at != 0)
		weiri_message_extra(message)->expires = options->expires_at;
	list_add(&delayed->broker->delays, delayed);
	weiri_timer_start(&delayed->broker->timers, &delayed->timer, delay->time);
}

/* Mutex held. */
static int all_put(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_delay *delay,
	weir_receipt *receipt)
{
	struct weir_broker *broker = publisher->broker;
	struct weiri_delayed *delayed[WEIRI_PUBLISH_MAX];
	int error = room_check(broker, messages, count);

	if (error == 0)
		error = delayed_make_all(broker, delayed, count);
	if (error != 0)
		return error;
	if (delay->options->has_id)
		error = weiri_identity_keep(
			publisher, topic, delay->options->id, &receipt->sequence);
	for (size_t i = 0; i < count; i++) {
		if (error == 0)
			delayed_begin(delayed[i], messages[i], topic, delay);
		else
			delayed_free(delayed[i]);
	}
	if (error == 0)
		receipt->delayed = count;
	return error;
}

/* The publisher for all of them, once. */
static void publisher_provide(struct weir_broker *broker)
{
	struct weiri_delays *delays = &broker->delays;
	struct weir_publisher *made = NULL;
	bool is_needed;

	(void)pthread_mutex_lock(&delays->mutex);
	is_needed = delays->publisher == NULL && !delays->is_closed;
	(void)pthread_mutex_unlock(&delays->mutex);
	if (!is_needed)
		return;
	made = weiri_publisher_borrow(broker);
	if (made == NULL)
		return;
	(void)pthread_mutex_lock(&delays->mutex);
	if (delays->publisher == NULL && !delays->is_closed) {
		delays->publisher = made;
		/* It is lent until the end: nobody waits for it. */
		(void)weiri_sub_release(&broker->inside, 1);
		made = NULL;
	}
	(void)pthread_mutex_unlock(&delays->mutex);
	if (made != NULL)
		weiri_publisher_give_back(made);
}

int weiri_delay_put(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_delay *delay,
	weir_receipt *receipt)
{
	struct weir_broker *broker = publisher->broker;
	int error;

	publisher_provide(broker);
	(void)pthread_mutex_lock(&broker->delays.mutex);
	error = all_put(publisher, topic, messages, count, delay, receipt);
	(void)pthread_mutex_unlock(&broker->delays.mutex);
	return error;
}

uint64_t weiri_delays_discard(struct weir_broker *broker)
{
	struct weiri_delays *delays = &broker->delays;
	struct weir_publisher *publisher;
	uint64_t count = 0;

	for (;; count++) {
		struct weiri_delayed *delayed;

		(void)pthread_mutex_lock(&delays->mutex);
		delays->is_closed = true;
		delayed = delays->first;
		if (delayed != NULL)
			list_remove(delays, delayed);
		(void)pthread_mutex_unlock(&delays->mutex);
		if (delayed == NULL)
			break;
		message_discard(delayed);
		delayed_free(delayed);
	}
	publisher = delays->publisher;
	delays->publisher = NULL;
	if (publisher != NULL) {
		weiri_registry_lock(&broker->registry);
		weiri_publisher_end(publisher);
		weiri_registry_unlock(&broker->registry);
	}
	return count;
}
