/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_report.c - what a simulation tells about itself: its trace, who waits,
 * and the string that repeats it.
 */
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/simulation.h"

/* ---- Who waits for what ---- */

/* Whether the process waits; then *wait says for what. */
static bool wait_of(const struct weiri_process *process, weir_sim_wait *wait)
{
	*wait = (weir_sim_wait){
		.process = process->number,
		.name = process->name,
		.object = "",
		.since = process->since,
		.until = process->event.place == WEIRI_PLACE_NONE ? WEIR_FOREVER
								  : process->event.time,
	};
	switch ((enum weiri_event_kind)process->event.kind) {
	case WEIRI_EVENT_TIMEOUT:
		wait->operation = process->waiter->operation;
		wait->object = process->waiter->object;
		break;
	case WEIRI_EVENT_SLEEP:
		wait->operation = "sleep";
		break;
	case WEIRI_EVENT_POLL:
		wait->operation = "poll";
		wait->until = WEIR_FOREVER;
		break;
	case WEIRI_EVENT_START:
	case WEIRI_EVENT_WAKE:
	case WEIRI_EVENT_YIELD:
	case WEIRI_EVENT_TIMER:
		return false;
	}
	if (wait->operation == NULL)
		wait->operation = "wait";
	if (wait->object == NULL)
		wait->object = "";
	return true;
}

void weir_sim_waits(const weir_sim *sim, void (*visit)(void *argument, const weir_sim_wait *wait),
	void *argument)
{
	weir_sim_wait wait;

	if (sim == NULL || visit == NULL)
		return;
	for (const struct weiri_process *process = sim->first_alive; process != NULL;
		process = process->next) {
		if (process != sim->current && wait_of(process, &wait))
			visit(argument, &wait);
	}
}

/* ---- Text ---- */

#define SECONDS_SIZE 40

/* Writes the shortest text that reads back as the same number, with a point
 * whatever the locale says. */
static const char *seconds_text(char text[SECONDS_SIZE], double seconds)
{
	const char *locale_point = localeconv()->decimal_point;
	size_t point_length = strlen(locale_point);
	char *point;

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, SECONDS_SIZE, "%.*g", digits, seconds);
		if (strtod(text, NULL) == seconds)
			break;
	}
	point = strstr(text, locale_point);
	if (point != NULL) {
		*point = '.';
		memmove(point + 1, point + point_length, strlen(point + point_length) + 1);
	}
	return text;
}

int weir_sim_event_text(char *buffer, size_t size, const weir_sim_event *event)
{
	char time[SECONDS_SIZE];

	return snprintf(buffer, size, "%s #%" PRIu64 " %s %" PRIu64 " %s",
		seconds_text(time, event->time), event->serial, event->kind, event->process,
		event->name);
}

int weir_sim_wait_text(char *buffer, size_t size, const weir_sim_wait *wait)
{
	char since[SECONDS_SIZE], until[SECONDS_SIZE];
	bool has_object = wait->object[0] != '\0';
	bool has_end = wait->until < WEIR_FOREVER;

	return snprintf(buffer, size, "process %" PRIu64 " %s waits in %s%s%s since %s%s%s",
		wait->process, wait->name, wait->operation, has_object ? " at " : "", wait->object,
		seconds_text(since, wait->since), has_end ? " until " : "",
		has_end ? seconds_text(until, wait->until) : "");
}

void weiri_sim_trace(const struct weir_sim *sim, const struct weiri_event *event)
{
	static const char *const kinds[] = {
		[WEIRI_EVENT_START] = "start",
		[WEIRI_EVENT_SLEEP] = "sleep",
		[WEIRI_EVENT_WAKE] = "wake",
		[WEIRI_EVENT_TIMEOUT] = "timeout",
		[WEIRI_EVENT_YIELD] = "yield",
		[WEIRI_EVENT_POLL] = "poll",
		[WEIRI_EVENT_TIMER] = "timer",
	};
	weir_sim_event report = {
		.time = event->time,
		.serial = event->serial,
		.name = "",
		.kind = kinds[event->kind],
	};

	if (event->kind != WEIRI_EVENT_TIMER) {
		const struct weiri_process *process =
			(const struct weiri_process *)(const void *)event;

		report.process = process->number;
		report.name = process->name;
	}
	sim->options.trace(sim->options.trace_argument, &report);
}

/* ---- Replay strings ----
 *
 *	weir1:order:seed=7
 *	weir1:random:seed=7
 *	weir1:pct:seed=7:changes=2:steps=1000
 *
 * A run is a function of the program, the schedule and the seed, so no more
 * needs to be written down.  The 1 is raised when the same numbers begin to
 * mean other choices.
 */

static const char *const schedule_names[] = {
	[WEIR_SCHEDULE_ORDER] = "order",
	[WEIR_SCHEDULE_RANDOM] = "random",
	[WEIR_SCHEDULE_PCT] = "pct",
};

static void write_replay(char *text, size_t size, const weir_sim_options *options)
{
	int length = snprintf(text, size, "weir1:%s:seed=%" PRIu64,
		schedule_names[options->schedule], options->seed);

	if (options->schedule == WEIR_SCHEDULE_PCT)
		(void)snprintf(text + length, size - (size_t)length, ":changes=%u:steps=%" PRIu64,
			options->pct_change_points, options->pct_steps);
}

void weiri_sim_write_replay(struct weir_sim *sim)
{
	write_replay(sim->replay, sizeof(sim->replay), &sim->options);
}

const char *weir_sim_replay_string(const weir_sim *sim)
{
	return sim == NULL ? NULL : sim->replay;
}

/* Reads what must stand at *text, and goes past it. */
static bool read_word(const char **text, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(*text, word, length) != 0)
		return false;
	*text += length;
	return true;
}

/* What is read wrong here (a sign, a number too large) is not written back the same. */
static uint64_t read_number(const char **text)
{
	char *end;
	uint64_t number = strtoull(*text, &end, 10);

	*text = end;
	return number;
}

bool weiri_sim_read_replay(const char *text, weir_sim_options *options)
{
	weir_sim_options read = *options;
	const char *rest = text;
	char again[96];

	if (!read_word(&rest, "weir1:"))
		return false;
	if (read_word(&rest, "order"))
		read.schedule = WEIR_SCHEDULE_ORDER;
	else if (read_word(&rest, "random"))
		read.schedule = WEIR_SCHEDULE_RANDOM;
	else if (read_word(&rest, "pct"))
		read.schedule = WEIR_SCHEDULE_PCT;
	else
		return false;
	if (!read_word(&rest, ":seed="))
		return false;
	read.seed = read_number(&rest);
	if (read_word(&rest, ":changes="))
		read.pct_change_points = (unsigned)read_number(&rest);
	if (read_word(&rest, ":steps="))
		read.pct_steps = read_number(&rest);
	/* Here 0 is not the default: it was never written. */
	if (read.schedule == WEIR_SCHEDULE_PCT &&
		(read.pct_change_points == 0 || read.pct_steps == 0))
		return false;
	write_replay(again, sizeof(again), &read);
	if (strcmp(again, text) != 0)
		return false;
	*options = read;
	return true;
}
