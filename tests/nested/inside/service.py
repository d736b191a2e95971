# SPDX-License-Identifier: MIT
"""Runs inside the outer guest: see ../test_nested.py. `slicer service generate --install` under the systemd that it is for. One
story, in order: three VMs boot once, only what the restart makes anew boots again."""
import json
import os
import pathlib
import signal

import pytest
from slicertest import leaks, until
from slicertest.systemd import SystemdHost

HOST = SystemdHost("/root/service", "slicer-vm.service")
UNIT, WORK, sh, show, vmm = HOST.unit, HOST.work, HOST.sh, HOST.show, HOST.vmm
SERVICE, KEPT, GONE = "vm-1", "vm-2", "vm-3"  # count: 1; added as persistent; added with --rm


def wait_for_agent(vm):
    sh(f"slicer vm ready {vm} --timeout 200s")
    assert sh(f"slicer vm exec {vm} -- id -un") == "ubuntu\n"


def exit_record(vm):
    return json.loads(next(WORK.glob(f".slicer/*/vms/{vm}/exit.json")).read_text())


@pytest.fixture(scope="module")
def before():
    """The host without the service."""
    return HOST.prepare()


@pytest.fixture(scope="module", autouse=True)
def installed(before):
    config = sh("slicer new vm --min --cpu 1 --ram 1 --accel kvm --find-ssh-keys=false")
    assert "ram_gb: 1\n" in config and "bridge: brvm0\n" in config
    (WORK / "vm.yaml").write_text(config.replace("ram_gb: 1\n", "ram_mb: 256\n"))
    assert "is installed, enabled and started" in sh("slicer service generate vm.yaml --install")
    yield
    HOST.remove()


def test_vms_run_outside_the_group_of_the_service():
    until(HOST.states, 120, "the service answers")
    wait_for_agent(SERVICE)  # one after the other: a boot that is slow because of others counts as hung
    sh("slicer vm add vm --persistent --wait")
    sh("slicer vm add vm --rm --wait")
    for vm in (SERVICE, KEPT, GONE):
        wait_for_agent(vm)
        assert pathlib.Path(f"/proc/{vmm(vm)}/cgroup").read_text().startswith("0::/slicer/vm-")
    daemon, own = int(show("MainPID")), show("ControlGroup")
    assert own == f"/system.slice/{UNIT}"
    assert pathlib.Path(f"/proc/{daemon}/cgroup").read_text() == f"0::{own}\n"
    members = {int(p) for p in pathlib.Path(f"/sys/fs/cgroup{own}/cgroup.procs").read_text().split()}
    assert members == {daemon}
    assert (show("KillMode"), show("Delegate"), show("RuntimeDirectoryPreserve")) == ("process", "yes", "yes")
    assert show("Restart") == "on-failure" and sh(f"systemd-analyze verify --man=no {UNIT} 2>&1") == ""


def test_a_killed_daemon_comes_back_and_the_vms_never_left():
    daemon, vmms = int(show("MainPID")), [vmm(vm) for vm in (SERVICE, KEPT, GONE)]
    os.kill(daemon, signal.SIGKILL)
    until(lambda: show("NRestarts") == "1" and int(show("MainPID")) not in (0, daemon), 120, "systemd has restarted it")
    HOST.wait_for_states(vm_1="Running", vm_2="Running", vm_3="Running")
    assert [vmm(vm) for vm in (SERVICE, KEPT, GONE)] == vmms
    for vm in (SERVICE, KEPT, GONE):
        wait_for_agent(vm)


def test_restart_ends_guests_in_order_and_starts_services_anew():
    vmms = {vmm(vm) for vm in (SERVICE, KEPT, GONE)}
    sh(f"systemctl restart {UNIT}")
    HOST.wait_for_states(vm_1="Running", vm_2="Stopped")
    assert "did not power off" not in HOST.journal(), "a guest was killed"
    assert exit_record(KEPT)["exit_code"] == 0
    assert vmm(SERVICE) not in vmms | {None} and vmm(KEPT) is None and vmm(GONE) is None
    assert show("NRestarts") == "0" and show("Result") == "success"
    wait_for_agent(SERVICE)


def test_stop_leaves_nothing(before):
    sh(f"slicer vm delete {KEPT}")
    leaks.DAEMON_IDS.add(next(WORK.glob(".slicer/*")).name)
    sh(f"systemctl stop {UNIT}")
    assert "did not power off" not in HOST.journal()
    assert (show("ActiveState"), show("Result"), show("MainPID")) == ("inactive", "success", "0")
    assert HOST.nothing_runs()
    assert leaks.compare(before) == []
    assert pathlib.Path("/run/slicer").is_dir()


def test_the_boot_starts_it_and_it_can_be_stopped_at_once(before):
    assert sh(f"systemctl is-enabled {UNIT}") == "enabled\n"
    sh("systemctl start --no-block multi-user.target")  # what a boot starts; this test is a part of it
    until(lambda: vmm(SERVICE), 120, "the VM is started")
    sh(f"systemctl stop {UNIT}")
    assert (show("ActiveState"), show("Result")) == ("inactive", "success")
    assert HOST.nothing_runs()
    assert leaks.compare(before) == []
