# SPDX-License-Identifier: MIT
"""Runs inside the outer guest: see ../test_nested.py. Slots as units of systemd: `slicer service generate --install` writes the
template microvm@.service. One story, in order."""
import pytest
import yaml
from slicertest import leaks, until
from slicertest.systemd import SystemdHost

HOST = SystemdHost("/root/slots", "slicer-slots.service")
FILE, sh, show, vmm = HOST.work / "slots.yaml", HOST.sh, HOST.show, HOST.vmm
GROUP = {"name": "slots", "ram_mb": 256, "slots": {"slot1": {}, "slot2": {}}}


def write(group):
    FILE.write_text(yaml.safe_dump({"config": {"hypervisor": "qemu", "accel": "kvm", "image": "micro", "host_groups": [group]}}))


@pytest.fixture(scope="module")
def before():
    return HOST.prepare()


@pytest.fixture(scope="module", autouse=True)
def installed(before):
    write(GROUP)
    said = sh("slicer service generate slots.yaml --install")
    assert "systemctl start, stop or restart microvm@SLOT" in said, said
    yield
    for slot in ("slot1", "slot2", "slot3"):
        sh(f"systemctl stop microvm@{slot}", check=False)
    HOST.remove("microvm@.service")


def is_active(slot):
    return sh(f"systemctl is-active microvm@{slot}", check=False).strip() == "active"


def wait_for_agent(slot):
    sh(f"slicer vm ready {slot} --timeout 200s")
    return sh(f"slicer vm exec {slot} -- cat /proc/sys/kernel/random/boot_id")


def test_the_boot_starts_daemon_and_slots():
    """What a boot starts: the daemon's unit, which wants those of its slots."""
    HOST.wait_for_states(slot1="Running", slot2="Running")
    for slot in GROUP["slots"]:
        wait_for_agent(slot)
        until(lambda one=slot: sh(f"systemctl is-active microvm@{one}", check=False).strip() not in ("activating", "inactive"), 120)
        assert is_active(slot), sh(f"systemctl status microvm@{slot}; journalctl -n 80 --no-pager -u microvm@{slot} -u {HOST.unit}", check=False)
    assert sh("systemd-analyze verify --man=no microvm@slot1.service 2>&1") == ""


def test_a_slot_draws_in_the_daemon_and_waits_for_it():
    sh(f"systemctl stop microvm@slot1 microvm@slot2 {HOST.unit}")
    assert show("ActiveState") == "inactive" and HOST.nothing_runs()
    sh("systemctl start microvm@slot1")
    assert is_active("slot1") and show("ActiveState") == "active"
    assert HOST.states()["slot1"] == "Running"
    HOST.wait_for_states(slot1="Running", slot2="Running")
    sh("systemctl start microvm@slot2")  # runs already, by the daemon
    assert is_active("slot2")
    for slot in GROUP["slots"]:
        wait_for_agent(slot)


def test_stop_start_and_restart_of_one_leave_the_other_alone():
    one, other = vmm("slot1"), vmm("slot2")
    sh("systemctl stop microvm@slot1")
    assert not is_active("slot1") and is_active("slot2")
    assert HOST.states() == {"slot1": "Stopped", "slot2": "Running"} and vmm("slot1") is None
    sh("systemctl start microvm@slot1")
    second = vmm("slot1")
    assert is_active("slot1") and second not in (None, one)
    wait_for_agent("slot1")
    sh("systemctl restart microvm@slot1")
    assert is_active("slot1") and vmm("slot1") not in (None, one, second)
    assert vmm("slot2") == other
    assert "did not power off" not in HOST.journal()
    wait_for_agent("slot1")


def test_one_that_ended_by_itself_is_restarted():
    """Its unit does not watch it: `restart` is what starts it, and `slicer vm list` what tells."""
    sh("slicer vm exec slot1 -- sudo poweroff", check=False)
    HOST.wait_for_states(slot1="Stopped", slot2="Running")
    sh("systemctl restart microvm@slot1")
    HOST.wait_for_states(slot1="Running", slot2="Running")
    wait_for_agent("slot1")


def test_a_slot_more_is_one_line_and_a_reload():
    old = [vmm("slot1"), vmm("slot2"), show("MainPID")]
    write({**GROUP, "slots": {**GROUP["slots"], "slot3": {}}})
    sh(f"systemctl reload {HOST.unit}")
    sh("systemctl start microvm@slot3")
    HOST.wait_for_states(slot1="Running", slot2="Running", slot3="Running")
    assert [vmm("slot1"), vmm("slot2"), show("MainPID")] == old
    wait_for_agent("slot3")


def test_the_daemons_restart_starts_its_slots_again():
    """All of them, whatever their units say: they are what its configuration is about."""
    sh("systemctl stop microvm@slot3")
    HOST.wait_for_states(slot1="Running", slot2="Running", slot3="Stopped")
    old = [vmm("slot1"), vmm("slot2")]
    sh(f"systemctl restart {HOST.unit}")
    HOST.wait_for_states(slot1="Running", slot2="Running", slot3="Running")
    new = [vmm("slot1"), vmm("slot2")]
    assert None not in new and not set(new) & set(old)
    assert is_active("slot1") and is_active("slot2")


def test_stop_leaves_the_disks_only(before):
    sh("systemctl start microvm@slot3; systemctl stop microvm@slot1 microvm@slot2 microvm@slot3")
    assert HOST.states() == {name: "Stopped" for name in ("slot1", "slot2", "slot3")}
    leaks.DAEMON_IDS.add(next(HOST.work.glob(".slicer/*")).name)
    sh(f"systemctl stop {HOST.unit}")
    assert (show("ActiveState"), show("Result")) == ("inactive", "success")
    assert HOST.nothing_runs()
    assert [line for line in leaks.compare(before) if "/var/log/slicer" not in line] == []
