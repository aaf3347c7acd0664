/* SPDX-License-Identifier: BSD-2-Clause */
/* error_test.c - the error codes have frozen values, and each a name and a sentence. */
#include "harness.h"

#include <weir/error.h>

#include <limits.h>
#include <string.h>

/* Written out by hand, and never to be changed: programs are compiled with these. */
static const struct {
	int value;
	const char *name;
} frozen[] = {
	{ 0, "WEIR_OK" },
	{ -1, "WEIR_EINVAL" },
	{ -2, "WEIR_ENOMEM" },
	{ -3, "WEIR_EAGAIN" },
	{ -4, "WEIR_ETIMEDOUT" },
	{ -5, "WEIR_EINTR" },
	{ -6, "WEIR_ESHUTDOWN" },
	{ -7, "WEIR_ECLOSED" },
	{ -8, "WEIR_EBUSY" },
	{ -9, "WEIR_EFORK" },
	{ -10, "WEIR_ESTALE" },
	{ -11, "WEIR_EDUPLICATE" },
	{ -12, "WEIR_EDEADLK" },
	{ -13, "WEIR_ELIMIT" },
	{ -14, "WEIR_ENOENT" },
	{ -15, "WEIR_ESYSTEM" },
	{ -16, "WEIR_EFULL" },
	{ -17, "WEIR_EMISMATCH" },
	{ -18, "WEIR_ELOST" },
};

#define FROZEN_COUNT ((int)(sizeof(frozen) / sizeof(frozen[0])))

WEIR_TEST(error, every_code_keeps_its_value_and_name)
{
	for (int i = 0; i < FROZEN_COUNT; i++)
		CHECK_STR_EQ(weir_errname(frozen[i].value), frozen[i].name);
}

WEIR_TEST(error, no_two_codes_share_a_sentence)
{
	for (int i = 0; i < FROZEN_COUNT; i++) {
		CHECK(strlen(weir_strerror(frozen[i].value)) > 0);
		for (int j = 0; j < i; j++)
			CHECK(strcmp(weir_strerror(frozen[i].value),
				      weir_strerror(frozen[j].value)) != 0);
	}
}

WEIR_TEST(error, a_number_that_is_no_code_is_named_so)
{
	static const int strangers[] = { 1, 2, INT_MAX, -FROZEN_COUNT, -FROZEN_COUNT - 1, INT_MIN };

	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		CHECK_STR_EQ(weir_errname(strangers[i]), "WEIR_UNKNOWN");
		CHECK_STR_EQ(weir_strerror(strangers[i]), weir_strerror(INT_MAX));
	}
}
