# SPDX-License-Identifier: MIT
"""Runs inside the outer guest: see ../test_nested.py. What control groups limit, on a host that has all controllers."""
import os
import pathlib
import sys
import time

import pytest
from slicertest import Daemon, alive, run, until

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[2] / folder) for folder in ("host", "guest")]
from test_jail import Inmates, Outside  # noqa: E402
from test_monitor import Monitor  # noqa: E402

MIB = 1 << 20
ROOT = pathlib.Path("/sys/fs/cgroup/slicer")


def value(group, file):
    return (group / file).read_text().strip()


@pytest.fixture
def group():
    path = ROOT / "test" / "vm-1"
    yield path
    until(lambda: not path.exists() or not value(path, "cgroup.procs"), 60, "the group is empty")
    for p in (path, path.parent):
        if p.exists():
            p.rmdir()


@pytest.fixture(scope="module")
def under_kvm(store, tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("kvm"), hypervisor="qemu", slicer="/usr/local/bin/slicer", config={"accel": "kvm"},
                env={"SLICER_ACCEL": "kvm"}) as d:
        vm = d.client.create(d.group, timeout="240s")["hostname"]
        # This guest has no network that passt could speak for.
        yield Inmates(d, vm, {"qemu": 1, "keeper": 1}, "/dev/null|/dev/kvm")


@pytest.fixture(scope="module", params=["qemu"])
def inmate(request, under_kvm):
    return under_kvm, request.param


class TestOutsideUnderKvm(Outside):
    pass


def test_a_vm_is_limited_and_jailed(store, tmp_path):
    with Daemon(tmp_path / "d", hypervisor="qemu", slicer="/usr/local/bin/slicer", config={"accel": "kvm"},
                env={"SLICER_ACCEL": "kvm"}) as d:
        vm = d.client.create(d.group, timeout="240s", persistent=True)["hostname"]
        with open(f"/proc/{d.vmm_pid(vm)}/cmdline", encoding="utf-8") as f:
            assert "kvm" in f.read().split("\0")
        own = ROOT / d.id / vm
        limit = int(value(own, "memory.max"))
        assert 256 * MIB < limit <= 768 * MIB
        assert value(own, "cpu.max") == "200000 100000" and value(own, "cpu.weight") == "100"
        assert value(own, "pids.max") == str(1 + 128 + 32) and value(own, "io.weight") == "default 100"
        assert "not limited" not in d.log_text()
        assert value(own, "cgroup.procs").split().count(str(d.vmm_pid(vm))) == 1
        assert int(value(own, "memory.current")) < limit and "oom_kill 0" in value(own, "memory.events")

        # /dev/kvm is root's here: it has a node of its own.
        node = os.stat(f"/proc/{d.vmm_pid(vm)}/root/dev/kvm")
        uid = os.stat(f"/proc/{d.vmm_pid(vm)}").st_uid
        assert node.st_mode & 0o777 in (0o600, 0o660, 0o666) and (node.st_uid == uid or node.st_mode & 0o066)
        assert sorted(os.listdir(f"/proc/{d.vmm_pid(vm)}/root/dev")) == ["kvm", "null", "urandom"]

        vmm = d.vmm_pid(vm)
        room = int(value(own, "memory.current")) + 16 * MIB
        (own / "memory.max").write_text(str(room))
        run(d.client, vm, "sh", "-c", "head -c 150000000 /dev/zero > /dev/shm/x || head -c 150000000 /dev/zero | tail -c 149999999 "
            "> /dev/null &", uid=0)
        until(lambda: not alive(vmm), 120, "the VMM is killed")
        until(lambda: d.client.node(vm)["status"] == "Stopped", 120, "the daemon has noticed")
        assert "killed at its memory limit" in d.client.get(f"/vm/{vm}").json["last_error"]
        assert f"[{vm}] its VMM was killed at its memory limit" in d.log_text()
        assert d.client.get("/healthz").status == 200
        d.client.remove(vm)


def test_memory(group, tmp_path):
    m = Monitor(tmp_path, ["/usr/bin/tail", "/dev/zero"], cgroup={"path": str(group), "memory_bytes": 64 * MIB})
    record = m.ended(60)
    assert record["signal"] == "SIGKILL" and record["memory_limit"] == 64 * MIB


def test_a_kill_is_not_taken_for_that(group, tmp_path):
    m = Monitor(tmp_path, ["/usr/bin/sleep", "60"], cgroup={"path": str(group), "memory_bytes": 64 * MIB})
    m.ask({"cmd": "kill"})
    record = m.ended(60)
    assert record["signal"] == "SIGKILL" and "memory_limit" not in record


def test_cpu(group, tmp_path):
    """A CPU more than it has, which are all of this host: what more is busy is held up only once that is halved."""
    m = Monitor(tmp_path, "for i in 1 2 3; do while :; do :; done & done; wait", cgroup={"path": str(group), "cpus": 1})
    assert value(group, "cpu.max") == "200000 100000" and os.cpu_count() == 2
    (group / "cpu.max").write_text("100000")

    def figure(name):
        return int(dict(line.split() for line in value(group, "cpu.stat").splitlines())[name])
    until(lambda: figure("nr_throttled") > 3, 60, "they are held up")
    start, used = time.monotonic(), figure("usage_usec")
    time.sleep(3)
    used, took = figure("usage_usec") - used, time.monotonic() - start  # in this order: what comes between them makes it no more
    assert used / 1e6 < 1.1 * took + 0.2, "one CPU's worth"
    m.ask({"cmd": "kill"})
    until(m.record.exists, 120, "the monitor has written down the end")
    if group.exists():
        (group / "cgroup.kill").write_text("1")
    assert m.ended(60)["signal"] == "SIGKILL"


def test_threads(group, tmp_path):
    m = Monitor(tmp_path, "i=0; while [ $i -lt 50 ]; do sleep 60 & i=$((i+1)); done; wait",
                cgroup={"path": str(group), "threads": 20})
    until(lambda: "max 0" not in value(group, "pids.events"), 120, "a fork is refused")
    assert int(value(group, "pids.current")) <= 20
    m.ask({"cmd": "kill"})
    until(m.record.exists, 120, "the monitor, which is in the group as well, has written down the end")
    if group.exists():
        (group / "cgroup.kill").write_text("1")  # as the daemon does with what is left
    assert m.ended(60)["signal"] == "SIGKILL"
