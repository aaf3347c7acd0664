/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fiber.c - the switch between fibers, its two ways, and what the tools are told.
 *
 * _FORTIFY_SOURCE replaces longjmp by one that refuses to go down the stack,
 * which is what a jump to another stack may look like; so it is off here, in
 * the one file that jumps.
 */
#undef _FORTIFY_SOURCE

#include "clock/fiber.h"

#include <stdint.h>
#include <ucontext.h>

#if WEIRI_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif
#if WEIRI_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(number)   ((void)(number))
#endif

/* Between these two the tools take the thread to be in neither fiber: nothing
 * but the jump may stand there. */
static inline void announce_departure(struct weiri_fiber *from, struct weiri_fiber *to)
{
	(void)from;
	(void)to;
#if WEIRI_ADDRESS_SANITIZER
	to->entered_from = from;
	__sanitizer_start_switch_fiber(&from->address_sanitizer_stack, to->stack, to->stack_size);
#endif
#if WEIRI_THREAD_SANITIZER
	__tsan_switch_to_fiber(to->thread_sanitizer_fiber, 0);
#endif
}

static inline void announce_arrival(struct weiri_fiber *self)
{
	(void)self;
#if WEIRI_ADDRESS_SANITIZER
	/* Where a thread's own stack lies is told when it has been left. */
	struct weiri_fiber *from = self->entered_from;
	const void *stack;

	__sanitizer_finish_switch_fiber(self->address_sanitizer_stack, &stack, &from->stack_size);
	from->stack = (void *)(uintptr_t)stack;
#endif
}

static void enter(struct weiri_fiber *self)
{
	announce_arrival(self);
	self->function(self->argument);
}

#if WEIRI_FIBER_PORTABLE

static void prepare(struct weiri_fiber *fiber)
{
	fiber->is_entered = false;
}

/* makecontext passes ints only, so the address comes in two of them. */
static void enter_in_two(unsigned high, unsigned low)
{
	enter((struct weiri_fiber *)(((uintptr_t)high << 16 << 16) | low));
}

/* Never returns, so what AddressSanitizer marked in this frame would stay so. */
__attribute__((no_sanitize_address, noinline)) static void jump_to_new(struct weiri_fiber *fiber)
{
	uintptr_t address = (uintptr_t)fiber;
	ucontext_t context;

	fiber->is_entered = true;
	/* Both fail only for pointers that are not valid. */
	(void)getcontext(&context);
	context.uc_stack.ss_sp = fiber->stack;
	context.uc_stack.ss_size = fiber->stack_size;
	context.uc_link = NULL;
	makecontext(&context, (void (*)(void))enter_in_two, 2, (unsigned)(address >> 16 >> 16),
		(unsigned)address);
	(void)setcontext(&context);
}

void weiri_fiber_switch(struct weiri_fiber *from, struct weiri_fiber *to)
{
	if (_setjmp(from->registers) == 0) {
		from->is_entered = true;
		announce_departure(from, to);
		if (to->is_entered)
			_longjmp(to->registers, 1);
		jump_to_new(to);
	}
	announce_arrival(from);
}

#else

/*
 * weiri_fiber_jump(&from->stack_pointer, to->stack_pointer) pushes what a
 * function must preserve, stores the stack pointer through its first argument,
 * takes its second as the new one, and pops the same from there.
 *
 * weiri_fiber_start is where the first return of a new fiber leads, with the
 * fiber in %r12, `enter` in %r13, and a frame pointer of zero, at which a
 * debugger's list of callers ends.
 */
__asm__(".text\n"
	".hidden weiri_fiber_jump\n"
	".globl weiri_fiber_jump\n"
	".type weiri_fiber_jump, @function\n"
	".balign 16\n"
	"weiri_fiber_jump:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r15\n"
	"	pushq %r14\n"
	"	pushq %r13\n"
	"	pushq %r12\n"
	"	.cfi_adjust_cfa_offset 48\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r12\n"
	"	popq %r13\n"
	"	popq %r14\n"
	"	popq %r15\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	.cfi_adjust_cfa_offset -48\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size weiri_fiber_jump, . - weiri_fiber_jump\n"
	"\n"
	".hidden weiri_fiber_start\n"
	".globl weiri_fiber_start\n"
	".type weiri_fiber_start, @function\n"
	".balign 16\n"
	"weiri_fiber_start:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined %rip\n"
	"	movq %r12, %rdi\n"
	"	callq *%r13\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	".size weiri_fiber_start, . - weiri_fiber_start\n");
void weiri_fiber_jump(void **from, void *to);
void weiri_fiber_start(void);

/* The stack of a new fiber as weiri_fiber_jump leaves one. */
struct first_frame {
	void *r12, *r13, *r14, *r15, *rbx, *rbp;
	void (*return_address)(void);
	void *end[2]; /* the stack is aligned to 16 at the call */
};

static void prepare(struct weiri_fiber *fiber)
{
	struct first_frame *frame =
		(struct first_frame *)(void *)((char *)fiber->stack + fiber->stack_size) - 1;

	*frame = (struct first_frame){
		.r12 = fiber,
		.r13 = (void *)(uintptr_t)enter,
		.return_address = weiri_fiber_start,
	};
	fiber->stack_pointer = frame;
}

void weiri_fiber_switch(struct weiri_fiber *from, struct weiri_fiber *to)
{
	announce_departure(from, to);
	weiri_fiber_jump(&from->stack_pointer, to->stack_pointer);
	announce_arrival(from);
}

#endif

void weiri_fiber_adopt(struct weiri_fiber *fiber)
{
	*fiber = (struct weiri_fiber){ .function = NULL };
#if WEIRI_THREAD_SANITIZER
	fiber->thread_sanitizer_fiber = __tsan_get_current_fiber();
#endif
}

void weiri_fiber_create(struct weiri_fiber *fiber, void *stack, size_t stack_size,
	void (*function)(void *argument), void *argument)
{
	*fiber = (struct weiri_fiber){
		.function = function,
		.argument = argument,
		.stack = stack,
		.stack_size = stack_size,
		.valgrind_stack = VALGRIND_STACK_REGISTER(stack, (char *)stack + stack_size),
	};
#if WEIRI_THREAD_SANITIZER
	fiber->thread_sanitizer_fiber = __tsan_create_fiber(0);
#endif
	prepare(fiber);
}

void weiri_fiber_destroy(struct weiri_fiber *fiber)
{
	VALGRIND_STACK_DEREGISTER(fiber->valgrind_stack);
#if WEIRI_THREAD_SANITIZER
	__tsan_destroy_fiber(fiber->thread_sanitizer_fiber);
#endif
}
