# SPDX-License-Identifier: MIT
"""limits: of a group. A limit is a bound, so that a busy machine cannot make these fail; that without it the same is quicker, by
a wide margin, is what shows that it is the limit."""
import time

import pytest
from slicertest import Daemon, run

MIB = 1 << 20
BANDWIDTH, OPERATIONS, SIZE, COUNT = 4 * MIB, 100, 12 * MIB, 150


def seconds(client, vm, script):
    before = time.monotonic()
    done = run(client, vm, "sh", "-c", script, uid=0, timeout=300)
    assert done.exit_code == 0, done.stderr
    return time.monotonic() - before


@pytest.mark.full
def test_disk(store, tmp_path):
    limits = {"disk_bandwidth": "4M", "disk_operations": OPERATIONS}
    write = f"dd if=/dev/zero of=/x bs=1M count={SIZE // MIB} conv=fsync"
    touch = f"i=0; while [ $i -lt {COUNT} ]; do echo $i | dd of=/y bs=512 seek=$i conv=notrunc,fsync 2>/dev/null; i=$((i+1)); done"
    took = {}
    for name, group in (("limited", {"limits": limits}), ("free", {})):
        with Daemon(tmp_path / name, hypervisor="qemu", group=group) as d:
            vm = d.client.create(d.group, timeout="120s")["hostname"]
            took[name] = seconds(d.client, vm, write), seconds(d.client, vm, touch)
            d.client.remove(vm)
    # What a burst may add to: a tenth of a second's worth.
    assert SIZE / took["limited"][0] < BANDWIDTH * 1.2
    assert COUNT / took["limited"][1] < OPERATIONS * 1.2
    assert took["limited"][0] > 2 * took["free"][0]
