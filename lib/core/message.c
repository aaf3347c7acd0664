/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a message, and what a user may read of it. */
#include "core/message.h"

#include "core/broker.h"
#include "core/confirm.h"
#include "core/topic.h"
#include <weir/error.h>

void weiri_message_free(struct weir_message *message, struct weiri_pool_chain *chain)
{
	if (message->flags & WEIRI_MESSAGE_WRAPPED) {
		struct weiri_wrap *wrap = weiri_message_payload(message);

		wrap->free_function(wrap->context, message->data);
	}
	if (message->flags & WEIRI_MESSAGE_LARGE)
		weiri_deallocate(&message->pool->broker->allocator, message->data, message->size);
	if (message->flags & WEIRI_MESSAGE_TOPIC_HELD)
		weiri_topic_unref(message->topic);
	if (message->flags & WEIRI_MESSAGE_TICKET)
		weiri_ticket_release(weiri_message_ticket(message));
	weiri_pool_give(message, chain);
}

void weiri_message_unref_later(
	struct weir_message *message, uint32_t count, struct weiri_message_dead *dead)
{
	message = weiri_message_counting(message);
	if (!weiri_message_references_give_back(message, count))
		return;
	message->next = dead->first;
	dead->first = message;
}

void weiri_message_dead_free(struct weiri_message_dead *dead)
{
	while (dead->first != NULL) {
		struct weir_message *message = dead->first;

		dead->first = message->next;
		weiri_message_free(message, NULL);
	}
}

const void *weir_message_data(const weir_message *message)
{
	return message == NULL ? NULL : message->data;
}

size_t weir_message_size(const weir_message *message)
{
	return message == NULL ? 0 : message->size;
}

void *weir_message_buffer(weir_message *message)
{
	if (message == NULL || (message->flags & (WEIRI_MESSAGE_PUBLISHED | WEIRI_MESSAGE_WRAPPED)))
		return NULL;
	return message->data;
}

const char *weir_message_topic(const weir_message *message)
{
	return message == NULL || message->topic == NULL ? NULL : message->topic->name;
}

uint64_t weir_message_sequence(const weir_message *message)
{
	return message == NULL ? 0 : message->sequence;
}

double weir_message_timestamp(const weir_message *message)
{
	return message == NULL ? 0 : message->timestamp;
}

int32_t weir_message_priority(const weir_message *message)
{
	return message == NULL ? 0 : message->priority;
}

uint64_t weir_message_key(const weir_message *message)
{
	return message == NULL || (message->flags & WEIRI_MESSAGE_HAS_KEY) == 0 ? 0 : message->key;
}

double weir_message_expires_at(const weir_message *message)
{
	return message == NULL ? WEIR_FOREVER : weiri_message_expires(message);
}

int weir_message_keep(weir_message *message)
{
	if (message == NULL)
		return WEIR_EINVAL;
	if (weiri_broker_forked(message->pool->broker))
		return WEIR_EFORK;
	weiri_message_ref_shared(message);
	return 0;
}

void weir_message_release(weir_message *message)
{
	if (message != NULL && !weiri_broker_forked(message->pool->broker))
		weiri_message_unref(message, 1, NULL);
}
