/* SPDX-License-Identifier: BSD-2-Clause */
/* version.c - the version of the library that runs; see weir/version.h. */
#include <weir/version.h>

const char *weir_version(void)
{
	return WEIR_VERSION_STRING;
}

int weir_version_number(void)
{
	return WEIR_VERSION_NUMBER;
}
