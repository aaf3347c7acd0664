/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watermark: tells the user when a queue fills up, and when it has emptied.
 *
 *   CALM --high reached--> SLOW_CALL --hook returns--> SLOW
 *   SLOW --low reached---> CALM_CALL --hook returns--> CALM
 *
 * Whoever wins the step into a *_CALL state calls the hook, so hooks of one
 * subscription never overlap.  The caller has the subscription pinned and no
 * section or lock open.  weir_unsubscribe from inside a hook finds itself by
 * `caller`, does not wait for itself, and leaves the freeing to the hook's return.
 */
#ifndef WEIRI_WATERMARK_H
#define WEIRI_WATERMARK_H

#include <pthread.h>

#include "base/atomics.h"

struct weir_subscription;

struct weiri_watermark {
	_Atomic uint32_t state;
	_Atomic uintptr_t caller; /* the thread inside a hook, or 0 */
	double interval;
	double told; /* when on_slow was called last; of the *_CALL owner */
	void (*on_slow)(void *context, struct weir_subscription *subscription, uint64_t queued);
	void (*on_recovered)(
		void *context, struct weir_subscription *subscription, uint64_t queued);
	void *context;
};

/* After a push, with watermarks set: whether the caller is now the one to call
 * weiri_watermark_slow; the subscription is pinned then.  Inside a section, or
 * with the subscription pinned. */
bool weiri_watermark_is_reached(struct weir_subscription *subscription);

/* Calls on_slow; unpins. */
void weiri_watermark_slow(struct weir_subscription *subscription);

/* After taking: the same for on_recovered.  The receiver, before it leaves. */
bool weiri_watermark_is_left(struct weir_subscription *subscription);
void weiri_watermark_recovered(struct weir_subscription *subscription);

/* Whether the calling thread is inside a hook of this subscription. */
bool weiri_watermark_is_caller(struct weir_subscription *subscription);

#endif
