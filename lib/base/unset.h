/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unset: a local variable that is not to be cleared.  Hardened builds have the compiler
 * clear every local that is not initialized; where a large one is set field by field on
 * the hot path that is done twice.
 */
#ifndef WEIRI_UNSET_H
#define WEIRI_UNSET_H

#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define WEIRI_UNSET __attribute__((uninitialized))
#endif
#endif
#ifndef WEIRI_UNSET
#define WEIRI_UNSET
#endif

#endif
