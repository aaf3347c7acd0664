/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishes with a time to live, a delay, an id or a confirm. */
#include "core/special.h"

#include <math.h>

#include "core/confirm.h"
#include "core/delay.h"
#include "core/extra.h"

bool weiri_special_options_are_valid(const weir_publish_options *options)
{
	return weiri_duration_is_valid(options->ttl) && !isnan(options->expires_at) &&
	       (options->ttl == 0 || options->expires_at == 0) &&
	       weiri_duration_is_valid(options->delay) && isfinite(options->delay) &&
	       isfinite(options->publish_at) && (options->delay == 0 || options->publish_at == 0) &&
	       !(options->all_or_nothing && (options->delay != 0 || options->publish_at != 0));
}

/* When a message that is published now expires. */
static double expires_of(struct weir_broker *broker, const weir_publish_options *options)
{
	if (options->expires_at != 0)
		return options->expires_at;
	return options->ttl != 0 ? weiri_clock_now(broker->clock) + options->ttl : WEIR_FOREVER;
}

/* What is special about the messages themselves; then as any other, or later. */
static int messages_publish(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt)
{
	struct weir_broker *broker = publisher->broker;
	const struct weiri_delay delay = { terms->special,
		weiri_delay_time(broker, terms->special) };
	double expires = expires_of(broker, terms->special);
	struct weiri_publish_terms own = *terms;

	if (delay.time > -WEIR_FOREVER && delay.time > weiri_clock_now(broker->clock))
		return weiri_delay_put(publisher, topic, messages, count, &delay, receipt);
	for (size_t i = 0; i < count; i++)
		if (weiri_message_has_extra(messages[i]))
			weiri_message_extra(messages[i])->expires = expires;
	/* Nobody will get it after that. */
	own.deadline = fmin(own.deadline, expires);
	if (terms->special->has_id)
		own.id = &terms->special->id;
	return weiri_publish_ordinary(publisher, topic, messages, count, &own, receipt);
}

/* Returns 0 or an error; then none of them has a ticket. */
static int tickets_begin(struct weir_message **messages, size_t count,
	const weir_publish_options *options, struct weiri_ticket **tickets)
{
	for (size_t i = 0; i < count; i++) {
		int error =
			weiri_confirm_begin(options->confirm, options->confirm_tag, messages[i]);

		if (error != 0) {
			while (i-- > 0)
				weiri_confirm_withdraw(messages[i]);
			return error;
		}
		tickets[i] = weiri_message_ticket(messages[i]);
	}
	return 0;
}

static int confirmed_publish(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt)
{
	struct weir_broker *broker = publisher->broker;
	struct weiri_ticket *tickets[WEIRI_PUBLISH_MAX];
	int error;

	/* A close waits, so that it decides no ticket of a publish that fails. */
	(void)weiri_add_relaxed(&broker->inside, 1);
	error = tickets_begin(messages, count, terms->special, tickets);
	if (error == 0)
		error = messages_publish(publisher, topic, messages, count, terms, receipt);
	else
		count = 0;
	for (size_t i = 0; i < count; i++) {
		if (receipt->published > 0)
			weiri_ticket_published(tickets[i], true);
		else if (receipt->delayed == 0)
			weiri_confirm_withdraw(messages[i]);
	}
	/* Q1 (pairs with the acquire in await, at close). */
	(void)weiri_sub_release(&broker->inside, 1);
	return error;
}

int weiri_publish_special(struct weir_publisher *publisher, struct weiri_topic *topic,
	struct weir_message **messages, size_t count, const struct weiri_publish_terms *terms,
	weir_receipt *receipt)
{
	return terms->special->confirm == NULL
		       ? messages_publish(publisher, topic, messages, count, terms, receipt)
		       : confirmed_publish(publisher, topic, messages, count, terms, receipt);
}
