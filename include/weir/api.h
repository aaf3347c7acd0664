/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weir/api.h - what every public declaration is marked with.
 *
 * These macros say to the compiler what the comments say to the reader. They
 * carry no meaning of their own: with a compiler that knows none of them they
 * are empty, and the library works the same.
 */
#ifndef WEIR_API_H
#define WEIR_API_H

#ifdef __cplusplus
#define WEIR_BEGIN_DECLS extern "C" {
#define WEIR_END_DECLS   }
#else
#define WEIR_BEGIN_DECLS
#define WEIR_END_DECLS
#endif

#if defined(__GNUC__) || defined(__clang__)
/* Part of the interface. What is not marked so is hidden in the library. */
#define WEIR_API __attribute__((visibility("default")))
/* The result says whether it worked: to ignore it is a mistake. */
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
/* The arguments named by their numbers, from 1, are never NULL. */
#define WEIR_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
/* Argument `format` is a printf format, its values begin at `first` (0: va_list). */
#define WEIR_PRINTF(format, first) __attribute__((format(printf, format, first)))
/* The result depends on the arguments alone, and nothing is changed. */
#define WEIR_CONST __attribute__((const))
#else
#define WEIR_API
#define WEIR_MUST_CHECK
#define WEIR_NONNULL(...)
#define WEIR_PRINTF(format, first)
#define WEIR_CONST
#endif

#endif /* WEIR_API_H */
