#!/bin/sh
# SPDX-License-Identifier: MIT
# private.sh COMMAND…: runs it, as root, with /run/slicer, /var/log/slicer and named network namespaces of its own, so that what
# it makes there meets nobody else's.
set -eu
if [ "${1-}" != --inside ]; then
	exec unshare --mount "$0" --inside "$@"
fi
shift
for directory in /run/slicer /var/log/slicer /run/netns; do
	mkdir -p "$directory"
	mount -t tmpfs -o mode=0755 tmpfs "$directory"
done
exec "$@"
