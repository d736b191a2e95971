# SPDX-License-Identifier: MIT
"""Steps that fail, or behind which the daemon is killed, with real guests on a bridge: nothing is left, no VM is lost. All steps
have their turn with the fake hypervisor (tests/host/test_faults.py)."""
import http.client

import pytest
from slicertest import run, until

pytestmark = pytest.mark.full
LAUNCH = ["launch.disk:fail", "launch.network:kill", "launch.vmm:fail", "launch.vmm:kill", "launch.connect:kill", "launch.commit:fail"]
STOP = ["stop.ask:kill", "stop.kill:kill", "stop.network:kill"]
DELETE = ["delete.kill:kill", "delete.network:fail", "delete.state:kill"]


def statuses(d):
    return {n["hostname"]: n["status"] for n in d.client.nodes()}


def ask(d, method, path, **kwargs):
    """The status; None when the daemon was killed in it."""
    try:
        return d.client.request(method, path, timeout=180, **kwargs).status
    except (OSError, http.client.HTTPException):
        return None


def answers(d, vm):
    return d.client.get(f"/vm/{vm}/health").status == 200 and run(d.client, vm, "cat", "/proc/version").stdout.startswith(b"Linux")


@pytest.fixture
def made(space, daemon):
    """made(fault): a daemon with it. After the test, everything is to be as it was."""
    before = space.links(), space.rules()
    network = {"bridge": "brflt0", "tap_prefix": "flttap", "gateway": "192.168.143.1/24"}
    all_made = []

    def make(fault):
        all_made.append(daemon(hypervisor="qemu", prefix=space.prefix, group={"network": network}, env={"SLICER_FAULT": fault}))
        return all_made[0]
    yield make
    all_made[0].clean()
    assert (space.links(), space.rules()) == before


def without_fault(d, fault):
    """Another daemon; the fault point must have been reached."""
    assert f"fault injected at {fault}" in d.log_text(), "the fault point was not reached"
    if fault.endswith(":kill"):
        until(lambda: d.process.poll() is not None, 10, "the daemon is killed")
    else:
        d.kill()
    d.env.pop("SLICER_FAULT")
    return d.start()


@pytest.mark.parametrize("fault", LAUNCH)
def test_launch(made, space, fault):
    d = made(fault)
    killed = fault.endswith(":kill")
    status = ask(d, "POST", f"/hostgroup/{d.group}/nodes", json={"persistent": True})
    assert status == (None if killed else 500)
    if not killed:
        assert statuses(d) == {} and "flttap" not in space.links()
    without_fault(d, fault)
    vm = f"{d.group}-1"
    if not killed:
        assert statuses(d) == {}
        assert d.client.create(d.group, timeout="120s")["hostname"] == vm, "the name is free again"
    until(lambda: statuses(d) == {vm: "Running"}, 60)
    until(lambda: answers(d, vm), 120, "it answers")
    assert space.links().count("flttap") == 1


@pytest.mark.parametrize("fault", STOP)
def test_stop(made, space, fault):
    d = made(fault)
    vm = d.client.create(d.group, timeout="120s", persistent=True)["hostname"]
    run(d.client, vm, "sh", "-c", "echo kept > /root/kept; sync", uid=0, gid=0)
    assert ask(d, "POST", f"/vm/{vm}/shutdown") is None
    without_fault(d, fault)
    until(lambda: statuses(d) == {vm: "Stopped"}, 30)
    assert "flttap" not in space.links()
    assert ask(d, "POST", f"/vm/{vm}/relaunch") == 200
    until(lambda: answers(d, vm), 120, "it answers")
    assert run(d.client, vm, "cat", "/root/kept", uid=0, gid=0).stdout == b"kept\n"


@pytest.mark.parametrize("fault", DELETE)
def test_delete(made, space, fault):
    d = made(fault)
    vm = d.client.create(d.group, timeout="120s", persistent=True)["hostname"]
    status = ask(d, "DELETE", f"/hostgroup/{d.group}/nodes/{vm}")
    if fault.endswith(":fail"):
        assert status == 500 and set(statuses(d)) == {vm}, "what could not be deleted is still listed"
    else:
        assert status is None
    without_fault(d, fault)
    until(lambda: statuses(d) == {}, 30, "it is gone")
    assert "flttap" not in space.links()
