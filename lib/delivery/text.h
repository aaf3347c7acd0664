/* SPDX-License-Identifier: BSD-2-Clause */
/* Text: what a receiver says of a message, kept with it. */
#ifndef WEIRI_TEXT_H
#define WEIRI_TEXT_H

#include "base/allocator.h"

/* A copy of the text, at most so many bytes with the 0; NULL: none, or no memory for
 * it.  Whatever has one frees it; NULL is fine. */
char *weiri_text_copy(const weir_allocator *allocator, const char *text, size_t size_max);
void weiri_text_free(const weir_allocator *allocator, char *text);

#endif
