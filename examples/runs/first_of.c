/* SPDX-License-Identifier: BSD-2-Clause */
/* A turn is won by the first of its receives; the others go on. */
#include "first_of.h"

#include <stdlib.h>
#include <string.h>

#include "../common/complain.h"

struct line {
	struct first_of *first_of;
	weir_subscription *queue;
	weir_subscription *turns; /* those called out */
	weir_publisher *won;
};

struct first_of {
	weir_broker *signals;
	weir_publisher *turns;
	weir_subscription *won;
	struct line *lines;
	size_t count;
	pthread_mutex_t mutex; /* of what follows; not held over a wait */
	uint64_t turn;
	bool is_won;
};

static void turn_begin(struct first_of *first_of, uint64_t *turn)
{
	(void)pthread_mutex_lock(&first_of->mutex);
	*turn = ++first_of->turn;
	first_of->is_won = false;
	(void)pthread_mutex_unlock(&first_of->mutex);
}

/* Returns whether a receive that was issued in `turn` is the first to complete. */
static bool turn_win(struct first_of *first_of, uint64_t turn)
{
	bool wins;

	(void)pthread_mutex_lock(&first_of->mutex);
	wins = turn == first_of->turn && !first_of->is_won;
	if (wins)
		first_of->is_won = true;
	(void)pthread_mutex_unlock(&first_of->mutex);
	return wins;
}

/* Hand the message on to the subscriber, with a reference to it. */
static int line_win(struct line *line, weir_message *message)
{
	int error = weir_message_keep(message);

	if (error != 0)
		return error;
	error = weir_publish(line->won, &message, sizeof(message), NULL, NULL);
	if (error != 0)
		weir_message_release(message);
	return error;
}

static void line_run(void *argument)
{
	struct line *line = argument;
	weir_delivery issued, taken;
	int error = 0;

	while (error == 0 && weir_receive(line->turns, &issued, WEIR_FOREVER) == 0 &&
		weir_receive(line->queue, &taken, WEIR_FOREVER) == 0) {
		uint64_t turn;

		memcpy(&turn, issued.data, sizeof(turn));
		if (turn_win(line->first_of, turn))
			error = line_win(line, taken.message);
	}
}

static void line_open(
	struct line *line, struct stage *stage, struct first_of *first_of, weir_subscription *queue)
{
	weir_subscription_options endless = { .overflow = WEIR_OVERFLOW_UNBOUNDED };

	line->first_of = first_of;
	line->queue = queue;
	line->turns = stage_subscribe(stage, first_of->signals, "turn", &endless);
	must(weir_publisher_open(&line->won, first_of->signals, "won", NULL), "won");
	stage_spawn(stage, weir_subscription_filter(queue), line_run, line);
}

struct first_of *first_of_open(struct stage *stage, weir_subscription *const *queues, size_t count)
{
	struct first_of *first_of = memory_resize(NULL, 1, sizeof(*first_of));

	*first_of = (struct first_of){ .count = count };
	(void)pthread_mutex_init(&first_of->mutex, NULL);
	first_of->signals = stage_broker_open(stage);
	must(weir_publisher_open(&first_of->turns, first_of->signals, "turn", NULL), "turn");
	first_of->won = stage_subscribe(stage, first_of->signals, "won", NULL);
	first_of->lines = memory_resize(NULL, count, sizeof(*first_of->lines));
	for (size_t i = 0; i < count; i++)
		line_open(&first_of->lines[i], stage, first_of, queues[i]);
	return first_of;
}

int first_of_receive(struct first_of *first_of, weir_message **message)
{
	weir_delivery won;
	uint64_t turn;
	int error;

	turn_begin(first_of, &turn);
	error = weir_publish(first_of->turns, &turn, sizeof(turn), NULL, NULL);
	if (error == 0)
		error = weir_receive(first_of->won, &won, WEIR_FOREVER);
	if (error == 0)
		memcpy(message, won.data, sizeof(*message));
	return error;
}

void first_of_close(struct first_of *first_of)
{
	weir_delivery won;

	/* A turn that was won when the run ended. */
	while (weir_receive(first_of->won, &won, 0) == 0) {
		weir_message *message;

		memcpy(&message, won.data, sizeof(message));
		weir_message_release(message);
	}
	for (size_t i = 0; i < first_of->count; i++)
		weir_publisher_close(first_of->lines[i].won);
	weir_publisher_close(first_of->turns);
	(void)weir_broker_close(first_of->signals, NULL);
	(void)pthread_mutex_destroy(&first_of->mutex);
	free(first_of->lines);
	free(first_of);
}
