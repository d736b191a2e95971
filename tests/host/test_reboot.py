# SPDX-License-Identifier: MIT
"""POST /vm/VM/reboot: in place, by the guest."""
import os
import signal

import pytest
from slicertest import alive, run, until


def uptime(api, vm):
    """Of the agent; None while it does not answer."""
    answer = api.get(f"/vm/{vm}/health")
    return answer.json["agent_uptime"] if answer.status == 200 else None


def test_reboot(fake, api):
    vm = api.create(fake.group)["hostname"]
    vmm, server, node = fake.vmm_pid(vm), fake.agent_pids(vm)[-1], api.node(vm)
    answer = api.post(f"/vm/{vm}/reboot")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain")
    until(lambda: server not in fake.agent_pids(vm) and uptime(api, vm) is not None, 30, "a new agent")
    assert fake.vmm_pid(vm) == vmm and alive(vmm)
    assert api.node(vm) == node and node["status"] == "Running"
    assert run(api, vm, "echo", "again").stdout == b"again\n"

    # And once more, as the command line does it, with a body that says nothing.
    server = fake.agent_pids(vm)[-1]
    assert b"reboot requested" in fake.cli.ok("vm", "reboot", vm)
    until(lambda: server not in fake.agent_pids(vm) and uptime(api, vm) is not None, 30, "a new agent")
    api.remove(vm)


@pytest.mark.parametrize("before,status", [("pause", "Paused"), ("shutdown", "Stopped")])
def test_reboot_needs_a_running_vm(fake, api, before, status):
    vm = api.create(fake.group, persistent=True)["hostname"]
    assert api.post(f"/vm/{vm}/{before}").status == 200
    answer = api.post(f"/vm/{vm}/reboot")
    assert answer.status == 409 and status in answer.error
    assert api.node(vm)["status"] == status
    api.remove(vm)


def test_reboot_of_nothing(api):
    assert api.post("/vm/nosuch-1/reboot").status == 404
    answer = api.get("/vm/nosuch-1/reboot")
    assert answer.status == 405 and answer.headers["allow"] == "POST"


def test_reboot_of_a_guest_that_hangs(fake, api):
    vm = api.create(fake.group)["hostname"]
    agents = fake.agent_pids(vm)
    for pid in agents:
        os.kill(pid, signal.SIGSTOP)
    answer = api.post(f"/vm/{vm}/reboot", timeout=60)
    assert answer.status in (500, 503) and vm in answer.error
    for pid in agents:
        os.kill(pid, signal.SIGCONT)
    api.remove(vm)
