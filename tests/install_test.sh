#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# install_test.sh - what `make installcheck` runs: a small program is built against
# the installed library by nothing but pkg-config, as C and C++, shared and static,
# and run. Wants $libdir, $pkgconfigdir and $version of the installation.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
root=${DESTDIR:-}

PKG_CONFIG_PATH=$root$pkgconfigdir${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
PKG_CONFIG_SYSROOT_DIR=$root
LD_LIBRARY_PATH=$root$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH

cat >"$work/user.c" <<'END'
#include <weir/weir.h>
#include <stdio.h>

int main(void)
{
	printf("%s %s\n", weir_version(), weir_errname(WEIR_EINVAL));
	return weir_version_number() == WEIR_VERSION_NUMBER ? 0 : 1;
}
END

# try WHAT COMPILER-WORD... : compiles user.c and runs it.
try()
{
	what=$1
	shift
	if "$@" -o "$work/user" && [ "$("$work/user")" = "$version WEIR_EINVAL" ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	echo "failed: $what: $*"
}

shared=$(pkg-config --cflags --libs weir) || exit 1
static=$(pkg-config --cflags --libs --static weir) || exit 1
# shellcheck disable=SC2086 # the words of flags and compilers are several
{
	if [ -f "$root$libdir/libweir.so" ]; then
		try "C, shared" $CC "$work/user.c" $shared
		[ -z "$CXX" ] || try "C++, shared" $CXX -x c++ "$work/user.c" -x none $shared
	fi
	if [ -f "$root$libdir/libweir.a" ]; then
		try "C, static" $CC -static "$work/user.c" $static
		[ -z "$CXX" ] || try "C++, static" $CXX -static -x c++ "$work/user.c" -x none $static
	fi
}
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
