/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and publishing dead letters. */
#include "core/dead_letter.h"

#include <string.h>

#include "core/acks.h"
#include "core/publisher.h"
#include "core/subscription.h"

static void original_release(void *context, void *data)
{
	(void)data;
	weir_message_release(context);
}

static weir_dead_reason reason_of(enum weiri_ledger_reason reason)
{
	switch (reason) {
	case WEIRI_LEDGER_NACKED:
		return WEIR_DEAD_NACK;
	case WEIRI_LEDGER_REJECTED:
		return WEIR_DEAD_REJECTED;
	case WEIRI_LEDGER_EXPIRED:
		return WEIR_DEAD_EXPIRED;
	case WEIRI_LEDGER_TIMED_OUT:
		break;
	}
	return WEIR_DEAD_TIMEOUT;
}

static char *text_append(char *text, const char *from, size_t length)
{
	memcpy(text, from, length);
	text[length] = '\0';
	return text + length + 1;
}

/* The dead letter of a message; NULL: no memory. */
static struct weir_message *letter_make(struct weir_publisher *publisher,
	const struct weir_subscription *subscription, const struct weiri_exhausted *exhausted)
{
	struct weir_message *original = exhausted->value;
	const char *topic = original->topic->name;
	const char *error = exhausted->error != NULL ? exhausted->error : "";
	size_t topic_length = strlen(topic);
	size_t filter_length = strlen(subscription->filter);
	size_t error_length = strlen(error);
	struct weir_message *letter = weiri_pool_take(publisher->pool,
		sizeof(struct weiri_dead_letter) + topic_length + filter_length + error_length + 3);
	struct weiri_dead_letter *dead;
	char *text;

	if (letter == NULL)
		return NULL;
	dead = weiri_message_payload(letter);
	dead->wrap = (struct weiri_wrap){ original_release, original };
	text = dead->text;
	dead->letter = (weir_dead_letter){
		.reason = reason_of(exhausted->reason),
		.attempts = exhausted->attempt,
		.subscription = subscription->id,
		.redrives = exhausted->redrives,
	};
	dead->ledger = subscription->acks != NULL ? subscription->acks->ledger->number : 0;
	weiri_store_relaxed(&dead->is_redriven, 0);
	dead->letter.topic = text;
	text = text_append(text, topic, topic_length);
	dead->letter.filter = text;
	text = text_append(text, subscription->filter, filter_length);
	dead->letter.error = text;
	(void)text_append(text, error, error_length);
	letter->data = original->data;
	letter->size = original->size;
	letter->priority = original->priority;
	letter->flags |= WEIRI_MESSAGE_WRAPPED | WEIRI_MESSAGE_DEAD_LETTER;
	return letter;
}

int weiri_dead_letter_publish(struct weir_subscription *subscription,
	const struct weiri_exhausted *exhausted, struct weir_publisher **publisher)
{
	const struct weir_message *original = exhausted->value;
	/* Also while the broker drains: who gets the letter waits for it. */
	const struct weiri_publish_terms terms = {
		.deadline = -WEIR_FOREVER,
		.until_closed = true,
		.defers_hooks = true,
	};
	struct weir_message *letter;
	int error;

	/* No loops: what failed as a dead letter has come to its end. */
	if (original->flags & WEIRI_MESSAGE_DEAD_LETTER)
		return WEIR_EINVAL;
	*publisher = weiri_publisher_borrow(subscription->broker);
	if (*publisher == NULL)
		return WEIR_ENOMEM;
	letter = letter_make(*publisher, subscription, exhausted);
	error = letter == NULL ? WEIR_ENOMEM
			       : weiri_publish_named(*publisher, subscription->dead_letter_topic,
					 letter, &terms, NULL);
	if (error != 0 && letter != NULL) {
		/* Not published: the original stays the caller's. */
		letter->flags &= (uint8_t)~WEIRI_MESSAGE_WRAPPED;
		weiri_message_unref(letter, 1, NULL);
	}
	if (error == 0)
		(void)weiri_add_relaxed(&subscription->dead_lettered, 1);
	return error;
}

void weiri_dead_letter_finish(struct weir_publisher *publisher)
{
	weiri_publish_hooks(publisher);
	weiri_publisher_give_back(publisher);
}

struct weir_publisher *weiri_dead_letter_join(
	struct weir_publisher *first, struct weir_publisher *second)
{
	if (first == NULL || second == NULL)
		return second != NULL ? second : first;
	/* All letters of a subscription go to one topic, so one stands for all. */
	if (first->hooks_topic == NULL)
		first->hooks_topic = second->hooks_topic;
	else if (second->hooks_topic != NULL)
		weiri_topic_unref(second->hooks_topic);
	second->hooks_topic = NULL;
	weiri_publisher_give_back(second);
	return first;
}

int weir_message_dead_letter(const weir_message *message, weir_dead_letter *letter)
{
	if (message == NULL || letter == NULL)
		return WEIR_EINVAL;
	if ((message->flags & WEIRI_MESSAGE_DEAD_LETTER) == 0)
		return WEIR_ENOENT;
	*letter = ((const struct weiri_dead_letter *)(const void *)(message + 1))->letter;
	return 0;
}
