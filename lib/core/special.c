/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishes with a time to live, a delay or an id. */
#include "core/special.h"

#include <math.h>

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

int weiri_publish_special(struct weir_publisher *publisher, struct weiri_topic *topic,
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
