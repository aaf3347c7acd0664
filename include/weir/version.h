/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weir/version.h - the version a program is compiled with, and the one it runs with.
 *
 * The three numbers below are the one place where the version is written:
 * the build takes it from here. The numbers follow semantic versioning.
 */
#ifndef WEIR_VERSION_H
#define WEIR_VERSION_H

#include <weir/api.h>

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

/* One number that grows with every release: 1.2.3 is 10203. */
#define WEIR_VERSION_NUMBER \
	(WEIR_VERSION_MAJOR * 10000 + WEIR_VERSION_MINOR * 100 + WEIR_VERSION_PATCH)

#define WEIR_STRINGIFY_(x) #x
#define WEIR_STRINGIFY(x)  WEIR_STRINGIFY_(x)

/* "0.1.0" */
#define WEIR_VERSION_STRING                \
	WEIR_STRINGIFY(WEIR_VERSION_MAJOR) \
	"." WEIR_STRINGIFY(WEIR_VERSION_MINOR) "." WEIR_STRINGIFY(WEIR_VERSION_PATCH)

WEIR_BEGIN_DECLS

/*
 * The WEIR_VERSION_STRING and WEIR_VERSION_NUMBER of the library that runs,
 * which with a shared library may be newer than those the program was compiled
 * with. Any thread may call them at any time; they never block and never fail.
 * The string is constant and lives as long as the library is loaded.
 */
WEIR_API WEIR_CONST const char *weir_version(void);
WEIR_API WEIR_CONST int weir_version_number(void);

WEIR_END_DECLS

#endif /* WEIR_VERSION_H */
