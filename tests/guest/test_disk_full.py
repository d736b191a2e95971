# SPDX-License-Identifier: MIT
"""A guest fills its disk: what it gets is "no space", the VM stays one that can be worked with, and nobody else notices."""
import os

import pytest
from slicertest import Daemon, alive, boot_id, descendants, run, until

MIB = 1024 * 1024
ROOT = {"uid": 0, "gid": 0}
FILL = "cat /dev/zero > /fill"


@pytest.fixture(scope="module")
def small(store, tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("small"), hypervisor="qemu", group={"storage_size": "64M"}) as daemon:
        yield daemon


def sh(d, vm, script):
    return run(d.client, vm, "sh", "-c", script, **ROOT)


def fill(d, vm):
    filled = sh(d, vm, FILL)
    assert filled.exit_code != 0 and b"No space left on device" in filled.stderr, filled.stderr


def put(d, vm, path, body, **headers):
    return d.client.post(f"/vm/{vm}/cp", {"path": path, **ROOT}, body=body, headers=headers)


def is_usable(d, vm):
    assert run(d.client, vm, "cat", body=b"x" * 100000).stdout == b"x" * 100000
    assert d.client.get(f"/vm/{vm}/health").status == 200 and d.client.node(vm)["status"] == "Running"
    assert d.client.read(vm, "/etc/hostname", **ROOT) == f"{vm}\n".encode()


def test_a_full_disk(small, tmp_path):
    d = small
    vm, other = (d.client.create(d.group, timeout="120s")["hostname"] for _ in range(2))
    fill(d, vm)
    is_usable(d, vm)

    # What does not fit is said, and not left there in part.
    before = sh(d, vm, "ls -A /").stdout.split()
    for headers in ({}, {"X-Slicer-Unpacked-Size": str(MIB)}):
        answer = put(d, vm, "/big", os.urandom(MIB), **headers)
        assert answer.status == 507 and ("No space" in answer.error or "has" in answer.error), answer
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/big").write_bytes(os.urandom(MIB))
    for source, more in ((tmp_path / "tree/big", ()), (tmp_path / "tree", ("-r",))):
        done = d.cli("vm", "cp", "--uid", "0", *more, source, f"{vm}:/copy")
        assert done.returncode == 1 and (b"space" in done.stderr or b"left" in done.stderr), done
    after = sh(d, vm, "ls -A /; ls -A /copy 2>/dev/null").stdout.split()
    assert set(after) <= {*before, b"copy"}, after

    # It starts anew with it, too.
    first = boot_id(d.client, vm)
    sh(d, vm, "(sleep 0.3; reboot) > /dev/null 2>&1 &")
    until(lambda: boot_id(d.client, vm) not in (None, first), 240, "it came back from a reboot")
    is_usable(d, vm)
    assert sh(d, vm, "echo x >> /fill").exit_code != 0

    # Nothing of that is the other's, nor the host's beyond the disk's size.
    assert sh(d, other, "head -c 8000000 /dev/zero > /own && sync && echo kept").stdout == b"kept\n"
    assert os.stat(d.state_dir / "vms" / vm / "disk.qcow2").st_blocks * 512 < 72 * MIB

    # Room again, and full again when it is deleted.
    assert sh(d, vm, "rm /fill && echo room > /x && cat /x").stdout == b"room\n"
    assert put(d, vm, "/big", b"y" * MIB).status == 200
    fill(d, vm)
    pids = [d.monitor_pid(vm), *descendants(d.monitor_pid(vm))]
    d.client.remove(vm)
    assert not any(alive(p) for p in pids)
    assert not (d.state_dir / "vms" / vm).exists() and not (d.run_dir / vm).exists()
    is_usable(d, other)
    d.client.remove(other)
