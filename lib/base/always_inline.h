/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Always inline: for small functions of the hot path that have several callers, which the
 * compiler would otherwise call.
 */
#ifndef WEIRI_ALWAYS_INLINE_H
#define WEIRI_ALWAYS_INLINE_H

#if defined(__GNUC__)
#define WEIRI_ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define WEIRI_ALWAYS_INLINE inline
#endif

#endif
