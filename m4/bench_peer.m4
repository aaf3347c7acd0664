# SPDX-License-Identifier: BSD-2-Clause
# bench_peer.m4 - looks for a library that weir-bench can measure beside weir.

# WEIR_BENCH_PEER(NAME, WORDS, c|cpp, HEADER, PKG-CONFIG-MODULE, LIBS)
#
# Is a program with HEADER compiled and linked, with what pkg-config says of the
# module, or, without a module, with LIBS? Then BENCH_HAS_NAME is defined in
# config.h, the conditional BENCH_NAME is true, and BENCH_NAME_CFLAGS and
# BENCH_NAME_LIBS are set for the makefile. A C++ peer needs $CXX.
AC_DEFUN([WEIR_BENCH_PEER], [
	weir_peer_cflags=
	weir_peer_libs="$6"
	m4_ifnblank([$5], [
		weir_peer_cflags=`$PKG_CONFIG --cflags $5 2>/dev/null`
		weir_peer_libs=`$PKG_CONFIG --libs $5 2>/dev/null`])
	AC_CACHE_CHECK([for $2], [weir_cv_bench_$1], [
		weir_cv_bench_$1=no
		cat >conftest.$3 <<_WEIR_EOF
#include <$4>
int main(void) { return 0; }
_WEIR_EOF
		weir_peer_compiler="$CC -std=gnu11"
		m4_if([$3], [cpp], [weir_peer_compiler="${CXX:-false} -std=gnu++17"])
		AS_IF([$weir_peer_compiler $CFLAGS $weir_peer_cflags -pthread conftest.$3 \
				-o conftest$ac_exeext $weir_peer_libs >&AS_MESSAGE_LOG_FD 2>&1],
			[weir_cv_bench_$1=yes])
		rm -f conftest.$3 conftest$ac_exeext])
	AS_IF([test "x$with_bench_peers" = xno], [weir_cv_bench_$1=no])
	AM_CONDITIONAL([BENCH_$1], [test "x$weir_cv_bench_$1" = xyes])
	AS_IF([test "x$weir_cv_bench_$1" = xyes], [
		BENCH_$1_CFLAGS=$weir_peer_cflags
		BENCH_$1_LIBS=$weir_peer_libs
		weir_bench_peers="$weir_bench_peers $1"
		AC_DEFINE([BENCH_HAS_$1], [1], [weir-bench measures $2.])])
	AC_SUBST([BENCH_$1_CFLAGS])
	AC_SUBST([BENCH_$1_LIBS])
])
