#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clang-format, clang-tidy and cppcheck over src/, with the compile commands of a build directory. Any finding fails.
set -euo pipefail
build=$1
status=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
mapfile -t files < <(find src -name '*.c' | sort)

tools/lint/format.py || status=1
cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,performance,portability \
	--suppressions-list=tools/lint/cppcheck.txt --include=tools/lint/cppcheck.h -D_GNU_SOURCE -D__linux__ -D__x86_64__ \
	-DSLICER_VERSION='"0"' -DSLICER_LIBEXECDIR='"/"' -Isrc -j "$(nproc)" "${files[@]}" || status=1
# The build may be gcc's: options that only gcc knows are no finding. stderr counts the warnings of system headers.
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 8 clang-tidy --quiet -p "$build" \
	--extra-arg=-Wno-unknown-warning-option --warnings-as-errors='*' >"$out" 2>/dev/null || status=1
cat "$out"
if [ $status = 0 ]; then
	echo "cppcheck and clang-tidy found nothing in ${#files[@]} files"
fi
exit $status
