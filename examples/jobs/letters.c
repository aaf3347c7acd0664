/* SPDX-License-Identifier: BSD-2-Clause */
/* Dead letters, received and told. */
#include "letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"
#include "manifest.h"

static void take(const weir_delivery *delivery)
{
	weir_dead_letter found;
	struct letter *letter;
	struct step step;

	memcpy(&step, delivery->data, sizeof(step));
	if (step.job->letters++ > 0 || weir_message_dead_letter(delivery->message, &found) != 0)
		return;
	letter = memory_resize(NULL, 1, sizeof(*letter));
	letter->step = step.number;
	letter->attempts = found.attempts;
	letter->reason = found.reason;
	(void)snprintf(letter->error, sizeof(letter->error), "%s", found.error);
	step.job->letter = letter;
}

static void *run(void *argument)
{
	struct letters *letters = argument;
	weir_delivery delivery;
	int error;

	while ((error = weir_receive(letters->subscription, &delivery, WEIR_FOREVER)) == 0) {
		take(&delivery);
		(void)atomic_fetch_add_explicit(&letters->count, 1, memory_order_relaxed);
	}
	if (error != WEIR_ESHUTDOWN)
		letters->error = error;
	return NULL;
}

int letters_start(struct letters *letters, weir_broker *broker, const char *topic)
{
	const weir_subscription_options options = { .overflow = WEIR_OVERFLOW_UNBOUNDED };
	int error = weir_subscribe(&letters->subscription, broker, topic, &options);

	if (error != 0)
		return error;
	if (pthread_create(&letters->thread, NULL, run, letters) != 0) {
		(void)weir_unsubscribe(letters->subscription, NULL);
		letters->subscription = NULL;
		return WEIR_ESYSTEM;
	}
	letters->is_running = true;
	return 0;
}

void letters_join(struct letters *letters)
{
	if (letters->is_running)
		(void)pthread_join(letters->thread, NULL);
	letters->is_running = false;
}

void letters_free(struct letters *letters)
{
	letters_join(letters);
	if (letters->subscription != NULL)
		(void)weir_unsubscribe(letters->subscription, NULL);
}

uint64_t letters_tell(const struct jobs *jobs)
{
	uint64_t failed = 0;

	for (size_t i = 0; i < jobs->count; i++) {
		const struct letter *letter = jobs->all[i]->letter;
		char *path;

		if (letter == NULL)
			continue;
		failed++;
		path = manifest_escape(jobs->all[i]->path);
		complain("%s: %s (after %" PRIu32 " attempt%s)", path,
			letter->error[0] != '\0' ? letter->error : "no worker finished it",
			letter->attempts, letter->attempts == 1 ? "" : "s");
		free(path);
	}
	return failed;
}
