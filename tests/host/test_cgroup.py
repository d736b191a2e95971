# SPDX-License-Identifier: MIT
"""The control group of each VM: outside of the daemon's, holding all of the VM, gone with it."""
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest
from slicertest import alive, descendants, until

ROOTS = [pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified")]


def root():
    return next(r for r in ROOTS if (r / "cgroup.procs").exists() and (r / "cgroup.controllers").exists())


def group_of(pid):
    """Of version 2: proc(5), /proc/PID/cgroup."""
    lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next(line[3:] for line in lines if line.startswith("0::"))


def path_of(d, vm):
    return root() / "slicer" / d.id / vm


def members(d, vm):
    return {int(p) for p in (path_of(d, vm) / "cgroup.procs").read_text().split()}


def test_holds_all_of_a_vm_and_nothing_else(daemon):
    d = daemon()
    one, other = (d.client.create(d.group)["hostname"] for _ in range(2))
    monitor = d.monitor_pid(one)
    # Some come and go between two looks.
    until(lambda: {d.vmm_pid(one), *d.agent_pids(one)} <= set(descendants(monitor)))
    until(lambda: members(d, one) == {monitor, *descendants(monitor)})
    assert group_of(d.vmm_pid(one)) == f"/slicer/{d.id}/{one}"
    assert group_of(d.vmm_pid(other)) == f"/slicer/{d.id}/{other}"
    assert group_of(d.pid) == group_of(os.getpid())

    assert d.client.delete(f"/hostgroup/{d.group}/nodes/{one}").status == 200
    until(lambda: d.client.node(one) is None, 10)
    assert not path_of(d, one).exists() and path_of(d, other).exists()
    d.stop()
    assert not path_of(d, other).parent.exists()


def test_ends_what_has_left_its_parents(daemon):
    """Whatever got into the group, and whatever it made below."""
    d = daemon()
    vm = d.client.create(d.group, persistent=True)["hostname"]
    below = path_of(d, vm) / "below" / "more"
    below.mkdir(parents=True)
    with subprocess.Popen(["sleep", "777.5"]) as stray:
        (below / "cgroup.procs").write_text(str(stray.pid))
        assert d.client.post(f"/vm/{vm}/shutdown").status == 200
        assert stray.wait(60) == -signal.SIGKILL
    assert not path_of(d, vm).exists()
    assert d.client.post(f"/vm/{vm}/relaunch").status in (200, 201)
    assert group_of(d.vmm_pid(vm)) == f"/slicer/{d.id}/{vm}"


@pytest.mark.parametrize("kept", [True, False])
def test_a_crash_leaves_none(daemon, kept):
    """Daemon and monitor killed at once: what the VM was is cleared away by the next daemon."""
    d = daemon()
    vm = d.client.create(d.group, persistent=kept)["hostname"]
    monitor, vmm = d.monitor_pid(vm), d.vmm_pid(vm)
    d.kill()
    os.kill(monitor, signal.SIGKILL)
    until(lambda: not alive(vmm), 10)
    assert path_of(d, vm).exists()
    d.start()
    until(lambda: not path_of(d, vm).exists(), 10)


def without(prepare):
    """The daemon in a mount namespace of its own, where `prepare` was done to cgroup2."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{prepare} && exec "$@"', "sh"]


def start_without(d, prepare):
    d.spawn(prefix=without(prepare.format(root=root())))

    def answers():
        with contextlib.suppress(OSError):
            return d.client.get("/healthz", timeout=5).status == 200
    until(answers, 60)


UMOUNT, READ_ONLY = "umount {root}", "mount -o remount,bind,ro {root}"


@pytest.mark.parametrize("prepare,word", [(UMOUNT, "this host has no cgroup2"), (READ_ONLY, "cannot make one in /sys/fs/cgroup")])
def test_goes_on_without(daemon, prepare, word):
    """The log says so, once."""
    d = daemon(start=False)
    start_without(d, prepare)
    other = d.client.create(d.group)["hostname"]
    vm = d.client.create(d.group, persistent=True)["hostname"]
    assert group_of(d.vmm_pid(vm)) == group_of(os.getpid())
    said = [line for line in d.log_text().splitlines() if "said once" in line]
    assert len(said) == 1 and f"[{other}] no control group of its own: {word}" in said[0], said
    assert d.client.post(f"/vm/{vm}/shutdown").status == 200
    assert d.client.node(vm)["status"] == "Stopped"
    assert not path_of(d, vm).exists()


def test_what_else_is_lacking_is_said_too(daemon):
    d = daemon(start=False)
    start_without(d, READ_ONLY)
    d.client.create(d.group)
    subprocess.run(["nsenter", "-t", str(d.pid), "-m", "umount", root()], check=True)
    for _ in range(2):
        d.client.create(d.group)
    said = [line for line in d.log_text().splitlines() if "said once" in line]
    assert len(said) == 2 and "cannot make one in" in said[0] and "this host has no cgroup2" in said[1], said
