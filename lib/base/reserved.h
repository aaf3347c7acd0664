/* SPDX-License-Identifier: BSD-2-Clause */
/* Reserved: what later versions may give a meaning to has to be zero. */
#ifndef WEIRI_RESERVED_H
#define WEIRI_RESERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIRI_RESERVED_ARE_ZERO(words) \
	weiri_words_are_zero((words), sizeof(words) / sizeof((words)[0]))

static inline bool weiri_words_are_zero(const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (words[i] != 0)
			return false;
	return true;
}

#endif
