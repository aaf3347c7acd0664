/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * error.c - the names and sentences of weir/error.h.
 *
 * One table, indexed by the negated value, so that a name and its sentence
 * stand side by side and cannot drift apart.
 */
#include <weir/error.h>

struct error_text {
	const char *name;
	const char *sentence;
};

#define ENTRY(error, text) [-(error)] = { #error, text }

static const struct error_text error_texts[] = {
	ENTRY(WEIR_OK, "it worked"),
	ENTRY(WEIR_EINVAL, "an argument is outside its documented range"),
	ENTRY(WEIR_ENOMEM, "there is not enough memory"),
	ENTRY(WEIR_EAGAIN, "there is nothing now, and the call may not wait"),
	ENTRY(WEIR_ETIMEDOUT, "the time allowed for the call has passed"),
	ENTRY(WEIR_EINTR, "the wait was interrupted by a wake-up call"),
	ENTRY(WEIR_ESHUTDOWN, "the broker is draining or closed"),
	ENTRY(WEIR_ECLOSED, "the handle is closed"),
	ENTRY(WEIR_EBUSY, "it is in use by another caller at this moment"),
	ENTRY(WEIR_EFORK, "the broker belongs to the parent of this forked process"),
	ENTRY(WEIR_ESTALE, "the delivery is too late, another one has been settled"),
	ENTRY(WEIR_EDUPLICATE, "the same one was there before"),
	ENTRY(WEIR_EDEADLK, "the call would wait for its own caller"),
	ENTRY(WEIR_ELIMIT, "a configured limit is reached"),
	ENTRY(WEIR_ENOENT, "there is nothing of that name"),
	ENTRY(WEIR_ESYSTEM, "the operating system refused a needed service"),
	ENTRY(WEIR_EFULL, "it was refused because a queue is full"),
	ENTRY(WEIR_EMISMATCH, "it is there already, with other options"),
	ENTRY(WEIR_ELOST, "a message did not get to all that it was for"),
};

#define ERROR_COUNT ((int)(sizeof(error_texts) / sizeof(error_texts[0])))

static const struct error_text unknown_error = {
	"WEIR_UNKNOWN",
	"the value is not an error code of this version of weir",
};

static const struct error_text *text_of(int error)
{
	/* The first test also keeps INT_MIN, which has no negation, out of the index. */
	if (error <= -ERROR_COUNT || error > 0)
		return &unknown_error;
	return &error_texts[-error];
}

const char *weir_strerror(int error)
{
	return text_of(error)->sentence;
}

const char *weir_errname(int error)
{
	return text_of(error)->name;
}
