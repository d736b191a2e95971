#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A Debian package of what `meson install` installs, in build-deb/.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
build=build-deb
root=$build/root
[ -f $build/build.ninja ] || meson setup $build --prefix=/usr --libexecdir=libexec --buildtype=release >/dev/null
ninja -C $build --quiet
rm -rf "$root"
DESTDIR="$PWD/$root" meson install -C $build --quiet --no-rebuild
version=$(meson introspect $build --projectinfo | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["version"])')
arch=$(dpkg --print-architecture)
install -Dm644 LICENSE "$root/usr/share/doc/slicer/copyright"
find "$root" -type f -perm -u+x -exec sh -c 'file -b "$1" | grep -q ELF && strip "$1"' _ {} \; 2>/dev/null || true

# What the programs link, by dpkg's own tool; what they execute, by hand (docs/dependencies.md).
mkdir -p $build/debian
printf 'Source: slicer\n\nPackage: slicer\nArchitecture: any\n' >$build/debian/control
links=$(cd $build && dpkg-shlibdeps -O --ignore-missing-info root/usr/bin/slicer root/usr/libexec/slicer/slicer-image |
	sed 's/^shlibs:Depends=//')
mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<EOF
Package: slicer
Version: $version
Architecture: $arch
Maintainer: The slicer authors <slicer@localhost>
Depends: $links, qemu-utils, e2fsprogs, squashfs-tools
Recommends: qemu-system-x86, passt, busybox-static, bash-static
Section: admin
Priority: optional
Description: manager of Linux microVMs
 One command and daemon that runs Linux microVMs on QEMU, with an agent that
 needs no network in the guest, and a REST API.
EOF
cat >"$root/DEBIAN/postinst" <<'EOF'
#!/bin/sh
set -e
# Its members may use the API of local daemons.
getent group slicer >/dev/null || groupadd --system slicer
EOF
chmod 755 "$root/DEBIAN/postinst"
dpkg-deb --root-owner-group --build "$root" "$build/slicer_${version}_$arch.deb" >/dev/null
echo "$build/slicer_${version}_$arch.deb"
