/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weir/error.h - what a function of weir returns when it could not.
 *
 * Functions that can fail return an int: 0 (WEIR_OK) or a negative value of
 * this list, and functions that count return the count, which is never
 * negative, or such a value. On failure outputs are left as they were. The
 * values are frozen: a later version adds new ones and never changes these.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <weir/api.h>

enum weir_error {
	WEIR_OK = 0,
	WEIR_EINVAL = -1,      /* an argument is outside what is documented; nothing was changed */
	WEIR_ENOMEM = -2,      /* the allocator had no memory; nothing was changed */
	WEIR_EAGAIN = -3,      /* nothing there, or the call would have to wait and may not */
	WEIR_ETIMEDOUT = -4,   /* the time the caller allowed has passed */
	WEIR_EINTR = -5,       /* the wait was ended by a wake-up that brought nothing */
	WEIR_ESHUTDOWN = -6,   /* the broker is draining or closed */
	WEIR_ECLOSED = -7,     /* this handle is closed */
	WEIR_EBUSY = -8,       /* somebody else uses it at this moment */
	WEIR_EFORK = -9,       /* called in a child of fork; the broker belongs to the parent */
	WEIR_ESTALE = -10,     /* too late: another delivery of it has been settled */
	WEIR_EDUPLICATE = -11, /* it was there before */
	WEIR_EDEADLK = -12,    /* the call would wait for its own caller */
	WEIR_ELIMIT = -13,     /* a configured cap is reached */
	WEIR_ENOENT = -14,     /* there is nothing of that name */
	WEIR_ESYSTEM = -15,    /* the operating system refused something weir needs */
	WEIR_EFULL = -16,      /* refused because a queue is full */
	WEIR_EMISMATCH = -17,  /* it is there already, with other options */
	WEIR_ELOST = -18       /* a message did not get to all that it was for */
};

WEIR_BEGIN_DECLS

/*
 * What `error` means, as an English sentence without a final stop, for people;
 * and its name, "WEIR_EINVAL", for logs. Any int may be passed: one that is no
 * value of the list gives a sentence and a name that say so. Any thread may
 * call them at any time; they never block. The strings are constant and live
 * as long as the library is loaded.
 */
WEIR_API WEIR_CONST const char *weir_strerror(int error);
WEIR_API WEIR_CONST const char *weir_errname(int error);

WEIR_END_DECLS

#endif /* WEIR_ERROR_H */
