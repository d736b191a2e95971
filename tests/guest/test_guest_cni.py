# SPDX-License-Identifier: MIT
"""A guest behind CNI plugins: it has the address that they gave, and reaches what they lead to."""
import contextlib
import json

import pytest
from slicertest import Daemon, frames, matrix, run, until
from slicertest.cni import BRIDGE_LIST, PTP_LIST, cni_host
from slicertest.matrix import Surroundings, guest_matrix


@pytest.fixture(scope="module")
def host(store):
    with cni_host() as one:
        one.put("10-test.conflist", BRIDGE_LIST)
        one.put("20-ptp.conflist", PTP_LIST)
        yield one


def daemon_on(host, directory, network, count):
    d = Daemon(directory, hypervisor="qemu", prefix=host.prefix_in(directory), config={"network_name": network}, group={"count": count})
    del d.config["host_groups"][0]["network"]
    return d


def wait(d, vm):
    until(lambda: d.client.get(f"/vm/{vm}/health").status == 200, 120, f"{vm} answers")


def reaches(d, vm, address, reached=True):
    return matrix.reaches(d.client, vm, address, reached)


@pytest.mark.parametrize("network, subnet", [("test", "10.91.0"), ("ptp", "10.92.0")])
def test_vms_reach_each_other_the_host_and_what_is_behind(host, tmp_path, network, subnet):
    with daemon_on(host, tmp_path, network, 2) as d:
        vms = [f"{d.group}-{n}" for n in (1, 2)]
        for vm in vms:
            wait(d, vm)
        nodes = {n["hostname"]: n for n in d.client.nodes()}
        addresses = [nodes[vm]["ip"] for vm in vms]
        assert sorted(addresses) == sorted({f"{a}" for a in addresses}) and all(a.startswith(subnet) for a in addresses)
        shown = run(d.client, vms[0], "ip", "addr", "show", "eth0", uid=0, gid=0).stdout.decode()
        assert addresses[0] in shown and nodes[vms[0]]["mac"] in shown
        assert reaches(d, vms[0], addresses[1]), "VM to VM"
        assert reaches(d, vms[0], "203.0.113.2"), "VM to host"
        host.run("busybox", "sh", "-c", matrix.ping(addresses[0]))  # host to VM
        assert not reaches(d, vms[0], f"{subnet}.77", reached=False), "nobody is there: the test can fail"
        with contextlib.ExitStack() as stack:
            around = Surroundings(stack, host.prefix, stack.enter_context(host.neighbour()), "203.0.113.1")
            guest_matrix(around, d.client, vms[0], "CNI", own=addresses[0], host=["203.0.113.2"], via="203.0.113.2", peer=addresses[1])


LIES = {"a MAC address that nobody has", "another's MAC address", "another's addresses, both"}


@pytest.mark.full
def test_an_address_asked_for_and_macspoofchk(host, tmp_path):
    """The guest has what `ips` asked for; and a bridge that looks at MAC addresses lets its own pass, and no others."""
    strict = {**BRIDGE_LIST["plugins"][0], "capabilities": {"ips": True, "mac": True}, "macspoofchk": True}
    host.put("10-test.conflist", {**BRIDGE_LIST, "plugins": [strict, BRIDGE_LIST["plugins"][1]]})
    with daemon_on(host, tmp_path, "test", 1) as d, host.neighbour() as outside:
        wait(d, f"{d.group}-1")
        made = d.client.create(d.group, ip="10.91.0.44", timeout="120s")
        vm = made["hostname"]
        assert "inet 10.91.0.44/24" in run(d.client, vm, "ip", "addr", "show", "eth0", uid=0, gid=0).stdout.decode()
        assert reaches(d, vm, "203.0.113.1"), "out, by NAT"
        frames.take_sender(d, vm, tmp_path)
        other = d.client.node(f"{d.group}-1")
        host.run("busybox", "sh", "-c", matrix.ping("10.91.0.44"))
        port = next(entry["ifname"] for entry in json.loads(host.run("bridge", "-j", "fdb")) if entry["mac"] == d.client.node(vm)["mac"])
        wanted = {name: None for name in frames.names() if name not in LIES} | {"its own": {"cnitest0", "uplink0", "wire0"}}
        heard = frames.told(d, vm, [host.prefix, outside], "10.91.0.1", (other["mac"], other["ip"]), "203.0.113.1", wanted, own_port=port)
        assert wanted["its own"] <= heard["its own"]
        assert {name for name, links in heard.items() if not links} == LIES
