# SPDX-License-Identifier: MIT
"""limits: of a group. A limit is a bound, so that a busy machine cannot make these fail; that without it the same is quicker, by
a wide margin, is what shows that it is the limit."""
import time

import pytest
from slicertest import Daemon, run

MIB = 1 << 20
BANDWIDTH, OPERATIONS, SIZE, COUNT = 2 * MIB, 100, 16 * MIB, 150


# Sectors of the disk that is "slicer-data": what was written and zeroed (Documentation/block/stat.rst: fields 7 and 14).
WRITTEN = """for d in /sys/block/vd*; do
	[ "$(cat $d/serial)" = slicer-data ] && awk '{ print $7 + $14 }' $d/stat
done"""


def seconds(client, vm, script):
    before = time.monotonic()
    done = run(client, vm, "sh", "-c", script, uid=0, timeout=300)
    assert done.exit_code == 0, done.stderr
    return time.monotonic() - before


@pytest.mark.full
def test_disk(store, tmp_path):
    limits = {"disk_bandwidth": "2M", "disk_operations": OPERATIONS}
    write = f"dd if=/dev/zero of=/x bs=1M count={SIZE // MIB} conv=fsync"
    touch = f"i=0; while [ $i -lt {COUNT} ]; do echo $i | dd of=/y bs=512 seek=$i conv=notrunc,fsync 2>/dev/null; i=$((i+1)); done"
    took = {}
    for name, group, tries in (("limited", {"limits": limits}, 1), ("free", {}, 3)):
        with Daemon(tmp_path / name, hypervisor="qemu", group=group) as d:
            vm = d.client.create(d.group, timeout="120s")["hostname"]
            took[name] = min(seconds(d.client, vm, write) for _ in range(tries)), seconds(d.client, vm, touch)
            # Nobody but these writes to the disk: what else did would be counted against the limit, for a minute of a new disk.
            written = int(run(d.client, vm, "sh", "-c", WRITTEN, uid=0).stdout) * 512
            assert written < tries * (SIZE + COUNT * 64 * 1024) + 8 * MIB, "the filesystem has initialised itself"
            d.client.remove(vm)
    # What a burst may add to: a tenth of a second's worth.
    assert SIZE / took["limited"][0] < BANDWIDTH * 1.2
    assert COUNT / took["limited"][1] < OPERATIONS * 1.2
    assert took["limited"][0] > 2 * took["free"][0]
