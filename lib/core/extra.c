/* SPDX-License-Identifier: BSD-2-Clause */
/* Extras, and messages that carry a loan without room for one. */
#include "core/extra.h"

void weiri_extra_begin(struct weir_message *message)
{
	message->flags |= WEIRI_MESSAGE_EXTRA;
	*weiri_message_extra(message) = (struct weiri_extra){ .expires = WEIR_FOREVER };
}

static bool has_room(const struct weir_message *message)
{
	size_t used = message->size;

	if (message->flags & WEIRI_MESSAGE_WRAPPED)
		used = sizeof(struct weiri_wrap);
	else if (message->flags & WEIRI_MESSAGE_LARGE)
		used = 0;
	return used + sizeof(struct weiri_extra) <= WEIRI_POOL_PAYLOAD_MIN << message->size_class;
}

static void loan_release(void *context, void *data)
{
	(void)data;
	weiri_message_unref(context, 1, NULL);
}

static struct weir_message *carry(struct weir_message *loan)
{
	struct weir_message *carrier = weiri_pool_take_for_extra(
		loan->pool, sizeof(struct weiri_wrap), sizeof(struct weiri_extra));
	struct weiri_wrap *wrap;

	if (carrier == NULL)
		return NULL;
	wrap = weiri_message_payload(carrier);
	*wrap = (struct weiri_wrap){ loan_release, loan };
	carrier->data = loan->data;
	carrier->size = loan->size;
	carrier->flags |= WEIRI_MESSAGE_WRAPPED;
	/* Nobody who kept it may write into it any more. */
	loan->flags |= WEIRI_MESSAGE_PUBLISHED;
	return carrier;
}

struct weir_message *weiri_extra_provide(struct weir_message *loan)
{
	struct weir_message *provided = has_room(loan) ? loan : carry(loan);

	if (provided != NULL)
		weiri_extra_begin(provided);
	return provided;
}

void weiri_extra_withdraw(struct weir_message *provided, struct weir_message *loan)
{
	if (provided == loan) {
		loan->flags &= (uint8_t)~WEIRI_MESSAGE_EXTRA;
		return;
	}
	loan->flags &= (uint8_t)~WEIRI_MESSAGE_PUBLISHED;
	provided->flags &= (uint8_t)~WEIRI_MESSAGE_WRAPPED;
	weiri_message_unref(provided, 1, NULL);
}
