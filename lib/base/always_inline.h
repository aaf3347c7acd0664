/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Always inline: for small functions of the hot path that have several callers, which the
 * compiler would otherwise call.  Never inline: for what such a function does rarely, so that
 * its registers and stack are not the hot path's.
 */
#ifndef WEIRI_ALWAYS_INLINE_H
#define WEIRI_ALWAYS_INLINE_H

#if defined(__GNUC__)
#define WEIRI_ALWAYS_INLINE inline __attribute__((always_inline))
#define WEIRI_NEVER_INLINE  __attribute__((noinline))
#else
#define WEIRI_ALWAYS_INLINE inline
#define WEIRI_NEVER_INLINE
#endif

#endif
