# SPDX-License-Identifier: MIT
# Run by mmdebstrap with the new root as $1, after all packages are there and before our own files are.
set -eu
root=$1

chroot "$root" useradd --uid 1000 --user-group --create-home --shell /bin/bash --groups adm,sudo,systemd-journal \
	--comment ubuntu --password '*' ubuntu
chroot "$root" useradd --uid 1000 --non-unique --gid 1000 --no-create-home --home-dir /home/ubuntu --shell /bin/bash \
	--groups adm,sudo,systemd-journal --comment 'second name of ubuntu' --password '*' slicer

# Whoever starts a VM expects it to do what it is told, not to look for upgrades.
systemctl() { chroot "$root" systemctl --quiet "$@"; }
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer

# What belongs to one machine, or to the one that made the image.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/hostname "$root"/etc/resolv.conf \
	"$root"/etc/passwd- "$root"/etc/shadow- "$root"/etc/group- "$root"/etc/gshadow- "$root"/etc/subuid- \
	"$root"/etc/subgid- "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old
rm -rf "$root"/etc/apt/sources.list.d/*
: > "$root"/etc/fstab
: > "$root"/etc/machine-id
