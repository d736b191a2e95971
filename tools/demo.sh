#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The main job, end to end: a configuration, a VM, commands in it. Everything it makes is gone afterwards.
set -euo pipefail
build=$1
work=$(mktemp -d /tmp/slicer-demo.XXXXXX)
daemon=
export SLICER_URL=$work/slicer.sock

finish() {
	local status=$?
	if [ -n "$daemon" ] && kill -TERM "$daemon" 2>/dev/null; then
		wait "$daemon" || true
	fi
	[ "$status" = 0 ] || { echo "--- the daemon said:" >&2; tail -n 30 "$work/daemon.log" >&2 || true; }
	rm -rf "$work"
	exit "$status"
}
trap finish EXIT

bold='' plain=''
[ -t 1 ] && bold=$'\033[1m' plain=$'\033[0m'
say() { printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"; }
run() {
	say "$@"
	"$@"
}

cd "$work"
PATH=$build/src:$PATH
say "slicer new demo --min --net user --count 0 --ram 1 --api-bind ./slicer.sock > demo.yaml"
slicer new demo --min --net user --count 0 --ram 1 --api-bind ./slicer.sock >demo.yaml
grep -v '^ *#' demo.yaml

say "slicer up demo.yaml &"
slicer up demo.yaml >"$work/daemon.log" 2>&1 &
daemon=$!
# The first start builds the image: some seconds.
for _ in $(seq 600); do
	[ -S slicer.sock ] && slicer vm group >/dev/null 2>&1 && break
	kill -0 "$daemon" 2>/dev/null || exit 1
	sleep 0.2
done
cat "$work/daemon.log"

run slicer vm add demo --wait --name first
run slicer vm list
run slicer vm exec first -- 'uname -srm; id; echo "uptime $(cut -d" " -f1 /proc/uptime) s"'
say "echo 'through stdin' | slicer vm exec first -- tr a-z A-Z"
echo 'through stdin' | slicer vm exec first -- tr a-z A-Z
say "slicer vm cp demo.yaml first:/tmp/demo.yaml && slicer vm exec first -- wc -c /tmp/demo.yaml"
slicer vm cp demo.yaml first:/tmp/demo.yaml
slicer vm exec first -- wc -c /tmp/demo.yaml
say "slicer vm exec first -- 'exit 7'; echo \$?"
status=0
slicer vm exec first -- 'exit 7' || status=$?
echo "$status"
[ "$status" = 7 ]
run slicer vm health first
run slicer vm delete first
[ "$(slicer vm list --json | tr -d ' \n')" = "[]" ]
printf '\nThe demo ran. Next: README.md, "A first session".\n'
