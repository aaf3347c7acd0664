/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Atomics: the one door to C11 atomics, with the order in every name.
 *
 * There is no sequentially consistent default and no stand-alone fence for
 * handing data over: a hand-over is a release store and an acquire load of the
 * same word, which ThreadSanitizer understands.  What a pair of words needs
 * (store mine, then look at yours) is weiri_fence_full(), the only fence here.
 *
 * Names: weiri_<operation>_<order>(pointer, ...).  The operations are macros,
 * so that they work on any _Atomic type.
 */
#ifndef WEIRI_ATOMICS_H
#define WEIRI_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WEIRI_CACHE_LINE 64

#define weiri_load_relaxed(pointer) atomic_load_explicit((pointer), memory_order_relaxed)
#define weiri_load_acquire(pointer) atomic_load_explicit((pointer), memory_order_acquire)

#define weiri_store_relaxed(pointer, value) \
	atomic_store_explicit((pointer), (value), memory_order_relaxed)
#define weiri_store_release(pointer, value) \
	atomic_store_explicit((pointer), (value), memory_order_release)

#define weiri_add_relaxed(pointer, value) \
	atomic_fetch_add_explicit((pointer), (value), memory_order_relaxed)
#define weiri_add_acq_rel(pointer, value) \
	atomic_fetch_add_explicit((pointer), (value), memory_order_acq_rel)
#define weiri_sub_relaxed(pointer, value) \
	atomic_fetch_sub_explicit((pointer), (value), memory_order_relaxed)
#define weiri_sub_release(pointer, value) \
	atomic_fetch_sub_explicit((pointer), (value), memory_order_release)
#define weiri_sub_acq_rel(pointer, value) \
	atomic_fetch_sub_explicit((pointer), (value), memory_order_acq_rel)
#define weiri_or_acq_rel(pointer, value) \
	atomic_fetch_or_explicit((pointer), (value), memory_order_acq_rel)
#define weiri_and_acq_rel(pointer, value) \
	atomic_fetch_and_explicit((pointer), (value), memory_order_acq_rel)

#define weiri_exchange_acq_rel(pointer, value) \
	atomic_exchange_explicit((pointer), (value), memory_order_acq_rel)
#define weiri_exchange_acquire(pointer, value) \
	atomic_exchange_explicit((pointer), (value), memory_order_acquire)

/* Both return whether the exchange happened; *expected is what was found. */
#define weiri_cas_acq_rel(pointer, expected, desired) \
	atomic_compare_exchange_strong_explicit(      \
		(pointer), (expected), (desired), memory_order_acq_rel, memory_order_acquire)
#define weiri_cas_weak_relaxed(pointer, expected, desired) \
	atomic_compare_exchange_weak_explicit(             \
		(pointer), (expected), (desired), memory_order_relaxed, memory_order_relaxed)
#define weiri_cas_weak_acquire(pointer, expected, desired) \
	atomic_compare_exchange_weak_explicit(             \
		(pointer), (expected), (desired), memory_order_acquire, memory_order_acquire)
#define weiri_cas_weak_release(pointer, expected, desired) \
	atomic_compare_exchange_weak_explicit(             \
		(pointer), (expected), (desired), memory_order_release, memory_order_relaxed)

#if defined(__SANITIZE_THREAD__)
#define WEIRI_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIRI_THREAD_SANITIZER 1
#endif
#endif
#ifndef WEIRI_THREAD_SANITIZER
#define WEIRI_THREAD_SANITIZER 0
#endif

#if WEIRI_THREAD_SANITIZER
void __tsan_acquire(void *address);
void __tsan_release(void *address);
/* Tell ThreadSanitizer of an order that ck_epoch's inline assembly hides. */
#define weiri_annotate_acquire(address) __tsan_acquire((void *)(address))
#define weiri_annotate_release(address) __tsan_release((void *)(address))
#else
#define weiri_annotate_acquire(address) ((void)(address))
#define weiri_annotate_release(address) ((void)(address))
#endif

/*
 * Full fence: everything before it is visible to all before anything after it
 * happens.  For the pattern "store my word, then look at yours", in which each
 * of two threads must not miss the other.  It hands no data over.
 *
 * ThreadSanitizer does not know fences (and warns of them), but it runs on the
 * same machine: a sequentially consistent exchange of a private word orders
 * there as well and needs no modelling, since no data is handed over.
 */
static inline void weiri_fence_full(void)
{
#if WEIRI_THREAD_SANITIZER
	_Atomic uint32_t word;
	atomic_init(&word, 0);
	(void)atomic_exchange_explicit(&word, 1, memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Stops the compiler alone: the light half of an asymmetric fence (fence.h). */
static inline void weiri_fence_compiler(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

#endif
