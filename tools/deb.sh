#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The Debian package, in build-deb/: debhelper over a copy of the sources (it wants debian/ at their top, and puts what it makes
# beside them). The same sources make the same bytes.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y meson.build)}
export SOURCE_DATE_EPOCH DEB_BUILD_OPTIONS=noautodbgsym
top=build-deb/slicer-$version
log=build-deb/build.log

rm -rf build-deb
mkdir -p "$top"
tar -c --exclude='./build*' --exclude='./.git' --exclude=__pycache__ . | tar -x -C "$top"
mv "$top/tools/debian" "$top/debian"
printf 'slicer (%s) unstable; urgency=medium\n\n  * See the history of the repository.\n\n -- %s  %s\n' "$version" \
	"$(sed -n 's/^Maintainer: //p' "$top/debian/control")" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" >"$top/debian/changelog"
(cd "$top" && dpkg-buildpackage --build=binary --no-sign) >"$log" 2>&1 || {
	tail -n 40 "$log" >&2
	exit 1
}
package=build-deb/slicer_${version}_$(dpkg --print-architecture).deb
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$package" >&2
rm -rf "$top"
echo "$package"
