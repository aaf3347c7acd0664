# SPDX-License-Identifier: BSD-2-Clause
# common.sh - what quickstart, selftest and .ci/run share. POSIX sh, to be sourced
# with $root set to the top of the source tree. No Bash, no package but git needed.

say()
{
	printf '== %s\n' "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs apt-get as root: as it is for root, else by sudo.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		DEBIAN_FRONTEND=noninteractive "$@"
	else
		sudo env DEBIAN_FRONTEND=noninteractive "$@"
	fi
}

# packages_for KIND...: the packages of tools/packages for these kinds.
packages_for()
{
	for kind; do
		sed -n "s/^$kind  *\([^ #]*\).*/\1/p" "$root/tools/packages"
	done
}

# Of the packages named, prints those that dpkg does not have installed.
missing_of()
{
	for package; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=none
		[ "$status" = installed ] || printf '%s\n' "$package"
	done
}

# need_packages KIND...: installs what is missing; without a word and without the
# network when nothing is. Where there is no apt, says what is needed and stops.
need_packages()
{
	wanted=$(packages_for "$@")
	if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
		not_debian
	fi
	# Unquoted on purpose, here and below: one word for each package.
	missing=$(missing_of $wanted)
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
		die "there is no sudo; as root run: apt-get install" $missing
	fi
	say "installing" $missing
	as_root apt-get -q update || die "apt-get update failed"
	as_root apt-get -qy install --no-install-recommends $missing ||
		die "these packages could not be installed:" $missing
}

# Names the packages by their Debian names, with the programs that are not there.
not_debian()
{
	{
		echo "This is not a Debian system, so nothing is installed for you. Needed are, by their"
		echo "names in Debian 12 and with what each is for:"
		for package in $wanted; do
			sed -n "s/^[a-z]*  *\($package\)  *# *\(.*\)/  \1: \2/p" "$root/tools/packages"
		done
		for tool in gcc make autoconf automake libtoolize pkg-config; do
			command -v "$tool" >/dev/null 2>&1 || echo "missing: the program $tool"
		done
		if command -v pkg-config >/dev/null 2>&1; then
			for library in ck zlib criterion; do
				pkg-config --exists "$library" || echo "missing: the library $library"
			done
		fi
		echo "With these installed: autoreconf -fi && mkdir -p build && cd build &&"
		echo "../configure && make && make check"
	} >&2
	exit 1
}

# The number of jobs to run side by side.
jobs_here()
{
	getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1
}

# Makes configure where it is missing or older than what it is made of.
make_configure()
{
	newer=$(cd "$root" && find configure.ac Makefile.am include/weir/version.h m4 \
		-newer configure 2>/dev/null | head -n 1)
	if [ ! -x "$root/configure" ] || [ ! -f "$root/Makefile.in" ] || [ -n "$newer" ]; then
		say "autoreconf"
		(cd "$root" && autoreconf -fi && touch configure Makefile.in) >"$root/autoreconf.log" 2>&1 || {
			cat "$root/autoreconf.log" >&2
			die "autoreconf failed"
		}
	fi
}

# configure_in DIRECTORY OPTION...: configures there, unless that was done by the
# same configure, with the same options, and with Criterion there or not as now.
configure_in()
{
	directory=$1
	shift
	mkdir -p "$directory" || die "cannot make $directory"
	asked="$*"
	pkg-config --exists criterion && asked="$asked (Criterion)"
	if [ -f "$directory/Makefile" ] && [ "$directory/Makefile" -nt "$root/configure" ] &&
		[ "$(cat "$directory/configured-with" 2>/dev/null)" = "$asked" ]; then
		return 0
	fi
	say "configure $*"
	# An old configuration's objects were built with other flags.
	[ ! -f "$directory/Makefile" ] || (cd "$directory" && make -s clean) >/dev/null 2>&1
	(cd "$directory" && "$root/configure" -q "$@") >"$directory/configure.out" 2>&1 || {
		cat "$directory/configure.out" >&2
		return 1
	}
	printf '%s\n' "$asked" >"$directory/configured-with"
}

# count_results DIRECTORY: reads what the test programs of a build wrote, and sets
# $passed and $failed to the numbers of cases that ran: those a driver's own last
# line tells, and one for each other test. A program that failed without a failed
# case, because it crashed or could not start, counts as one failed. Prints the
# names of the programs that failed.
count_results()
{
	passed=0
	failed=0
	for result in "$1"/tests/*.trs; do
		[ -f "$result" ] || continue
		verdict=$(sed -n 's/^:test-result: *\([A-Z]*\).*/\1/p' "$result")
		counted=$(count_log "${result%.trs}.log" "$verdict")
		passed=$((passed + ${counted% *}))
		failed=$((failed + ${counted#* }))
		case $verdict in
		PASS | SKIP) ;;
		*) printf '%s: %s\n' "$verdict" "${result%.trs}.log" ;;
		esac
	done
}

# count_log LOG VERDICT: prints "PASSED FAILED" for one test program.
count_log()
{
	awk -v verdict="$2" '
		# Criterion colours its words on some terminals.
		{ gsub(/\033\[[0-9;]*m/, "") }
		/^[0-9]+ passed, [0-9]+ failed$/ { counted = 1; passed = $1; failed = $3 }
		/Synthesis: Tested: / {
			# "Failing" has the crashed in it, and the skipped are in no number.
			counted = 1
			split($0, field, "|")
			sub(/.*: */, "", field[1])
			sub(/.*: */, "", field[2])
			passed = field[2] + 0
			failed = field[1] - field[2]
		}
		END {
			if (!counted && verdict == "PASS")
				passed = 1
			if (verdict != "PASS" && verdict != "SKIP" && failed == 0)
				failed = 1
			print passed + 0, failed + 0
		}
	' "$1"
}
