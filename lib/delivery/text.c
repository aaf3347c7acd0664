/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of texts. */
#include "delivery/text.h"

#include <string.h>

char *weiri_text_copy(const weir_allocator *allocator, const char *text, size_t size_max)
{
	size_t length = text != NULL ? strnlen(text, size_max - 1) : 0;
	char *copy = text != NULL ? weiri_allocate(allocator, length + 1, 1) : NULL;

	if (copy != NULL) {
		memcpy(copy, text, length);
		copy[length] = '\0';
	}
	return copy;
}

void weiri_text_free(const weir_allocator *allocator, char *text)
{
	if (text != NULL)
		weiri_deallocate(allocator, text, strlen(text) + 1);
}
