#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A Debian package of what `meson install` installs, in build-deb/.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
build="build-deb"
root=$build/root
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
	"$@" >"$log" 2>&1 || {
		cat "$log" >&2
		exit 1
	}
}

[ -f $build/build.ninja ] ||
	quietly meson setup $build --prefix=/usr --libexecdir=libexec --sysconfdir=/etc --buildtype=release
ninja -C $build --quiet
rm -rf "$root"
DESTDIR="$PWD/$root" quietly meson install -C $build --quiet --no-rebuild --strip
version=$(meson introspect $build --projectinfo | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["version"])')
arch=$(dpkg --print-architecture)
install -Dm644 LICENSE "$root/usr/share/doc/slicer/copyright"
install -Dm644 -t "$root/usr/share/doc/slicer" README.md SECURITY.md docs/*.md
find "$root/usr/share/man" -type f -exec gzip -9n {} + 2>/dev/null || true

# What the programs link, by dpkg's own tool; what they execute, by hand (docs/dependencies.md).
mkdir -p $build/debian
printf 'Source: slicer\n\nPackage: slicer\nArchitecture: any\n' >$build/debian/control
mapfile -t programs < <(cd $build && find root/usr/bin root/usr/libexec/slicer -type f -perm -u+x)
links=$(cd $build && dpkg-shlibdeps -O --ignore-missing-info "${programs[@]}" 2>"$log" | sed 's/^shlibs:Depends=//') || {
	cat "$log" >&2
	exit 1
}
mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: slicer
Version: $version
Architecture: $arch
Maintainer: The slicer authors <slicer@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $links, qemu-utils, e2fsprogs, squashfs-tools, kmod
Recommends: qemu-system-x86 | qemu-system-arm, passt, busybox-static, bash-static
Section: admin
Priority: optional
Description: manager of Linux microVMs
 One command and daemon that runs Linux microVMs on QEMU, with an agent that
 needs no network in the guest, and a REST API.
CONTROL
cat >"$root/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
set -e
# Its members may use the API of local daemons.
if [ "$1" = configure ] && ! getent group slicer >/dev/null; then
	groupadd --system slicer
fi
POSTINST
chmod 755 "$root/DEBIAN/postinst"
(cd "$root" && find usr -type f -exec md5sum {} + >DEBIAN/md5sums)
quietly dpkg-deb --root-owner-group -Zxz --build "$root" "$build/slicer_${version}_$arch.deb"
echo "$build/slicer_${version}_$arch.deb"
