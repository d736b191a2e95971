#!/bin/sh
# SPDX-License-Identifier: MIT
# private.sh [--net] COMMAND…: runs it, as root, with /run/slicer, /var/log/slicer, named network namespaces and CNI networks of its
# own, so that what it makes there meets nobody else's. --net: in a network namespace of its own, too, with a loopback and a default
# route that leads nowhere.
set -eu
case ${1-} in
--inside | --inside-net) ;;
--net)
	shift
	exec unshare --mount --net "$0" --inside-net "$@"
	;;
*) exec unshare --mount "$0" --inside "$@" ;;
esac
if [ "$1" = --inside-net ]; then
	# sysfs shows the interfaces of the namespace in which it was mounted; the control groups below it stay the host's.
	keep=$(mktemp -d)
	mount --rbind /sys/fs/cgroup "$keep"
	umount -l /sys
	mount -t sysfs sysfs /sys
	mount --rbind "$keep" /sys/fs/cgroup
	umount -l "$keep"
	rmdir "$keep"
	ip link set lo up
	ip link add uplink type veth peer name upstream
	ip link set upstream up
	ip link set uplink up
	ip address add 100.64.0.2/30 dev uplink
	ip route add default via 100.64.0.1
fi
shift
for directory in /run/slicer /var/log/slicer /run/netns /etc/cni /var/lib/cni; do
	mkdir -p "$directory"
	mount -t tmpfs -o mode=0755 tmpfs "$directory"
done
exec "$@"
