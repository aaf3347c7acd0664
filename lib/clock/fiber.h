/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fiber.h - a fiber: a stack to run on, and the switch from one to another.
 *
 * A switch makes no system call (swapcontext would, each time, to set a signal
 * mask that is the same for all).  There are two ways, chosen when compiling:
 *
 *   portable  entered once through makecontext, the only way of C to start on
 *             a given stack; from then on _setjmp of the one fiber and _longjmp
 *             to the other.
 *   x86-64    fifteen instructions that do the same.  Three times as fast where
 *             it counts: _longjmp leaves a call without a return behind, so the
 *             processor mispredicts each return that follows it.
 *
 * A fiber's function never returns: a fiber that has finished is switched away
 * from for good, or is given its next work by its owner and switched to again.
 *
 * Threads: the fibers that switch among each other belong together, and one
 * thread at a time runs them.  A switch neither blocks nor fails.  Signal
 * masks and floating-point modes belong to the thread, not to the fiber.
 *
 * AddressSanitizer, ThreadSanitizer and Valgrind are told of the stacks and
 * the switches.
 */
#ifndef WEIRI_CLOCK_FIBER_H
#define WEIRI_CLOCK_FIBER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/atomics.h"

#if defined(__SANITIZE_ADDRESS__)
#define WEIRI_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIRI_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef WEIRI_ADDRESS_SANITIZER
#define WEIRI_ADDRESS_SANITIZER 0
#endif

/* What a sanitizer adds to a stack: larger frames, and its report at the end. */
#if WEIRI_ADDRESS_SANITIZER || WEIRI_THREAD_SANITIZER
#define WEIRI_FIBER_STACK_EXTRA ((size_t)256 * 1024)
#else
#define WEIRI_FIBER_STACK_EXTRA ((size_t)0)
#endif

/* WEIRI_FIBER_PORTABLE may be defined as 1 to have the portable way anywhere. */
#ifndef WEIRI_FIBER_PORTABLE
#if defined(__x86_64__) && defined(__LP64__)
#define WEIRI_FIBER_PORTABLE 0
#else
#define WEIRI_FIBER_PORTABLE 1
#endif
#endif

struct weiri_fiber {
#if WEIRI_FIBER_PORTABLE
	jmp_buf registers; /* where it goes on, while it does not run */
	bool is_entered;   /* `registers` is valid */
#else
	void *stack_pointer; /* while it does not run; the registers lie there */
#endif
	void (*function)(void *argument);
	void *argument;
	void *stack; /* its lowest address; NULL: a thread's own, not known yet */
	size_t stack_size;
	struct weiri_fiber *entered_from; /* the fiber that switched to it last */
	void *thread_sanitizer_fiber;
	void *address_sanitizer_stack; /* the one it keeps aside while it does not run */
	unsigned valgrind_stack;
};

/* Make *fiber stand for the stack on which the caller runs. */
void weiri_fiber_adopt(struct weiri_fiber *fiber);

/* Make *fiber one that calls function(argument) on the given stack when it is
 * first switched to.  The stack stays the caller's, who keeps it until after
 * weiri_fiber_destroy.  Its address and size are multiples of 16. */
void weiri_fiber_create(struct weiri_fiber *fiber, void *stack, size_t stack_size,
	void (*function)(void *argument), void *argument);

/* Give back what the tools hold for a created fiber that does not run. */
void weiri_fiber_destroy(struct weiri_fiber *fiber);

/* Leave `from`, which runs, and go on in `to`, another one.  Returns when
 * something switches to `from` again. */
void weiri_fiber_switch(struct weiri_fiber *from, struct weiri_fiber *to);

#endif /* WEIRI_CLOCK_FIBER_H */
