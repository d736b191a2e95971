# SPDX-License-Identifier: MIT
"""A configuration that changed under VMs that go on: they keep what they have, and `up` says what differs, once each."""
import json

import pytest
from slicertest import run, until


def statuses(d):
    return {n["hostname"]: n["status"] for n in d.client.nodes()}


def restart(d, **group):
    """kill -9, a changed configuration, a new daemon; what that one said."""
    d.kill()
    d.config["host_groups"][0].update(group)
    before = len(d.log_text())
    d.start()
    return d.log_text()[before:]


def test_each_difference_is_said_once(space, daemon):
    d = daemon(prefix=space.prefix, group={"count": 1, "vcpu": 2})
    service = f"{d.group}-1"
    until(lambda: statuses(d) == {service: "Running"}, 20)
    made = d.client.create(d.group, persistent=True, cpus=1)["hostname"]
    pids = {vm: d.vmm_pid(vm) for vm in (service, made)}
    assert "otherwise" not in restart(d), "nothing differs: one vCPU was asked for"

    said = restart(d, vcpu=1, ram_mb=512, network={"bridge": "brchg0", "gateway": "10.79.1.1/24"})
    for vm, advice in ((service, "stop the daemon and start it again"), (made, "delete it and add another")):
        line, = [line for line in said.splitlines() if f"[{vm}] keeps" in line]
        assert "vcpu 2 (now 1), ram 256MiB (now 512MiB), network user (now bridge brchg0 10.79.1.1/24); " + advice in line
        assert d.vmm_pid(vm) == pids[vm] and run(d.client, vm, "echo", "well").stdout == b"well\n"
    assert d.client.node(service)["ram_bytes"] == 256 << 20, "what is shown is what it has"
    # A new one is as the configuration says now.
    new = d.client.create(d.group)
    assert new["ip"].startswith("10.79.1.") and d.client.node(new["hostname"])["ram_bytes"] == 512 << 20


def test_another_image_and_another_bridge(space, daemon):
    d = daemon(prefix=space.prefix, group={"network": {"bridge": "brchg1", "gateway": "10.79.2.1/24"}})
    vm = d.client.create(d.group, persistent=True)["hostname"]
    record = d.state_dir / "vms" / vm / "record.json"
    d.kill()
    record.write_text(json.dumps({**json.loads(record.read_text()), "image": "older"}))
    d.start()
    said = restart(d, network={"bridge": "brchg1", "gateway": "10.79.3.1/24"})
    assert "image older (now micro), network bridge brchg1 10.79.2.1/24 (now bridge brchg1 10.79.3.1/24); delete it" in said
    assert statuses(d) == {vm: "Running"} and d.client.node(vm)["ip"] == "10.79.2.2"


def test_a_group_that_is_gone(daemon):
    d = daemon()
    vms = [d.client.create(d.group)["hostname"] for _ in range(2)]
    d.kill()
    old, d.config["host_groups"][0]["name"] = d.group, "other"
    before = len(d.log_text())
    d.start()
    said = d.log_text()[before:]
    lines = [line for line in said.splitlines() if "not in the configuration any more" in line]
    assert len(lines) == 1 and f'"{old}"' in lines[0] and ", ".join(vms) in lines[0]
    assert statuses(d) == dict.fromkeys(vms, "Running")
    assert run(d.client, vms[1], "echo", "well").stdout == b"well\n"
    for vm in vms:
        d.client.remove(vm)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_count_that_is_lowered_and_raised_again(daemon, persistent):
    d = daemon(group={"count": 2, "persistent": persistent})
    one, two = f"{d.group}-1", f"{d.group}-2"
    until(lambda: statuses(d) == {one: "Running", two: "Running"}, 20)
    pid = d.vmm_pid(two)
    said = restart(d, count=1)
    assert said.count(f"[{two}] is not a service any more (count: 1)") == 1 and f"[{one}] is not" not in said
    # Its record is written in between.
    assert d.client.request("PATCH", f"/vm/{two}/tags", json={"add": ["x"]}).status == 200
    said = restart(d, count=2)
    assert "not a service" not in said and "not started" not in said
    assert d.client.delete(f"/hostgroup/{d.group}/nodes/{two}").status == 403, "a service again"
    assert d.vmm_pid(two) == pid
    restart(d, count=0)
    for vm in (one, two):
        d.client.remove(vm)


def test_a_service_whose_name_is_taken(daemon):
    d = daemon()
    vm = d.client.create(d.group, persistent=True)["hostname"]
    assert d.client.post(f"/vm/{vm}/shutdown").status == 200
    said = restart(d, count=1)
    assert f"[{vm}] not started as a service: a VM that was added through the API has that name" in said
    assert statuses(d) == {vm: "Stopped"}, "it is not started unasked"
    assert d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}").status == 200
    restart(d)
    until(lambda: statuses(d) == {vm: "Running"}, 20, "the service")
