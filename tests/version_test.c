/* SPDX-License-Identifier: BSD-2-Clause */
/* version_test.c - headers, library and package agree on one version. */
#include "harness.h"

#include <weir/version.h>

WEIR_TEST(version, of_the_library_is_the_one_of_its_headers)
{
	CHECK_STR_EQ(weir_version(), WEIR_VERSION_STRING);
	CHECK_EQ(weir_version_number(), WEIR_VERSION_NUMBER);
}

WEIR_TEST(version, of_the_package_is_the_one_of_its_headers)
{
	CHECK_STR_EQ(PACKAGE_VERSION, WEIR_VERSION_STRING);
}
