/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * debug.h - the assertions of debug builds.
 *
 * weiri_assert states what the code next to it relies on. It holds a mistake of
 * weir itself to account, never one of the caller: those are error codes. Only
 * a library configured with --enable-debug checks it, and stops where it fails;
 * a released one must not stop its host, and compiles the expression to nothing.
 */
#ifndef WEIRI_BASE_DEBUG_H
#define WEIRI_BASE_DEBUG_H

#ifdef WEIRI_DEBUG
#define weiri_assert(expression) ((expression) ? (void)0 : __builtin_trap())
#else
#define weiri_assert(expression) ((void)sizeof(!(expression)))
#endif

#endif /* WEIRI_BASE_DEBUG_H */
