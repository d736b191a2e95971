#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clang-tidy and cppcheck over src/, with the compile commands of a build directory. Any finding fails.
set -euo pipefail
build=$1
status=0
files=$(git ls-files -co --exclude-standard 'src/*.c')

# shellcheck disable=SC2086
cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,performance,portability \
	--suppressions-list=tools/lint/cppcheck.txt -D_GNU_SOURCE -DSLICER_VERSION='"0"' -DSLICER_LIBEXECDIR='"/"' -Isrc \
	-j "$(nproc)" $files || status=1
# The build may be gcc's: options that only gcc knows are no finding.
# shellcheck disable=SC2086
printf '%s\n' $files | xargs -P "$(nproc)" -n 8 clang-tidy --quiet -p "$build" \
	--extra-arg=-Wno-unknown-warning-option --warnings-as-errors='*' 2>/dev/null || status=1
exit $status
